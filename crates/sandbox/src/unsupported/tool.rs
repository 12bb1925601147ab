//! The confinement of a tool: not available here.
//!
//! **Invariant:** nothing here ever succeeds.

use std::path::PathBuf;

use crate::{SealError, process::SingleThreaded};

/// What a tool may reach.
#[derive(Clone, Debug, Default)]
pub struct ToolPolicy {
    /// Readable.
    pub read: Vec<PathBuf>,
    /// Readable and executable.
    pub run: Vec<PathBuf>,
    /// Writable.
    pub write: Vec<PathBuf>,
    /// What is written may be executed.
    pub run_written: bool,
    /// No meaning here.
    pub landlock_abi_cap: Option<u32>,
    /// No meaning here.
    pub allow_weak: bool,
}

/// Everything.
#[must_use]
pub fn weaknesses(_landlock_abi_cap: Option<u32>) -> Vec<String> {
    vec!["no Landlock: it may write wherever its user may".to_owned()]
}

/// Always [`SealError::Unsupported`].
///
/// # Errors
/// Always.
pub fn confine(_policy: &ToolPolicy, _proof: SingleThreaded) -> Result<(), SealError> {
    Err(SealError::Unsupported)
}
