//! `/handlers`: each with its source, its triggers, its last runs, and what
//! waits for a restart.
//!
//! **Invariant:** read from memory; never waits for the store or for Python.

use crate::api::attestations::Find;
use crate::api::{Api, Execute, Reply};
use crate::handlers::{Handler, Kind, Now, Page, Read, Trigger};
use bytes::Bytes;
use serde_json::{Value, json};

impl<E: Execute, A: Find> Api<E, A> {
    pub(super) fn list_handlers(&self) -> Reply {
        let now = self.handlers.now();
        let handlers: Vec<Value> = now
            .book
            .handlers
            .values()
            .map(|handler| shown(&now, handler, self.handlers.ledger().page(&handler.name)))
            .collect();
        let body = json!({
            "handlers": handlers,
            "waiting_for_restart": now.waiting,
            "notes": now.notes,
            "stale": now.stale,
        });
        Reply::json(200, Bytes::from(body.to_string()))
    }
}

fn shown(now: &Now, handler: &Handler, page: Page) -> Value {
    let triggers: Vec<Value> =
        handler.triggers.iter().map(|one| trigger(now, handler, one)).collect();
    json!({
        "name": handler.name,
        "attestation": handler.attestation,
        "timestamp": handler.time,
        "read": handler.read.map(|read| match read {
            Read::Tree => "tree",
            Read::Run => "run",
        }),
        "fault": handler.why_not(),
        "triggers": triggers,
        "runs": page.runs,
        "last_error": page.failed,
    })
}

fn trigger(now: &Now, handler: &Handler, trigger: &Trigger) -> Value {
    let mut shown = json!({
        "kind": trigger.kind.word(),
        "function": trigger.function,
        "line": trigger.line,
        "job": trigger.job,
        "fault": trigger.fault.as_deref().or(handler.collision.as_deref()),
        "in_force": in_force(now, trigger),
    });
    match &trigger.kind {
        Kind::Watch { predicate, context } => {
            shown["predicate"] = predicate.as_str().into();
            shown["context"] = context.as_deref().into();
        }
        Kind::Schedule { every, description } => {
            shown["every"] = (*every).into();
            shown["description"] = description.as_str().into();
        }
        Kind::Handler { description } => shown["description"] = description.as_str().into(),
    }
    shown
}

/// Whether the core was told of it.
fn in_force(now: &Now, trigger: &Trigger) -> bool {
    let declared = &now.in_force;
    match &trigger.kind {
        Kind::Watch { predicate, context } => declared.watchers.iter().any(|watcher| {
            watcher.handler_name == trigger.job
                && watcher.predicates == [predicate.as_str()]
                && watcher.contexts.iter().eq(context)
        }),
        Kind::Schedule { every, .. } => declared.schedules.iter().any(|schedule| {
            schedule.handler_name == trigger.job && schedule.interval_seconds == *every
        }),
        Kind::Handler { .. } => declared.handler_names.contains(&trigger.job),
    }
}
