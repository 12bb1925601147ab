//! Errors that are not the guest's: the caller's ([`Rejected`]) and ours ([`Fault`]).
//!
//! What the guest did is an [`proto::Outcome`] and never an error here.
//!
//! **Invariant:** one exhaustive match gives each of them its HTTP status and
//! its gRPC code.

use std::time::Duration;

/// The caller's fault, or a limit the caller ran into before anything was run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejected {
    /// A field has the wrong type or value.
    #[error("{reason}")]
    Invalid { field: Option<String>, reason: String },
    /// The session's child is gone (idle, evicted, crashed, never there).
    #[error("session `{session}` is gone: {reason}")]
    SessionGone { session: String, reason: String },
    /// All slots and the queue are full.
    #[error("every slot is taken ({running} running, {queued} waiting): try again in {} s", retry_after.as_secs().max(1))]
    Busy { running: usize, queued: usize, retry_after: Duration },
    /// What the script declares is not installed yet.
    #[error(
        "what the script declares is still being installed after {} s; the install goes on: try \
         again", waited.as_secs()
    )]
    Preparing { waited: Duration },
    /// The plugin is shutting down.
    #[error("the plugin is shutting down")]
    ShuttingDown,
    /// A body above the cap.
    #[error("the body has more than {limit} bytes")]
    TooLarge { limit: usize },
}

/// Our fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Python can't be started, with the zygote's reason.
    #[error("Python can't run: {reason}")]
    NoInterpreter { reason: String },
    /// No child could be forked in time.
    #[error("no child process within {} s: {reason}", waited.as_secs())]
    NoChild { waited: Duration, reason: String },
    /// The machine refused something.
    #[error("{what}")]
    System {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
}

/// Either of them.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Rejected {
    /// An invalid value of `field`.
    pub fn field(field: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.to_owned()), reason: reason.into() }
    }

    /// The HTTP status of this rejection.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid { .. } => 400,
            Self::SessionGone { .. } => 410,
            Self::Busy { .. } | Self::Preparing { .. } | Self::ShuttingDown => 503,
            Self::TooLarge { .. } => 413,
        }
    }
}

impl RunError {
    /// The HTTP status of this error.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Rejected(rejected) => rejected.status(),
            Self::Fault(Fault::NoInterpreter { .. } | Fault::NoChild { .. }) => 503,
            Self::Fault(Fault::System { .. }) => 500,
        }
    }
}
