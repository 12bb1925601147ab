//! Which cores threads may run on: for a hop from one process to another that need not wake a
//! second core.
//!
//! **Invariant:** no thread stays bound longer than its [`Bound`], which cannot leave it.

use std::io;
use std::marker::PhantomData;
use std::sync::OnceLock;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// The cores that this process may use, as at the first call.
fn all() -> &'static CpuSet {
    static ALL: OnceLock<CpuSet> = OnceLock::new();
    // Without an answer nothing is ever narrowed.
    ALL.get_or_init(|| sched_getaffinity(None).unwrap_or_default())
}

/// Remembers the cores that this process may use, for [`free_self`] in what it forks.
pub fn remember() {
    all();
}

/// Lets the calling thread use every core that was remembered.
///
/// # Errors
/// What sched_setaffinity(2) says.
pub fn free_self() -> io::Result<()> {
    sched_setaffinity(None, all()).map_err(Into::into)
}

/// Binds the process `pid`, which sleeps, to the core that the caller is on, so that what the
/// caller writes wakes no other core; false where there is no choice of cores, or it can't be
/// made.
///
/// The process has to free itself again ([`free_self`]) before it does anything of its own.
#[must_use]
pub fn bring_here(pid: i32) -> bool {
    here().is_some_and(|here| sched_setaffinity(Pid::from_raw(pid.max(0)), &here).is_ok())
}

/// The calling thread, bound to the core it is on.
#[derive(Debug)]
pub struct Bound(PhantomData<*const ()>);

impl Bound {
    /// Binds it; `None` as for [`bring_here`].
    #[must_use]
    pub fn here() -> Option<Self> {
        sched_setaffinity(None, &here()?).ok()?;
        Some(Self(PhantomData))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // It can't fail for a set that was this process's own.
        let _ = free_self();
    }
}

fn here() -> Option<CpuSet> {
    let here = sched_getcpu();
    if all().count() < 2 || !all().is_set(here) {
        return None;
    }
    let mut one = CpuSet::new();
    one.set(here);
    Some(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_is_free_again() {
        let before = sched_getaffinity(None).unwrap();
        if before.count() < 2 {
            assert!(!bring_here(1) && Bound::here().is_none());
            return;
        }
        let mut other = std::process::Command::new("sleep").arg("5").spawn().unwrap();
        let pid = i32::try_from(other.id()).unwrap();
        assert!(bring_here(pid));
        assert_eq!(sched_getaffinity(Pid::from_raw(pid)).unwrap().count(), 1);
        let bound = Bound::here().expect("two cores");
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(bound);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
