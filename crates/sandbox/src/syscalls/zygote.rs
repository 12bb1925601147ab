//! What the zygote may call besides a child's calls, or with fewer conditions.
//!
//! **Invariant:** a call stands here only because making or sealing a child needs it, or because a
//! child's condition on it cannot be known before the child exists.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unnecessary_cast,
    reason = "libcs give these small constants different types"
)]

use libc::*;

use super::{Decision, eq, masked, null, table};

/// `clone` flags that a zygote never uses: new namespaces and hiding from tracers.
const CLONE_REFUSED: u32 = (CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_PTRACE
    | CLONE_UNTRACED) as u32;

/// What the zygote may call besides; a child's last filter takes it away again.
pub(super) const ZYGOTE: &[Decision] = table! {
    SYS_clone: "forks the children; no namespaces" if [[masked(0, CLONE_REFUSED, 0)]] else EPERM;
    SYS_landlock_create_ruleset: "a child's own layer is made after the fork";
    SYS_landlock_add_rule: "a child's own layer is made after the fork";
    SYS_landlock_restrict_self: "a child's own layer is made after the fork";
    SYS_seccomp: "loads the filters that follow; never a listener" if [
        [eq(0, SECCOMP_SET_MODE_FILTER), eq(1, 0)],
        [eq(0, SECCOMP_GET_ACTION_AVAIL), eq(1, 0)],
    ] else EPERM;
    SYS_prctl: "a child re-arms its death signal and names itself before its last filter";
    SYS_rt_sigaction: "a child installs its SIGSYS reporter";
    SYS_capget: "looks whether its seal left it a capability";
    SYS_sendmsg: "may hand a descriptor to the supervisor; a child never may";
    SYS_kill: "a child's condition is its own process id";
    SYS_tgkill: "a child's condition is its own process id";
    SYS_getpriority: "a child's condition is its own process id";
    SYS_prlimit64: "a child's condition is its own process id; reading only" if [
        [null(2)],
    ] else EPERM;
};
