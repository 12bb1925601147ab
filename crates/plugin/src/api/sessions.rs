//! `GET /sessions`, `DELETE /sessions/{id}`, `POST /sessions/{id}/interrupt`.
//!
//! **Invariant:** nothing here waits for an execution, but an interrupt for the
//! one it stops, at most its grace.

use super::{Api, Call, Execute, Reply, attestations, limits, query};
use crate::api::body::Body;
use crate::error::{Rejected, RunError};
use crate::sessions::Interrupted;
use serde_json::json;
use std::time::Duration;

/// How long an interrupted program has to end.
const GRACE: Duration = Duration::from_secs(2);
/// The most a request may give it.
const MAX_GRACE: Duration = Duration::from_secs(60);

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
                    "memory_bytes": session.memory,
                    "running": session.running,
                })
            })
            .collect();
        Reply::json(200, json!({ "sessions": sessions }).to_string().into())
    }

    /// Ends one: 200, or 410 when there is none of this name.
    pub(super) fn end_session(&self, call: &Call) -> Reply {
        let (path, _) = query::split(&call.path);
        let name = path.split_once(PREFIX).map_or("", |(_, name)| name);
        if self.run.end_session(name) {
            Reply::json(200, json!({ "ended": name }).to_string().into())
        } else {
            let reason = "there is none of this name".to_owned();
            Rejected::SessionGone { session: name.to_owned(), reason }.into()
        }
    }

    /// Interrupts what runs in one, and answers when that is over.
    pub(super) async fn interrupt_session(&self, call: &Call) -> Result<Reply, RunError> {
        let (path, _) = query::split(&call.path);
        let name = path.split_once(PREFIX).map_or("", |(_, name)| name);
        let name = name.trim_end_matches('/').strip_suffix("/interrupt").unwrap_or(name);
        let mut grace = GRACE;
        if !call.body.trim_ascii().is_empty() {
            let mut body = Body::parse(&call.body)?;
            if let Some(secs) = body.take("grace_secs", "a number of seconds")? {
                grace = limits::seconds("grace_secs", secs, MAX_GRACE, "the plugin")?;
            }
            body.finish()?;
        }
        let done = self.run.interrupt_session(name, grace).await?;
        let body = json!({
            "session": name,
            "interrupted": done != Interrupted::Idle,
            "kept": done != Interrupted::Killed,
        });
        Ok(Reply::json(200, body.to_string().into()))
    }
}
