//! The scout: a child that the zygote forks for itself, watches and lets go, to learn which
//! pages a child copies.
//!
//! It is sealed as any other, has the same jobs to do as its warm-up, and ends before the
//! first request.
//!
//! **Invariant:** the zygote is as it was afterwards, with no child and no descriptor more,
//! whatever became of the scout.

use crate::channel::Channel;
use crate::child::{Belongings, Inheritance, WARM_UP, child_main, small_job};
use crate::ffi;
use crate::pages::PageMap;
use proto::codec::{MAX_FROM_CHILD, MAX_TO_CHILD};
use proto::frame::{FromChild, ToChild, from_child, to_child};
use pyo3::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitOptions};
use sandbox::process::{self, SingleThreaded};
use std::ops::Range;
use std::os::fd::OwnedFd;

/// Longest wait for the scout's next word.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Memory that a child copies, by watching one; else why that can't be found out.
pub fn run(
    py: Python<'_>,
    inheritance: &Inheritance,
    map: Option<PageMap>,
    scratch_root: &str,
) -> Result<Vec<Range<usize>>, String> {
    let map = map.ok_or("there is no /proc/self/pagemap")?;
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let (ours, channel) = sandbox::fds::stream_pair().map_err(|e| text(&e))?;
    let null = || {
        let null = std::fs::File::options().read(true).write(true).open("/dev/null");
        null.map(OwnedFd::from).map_err(|e| text(&e))
    };
    let belongings = Belongings {
        channel,
        stdout: null()?,
        stderr: null()?,
        scratch: scratch_root.into(),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
    };
    let proof = SingleThreaded::prove().map_err(|e| text(&e))?;
    ffi::before_fork(py);
    let pid = match process::fork_as_child(proof) {
        Ok(process::Fork::Child(proof)) => child_main(py, inheritance, belongings, proof),
        Ok(process::Fork::Parent(pid)) => pid,
        Err(error) => {
            ffi::after_fork_parent(py);
            return Err(text(&error));
        }
    };
    ffi::after_fork_parent(py);
    drop(belongings);
    let mut channel = Channel::new(ours, MAX_TO_CHILD, MAX_FROM_CHILD);
    let found = talk(&mut channel, inheritance.generation)
        .and_then(|()| map.copied().map_err(|e| text(&e)));
    end(pid).map_err(|e| text(&e))?;
    found
}

/// Has the scout do its jobs.
fn talk(channel: &mut Channel<ToChild, FromChild>, generation: u32) -> Result<(), String> {
    answer(channel)?;
    for (kind, source) in WARM_UP.iter().chain(WARM_UP) {
        let job = to_child::Kind::Job(small_job(*kind, source));
        let frame = ToChild { generation, execution: 1, kind: Some(job) };
        channel.send(&frame).map_err(|error| error.to_string())?;
        match answer(channel)? {
            Some(from_child::Kind::Done(_)) => {}
            other => return Err(format!("the scout answered {other:?}")),
        }
    }
    Ok(())
}

fn answer(channel: &mut Channel<ToChild, FromChild>) -> Result<Option<from_child::Kind>, String> {
    let fd = channel.fd();
    match rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&PATIENCE)) {
        Ok(0) => Err("the scout did not answer".to_owned()),
        Ok(_) => channel.receive().map(|frame| frame.kind).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn end(pid: i32) -> Result<(), rustix::io::Errno> {
    let Some(pid) = Pid::from_raw(pid) else { return Ok(()) };
    rustix::process::kill_process(pid, Signal::KILL)?;
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            waited => return waited.map(drop),
        }
    }
}
