//! What is asked of the plugin, and the proof that a fresh process did it.
//!
//! **Invariant:** every measured execution answers its process id, and none is
//! taken twice: a figure of a reused process is an error, not a figure.

use anyhow::{Context, Result, ensure};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// An expression for the process's own id that costs about 3 µs. It is spelt
/// so that the text has no import in it: the plugin routes by that.
const PID: &str = "vars(print.__self__)['__imp' 'ort__']('os').getpid()";

/// Process ids are used again by the kernel after this many others (the
/// smallest default of `pid_max` is 32,768, and every process takes one).
const WINDOW: usize = 8000;

/// One call to be timed.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) path: &'static str,
    pub(crate) body: String,
    kind: Kind,
}

/// What the answer has to prove.
#[derive(Debug, Clone)]
enum Kind {
    /// A process of its own.
    Fresh,
    /// The same process for all executions of this session.
    Session(String),
    /// Nothing: the server runs everything in one process.
    Any,
}

impl Work {
    /// `/evaluate` of `1 + 2 * 3`, and of the process's id.
    pub(crate) fn evaluate() -> Self {
        let expr = format!("1 + 2 * 3 and {PID}");
        let body = serde_json::json!({ "expr": expr }).to_string();
        Self { path: "/evaluate", body, kind: Kind::Fresh }
    }

    /// `/execute` of code, which then answers its process id.
    pub(crate) fn execute(code: &str) -> Self {
        let code = format!("{code}\n{PID}");
        let body = serde_json::json!({ "code": code }).to_string();
        Self { path: "/execute", body, kind: Kind::Fresh }
    }

    /// The expression of [`Work::evaluate`] in the session of this name.
    pub(crate) fn session(name: &str) -> Self {
        let expr = format!("1 + 2 * 3 and {PID}");
        let body = serde_json::json!({ "expr": expr, "session": name }).to_string();
        Self { path: "/evaluate", body, kind: Kind::Session(name.to_owned()) }
    }

    /// The same request to a server that runs everything in one process.
    pub(crate) fn anywhere(&self) -> Self {
        Self { kind: Kind::Any, ..self.clone() }
    }

    /// Fails when the answer to this is not what its kind promises.
    pub(crate) fn check(&self, server: u16, answer: &[u8]) -> Result<()> {
        if matches!(self.kind, Kind::Any) {
            return Ok(());
        }
        let answer: serde_json::Value = serde_json::from_slice(answer)?;
        let pid = answer["result"].as_u64().context("the answer has no process id")?;
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.get_or_insert_with(HashMap::new).entry(server).or_default();
        match &self.kind {
            Kind::Fresh => seen.fresh(pid),
            Kind::Session(name) => seen.session(name, pid),
            Kind::Any => Ok(()),
        }
    }
}

/// The processes that have answered, by the server's port.
static SEEN: Mutex<Option<HashMap<u16, Seen>>> = Mutex::new(None);

#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<u64>,
    pids: HashSet<u64>,
    sessions: HashMap<String, u64>,
}

impl Seen {
    fn fresh(&mut self, pid: u64) -> Result<()> {
        ensure!(self.pids.insert(pid), "process {pid} has run two executions that said fresh");
        self.order.push_back(pid);
        if self.order.len() > WINDOW
            && let Some(old) = self.order.pop_front()
        {
            self.pids.remove(&old);
        }
        Ok(())
    }

    fn session(&mut self, name: &str, pid: u64) -> Result<()> {
        let first = *self.sessions.entry(name.to_owned()).or_insert(pid);
        ensure!(first == pid, "session {name} has moved from process {first} to {pid}");
        Ok(())
    }
}
