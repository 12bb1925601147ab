//! The one port: binding it, announcing it, accepting on it, leaving it.
//!
//! **Invariant:** the first line on stdout is the port announcement, and no
//! write to stdout can end the process. The accepting loop waits for no
//! connection, whatever its handshake does.

use crate::api::Execute;
use crate::api::attestations::Find;
use crate::caller::Caller;
use crate::http::Face;
use crate::http::{Guard, Token};
use crate::tls::{Stream, Tls};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Ports tried, beginning with the one asked for.
const PORTS: u16 = 64;
/// Streams on one connection: the core sends everything over one, and health
/// must not wait behind executions that wait in our queue.
const MAX_STREAMS: u32 = 4096;

/// Why the port can't be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The host's name has no address.
    #[error("the host `{host}` of --address has no address")]
    NoHost {
        host: String,
        #[source]
        source: io::Error,
    },
    /// Anyone on the network could run code.
    #[error(
        "{host} is not a loopback address, and whoever reaches this port runs code on this machine"
    )]
    Open { host: String },
    /// The token can't be read.
    #[error("can't read the token file {}", path.display())]
    TokenFile {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The token is no token.
    #[error("the token in {} needs at least {min} visible characters and no space", path.display())]
    Token { path: PathBuf, min: usize },
    /// All ports are busy.
    #[error("the ports from {first} to {last} are all in use")]
    Busy { first: u16, last: u16 },
    /// The system refuses.
    #[error("can't listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

impl BindError {
    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoHost { .. } => "use 127.0.0.1, or a name this machine knows",
            Self::Open { .. } => {
                "listen on 127.0.0.1, or name a file with a secret that callers have to send: \
                 --token-file FILE (`head -c 32 /dev/urandom | base64 > FILE` makes one); or have \
                 them show certificates: --tls-client-ca FILE, beside --tls-cert and --tls-key, \
                 which by themselves keep nobody out"
            }
            Self::TokenFile { .. } => "name a file this user can read",
            Self::Token { .. } => "`head -c 32 /dev/urandom | base64 > FILE` makes a good one",
            Self::Busy { .. } => "name another port with --port, or 0 for any free one",
            Self::Listen { .. } => "ports below 1024 need privileges; --port names another",
        }
    }
}

/// Reads the token of `--token-file`.
pub fn token(path: &std::path::Path) -> Result<Token, BindError> {
    let content = std::fs::read(path)
        .map_err(|source| BindError::TokenFile { path: path.to_owned(), source })?;
    Token::parse(&content)
        .ok_or_else(|| BindError::Token { path: path.to_owned(), min: Token::MIN })
}

/// Binds `port` of `host`, or one of the ports after it when it is in use.
///
/// Other than on loopback, a caller has to show who it is: by the token, or by
/// a certificate. TLS alone hides what is said and keeps nobody out.
pub fn bind(
    host: &str,
    port: u16,
    token: Option<Token>,
    tls: Option<&Tls>,
) -> Result<(std::net::TcpListener, Guard), BindError> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<_> = (bare, port)
        .to_socket_addrs()
        .map_err(|source| BindError::NoHost { host: host.to_owned(), source })?
        .collect();
    let Some(&first) = addresses.first() else {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(BindError::NoHost { host: host.to_owned(), source });
    };
    let known = token.is_some() || tls.is_some_and(Tls::mutual);
    if !known && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(BindError::Open { host: host.to_owned() });
    }
    let guard = Guard::new(host, token).also_for(tls.map(Tls::names));
    let last = if port == 0 { 0 } else { port.saturating_add(PORTS - 1) };
    for candidate in port..=last {
        let address = SocketAddr::new(first.ip(), candidate);
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return Ok((listener, guard)),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
            Err(source) => return Err(BindError::Listen { address, source }),
        }
    }
    Err(BindError::Busy { first: port, last })
}

/// Says on stdout where we listen; the core reads this line.
pub fn announce(port: u16) {
    let mut out = io::stdout().lock();
    // Nobody may be listening, and that is fine.
    let _ = writeln!(out, "QNTX_PLUGIN_PORT={port}").and_then(|()| out.flush());
}

/// Accepts until `stop` is ready; answers what still runs on the connections.
pub async fn accept<E: Execute, A: Find>(
    listener: TcpListener,
    face: Face<E, A>,
    tls: Option<Tls>,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let (open, _) = watch::channel(());
    let entrance =
        Entrance { face, tls, open, builder: builder(), connections: GracefulShutdown::new() };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => entrance.admit(stream, peer),
            Err(e) => {
                // Out of descriptors, or a peer gone before it was accepted.
                tracing::warn!(reason = %e, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    entrance.connections
}

/// What every connection is met with.
struct Entrance<E, A> {
    face: Face<E, A>,
    tls: Option<Tls>,
    /// Gone when no more connections are accepted.
    open: watch::Sender<()>,
    builder: auto::Builder<TokioExecutor>,
    connections: GracefulShutdown,
}

impl<E: Execute, A: Find> Entrance<E, A> {
    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        // Small answers go out at once; without it they only go out later.
        let _ = stream.set_nodelay(true);
        let (caller, face) = (Caller::of(peer), self.face.clone());
        let watcher = self.connections.watcher();
        let Some(tls) = &self.tls else {
            tokio::spawn(served(Stream::Plain(stream), caller, face, &self.builder, watcher));
            return;
        };
        let (tls, builder, mut open) = (tls.clone(), self.builder.clone(), self.open.subscribe());
        tokio::spawn(async move {
            let shaken = tokio::select! {
                shaken = tls.handshake(stream) => shaken,
                // The end does not wait for strangers.
                _ = open.changed() => return,
            };
            match shaken {
                Ok(stream) => served(stream, caller, face, &builder, watcher).await,
                Err(e) => tracing::debug!(%peer, reason = %e, "a TLS handshake failed"),
            }
        });
    }
}

/// Answers what comes over one connection, to its end.
fn served<E: Execute, A: Find>(
    stream: Stream,
    caller: Caller,
    face: Face<E, A>,
    builder: &auto::Builder<TokioExecutor>,
    watcher: Watcher,
) -> impl Future<Output = ()> + Send + use<E, A> {
    let service = service_fn(move |request| {
        let answer = caller.clone().scope(face.clone().serve(request));
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    let served = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let served = watcher.watch(served);
    async move {
        if let Err(e) = served.await {
            tracing::debug!(reason = %e, "a connection ended");
        }
    }
}

/// HTTP/1.1, and HTTP/2 by prior knowledge, told apart by their first bytes.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        // A hundred executions cancelled at once are no attack of the core's.
        .max_pending_accept_reset_streams(MAX_STREAMS as usize)
        .max_local_error_reset_streams(MAX_STREAMS as usize)
        // Bodies go up to 100 MiB.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .max_frame_size(1 << 20);
    builder
}
