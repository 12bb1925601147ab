//! Filters as SQL, rows as attestations.
//!
//! Newest `created_at` first, then the latest inserted. A filter with a single
//! value in some dimension walks that value's entries in the order of the
//! answer and stops at the limit; any other collects and sorts.
//!
//! **Invariant:** what callers give reaches SQLite as parameters only.

use super::attestation::{Attestation, Filter};
use super::error::StoreError;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row};
use std::path::Path;

/// The four lists, as they are numbered in table `term`.
pub(super) const SUBJECT: i64 = 0;
pub(super) const PREDICATE: i64 = 1;
pub(super) const CONTEXT: i64 = 2;
pub(super) const ACTOR: i64 = 3;

const COLUMNS: &str = "a.seq, a.id, a.subjects, a.predicates, a.contexts, a.actors, a.timestamp, \
                       a.source, a.attributes, a.created_at, a.signature, a.signer_did";

/// A place in the order of answers: after this one comes the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) created_at: i64,
    pub(super) seq: i64,
}

/// One page to be read.
#[derive(Debug, Clone)]
pub(super) struct Page<'a> {
    pub(super) filter: &'a Filter,
    pub(super) after: Option<Position>,
    /// Rows inserted later are not part of the answer.
    pub(super) newest: Option<i64>,
    /// At most this many rows.
    pub(super) rows: Option<u64>,
}

/// The form under which values are compared: case does not matter.
pub(super) fn fold(value: &str) -> String {
    value.to_lowercase()
}

/// The latest insertion.
pub(super) fn newest(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    connection
        .prepare_cached("SELECT coalesce(max(seq), 0) FROM attestation")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(|error| StoreError::sort(path, error))
}

/// Whether an id is there.
pub(super) fn exists(connection: &Connection, path: &Path, id: &str) -> Result<bool, StoreError> {
    connection
        .prepare_cached("SELECT 1 FROM attestation WHERE id = ?")
        .and_then(|mut statement| statement.exists([id]))
        .map_err(|error| StoreError::sort(path, error))
}

/// The rows of `page`, with the place of the last.
pub(super) fn select(
    connection: &Connection,
    path: &Path,
    page: &Page<'_>,
) -> Result<(Vec<Attestation>, Option<Position>), StoreError> {
    let sort = |error| StoreError::sort(path, error);
    let (sql, parameters) = build(page);
    let mut statement = connection.prepare_cached(&sql).map_err(sort)?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(sort)?;
    let (mut found, mut last) = (Vec::new(), None);
    while let Some(row) = rows.next().map_err(sort)? {
        let attestation = read(row, path)?;
        last =
            Some(Position { created_at: attestation.created_at, seq: row.get(0).map_err(sort)? });
        found.push(attestation);
    }
    Ok((found, last))
}

fn build(page: &Page<'_>) -> (String, Vec<Sql>) {
    let filter = page.filter;
    let mut dimensions: Vec<(i64, Vec<String>)> = [
        (SUBJECT, &filter.subjects),
        (CONTEXT, &filter.contexts),
        (ACTOR, &filter.actors),
        (PREDICATE, &filter.predicates),
    ]
    .into_iter()
    .filter(|(_, values)| !values.is_empty())
    .map(|(dimension, values)| {
        let mut folded: Vec<String> = values.iter().map(|value| fold(value)).collect();
        folded.sort_unstable();
        folded.dedup();
        (dimension, folded)
    })
    .collect();

    let mut sql = format!("SELECT {COLUMNS} FROM ");
    let mut parameters = Vec::new();
    let driver = dimensions.iter().position(|(_, values)| values.len() == 1);
    let order = match driver.map(|index| dimensions.remove(index)) {
        Some((dimension, mut values)) => {
            sql.push_str(
                "term t CROSS JOIN attestation a ON a.seq = t.seq \
                 WHERE t.dimension = ? AND t.value = ?",
            );
            parameters.push(Sql::Integer(dimension));
            parameters.push(Sql::Text(values.pop().unwrap_or_default()));
            "t"
        }
        None => {
            sql.push_str("attestation a WHERE 1");
            "a"
        }
    };
    for (dimension, values) in dimensions {
        sql.push_str(match order {
            "t" => {
                " AND EXISTS (SELECT 1 FROM term x WHERE x.dimension = ? \
                 AND x.value IN (SELECT value FROM json_each(?)) \
                 AND x.created_at = t.created_at AND x.seq = t.seq)"
            }
            _ => {
                " AND a.seq IN (SELECT x.seq FROM term x WHERE x.dimension = ? \
                 AND x.value IN (SELECT value FROM json_each(?)))"
            }
        });
        parameters.push(Sql::Integer(dimension));
        parameters.push(Sql::Text(serde_json::Value::from(values).to_string()));
    }
    let mut condition = |text: &str, value: i64| {
        sql.push_str(text);
        parameters.push(Sql::Integer(value));
    };
    if let Some(start) = filter.time_start {
        condition(" AND a.timestamp >= ?", start);
    }
    if let Some(end) = filter.time_end {
        condition(" AND a.timestamp <= ?", end);
    }
    if let Some(newest) = page.newest {
        condition(" AND a.seq <= ?", newest);
    }
    if let Some(after) = page.after {
        condition(&format!(" AND ({order}.created_at, {order}.seq) < (?"), after.created_at);
        condition(", ?)", after.seq);
    }
    condition(
        &format!(" ORDER BY {order}.created_at DESC, {order}.seq DESC LIMIT ?"),
        page.rows.map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX)),
    );
    (sql, parameters)
}

fn read(row: &Row<'_>, path: &Path) -> Result<Attestation, StoreError> {
    let sort = |error| StoreError::sort(path, error);
    Ok(Attestation {
        id: row.get(1).map_err(sort)?,
        subjects: json(row, 2, path)?,
        predicates: json(row, 3, path)?,
        contexts: json(row, 4, path)?,
        actors: json(row, 5, path)?,
        timestamp: row.get(6).map_err(sort)?,
        source: row.get(7).map_err(sort)?,
        attributes: json(row, 8, path)?,
        created_at: row.get(9).map_err(sort)?,
        signature: row.get(10).map_err(sort)?,
        signer_did: row.get(11).map_err(sort)?,
    })
}

fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    path: &Path,
) -> Result<T, StoreError> {
    let text = row
        .get_ref(column)
        .and_then(|value| value.as_str().map_err(Into::into))
        .map_err(|error| StoreError::sort(path, error))?;
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt {
        path: path.to_owned(),
        detail: format!("column {column} holds no JSON of its kind: {error}"),
    })
}
