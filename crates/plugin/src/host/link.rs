//! The way to one service: a pooled channel, and the rules every call keeps.
//!
//! The channel connects when first used and again after a failure. It sends no
//! keepalive pings and does not probe bandwidth (that is done with pings, too):
//! the core's servers answer those with GOAWAY.
//!
//! **Invariant:** no request beyond 4 MiB is sent, no answer beyond 100 MiB is
//! taken, and nobody waits past the deadline.

use super::error::{Call, HostError, HostErrorKind, Service};
use prost::Message;
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// What the core's servers take at most.
pub(super) const MAX_REQUEST: usize = 4 << 20;
/// What we take at most.
pub(super) const MAX_ANSWER: usize = 100 << 20;
/// Longest wait for a TCP connection on one machine.
const CONNECT: Duration = Duration::from_secs(5);
/// Flow-control windows that let a large answer flow without round trips.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// A service's endpoint and the channel to it.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// No endpoint was given.
    Absent,
    /// An endpoint that is no `host:port`.
    Broken {
        endpoint: String,
        reason: String,
    },
    Open {
        endpoint: String,
        channel: Channel,
    },
}

impl Link {
    /// The link to `endpoint` (`host:port`, empty = none), or `old` when that
    /// leads there already. Needs a runtime around it.
    pub(super) fn to(endpoint: &str, old: Option<&Self>) -> Self {
        if let Some(link @ Self::Open { endpoint: known, .. }) = old
            && known == endpoint
        {
            return link.clone();
        }
        if endpoint.is_empty() {
            return Self::Absent;
        }
        match Endpoint::from_shared(format!("http://{endpoint}")) {
            Ok(built) => Self::Open {
                endpoint: endpoint.to_owned(),
                channel: built
                    .tcp_nodelay(true)
                    .connect_timeout(CONNECT)
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .connect_lazy(),
            },
            Err(error) => Self::Broken { endpoint: endpoint.to_owned(), reason: error.to_string() },
        }
    }

    /// The channel, or why there is none.
    pub(super) fn channel(&self, call: &Call<'_>) -> Result<Channel, HostError> {
        match self {
            Self::Open { channel, .. } => Ok(channel.clone()),
            Self::Absent if call.service == Service::Store => {
                Err(call.absent("the core gave no endpoint and no --store is configured"))
            }
            Self::Absent => Err(call.absent("it needs a QNTX core that offers it")),
            Self::Broken { endpoint, reason } => {
                Err(call.absent(&format!("its endpoint `{endpoint}` is no address ({reason})")))
            }
        }
    }
}

/// One unary call by the rules.
pub(super) async fn unary<Q, A, F>(
    call: &Call<'_>,
    message: Q,
    rpc: impl FnOnce(Request<Q>) -> F,
) -> Result<A, HostError>
where
    Q: Message,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let request = request(call, message)?;
    match tokio::time::timeout_at(call.context.deadline.into(), rpc(request)).await {
        Err(_) => Err(call.timeout()),
        Ok(Err(status)) => Err(call.status(&status)),
        Ok(Ok(answer)) => Ok(answer.into_inner()),
    }
}

/// A request that may be sent: small enough, and with the time that is left.
pub(super) fn request<Q: Message>(call: &Call<'_>, message: Q) -> Result<Request<Q>, HostError> {
    let size = message.encoded_len();
    if size > MAX_REQUEST {
        return Err(too_large(call, size));
    }
    let left = call.context.deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(call.timeout());
    }
    let mut request = Request::new(message);
    request.set_timeout(left);
    Ok(request)
}

pub(super) fn too_large(call: &Call<'_>, size: usize) -> HostError {
    call.error(
        HostErrorKind::LimitExceeded,
        format!("the request has {size} bytes; the {} takes {MAX_REQUEST}", call.service.name()),
    )
}

/// A client of `service` over `channel`, taking large answers.
macro_rules! client {
    ($client:ty, $channel:expr) => {
        <$client>::new($channel).max_decoding_message_size($crate::host::link::MAX_ANSWER)
    };
}
pub(super) use client;
