//! Linux confinement for an interpreter process: Landlock, seccomp, rlimits, descriptors.
//!
//! Three actors use it. The **supervisor** spawns, limits, watches and reaps through
//! [`process::Pidfd`], [`rlimit`] and [`fds`]. The **zygote** calls [`harden::harden_process`] as
//! its first act and [`seal_zygote`] before any byte that is not the interpreter's own runs. Each
//! **child**, forked with [`process::fork_as_sibling`], narrows itself once more with a
//! [`ChildSeal`] that the zygote prepared.
//!
//! The order within a seal is fixed, because each step needs what the next one takes away:
//! `no_new_privs` → not dumpable, no core → capabilities → Landlock → seccomp, whose filters go
//! from the widest to the narrowest.
//!
//! **Invariant:** a seal only takes away. This crate knows no Python and no async runtime, opens no
//! network socket and starts no thread.

#[cfg(target_os = "linux")]
pub mod affinity;
#[cfg(target_os = "linux")]
mod bpf;
pub mod cgroup;
mod enforced;
#[cfg(target_os = "linux")]
pub mod fds;
mod grants;
#[cfg(target_os = "linux")]
pub mod harden;
#[cfg(target_os = "linux")]
pub mod heap;
#[cfg(target_os = "linux")]
pub mod kernel;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
pub mod mounts;
mod policy;
#[cfg(target_os = "linux")]
pub mod process;
#[cfg(target_os = "linux")]
pub mod report;
#[cfg(target_os = "linux")]
pub mod rlimit;
#[cfg(target_os = "linux")]
mod seal;
#[cfg(target_os = "linux")]
mod seccomp;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
pub mod syscalls;
#[cfg(target_os = "linux")]
pub mod tool;
pub mod trial;
#[cfg(not(target_os = "linux"))]
mod unsupported;

pub use enforced::{Enforced, LANDLOCK_FLOOR, LandlockLevel, SealError, WEAK_FLAG};
pub use grants::{Grants, loaders_of};
pub use policy::{ChildPolicy, SYSTEM_READ_PATHS, ZygotePolicy, default_read_paths};
#[cfg(target_os = "linux")]
pub use seal::{ChildSeal, Confined, seal_zygote};
#[cfg(not(target_os = "linux"))]
pub use unsupported::{
    ChildSeal, Confined, affinity, fds, harden, heap, kernel, mounts, process, report, rlimit,
    seal_zygote, syscalls, tool,
};
