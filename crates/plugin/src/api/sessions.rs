//! `GET /sessions` and `DELETE /sessions/{id}`.
//!
//! **Invariant:** nothing here waits for an execution.

use super::{Api, Call, Execute, Reply, attestations, query};
use serde_json::json;

/// Where one session's path begins.
const PREFIX: &str = "/sessions/";

impl<E: Execute, A: attestations::Find> Api<E, A> {
    /// What there is, by name; times in whole seconds.
    pub(super) fn list_sessions(&self) -> Reply {
        let sessions: Vec<_> = self
            .run
            .sessions()
            .into_iter()
            .map(|session| {
                json!({
                    "session": session.name,
                    "age_secs": session.age.as_secs(),
                    "idle_secs": session.idle.as_secs(),
                    "executions": session.executions,
                })
            })
            .collect();
        Reply::json(200, json!({ "sessions": sessions }).to_string().into())
    }

    /// Ends one: 200, or 404 when there is none of this name.
    pub(super) fn end_session(&self, call: &Call) -> Reply {
        let (path, _) = query::split(&call.path);
        let name = path.split_once(PREFIX).map_or("", |(_, name)| name);
        if self.run.end_session(name) {
            Reply::json(200, json!({ "ended": name }).to_string().into())
        } else {
            Reply::error(404, &format!("there is no session `{name}`"))
        }
    }
}
