//! The last runs of each handler.
//!
//! **Invariant:** bounded: so many runs of each handler, and none of a handler
//! that is gone.

use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Runs kept of each handler.
const KEPT: usize = 10;
/// Characters of an error that are kept.
const ERROR: usize = 4000;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ran {
    /// RFC 3339.
    pub at: String,
    /// The name it was called by.
    pub job: String,
    pub job_id: String,
    pub function: Option<String>,
    pub success: bool,
    pub error: Option<String>,
    pub duration_ms: u64,
}

/// Runs by handler, newest first.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<HashMap<String, Page>>);

/// What is known of one handler's runs.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub runs: VecDeque<Ran>,
    /// The last run that failed, also when it is not among `runs` any more.
    pub failed: Option<Ran>,
}

impl Ledger {
    /// Notes a run of `handler`.
    pub fn note(&self, handler: &str, mut ran: Ran) {
        if let Some(error) = &mut ran.error
            && let Some((end, _)) = error.char_indices().nth(ERROR)
        {
            error.truncate(end);
        }
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let page = pages.entry(handler.to_owned()).or_default();
        if !ran.success {
            page.failed = Some(ran.clone());
        }
        page.runs.push_front(ran);
        page.runs.truncate(KEPT);
    }

    /// What is known of `handler`.
    #[must_use]
    pub fn page(&self, handler: &str) -> Page {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.get(handler).cloned().unwrap_or_default()
    }

    /// Forgets every handler that `there` denies.
    pub fn keep(&self, there: impl Fn(&str) -> bool) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.retain(|name, _| there(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(number: usize, error: Option<String>) -> Ran {
        Ran {
            at: String::new(),
            job: "h".to_owned(),
            job_id: number.to_string(),
            function: None,
            success: error.is_none(),
            error,
            duration_ms: 1,
        }
    }

    #[test]
    fn the_last_runs_and_the_last_failure_are_kept() {
        let ledger = Ledger::default();
        ledger.note("h", ran(0, Some("é".repeat(ERROR + 5))));
        for number in 1..30 {
            ledger.note("h", ran(number, None));
        }
        let page = ledger.page("h");
        assert_eq!((page.runs.len(), page.runs[0].job_id.as_str()), (KEPT, "29"));
        assert_eq!(page.failed.unwrap().error.unwrap().chars().count(), ERROR);
        ledger.keep(|name| name != "h");
        assert!(ledger.page("h").runs.is_empty());
    }
}
