//! What a process gives up about itself before it is confined.
//!
//! **Invariant:** nothing here can be undone by the process afterwards.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::SealError;
use crate::trial::{self, Layer};

fn step(step: &'static str) -> impl FnOnce(rustix::io::Errno) -> SealError {
    move |errno| SealError::Step { step, source: errno.into() }
}

/// The first act of a zygote: a session of its own, then [`give_up_privileges`], then
/// [`die_with_parent`] when the parent's process id is given.
///
/// # Errors
/// [`SealError::Step`] naming what the system refused.
pub fn harden_process(expected_parent: Option<i32>) -> Result<(), SealError> {
    match rustix::process::setsid() {
        // EPERM: it already leads its process group, so it has no terminal to lose
        Ok(_) | Err(rustix::io::Errno::PERM) => {}
        Err(errno) => return Err(step("setsid")(errno)),
    }
    give_up_privileges()?;
    expected_parent.map_or(Ok(()), die_with_parent)
}

/// `no_new_privs`, no core file, no capability in any set (also as root), not dumpable.
///
/// # Errors
/// [`SealError::Step`] naming what the system refused.
pub fn give_up_privileges() -> Result<(), SealError> {
    rustix::thread::set_no_new_privs(true).map_err(step("set no_new_privs"))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(step("forbid core files"))?;
    give_up_capabilities()
}

/// No capability in any set, not dumpable: what a process that came into a user namespace of its
/// own, with every capability in it, still has to give up.
///
/// # Errors
/// [`SealError::Step`] naming what the system refused.
pub fn give_up_capabilities() -> Result<(), SealError> {
    if !trial::without(Layer::Capabilities) {
        drop_capabilities()?;
    }
    if trial::without(Layer::Dumpable) {
        return Ok(());
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(step("become non-dumpable"))
}

/// Asks for `SIGKILL` when the parent's thread that started this process ends, and makes sure that
/// the parent has not ended before the request. A fork's child has to ask again.
///
/// # Errors
/// [`SealError::Step`] when the parent is already another one.
pub fn die_with_parent(expected_parent: i32) -> Result<(), SealError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("ask to die with the parent"))?;
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if parent == expected_parent {
        return Ok(());
    }
    let source = io::Error::other(format!("the parent is {parent}, not {expected_parent}"));
    Err(SealError::Step { step: "find the parent alive", source })
}

/// As [`die_with_parent`], for the first process of a PID namespace, to which its parent has no
/// number: whether the parent was alive still has to be seen by other means, such as a socket.
///
/// # Errors
/// [`SealError::Step`] when the system refuses.
pub fn die_with_outer_parent() -> Result<(), SealError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(step("ask to die with the parent"))
}

fn drop_capabilities() -> Result<(), SealError> {
    rustix::thread::clear_ambient_capability_set().map_err(step("clear ambient capabilities"))?;
    let held = rustix::thread::capabilities(None).map_err(step("read capabilities"))?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        // the kernel may know more capabilities than rustix names; EINVAL marks the end
        for bit in 0..64 {
            let one = CapabilitySet::from_bits_retain(1 << bit);
            match rustix::thread::remove_capability_from_bounding_set(one) {
                Ok(()) => {}
                Err(rustix::io::Errno::INVAL) => break,
                Err(errno) => return Err(step("empty the bounding set")(errno)),
            }
        }
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).map_err(step("drop capabilities"))
}

/// Whether no capability is left to use or to regain.
#[must_use]
pub fn capabilities_are_dropped() -> bool {
    rustix::thread::capabilities(None).is_ok_and(|held| {
        held.effective.is_empty() && held.permitted.is_empty() && held.inheritable.is_empty()
    })
}
