//! An answer that comes in pieces: how far an install is, then what came of it.
//!
//! Asked for by `Accept: application/x-ndjson` or `text/event-stream`. A call
//! that ends before it has anything to tell is answered like any other.
//!
//! **Invariant:** the last piece is the status and the body the plain answer
//! would have had; dropping the stream stops the work.

use crate::api::attestations::Find;
use crate::api::{Api, Call, Execute, Reply, json};
use crate::packages::Progress;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response, header};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// How the pieces are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object each line.
    Lines,
    /// Server-sent events, `progress` and `result`.
    Events,
}

impl Format {
    /// What the caller asks for; `None` = one whole answer.
    pub(super) fn asked(headers: &HeaderMap) -> Option<Self> {
        let accepts =
            headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut kinds = accepts
            .flat_map(|value| value.split(','))
            .map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        kinds.find_map(|kind| match kind.as_str() {
            "application/x-ndjson" => Some(Self::Lines),
            "text/event-stream" => Some(Self::Events),
            _ => None,
        })
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        })
    }

    fn piece(self, event: &str, json: &[u8]) -> Bytes {
        let mut piece = Vec::with_capacity(json.len() + 32);
        if self == Self::Events {
            piece.extend_from_slice(format!("event: {event}\ndata: ").as_bytes());
        }
        piece.extend_from_slice(json);
        piece.extend_from_slice(if self == Self::Events { b"\n\n" } else { b"\n" });
        piece.into()
    }

    fn progress(self, line: &str) -> Bytes {
        let mut writer = json::Writer::with_capacity(line.len() + 32);
        writer.object(|w| w.key("progress").string(line));
        self.piece("progress", &writer.finish())
    }

    fn result(self, reply: &Reply) -> Bytes {
        let mut writer = json::Writer::with_capacity(reply.body.len() + 32);
        writer.object(|w| {
            w.key("status").number(reply.status);
            w.key("body").raw(&reply.body);
        });
        self.piece("result", &writer.finish())
    }
}

type Work = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Answers `call`: whole when it is over before it tells anything, else in pieces.
pub(super) async fn answer<E: Execute, A: Find>(
    api: Arc<Api<E, A>>,
    call: Call,
    format: Format,
) -> Result<Response<Body>, Reply> {
    let (progress, mut told) = Progress::channel();
    let mut work: Work = Box::pin(async move { api.call_with(call, &progress).await });
    let first = tokio::select! {
        biased;
        reply = &mut work => return Err(reply),
        Some(line) = told.recv() => format.progress(&line),
    };
    let rest = stream::unfold((Some(work), told, Some(first)), move |state| pieces(state, format));
    let mut response = Response::new(Body::from_stream(rest));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    Ok(response)
}

type State = (Option<Work>, Receiver<String>, Option<Bytes>);

/// The next piece; `None` after the result.
async fn pieces(
    (work, mut told, first): State,
    format: Format,
) -> Option<(Result<Bytes, Infallible>, State)> {
    if let Some(first) = first {
        return Some((Ok(first), (work, told, None)));
    }
    let mut work = work?;
    tokio::select! {
        biased;
        Some(line) = told.recv() => Some((Ok(format.progress(&line)), (Some(work), told, None))),
        reply = &mut work => {
            let mut last = Vec::new();
            while let Ok(line) = told.try_recv() {
                last.extend_from_slice(&format.progress(&line));
            }
            last.extend_from_slice(&format.result(&reply));
            Some((Ok(last.into()), (None, told, None)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_lines_or_events() {
        let reply = Reply::error(400, "a\nb");
        assert_eq!(Format::Lines.progress("x \"y\""), "{\"progress\":\"x \\\"y\\\"\"}\n");
        let expected = "event: result\ndata: {\"status\":400,\"body\":{\"error\":\"a\\nb\"}}\n\n";
        assert_eq!(Format::Events.result(&reply), expected);
    }

    #[test]
    fn only_a_caller_that_asks_gets_pieces() {
        let asked = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            Format::asked(&headers)
        };
        assert_eq!(asked("text/html, application/x-ndjson;q=0.9"), Some(Format::Lines));
        assert_eq!(asked("text/event-stream"), Some(Format::Events));
        assert_eq!(asked("*/*"), None);
        assert_eq!(Format::asked(&HeaderMap::new()), None);
    }
}
