//! gRPC without generated code: unary calls in both directions.
//!
//! **Invariant:** the core's limits apply: 100 MiB towards the plugin, 4 MiB
//! per request to a service.

use axum::body::Body;
use http::uri::PathAndQuery;
use prost::Message;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const TO_PLUGIN: usize = 100 << 20;
const TO_SERVICE: usize = 4 << 20;

/// Calls a method of the plugin. The core sets a deadline on some calls only.
pub async fn call<Q, A>(
    channel: &Channel,
    path: &'static str,
    message: Q,
    deadline: Option<Duration>,
) -> Result<A, Status>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = tonic::client::Grpc::new(channel.clone())
        .max_decoding_message_size(TO_PLUGIN)
        .max_encoding_message_size(TO_PLUGIN);
    let work = async {
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(message);
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let codec: ProstCodec<Q, A> = ProstCodec::default();
        grpc.unary(request, PathAndQuery::from_static(path), codec).await
    };
    let answer = match deadline {
        None => work.await,
        Some(deadline) => tokio::time::timeout(deadline, work)
            .await
            .unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("{path}: {deadline:?}")))),
    };
    answer.map(Response::into_inner)
}

/// Answers one unary request of a service.
pub(crate) async fn answer<Q, A, F, Fut>(
    request: http::Request<Body>,
    method: F,
) -> http::Response<tonic::body::Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + Sync + 'static,
    F: Fn(Q) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<A, Status>> + Send + 'static,
{
    let service = tower::service_fn(move |request: Request<Q>| {
        let answer = method(request.into_inner());
        async move { answer.await.map(Response::new) }
    });
    let codec: ProstCodec<A, Q> = ProstCodec::default();
    tonic::server::Grpc::new(codec)
        .max_decoding_message_size(TO_SERVICE)
        .max_encoding_message_size(usize::MAX)
        .unary(service, request)
        .await
}

/// The same with a stream of answers.
pub(crate) async fn stream<Q, A>(
    request: http::Request<Body>,
    method: impl Fn(Q) -> Result<Vec<A>, Status> + Clone + Send + Sync + 'static,
) -> http::Response<tonic::body::Body>
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + Sync + 'static,
{
    let service = tower::service_fn(move |request: Request<Q>| {
        let rows = method(request.into_inner());
        let rows = rows.map(|rows| futures_util::stream::iter(rows.into_iter().map(Ok)));
        std::future::ready(rows.map(Response::new))
    });
    let codec: ProstCodec<A, Q> = ProstCodec::default();
    let mut grpc = tonic::server::Grpc::new(codec).max_decoding_message_size(TO_SERVICE);
    grpc.server_streaming(service, request).await
}
