//! Schedules that scripts made. The core has no list of them, and drops what
//! the plugin doesn't declare.
//!
//! **Invariant:** what is listed here was made by this plugin and, as far as
//! anybody knows, still lives.

use crate::state::{State, StateError};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The file in the state directory.
const FILE: &str = "schedules.json";

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeSchedule {
    /// The core's id.
    pub id: String,
    /// The raw name of the handler it runs.
    pub handler: String,
    /// Seconds.
    pub every: i32,
    pub description: String,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub struct Made {
    rows: Mutex<Vec<MadeSchedule>>,
    state: Mutex<Option<Arc<State>>>,
}

impl Made {
    /// Remembers them in `state` from now on, beginning with what is there.
    /// Blocks.
    pub fn attach(&self, state: Arc<State>) -> Result<(), StateError> {
        let loaded = state.load::<Vec<MadeSchedule>>(FILE);
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
        let mut rows = self.rows();
        for row in loaded?.unwrap_or_default() {
            if !rows.iter().any(|known| known.id == row.id) {
                rows.push(row);
            }
        }
        Ok(())
    }

    /// A copy of the list.
    #[must_use]
    pub fn list(&self) -> Vec<MadeSchedule> {
        self.rows().clone()
    }

    /// One was made, or found to exist: then it is as it was.
    pub(super) async fn add(self: &Arc<Self>, row: MadeSchedule) {
        {
            let mut rows = self.rows();
            if rows.iter().any(|known| known.id == row.id) {
                return;
            }
            rows.push(row);
        }
        self.save().await;
    }

    /// One is no more.
    pub async fn remove(self: &Arc<Self>, id: &str) {
        let known = {
            let mut rows = self.rows();
            let before = rows.len();
            rows.retain(|row| row.id != id);
            rows.len() != before
        };
        if known {
            self.save().await;
        }
    }

    async fn save(self: &Arc<Self>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(state) = state else { return };
        let made = Arc::clone(self);
        // The list is locked until it is written: of two writers the later one writes last.
        let saved = tokio::task::spawn_blocking(move || state.save(FILE, &*made.rows())).await;
        let error = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => crate::api::chain(&error),
            Err(error) => error.to_string(),
        };
        tracing::error!(reason = %error, "a script's schedules are not kept beyond this process");
    }

    fn rows(&self) -> MutexGuard<'_, Vec<MadeSchedule>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, every: i32) -> MadeSchedule {
        MadeSchedule {
            id: id.to_owned(),
            handler: "h".to_owned(),
            every,
            description: String::new(),
        }
    }

    #[tokio::test]
    async fn the_list_outlives_the_process() {
        let root = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(Some(root.path()), "python").unwrap());
        let made: Arc<Made> = Arc::default();
        made.add(row("early", 1)).await;
        made.attach(Arc::clone(&state)).unwrap();
        made.add(row("a", 5)).await;
        made.add(row("a", 9)).await;
        made.add(row("b", 7)).await;
        made.remove("b").await;
        drop(made);
        let again: Arc<Made> = Arc::default();
        again.attach(state).unwrap();
        assert_eq!(again.list(), [row("early", 1), row("a", 5)]);
    }
}
