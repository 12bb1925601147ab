//! What became of the guest's code (DESIGN 5).
//!
//! An outcome is data about the guest. Errors of the caller and of ours are
//! other types, so that one exhaustive match can tell them apart.
//!
//! **Invariant:** the supervisor makes outcomes; a child only makes claims.

use std::time::Duration;

/// How one execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It ran to its end.
    Value,
    /// An exception left the program.
    Raised(Raised),
    /// `sys.exit`, `os._exit`.
    Exited { code: i32, message: Option<String> },
    /// Killed at the wall-clock deadline.
    TimedOut { limit: Duration },
    /// Used more CPU time than allowed.
    OverCpu,
    /// Used more memory than allowed, with evidence.
    OverMemory,
    /// Wrote more to its scratch directory than allowed.
    OverScratch,
    /// Started more threads than allowed.
    OverThreads,
    /// Ended by a signal nobody of ours sent.
    Killed { signal: i32, memory_suspected: bool },
    /// Ended because it asked for what the policy refuses. The syscall's name
    /// is the child's claim.
    Denied { syscall: Option<String> },
    /// The caller went away or asked for it to stop.
    Cancelled,
    /// The child broke the frame protocol.
    Protocol { reason: String },
}

/// An uncaught exception.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raised {
    /// The class's name, qualified unless it is a builtin.
    pub kind: String,
    pub message: String,
    /// User frames with their source lines, as `python` prints them.
    pub traceback: String,
    /// Innermost line of the user's own code.
    pub line: Option<u32>,
}

impl Outcome {
    /// The word in the response's `outcome` field.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Raised(_) => "raised",
            Self::Exited { .. } => "exited",
            Self::TimedOut { .. } => "timed_out",
            Self::OverCpu => "over_cpu",
            Self::OverMemory => "over_memory",
            Self::OverScratch => "over_scratch",
            Self::OverThreads => "over_threads",
            Self::Killed { .. } => "killed",
            Self::Denied { .. } => "denied",
            Self::Cancelled => "cancelled",
            Self::Protocol { .. } => "protocol",
        }
    }

    /// Whether the response says `success` (DESIGN 12: `exited` counts with code 0).
    #[must_use]
    pub fn success(&self) -> bool {
        match self {
            Self::Value => true,
            Self::Exited { code, .. } => *code == 0,
            Self::Raised(_)
            | Self::TimedOut { .. }
            | Self::OverCpu
            | Self::OverMemory
            | Self::OverScratch
            | Self::OverThreads
            | Self::Killed { .. }
            | Self::Denied { .. }
            | Self::Cancelled
            | Self::Protocol { .. } => false,
        }
    }
}
