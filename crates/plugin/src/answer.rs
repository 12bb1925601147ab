//! What an execution came to: the outcome, the output, the value, the cost.
//!
//! **Invariant:** everything in an `Answer` was measured by the supervisor or
//! checked against the limits of the execution.

use bytes::Bytes;
use proto::Outcome;
use std::borrow::Cow;
use std::time::Duration;

/// The end of one execution.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Unique for the life of the process.
    pub execution_id: u64,
    pub outcome: Outcome,
    pub stdout: Captured,
    pub stderr: Captured,
    /// JSON text; `None` = no value.
    pub result: Option<Bytes>,
    /// name → repr, in the order of definition.
    pub variables: Vec<(String, String)>,
    /// JSON of the module's declarations (`Source::Declarations` only).
    pub declarations: Option<Bytes>,
    /// From hand-over to the end of the run.
    pub duration: Duration,
    pub usage: Usage,
    /// `log()` and `progress()` calls, in order.
    pub notes: Vec<Note>,
    /// The limit that was hit while ending (`shutdown`), or a limit named by a refusal.
    pub limit: Option<&'static str>,
    /// How this execution's sandbox was weakened; empty = not at all.
    pub weakened: Vec<String>,
    /// What it was granted beyond the strict policy.
    pub grant: Grant,
}

/// The profile an execution ran under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    pub profile: String,
    /// One sentence each; empty = the strict policy.
    pub granted: Vec<String>,
}

/// One stream's output, up to its cap. Invalid UTF-8 is still in it.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    pub bytes: Vec<u8>,
    /// More was written than kept.
    pub truncated: bool,
}

/// What an execution cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Time spent waiting for a slot and a spare.
    pub queued: Duration,
    /// CPU time of all threads, user and system.
    pub cpu: Duration,
    /// Peak resident memory of the child, shared pages included.
    pub max_rss_bytes: u64,
    pub stdout_bytes: u64,
    pub stderr_bytes: u64,
    pub host_calls: u64,
}

/// What a script said through `log()` or `progress()`.
#[derive(Debug, Clone)]
pub struct Note {
    pub at: std::time::SystemTime,
    /// debug, info, warn, error
    pub level: String,
    pub message: String,
    pub stage: String,
    /// JSON object; empty = none.
    pub fields: Bytes,
    pub progress: Option<(f64, Option<f64>)>,
}

impl Captured {
    /// The text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        text(&self.bytes)
    }
}

/// Output as text, invalid UTF-8 replaced.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    // Most is valid, and this finds it out many times as fast.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}
