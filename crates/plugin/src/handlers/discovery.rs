//! Handlers as the store has them: which rows count.
//!
//! **Invariant:** of each name the newest code counts, whatever order the rows
//! come in, and a row that says a handler is faulted shadows older code only.

use crate::VERSION;
use crate::host::{CallContext, Host, HostError};
use crate::store::{Attestation, Filter};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The predicate of a row that holds code.
pub const CODE: &str = "handler";
/// The predicate of a row that says why a handler can't run.
pub const FAULTED: &str = "handler:faulted";
/// The attribute by which a fault names the attestation it is about.
pub const ABOUT: &str = "attestation";
/// Rows asked for; a store keeps some sixty of each subject.
const ROWS: u32 = 10_000;
/// Pauses between attempts at a store that answers with an error at once.
const PAUSES: [u64; 4] = [100, 200, 400, 800];

/// A handler in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub name: String,
    pub attestation: String,
    pub time: i64,
    pub code: String,
    /// Somebody attested that this code can't run.
    pub fault: Option<String>,
}

/// Reads the handlers of the plugin called `name`, for at most `limit`.
pub async fn find(host: &Host, name: &str, limit: Duration) -> Result<Vec<Found>, HostError> {
    let context = CallContext::new(name, VERSION, Instant::now() + limit);
    let filter = Filter {
        predicates: vec![CODE.to_owned(), FAULTED.to_owned()],
        contexts: vec![name.to_owned()],
        limit: Some(ROWS),
        ..Filter::default()
    };
    for pause in PAUSES {
        match host.attestations(&context, filter.clone()).await {
            Ok(rows) => return Ok(select(rows)),
            Err(error) if !error.retryable => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(pause)).await,
        }
    }
    host.attestations(&context, filter).await.map(select)
}

/// A row's place in time: its own time, then the store's order.
type Age = (i64, Reverse<usize>);

#[derive(Default)]
struct Rows {
    code: Option<(Age, Found)>,
    faults: Vec<(Age, String, Option<String>)>,
}

/// The handlers in `rows`, which come newest first.
fn select(rows: Vec<Attestation>) -> Vec<Found> {
    let mut names: BTreeMap<String, Rows> = BTreeMap::new();
    for (at, row) in rows.into_iter().enumerate() {
        let age = (row.effective_time(), Reverse(at));
        let has = |word: &str| row.predicates.iter().any(|p| p.eq_ignore_ascii_case(word));
        let (is_code, is_fault) = (has(CODE), has(FAULTED));
        let Some(name) = row.subjects.first().filter(|name| !name.is_empty()) else {
            tracing::warn!(attestation = %row.id, "a handler without a subject; left out");
            continue;
        };
        let text = |key: &str| row.attributes.get(key).and_then(|value| value.as_str());
        let entry = names.entry(name.clone()).or_default();
        if is_fault {
            let reason = text("reason").unwrap_or("no reason was given").to_owned();
            entry.faults.push((age, reason, text(ABOUT).map(str::to_owned)));
        }
        if !is_code {
            continue;
        }
        let Some(code) = text("code") else {
            tracing::warn!(handler = %name, attestation = %row.id, "no text in attributes.code; left out");
            continue;
        };
        if entry.code.as_ref().is_none_or(|(newest, _)| age > *newest) {
            let found = Found {
                name: name.clone(),
                attestation: row.id.clone(),
                time: age.0,
                code: code.to_owned(),
                fault: None,
            };
            entry.code = Some((age, found));
        }
    }
    names.into_values().filter_map(settle).collect()
}

/// The code of one name, and whether a fault shadows it.
fn settle(rows: Rows) -> Option<Found> {
    let (age, mut found) = rows.code?;
    let shadows = |(fault, _, about): &&(Age, String, Option<String>)| match about {
        Some(about) => *about == found.attestation,
        None => *fault > age,
    };
    let newest = rows.faults.iter().filter(shadows).max_by_key(|(age, _, _)| *age);
    found.fault = newest.map(|(_, reason, _)| reason.clone());
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(id: &str, predicate: &str, timestamp: i64, created_at: i64) -> Attestation {
        let attributes = json!({"code": format!("# {id}"), "reason": format!("{id} is bad")});
        Attestation {
            id: id.to_owned(),
            subjects: vec!["h".to_owned()],
            predicates: vec![predicate.to_owned()],
            contexts: vec!["python".to_owned()],
            actors: Vec::new(),
            timestamp,
            source: String::new(),
            attributes: attributes.as_object().unwrap().clone().into_iter().collect(),
            created_at,
            signature: Vec::new(),
            signer_did: String::new(),
        }
    }

    fn one(rows: Vec<Attestation>) -> Found {
        let mut found = select(rows);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn the_newest_code_counts_by_its_own_time() {
        let rows = vec![row("late", "handler", 5, 100), row("new", "handler", 9, 50)];
        assert_eq!(one(rows).attestation, "new");
    }

    #[test]
    fn without_a_time_the_stores_own_counts_and_then_its_order() {
        let zero = -62_135_596_800_000;
        let rows = vec![row("a", "handler", 0, 70), row("b", "handler", 60, 60)];
        assert_eq!(one(rows).attestation, "a");
        let rows = vec![row("first", "handler", zero, zero), row("second", "handler", zero, zero)];
        assert_eq!(one(rows).attestation, "first");
        let rows = vec![row("dated", "handler", 5, 5), row("zero", "handler", zero, zero)];
        assert_eq!(one(rows).attestation, "dated");
    }

    #[test]
    fn a_fault_shadows_older_code_only() {
        let rows = vec![row("f", "handler:faulted", 9, 9), row("c", "handler", 5, 5)];
        assert_eq!(one(rows).fault.as_deref(), Some("f is bad"));
        let rows = vec![row("c", "handler", 9, 9), row("f", "handler:faulted", 5, 5)];
        assert_eq!(one(rows).fault, None);
        // in one millisecond the store's order decides
        let rows = vec![row("f", "handler:faulted", 5, 5), row("c", "handler", 5, 5)];
        assert!(one(rows).fault.is_some());
        let rows = vec![row("c", "handler", 5, 5), row("f", "handler:faulted", 5, 5)];
        assert_eq!(one(rows).fault, None);
    }

    #[test]
    fn a_fault_that_names_its_code_shadows_that_and_nothing_else() {
        let mut fault = row("f", "handler:faulted", 9, 9);
        fault.attributes.insert(ABOUT.to_owned(), json!("old"));
        let new = row("new", "handler", 0, 0);
        assert_eq!(one(vec![fault.clone(), new]).fault, None);
        assert!(one(vec![fault, row("old", "handler", 0, 0)]).fault.is_some());
    }

    #[test]
    fn rows_without_code_or_subject_are_passed_over() {
        let mut empty = row("empty", "handler", 9, 9);
        empty.attributes.insert("code".to_owned(), json!(7));
        assert_eq!(one(vec![empty, row("c", "handler", 5, 5)]).attestation, "c");
        let mut nobody = row("nobody", "handler", 9, 9);
        nobody.subjects.clear();
        assert_eq!(select(vec![nobody, row("f", "handler:faulted", 1, 1)]), []);
    }
}
