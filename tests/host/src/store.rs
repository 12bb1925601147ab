//! The core's attestation store, as CONTRACT 5 describes it, in memory.
//!
//! A second implementation of those rules beside the plugin's embedded store,
//! written as plainly as can be: a list, walked from its newest end.
//!
//! **Invariant:** actors are replaced by the id, whatever was sent.

use crate::wire::{Attestation, AttestationCommand, AttestationFilter, Kind, Value};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast;

/// All attestations, oldest first, and who wants to hear of new ones.
#[derive(Debug, Clone)]
pub struct Store {
    rows: Arc<Mutex<Vec<Attestation>>>,
    news: broadcast::Sender<Attestation>,
    next: Arc<AtomicU64>,
}

impl Default for Store {
    fn default() -> Self {
        let (news, _) = broadcast::channel(4096);
        Self { rows: Arc::default(), news, next: Arc::default() }
    }
}

impl Store {
    /// `GenerateAndCreateAttestation`
    pub fn create(&self, command: AttestationCommand) -> Attestation {
        let now = now_ms();
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        let or_blank = |words: Vec<String>| {
            if words.is_empty() { vec!["_".to_owned()] } else { words }
        };
        let (predicates, contexts) = (or_blank(command.predicates), or_blank(command.contexts));
        let part = |words: &[String]| -> String {
            let word = words.first().map_or("", String::as_str);
            word.chars().filter(char::is_ascii_alphanumeric).take(8).collect()
        };
        let id = format!(
            "AS-{}-{}-{}-{serial:08}",
            part(&command.subjects),
            part(&predicates),
            part(&contexts)
        )
        .to_uppercase();
        let mut attributes = command.attributes.unwrap_or_default();
        if !command.source_version.is_empty() {
            let version = Value { kind: Some(Kind::Text(command.source_version)) };
            attributes.fields.insert("source_version".to_owned(), version);
        }
        let attestation = Attestation {
            actors: vec![id.clone()],
            id,
            subjects: command.subjects,
            predicates,
            contexts,
            timestamp: command.timestamp.filter(|ms| *ms != 0).unwrap_or(now),
            source: if command.source.is_empty() { "plugin".to_owned() } else { command.source },
            attributes: Some(attributes),
            created_at: now,
            signature: vec![7; 64],
            signer_did: "did:key:testhost".to_owned(),
        };
        self.put(attestation.clone());
        attestation
    }

    /// As it is, zero times included: what the core's own command line writes.
    pub fn put(&self, attestation: Attestation) {
        self.lock().push(attestation.clone());
        // nobody may be watching
        let _ = self.news.send(attestation);
    }

    /// `GetAttestations`
    #[must_use]
    pub fn query(&self, filter: &AttestationFilter) -> Vec<Attestation> {
        let rows = self.lock();
        let mut found: Vec<(usize, &Attestation)> =
            rows.iter().enumerate().filter(|(_, row)| matches(filter, row)).collect();
        found.sort_by_key(|(at, row)| std::cmp::Reverse((row.created_at, *at)));
        let limit = filter.limit.filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok());
        found.into_iter().take(limit.unwrap_or(usize::MAX)).map(|(_, row)| row.clone()).collect()
    }

    #[must_use]
    pub fn exists(&self, id: &str) -> bool {
        self.lock().iter().any(|row| row.id == id)
    }

    /// Every attestation made from now on.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<Attestation> {
        self.news.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Attestation>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Any value within a list, all lists, exact but for case; absent is any.
#[must_use]
pub fn matches(filter: &AttestationFilter, row: &Attestation) -> bool {
    let some = |wanted: &[String], have: &[String]| {
        let same = |a: &String| have.iter().any(|b| a.eq_ignore_ascii_case(b));
        wanted.is_empty() || wanted.iter().any(same)
    };
    some(&filter.subjects, &row.subjects)
        && some(&filter.predicates, &row.predicates)
        && some(&filter.contexts, &row.contexts)
        && some(&filter.actors, &row.actors)
        && filter.time_start.is_none_or(|start| row.timestamp >= start)
        && filter.time_end.is_none_or(|end| row.timestamp <= end)
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
