//! What a seal achieved, and why it could not.
//!
//! **Invariant:** nothing here is inferred from what was asked for; a value says what the kernel
//! accepted.

use std::io;

use crate::Grants;

/// The lowest Landlock ABI that the sandbox accepts without being told to.
///
/// ABI 6 (Linux 6.12) is the first with scopes: below it a child can send signals to its siblings,
/// its zygote and the supervisor, and connect to abstract sockets of the whole host.
pub const LANDLOCK_FLOOR: u32 = 6;

/// The flag that lets a plugin start below [`LANDLOCK_FLOOR`]; named in errors and in health.
pub const WEAK_FLAG: &str = "--dangerously-allow-weak-sandbox";

/// What holds for the calling process after a seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// The kernel's Landlock ABI (after `landlock_abi_cap`), 0 without Landlock.
    pub landlock_abi: u32,
    /// How much of the file, network and scope policy Landlock took.
    pub landlock: LandlockLevel,
    /// Landlock layers this process is in by our doing, inherited ones included.
    pub landlock_layers: u32,
    /// Seccomp filters in force by our doing, inherited ones included.
    pub seccomp_filters: u32,
    /// `no_new_privs` is set.
    pub no_new_privs: bool,
    /// No capability is left in any set.
    pub capabilities_dropped: bool,
    /// What is weaker than the declared floor, one sentence each; empty in a healthy sandbox.
    pub weakened: Vec<String>,
    /// What the operator granted beyond the strict policy.
    pub grants: Grants,
    /// Paths of the policy that do not exist and were left out.
    pub skipped: Vec<String>,
}

/// How much of the policy Landlock enforces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LandlockLevel {
    /// Everything the floor demands: all file rights, TCP, abstract sockets and signals.
    Full,
    /// The kernel's ABI lacks some of it.
    Partial {
        /// What is not enforced, one phrase each.
        missing: Vec<String>,
    },
    /// No Landlock at all.
    None,
}

/// Why a process could not be sealed. The process must not run code of others after this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The operating system has no such confinement.
    #[error("this system has no Landlock and seccomp, so executions cannot be confined")]
    Unsupported,
    /// The kernel enforces less than the declared floor.
    #[error("the sandbox would be below its floor: {reason}; {WEAK_FLAG} accepts that")]
    BelowFloor {
        /// What is missing and what that costs.
        reason: String,
    },
    /// A grant that this kernel can't hold to its bounds.
    #[error("`{grant}` can't be granted here: {reason}")]
    Grant {
        /// Which one.
        grant: &'static str,
        /// What is missing.
        reason: String,
    },
    /// More than one thread runs, so a seal would leave the others unconfined.
    #[error("{count} threads run where one was promised")]
    Threads {
        /// How many there are.
        count: u64,
    },
    /// A path of the policy exists but could not be opened.
    #[error("cannot open {path} for the policy")]
    Path {
        /// The path.
        path: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A system call of the sealing sequence failed.
    #[error("{step} failed")]
    Step {
        /// Which one.
        step: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A filter could not be compiled or loaded.
    #[error("seccomp: {step} failed: {reason}")]
    Seccomp {
        /// Which filter.
        step: &'static str,
        /// The refusal.
        reason: String,
    },
    /// A seal prepared for one child was applied a second time in the same process.
    #[error("this process has already applied its seal")]
    AlreadyApplied,
}
