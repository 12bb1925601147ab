//! The confinement of a tool that needs the network: what installs packages.
//!
//! A tool is executed in the process that was confined, so this is Landlock and `no_new_privs`
//! alone: a seccomp allow-list would have to know every version of the tool and of all it starts.
//!
//! **Invariant:** a tool writes beneath the listed directories only, and executes nothing but the
//! listed paths; what the kernel can't hold is answered, never passed over.

use std::path::PathBuf;

use crate::landlock::{self, Reach, Rule};
use crate::process::SingleThreaded;
use crate::{LANDLOCK_FLOOR, SealError, harden};

/// What a tool may reach. TCP connections are open; listening is not.
#[derive(Clone, Debug, Default)]
pub struct ToolPolicy {
    /// Files and directories readable. Those that do not exist are skipped.
    pub read: Vec<PathBuf>,
    /// Files and directories readable and executable. Those that do not exist are skipped.
    pub run: Vec<PathBuf>,
    /// Directories that files may be made, changed and removed in. They have to exist.
    pub write: Vec<PathBuf>,
    /// What is written may be executed as well: a build runs what it made.
    pub run_written: bool,
    /// As in [`ZygotePolicy::landlock_abi_cap`](crate::ZygotePolicy::landlock_abi_cap).
    pub landlock_abi_cap: Option<u32>,
    /// As in [`ZygotePolicy::allow_weak`](crate::ZygotePolicy::allow_weak).
    pub allow_weak: bool,
}

/// What this kernel can't hold a tool to, one phrase each; empty from the floor on.
#[must_use]
pub fn weaknesses(landlock_abi_cap: Option<u32>) -> Vec<String> {
    const SINCE: &[(u32, &str)] = &[
        (2, "linking between directories is refused instead of governed"),
        (3, "files outside its directories may be truncated"),
        (4, "it may listen on TCP ports"),
        (6, "it may signal processes of the same user and use abstract sockets"),
    ];
    let abi = landlock::effective_abi(landlock_abi_cap);
    if abi == 0 {
        return vec!["no Landlock: it may write wherever its user may".to_owned()];
    }
    let missing = SINCE.iter().filter(|(since, _)| abi < *since);
    missing.map(|(since, what)| format!("Landlock ABI {since}: {what}")).collect()
}

/// Gives up privileges and confines the calling process, which then executes the tool.
///
/// # Errors
/// [`SealError::BelowFloor`] where [`weaknesses`] are not allowed, [`SealError::Path`] for a
/// directory that can't be opened, else the step that failed; the process must end then.
pub fn confine(policy: &ToolPolicy, _proof: SingleThreaded) -> Result<(), SealError> {
    let weak = weaknesses(policy.landlock_abi_cap);
    if !weak.is_empty() && !policy.allow_weak {
        let reason = format!("Landlock ABI {LANDLOCK_FLOOR} is the floor ({})", weak.join("; "));
        return Err(SealError::BelowFloor { reason });
    }
    let mut rules = landlock::shared_rules(&policy.read, &mut Vec::new())?;
    for path in crate::policy::outermost(policy.run.iter().cloned()) {
        rules.extend(Rule::open(&path, Reach::Execute)?);
    }
    let reach = if policy.run_written { Reach::Workshop } else { Reach::Scratch };
    for path in &policy.write {
        // the operator's path may be a link, what it leads to is meant
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        rules.push(Rule::demand(&path, reach)?);
    }
    harden::give_up_privileges()?;
    landlock::restrict_tool(landlock::effective_abi(policy.landlock_abi_cap), rules.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_told_from_a_new_one() {
        assert!(weaknesses(Some(0))[0].contains("no Landlock"));
        for abi in 1..LANDLOCK_FLOOR {
            assert!(!weaknesses(Some(abi)).is_empty(), "{abi}");
        }
    }
}
