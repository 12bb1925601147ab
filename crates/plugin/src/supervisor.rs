//! The supervisor: owns zygotes, spares, slots and the fate of every execution.
//!
//! **Invariant:** never initialises Python, never forks without exec, never
//! trusts a byte a child sent.

use crate::answer::Answer;
use crate::config::Config;
use crate::error::{Fault, RunError};
use crate::host::Host;
use crate::request::Request;
use std::sync::Arc;

/// Handle to the running supervisor; cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervisor {
    config: Arc<Config>,
    host: Arc<Host>,
}

/// What health and `/version` show; read from atomics, never blocking.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// A child can be had: Python started and sealed.
    pub ready: bool,
    /// Why not, when not.
    pub reason: Option<String>,
    pub python_version: String,
    pub python_prefix: String,
    pub landlock_abi: u32,
    pub landlock: String,
    pub seccomp_filters: u32,
    pub weakened: Vec<String>,
    pub zygotes: usize,
    pub generation: u32,
    pub spares: usize,
    pub running: usize,
    pub queued: usize,
    /// Modules that could not be preloaded, with the reason.
    pub set_aside: Vec<(String, String)>,
    pub preloaded: Vec<String>,
}

impl Supervisor {
    /// Starts the zygotes in the background; returns at once.
    pub async fn start(config: Config, host: Arc<Host>) -> Result<Self, Fault> {
        Ok(Self { config: Arc::new(config), host })
    }

    /// Runs `request` to its end. Dropping the future stops the execution.
    pub async fn execute(&self, request: Request) -> Result<Answer, RunError> {
        let _ = (&request, &self.host);
        Err(Fault::NoInterpreter { reason: String::new() }.into())
    }

    /// The state of things now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// Refuses new work, lets what runs go on for at most `grace`, then kills
    /// it, the spares and the zygotes, and removes the scratch directories.
    pub async fn drain(&self, grace: std::time::Duration) {
        let _ = grace;
    }
}
