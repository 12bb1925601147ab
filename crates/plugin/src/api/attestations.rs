//! `/attestations`: what the store holds, newest first.
//!
//! **Invariant:** only reads.

use crate::api::query::Query;
use crate::api::{Api, Execute, Reply};
use crate::error::{Rejected, RunError};
use crate::store::{Attestation, Filter};
use bytes::Bytes;

/// Answered when the query names no limit.
const DEFAULT_LIMIT: u32 = 100;
/// The most that is answered at once.
const MAX_LIMIT: u32 = 10_000;

/// Why nothing could be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct FindError {
    pub reason: String,
}

/// What attestations are read from: the core's store, or the embedded one.
pub trait Find: Send + Sync + 'static {
    /// Matches up to the filter's limit, newest first.
    fn find(
        &self,
        filter: Filter,
    ) -> impl Future<Output = Result<Vec<Attestation>, FindError>> + Send;
}

impl<E: Execute, A: Find> Api<E, A> {
    pub(super) async fn attestations(&self, query: &Query) -> Result<Reply, RunError> {
        let filter = filter(query)?;
        Ok(match self.store.find(filter).await {
            Ok(found) => match body(&found) {
                Ok(body) => Reply::json(200, body),
                Err(e) => Reply::error(500, &format!("an attestation can't be shown: {e}")),
            },
            Err(e) => Reply::error(503, &e.to_string()).with("retry-after", "1".to_owned()),
        })
    }
}

fn body(found: &[Attestation]) -> serde_json::Result<Bytes> {
    let mut body = b"{\"attestations\":".to_vec();
    serde_json::to_writer(&mut body, found)?;
    body.push(b'}');
    Ok(Bytes::from(body))
}

fn filter(query: &Query) -> Result<Filter, Rejected> {
    const KNOWN: [&str; 9] = [
        "subject",
        "subjects",
        "predicate",
        "predicates",
        "context",
        "contexts",
        "actor",
        "actors",
        "limit",
    ];
    if let Some(name) = query.unknown(&KNOWN) {
        let reason = format!(
            "unknown parameter `{name}`; known are subject, predicate, context, actor, limit"
        );
        return Err(Rejected::field(name, reason));
    }
    let both = |one: &str, many: &str| {
        let mut values = query.list(one);
        values.extend(query.list(many));
        values
    };
    let limit = match query.last("limit") {
        None | Some("") => DEFAULT_LIMIT,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=MAX_LIMIT) => limit,
            Ok(_) | Err(_) => {
                let reason = format!("`limit` has to be from 1 to {MAX_LIMIT}, not `{text}`");
                return Err(Rejected::field("limit", reason));
            }
        },
    };
    Ok(Filter {
        subjects: both("subject", "subjects"),
        predicates: both("predicate", "predicates"),
        contexts: both("context", "contexts"),
        actors: both("actor", "actors"),
        limit: Some(limit),
        ..Filter::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_becomes_a_filter() {
        let query = Query::parse("subject=a,b&subject=c&predicate=is&limit=5");
        let filter = filter(&query).unwrap();
        assert_eq!(filter.subjects, ["a", "b", "c"]);
        assert_eq!(filter.predicates, ["is"]);
        assert_eq!(filter.limit, Some(5));
    }

    #[test]
    fn a_bad_limit_or_name_is_refused() {
        for bad in ["limit=0", "limit=-1", "limit=x", "limit=10001", "subjekt=a"] {
            assert!(filter(&Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
