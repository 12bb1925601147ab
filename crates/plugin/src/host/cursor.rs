//! Queries a script is reading page by page.
//!
//! **Invariant:** a cursor belongs to one execution and ends with it; its
//! stream is closed when the context is dropped.

use crate::store::{Attestation, Pages};
use proto::protocol as wire;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Queries one execution has open; beyond that the one unused for longest is
/// closed, which is what a script leaves behind that breaks out of a loop.
pub(super) const MAX_OPEN: usize = 32;

/// Open queries by number.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    numbers: u64,
    /// Counts the pages read, of whichever query.
    clock: u64,
    /// When each was last used.
    rows: HashMap<u64, (u64, Rows)>,
}

/// Where the rows of an open query come from.
#[derive(Debug)]
pub(super) enum Rows {
    Embedded(Box<Pages>),
    Core {
        stream: Box<tonic::Streaming<wire::Attestation>>,
        /// Read ahead of the page it belongs to.
        ahead: Option<Box<Attestation>>,
    },
}

impl Cursors {
    /// Takes the query out while a page of it is read.
    pub(super) fn take(&self, cursor: u64) -> Option<Rows> {
        self.lock().rows.remove(&cursor).map(|(_, rows)| rows)
    }

    /// Puts it back under its number. The one unused for longest gives way.
    pub(super) fn put(&self, cursor: u64, rows: Rows) {
        let mut open = self.lock();
        open.clock += 1;
        let now = open.clock;
        open.rows.insert(cursor, (now, rows));
        if open.rows.len() > MAX_OPEN {
            let oldest = open.rows.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(cursor, _)| *cursor) {
                open.rows.remove(&oldest);
            }
        }
    }

    /// A number for a new query.
    pub(super) fn number(&self) -> u64 {
        let mut open = self.lock();
        open.numbers += 1;
        open.numbers
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
