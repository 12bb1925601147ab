//! Queries a script is reading page by page.
//!
//! **Invariant:** a cursor belongs to one execution and ends with it; its
//! stream is closed when the context is dropped.

use crate::store::{Attestation, Pages};
use proto::protocol as wire;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Queries one execution may have open.
pub(super) const MAX_OPEN: usize = 32;

/// Open queries by number.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: Mutex<(u64, HashMap<u64, Rows>)>,
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
        self.lock().1.remove(&cursor)
    }

    /// Puts it back under its number.
    pub(super) fn put(&self, cursor: u64, rows: Rows) {
        self.lock().1.insert(cursor, rows);
    }

    /// A number for a new query; `None` when too many are open.
    pub(super) fn reserve(&self) -> Option<u64> {
        let mut open = self.lock();
        if open.1.len() >= MAX_OPEN {
            return None;
        }
        open.0 += 1;
        Some(open.0)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, HashMap<u64, Rows>)> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
