//! One attestation into the tables.
//!
//! **Invariant:** a row and its terms are written together or not at all, and
//! the actors of a generated attestation are its own id.

use super::attestation::{Attestation, Command, is_zero_time};
use super::attributes;
use super::error::StoreError;
use super::{id, query};
use rusqlite::Connection;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the store writes where no predicate or context is given.
const BLANK: &str = "_";
/// What the core writes where no source is given.
const SOURCE: &str = "plugin";

/// Takes a command: makes id, actors and times, and writes it.
pub(super) fn generate(
    connection: &Connection,
    path: &Path,
    command: Command,
) -> Result<Attestation, StoreError> {
    let now = now_ms();
    let mut attributes = attributes::normalise(&command.attributes)?;
    if !command.source_version.is_empty() {
        attributes.insert("source_version".to_owned(), Value::String(command.source_version));
    }
    let source = if command.source.is_empty() {
        tracing::warn!(target: "qntx_python::store", "attestation without a source");
        SOURCE.to_owned()
    } else {
        command.source
    };
    let predicates = or_blank(command.predicates);
    let contexts = or_blank(command.contexts);
    let prefix = id::prefix(&command.subjects, &predicates, &contexts);
    let mut attestation = Attestation {
        id: String::new(),
        subjects: command.subjects,
        predicates,
        contexts,
        actors: Vec::new(),
        timestamp: command.timestamp.filter(|ms| !is_zero_time(*ms)).unwrap_or(now),
        source,
        attributes,
        created_at: now,
        signature: Vec::new(),
        signer_did: String::new(),
    };
    for _ in 0..10 {
        let random = id::random().map_err(|source| StoreError::Open {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        attestation.id = format!("{prefix}{random}");
        attestation.actors = vec![attestation.id.clone()];
        match write(connection, path, &attestation) {
            Err(StoreError::Duplicate { .. }) => {}
            done => return done.map(|()| attestation),
        }
    }
    Err(StoreError::NoFreeId { prefix })
}

/// Takes an attestation with its id and actors as they are. A zero time takes
/// the store's.
pub(super) fn keep(
    connection: &Connection,
    path: &Path,
    mut attestation: Attestation,
) -> Result<Attestation, StoreError> {
    if attestation.id.is_empty() {
        return Err(StoreError::NoId);
    }
    attestation.attributes = attributes::normalise(&attestation.attributes)?;
    attestation.predicates = or_blank(attestation.predicates);
    attestation.contexts = or_blank(attestation.contexts);
    if is_zero_time(attestation.created_at) {
        attestation.created_at = now_ms();
    }
    if is_zero_time(attestation.timestamp) {
        attestation.timestamp = attestation.created_at;
    }
    write(connection, path, &attestation).map(|()| attestation)
}

fn or_blank(words: Vec<String>) -> Vec<String> {
    if words.is_empty() { vec![BLANK.to_owned()] } else { words }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn write(connection: &Connection, path: &Path, a: &Attestation) -> Result<(), StoreError> {
    let sort = |error| StoreError::sort(path, error);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO attestation (id, subjects, predicates, contexts, actors, timestamp, \
             source, attributes, created_at, signature, signer_did) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(rusqlite::params![
                a.id,
                list(&a.subjects),
                list(&a.predicates),
                list(&a.contexts),
                list(&a.actors),
                a.timestamp,
                a.source,
                Value::Object(a.attributes.clone()).to_string(),
                a.created_at,
                a.signature,
                a.signer_did,
            ])
        })
        .map_err(sort)?;
    if inserted == 0 {
        return Err(StoreError::Duplicate { id: a.id.clone() });
    }
    let seq = connection.last_insert_rowid();
    let mut statement = connection
        .prepare_cached("INSERT OR IGNORE INTO term VALUES (?, ?, ?, ?)")
        .map_err(sort)?;
    let dimensions = [
        (query::SUBJECT, &a.subjects),
        (query::PREDICATE, &a.predicates),
        (query::CONTEXT, &a.contexts),
        (query::ACTOR, &a.actors),
    ];
    for (dimension, values) in dimensions {
        for value in values {
            statement
                .execute(rusqlite::params![dimension, query::fold(value), a.created_at, seq])
                .map_err(sort)?;
        }
    }
    Ok(())
}

fn list(values: &[String]) -> String {
    Value::from(values).to_string()
}
