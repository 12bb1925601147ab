//! The plain HTTP face: what a call over TCP has to show before the API sees it.
//!
//! This port runs code, and a browser will send requests to it for any page
//! that asks. So a call has to name us as its host, come from a page of ours
//! if it comes from one, carry the token when there is one, and be JSON.
//!
//! **Invariant:** these checks are made for TCP alone; what comes through
//! `HandleHTTP` was let in by the core.

mod guard;
mod stream;

pub use guard::{Guard, Token};

use crate::api::attestations::Find;
use crate::api::routes::{self, Match};
use crate::api::{Api, Call, Door, Execute, Reply, query};
use crate::error::Rejected;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

/// The largest body that is read.
pub const MAX_BODY: usize = 100 << 20;
/// How much of a body that is too large is read and dropped, so that the
/// caller gets to read our answer.
const MAX_DRAIN: usize = 256 << 20;
/// How long that may take, and how long a body may take to arrive.
const DRAIN: Duration = Duration::from_secs(10);

/// Both faces of the port: gRPC routes and the JSON API.
#[derive(Debug)]
pub struct Face<E, A> {
    grpc: axum::Router,
    api: Arc<Api<E, A>>,
    guard: Arc<Guard>,
}

// Derived, it would ask for clonable parts.
impl<E, A> Clone for Face<E, A> {
    fn clone(&self) -> Self {
        Self { grpc: self.grpc.clone(), api: Arc::clone(&self.api), guard: Arc::clone(&self.guard) }
    }
}

impl<E: Execute, A: Find> Face<E, A> {
    /// The faces over their parts.
    pub fn new(grpc: axum::Router, api: Arc<Api<E, A>>, guard: Guard) -> Self {
        Self { grpc, api, guard: Arc::new(guard) }
    }

    /// Answers one request of either kind.
    pub async fn serve(self, request: Request<Incoming>) -> Response<Body> {
        if is_grpc(&request) {
            if !self.guard.token_fits(request.headers()) {
                let status = tonic::Status::unauthenticated(guard::NO_TOKEN);
                return status.into_http();
            }
            // A router's error type is empty.
            return self.grpc.oneshot(request).await.unwrap_or_else(|never| match never {});
        }
        let answer = match self.guard.admit(&request) {
            Ok(()) => self.plain(request).await,
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(response)
    }

    /// Answers in pieces, or (`Err`) whole.
    async fn plain(&self, request: Request<Incoming>) -> Result<Response<Body>, Reply> {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let name = self.api.settings().config().name.clone();
        let (path, _) = query::split(&target);
        let known = matches!(routes::find(&name, parts.method.as_str(), &path), Match::Found(_));
        if known && parts.method == Method::POST && !guard::is_json(&parts.headers) {
            drain(body).await;
            return Err(Reply::error(
                415,
                "the content type has to be application/json (curl: -H 'content-type: \
                 application/json')",
            ));
        }
        let body = if known { read(body).await? } else { Bytes::new() };
        let method = parts.method.as_str().to_owned();
        let call = Call { method, path: target, body, door: Door::Tcp };
        match stream::Format::asked(&parts.headers).filter(|_| parts.method == Method::POST) {
            Some(format) => stream::answer(Arc::clone(&self.api), call, format).await,
            None => Err(self.api.call(call).await),
        }
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content = request.headers().get(header::CONTENT_TYPE);
    content.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The whole body, when it is small enough.
async fn read(body: Incoming) -> Result<Bytes, Reply> {
    let too_large = || Reply::from(Rejected::TooLarge { limit: MAX_BODY });
    let announced = hyper::body::Body::size_hint(&body).lower();
    if announced > MAX_BODY as u64 {
        drain(body).await;
        return Err(too_large());
    }
    let mut body = Limited::new(body, MAX_BODY);
    match (&mut body).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(too_large()),
        Err(e) => Err(Reply::error(400, &format!("the body could not be read: {e}"))),
    }
}

/// Reads a refused body to its end, within bounds.
async fn drain(mut body: Incoming) {
    let all = async {
        let mut left = MAX_DRAIN;
        while let Some(Ok(frame)) = body.frame().await {
            left = match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => left,
                None => return,
            };
        }
    };
    // Past the time limit the connection is closed under it, as it would be anyway.
    let _ = tokio::time::timeout(DRAIN, all).await;
}

fn response(reply: Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        // Our own values; one that is no header value is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}
