//! What a handler declares: asked of a limited child.
//!
//! **Invariant:** code is read once for each attestation; code that can't be
//! read is that handler's fault, and a plugin that can't read is nobody's.

use super::book::{Handler, Kind, Read, Trigger};
use super::discovery::Found;
use crate::api::outcome::{Bounds, sentence};
use crate::api::{Execute, chain};
use crate::config::Config;
use crate::error::RunError;
use crate::request::{Class, Request, Source};
use futures_util::{StreamExt as _, stream};
use proto::Outcome;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Handlers read at once.
const AT_ONCE: usize = 4;
/// A module that is run for its declarations gets this much.
const WALL: Duration = Duration::from_secs(3);
const MEMORY: u64 = 256 << 20;
const OUTPUT: usize = 64 << 10;
/// Triggers of one handler. Each may be a watcher in the core.
const TRIGGERS: usize = 100;

/// What became of reading.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) handlers: Vec<Handler>,
    /// Names whose code turned out unreadable just now.
    pub(super) faulted: Vec<String>,
    /// Names that could not be read for a reason of ours: the last known
    /// triggers stand in.
    pub(super) unread: Vec<(String, String)>,
}

/// Reads what `found` declares, until `deadline`; `known` is what was found before.
pub(super) async fn read<E: Execute>(
    run: &E,
    config: &Config,
    found: Vec<Found>,
    known: &BTreeMap<String, Arc<Handler>>,
    deadline: Instant,
) -> Reading {
    let one = |found: Found| async move {
        let before = known.get(&found.name);
        if let Some(same) = before
            .filter(|same| same.attestation == found.attestation && same.code == found.code)
            .filter(|same| same.read.is_some() && same.fault == found.fault)
        {
            return (Handler::clone(same), None);
        }
        let mut handler = Handler {
            name: found.name,
            attestation: found.attestation,
            time: found.time,
            code: found.code,
            read: None,
            triggers: before.map(|last| last.triggers.clone()).unwrap_or_default(),
            fault: found.fault,
            collision: None,
        };
        if handler.fault.is_some() {
            return (handler, None);
        }
        let reading = declarations(run, config, &handler.code);
        let read = tokio::time::timeout_at(deadline.into(), reading).await;
        match read.unwrap_or_else(|_| Err("there was no time left".to_owned())) {
            Ok(Ok((read, triggers))) => {
                handler.read = Some(read);
                handler.triggers = triggers;
                (handler, None)
            }
            Ok(Err(reason)) => {
                handler.fault = Some(reason.clone());
                (handler, Some(Unread::Faulted))
            }
            Err(reason) => (handler, Some(Unread::Ours(reason))),
        }
    };
    let mut reading = Reading { handlers: Vec::new(), faulted: Vec::new(), unread: Vec::new() };
    let mut all = stream::iter(found.into_iter().map(one)).buffered(AT_ONCE);
    while let Some((handler, unread)) = all.next().await {
        match unread {
            None => {}
            Some(Unread::Faulted) => reading.faulted.push(handler.name.clone()),
            Some(Unread::Ours(reason)) => reading.unread.push((handler.name.clone(), reason)),
        }
        reading.handlers.push(handler);
    }
    reading
}

enum Unread {
    Faulted,
    Ours(String),
}

/// `Err` is a reason of ours, `Ok(Err)` one of the code's.
async fn declarations<E: Execute>(
    run: &E,
    config: &Config,
    code: &str,
) -> Result<Result<(Read, Vec<Trigger>), String>, String> {
    let mut limits = config.defaults.clone();
    limits.wall = limits.wall.min(WALL);
    limits.memory_bytes = limits.memory_bytes.min(MEMORY);
    limits.output_bytes = limits.output_bytes.min(OUTPUT);
    limits.cpu = Some(limits.wall);
    let bounds = Bounds { limits: limits.clone(), ceiling: limits.clone() };
    let mut request = Request::new(Source::Declarations(code.to_owned()), limits);
    // `Initialize` waits for it, and jobs may have taken all of their slots for long.
    request.class = Class::Interactive;
    let answer = match run.execute(request).await {
        Ok(answer) => answer,
        Err(RunError::Rejected(rejected)) => return Err(rejected.to_string()),
        Err(RunError::Fault(fault)) => return Err(chain(&fault)),
    };
    Ok(match &answer.outcome {
        Outcome::Value => triggers(answer.declarations.as_deref().unwrap_or_default()),
        Outcome::Raised(raised) => Err(match raised.line {
            Some(line) => format!("{}: {} (line {line})", raised.kind, raised.message),
            None => format!("{}: {}", raised.kind, raised.message),
        }),
        Outcome::Cancelled => return Err("reading it was stopped".to_owned()),
        Outcome::Exited { .. }
        | Outcome::TimedOut { .. }
        | Outcome::OverCpu
        | Outcome::OverMemory
        | Outcome::OverScratch
        | Outcome::OverThreads
        | Outcome::Killed { .. }
        | Outcome::Denied { .. }
        | Outcome::Protocol { .. } => Err(format!(
            "reading its declarations: {}",
            sentence(&answer, &bounds).unwrap_or("the module exits".into())
        )),
    })
}

#[derive(Deserialize)]
struct Answered {
    read: Read,
    declared: Vec<Declared>,
}

#[derive(Deserialize)]
struct Declared {
    kind: String,
    function: Option<String>,
    line: Option<u32>,
    predicate: Option<String>,
    context: Option<String>,
    every: Option<f64>,
    description: Option<String>,
}

/// The child's claim, checked.
fn triggers(json: &[u8]) -> Result<(Read, Vec<Trigger>), String> {
    let answered: Answered = serde_json::from_slice(json)
        .map_err(|error| format!("its declarations make no sense: {error}"))?;
    let count = answered.declared.len();
    if count > TRIGGERS {
        return Err(format!("it declares {count} triggers; {TRIGGERS} are the most"));
    }
    let mut triggers = Vec::with_capacity(count);
    for declared in answered.declared {
        let line = declared.line.unwrap_or(0);
        let trigger = trigger(declared, line);
        triggers.push(trigger.map_err(|reason| match line {
            0 => reason,
            line => format!("line {line}: {reason}"),
        })?);
    }
    Ok((answered.read, triggers))
}

fn trigger(declared: Declared, line: u32) -> Result<Trigger, String> {
    let word = declared.kind;
    let function = declared
        .function
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .ok_or_else(|| format!("@{word} needs a function that has a name"))?;
    let description = declared.description.unwrap_or_default();
    let kind = match word.as_str() {
        "watch" => Kind::Watch {
            predicate: declared
                .predicate
                .filter(|predicate| !predicate.is_empty())
                .ok_or_else(|| format!("@watch of `{function}` names no predicate"))?,
            context: declared.context.filter(|context| !context.is_empty()),
        },
        "schedule" => Kind::Schedule {
            every: every(declared.every.unwrap_or_default())
                .map_err(|reason| format!("@schedule of `{function}`: {reason}"))?,
            description,
        },
        "handler" => Kind::Handler { description },
        other => return Err(format!("there is no decorator @{other}")),
    };
    Ok(Trigger { kind, function, line, job: String::new(), fault: None })
}

/// The core's schedules tick in whole seconds.
fn every(secs: f64) -> Result<i32, String> {
    let fits = secs.fract() == 0.0 && (1.0..=f64::from(i32::MAX)).contains(&secs);
    if !fits {
        return Err(format!("every={secs}: it takes whole seconds, at least 1"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within i32")]
    Ok(secs as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_whole_seconds() {
        assert_eq!(every(90.0), Ok(90));
        for wrong in [0.0, -5.0, 0.5, 1.5, 3e9, f64::NAN, f64::INFINITY] {
            assert!(every(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_childs_claim_is_checked() {
        let good = r#"{"read":"tree","declared":[{"kind":"watch","function":"f","line":3,
            "predicate":"p","context":null},{"kind":"schedule","function":"g","line":null,
            "every":60.0,"description":"d"}]}"#;
        let (read, found) = triggers(good.as_bytes()).unwrap();
        assert_eq!((read, found.len(), found[0].line), (Read::Tree, 2, 3));
        for (declared, words) in [
            (r#"{"kind":"watch","function":"f","line":7}"#, "line 7: @watch of `f`"),
            (r#"{"kind":"schedule","function":"f","every":0.5}"#, "every=0.5"),
            (r#"{"kind":"handler","function":"<lambda>"}"#, "has a name"),
            (r#"{"kind":"handler","function":null}"#, "has a name"),
            (r#"{"kind":"alarm","function":"f"}"#, "@alarm"),
        ] {
            let json = format!(r#"{{"read":"run","declared":[{declared}]}}"#);
            let reason = triggers(json.as_bytes()).unwrap_err();
            assert!(reason.contains(words), "{reason}");
        }
        assert!(triggers(b"").is_err());
        let one = r#"{"kind":"handler","function":"f"}"#;
        let many = |n| format!(r#"{{"read":"run","declared":[{}]}}"#, vec![one; n].join(","));
        assert!(triggers(many(TRIGGERS).as_bytes()).is_ok());
        assert!(triggers(many(TRIGGERS + 1).as_bytes()).unwrap_err().contains("101 triggers"));
    }
}
