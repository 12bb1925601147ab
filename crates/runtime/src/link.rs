//! The child's link to the supervisor: one lock around one channel, shared by
//! the program's threads.
//!
//! **Invariant:** the lock is never waited for while attached to the
//! interpreter, and at most one host call is under way at a time.

use crate::channel::{Channel, ChannelError};
use proto::frame::{FromChild, HostCall, HostRefusal, ToChild, from_child, host_reply, to_child};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a host call came to, when it reached the supervisor.
pub type HostResult = Result<Vec<u8>, HostRefusal>;

static LINK: Mutex<Option<Link>> = Mutex::new(None);
/// The process that the link belongs to; a fork of it has the memory, not the right.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// What is said to a process that the program forked.
const DESCENDANT: &str =
    "host calls exist only in the execution's own process, not in a fork of it";

/// The channel and what its frames are stamped with.
#[derive(Debug)]
pub struct Link {
    channel: Channel<FromChild, ToChild>,
    generation: u32,
    execution: u64,
    calls: u64,
    /// Set while declarations are collected: host calls are refused with it.
    refusal: Option<&'static str>,
}

impl Link {
    /// A link over a fresh channel.
    #[must_use]
    pub fn new(channel: Channel<FromChild, ToChild>, generation: u32) -> Self {
        Self { channel, generation, execution: 0, calls: 0, refusal: None }
    }

    /// The frames that follow belong to `execution`.
    pub fn begin(&mut self, execution: u64, refusal: Option<&'static str>) {
        self.execution = execution;
        self.refusal = refusal;
    }

    /// Sends one frame.
    pub fn send(&mut self, kind: from_child::Kind) -> Result<(), ChannelError> {
        let frame =
            FromChild { generation: self.generation, execution: self.execution, kind: Some(kind) };
        self.channel.send(&frame)
    }

    /// Waits for one frame.
    pub fn receive(&mut self) -> Result<ToChild, ChannelError> {
        self.channel.receive()
    }

    /// The channel's descriptor, for the SIGSYS reporter.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.channel.fd())
    }

    /// A `Trapped` frame without its last four bytes (the syscall's number),
    /// length prefix included.
    #[must_use]
    pub fn trapped_prefix(&self) -> Vec<u8> {
        let frame = FromChild {
            generation: self.generation,
            execution: self.execution,
            kind: Some(from_child::Kind::Trapped(proto::frame::Trapped { syscall: u32::MAX })),
        };
        let mut bytes =
            proto::codec::encode(&frame, proto::codec::MAX_FROM_CHILD).unwrap_or_default();
        bytes.truncate(bytes.len().saturating_sub(4));
        bytes
    }
}

/// Makes `link` the process's link. Once, in the child.
pub fn install(link: Link) {
    OWNER.store(own_pid(), Ordering::Relaxed);
    *lock() = Some(link);
}

/// Whether this is a process that the program forked.
#[must_use]
pub fn in_descendant() -> bool {
    let owner = OWNER.load(Ordering::Relaxed);
    owner != 0 && owner != own_pid()
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Whether the supervisor still holds its end of the channel.
pub fn still_held(channel: &OwnedFd) -> std::io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(channel, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once))?;
    if polled[0].revents().contains(PollFlags::HUP) {
        return Err(std::io::Error::other("the supervisor is gone"));
    }
    Ok(())
}

/// Runs `action` on the link; `None` when there is none (not in a child).
pub fn with<T>(action: impl FnOnce(&mut Link) -> T) -> Option<T> {
    lock().as_mut().map(action)
}

/// One host call, from any thread, detached from the interpreter.
///
/// Ends the process when the channel is gone: there is nobody to run for.
pub fn host_call(name: &str, args: Vec<u8>) -> HostResult {
    if in_descendant() {
        return Err(refusal("NotAvailable", name, DESCENDANT));
    }
    let reply = with(|link| {
        if let Some(reason) = link.refusal {
            return Ok(Err(refusal("NotAvailable", name, reason)));
        }
        link.calls += 1;
        let call = link.calls;
        link.send(from_child::Kind::Call(HostCall { call, name: name.to_owned(), args }))?;
        loop {
            let frame = link.receive()?;
            match frame.kind {
                Some(to_child::Kind::Reply(reply)) if reply.call == call => {
                    return Ok(match reply.kind {
                        Some(host_reply::Kind::Value(value)) => Ok(value),
                        Some(host_reply::Kind::Refusal(refusal)) => Err(refusal),
                        None => Err(refusal("StoreUnavailable", name, "an empty reply")),
                    });
                }
                // A reply to an earlier call: its asker was interrupted.
                Some(to_child::Kind::Reply(_)) => {}
                Some(to_child::Kind::Job(_)) | None => return Err(ChannelError::Closed),
            }
        }
    });
    match reply {
        Some(Ok(result)) => result,
        Some(Err(ChannelError::Codec(error))) => {
            Err(refusal("LimitExceeded", name, &error.to_string()))
        }
        Some(Err(ChannelError::Closed | ChannelError::Io(_))) => crate::ffi::exit_now(70),
        None => Err(refusal("NotAvailable", name, "host calls exist only inside an execution")),
    }
}

/// Sends a note; nothing is awaited.
pub fn note(note: proto::frame::Note) {
    if in_descendant() {
        return;
    }
    let sent = with(|link| link.send(from_child::Kind::Note(note)));
    if let Some(Err(ChannelError::Closed | ChannelError::Io(_))) = sent {
        crate::ffi::exit_now(70);
    }
}

fn refusal(kind: &str, call: &str, reason: &str) -> HostRefusal {
    HostRefusal {
        kind: kind.to_owned(),
        call: call.to_owned(),
        reason: reason.to_owned(),
        retryable: false,
        created: 0,
    }
}

fn lock() -> MutexGuard<'static, Option<Link>> {
    LINK.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn the_trapped_prefix_needs_only_the_number() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut link = Link::new(Channel::new(ours.into(), 1 << 20, 1 << 20), 7);
        link.begin(42, None);
        let mut bytes = link.trapped_prefix();
        bytes.extend_from_slice(&101u32.to_le_bytes());
        let frame = FromChild::decode(&bytes[proto::codec::PREFIX..]).expect("a frame");
        assert_eq!(bytes.len() - proto::codec::PREFIX, frame.encoded_len());
        assert_eq!((frame.generation, frame.execution), (7, 42));
        assert!(matches!(frame.kind, Some(from_child::Kind::Trapped(t)) if t.syscall == 101));
    }
}
