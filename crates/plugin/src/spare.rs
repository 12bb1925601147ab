//! A spare: a child that is forked, sealed and warm, and waits for its job.
//!
//! **Invariant:** a spare has run nothing of anybody's; it is used once.

use crate::error::Fault;
use crate::reaper::{Census, Process};
use crate::scratch::{Scratch, ScratchRoot};
use crate::stream::ChildStream;
use proto::codec::MAX_FROM_CHILD;
use proto::frame::Sealed;
use proto::claimed::Checked;
use proto::{Claimed, Limits};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Both halves of what a child will own, before it exists.
#[derive(Debug)]
pub struct Draft {
    pub scratch: Scratch,
    /// channel, stdout, stderr: the child's ends.
    pub theirs: [OwnedFd; 3],
    pub ours: Ours,
}

/// The supervisor's ends.
#[derive(Debug)]
pub struct Ours {
    pub channel: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// A child that waits for a job.
#[derive(Debug)]
pub struct Spare {
    pub process: Process,
    pub stream: ChildStream,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub generation: u32,
    pub sealed: Sealed,
    /// Private writable memory it had before its job: the limit counts from here.
    pub baseline: u64,
    /// Resident memory before its job, pages shared with the zygote included.
    pub baseline_resident: u64,
}

impl Draft {
    /// Makes the descriptors and the directory of one child.
    pub fn new(root: &Arc<ScratchRoot>) -> Result<Self, Fault> {
        let scratch = root.make()?;
        let (channel, their_channel) = sandbox::fds::stream_pair()
            .map_err(|source| Fault::System { what: "no channel for a child", source })?;
        let pipe = || {
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
                .map_err(|e| Fault::System { what: "no pipe for a child", source: e.into() })
        };
        let ((stdout, their_stdout), (stderr, their_stderr)) = (pipe()?, pipe()?);
        for fd in [&channel, &stdout, &stderr] {
            rustix::io::ioctl_fionbio(fd, true).map_err(|e| Fault::System {
                what: "a child's descriptor can't be made non-blocking",
                source: e.into(),
            })?;
        }
        Ok(Self {
            scratch,
            theirs: [their_channel, their_stdout, their_stderr],
            ours: Ours { channel, stdout, stderr },
        })
    }
}

impl Spare {
    /// Takes charge of the child `pid` and waits until it says it is warm.
    pub async fn warm(
        pid: i32,
        scratch: Scratch,
        ours: Ours,
        generation: u32,
        census: Arc<Census>,
    ) -> Result<Self, String> {
        let process = Process::adopt(pid, scratch, census)
            .map_err(|error| format!("process {pid} is not a child of ours: {error}"))?;
        let mut stream = ChildStream::new(ours.channel, MAX_FROM_CHILD)
            .map_err(|error| format!("its channel can't be watched: {error}"))?;
        let frame = match stream.receive().await {
            Ok(frame) => frame,
            Err(error) => {
                let mut said = [0u8; 512];
                let length = rustix::io::read(&ours.stderr, &mut said).unwrap_or(0);
                let said = String::from_utf8_lossy(said.get(..length).unwrap_or_default());
                return Err(format!("it ended before it was warm ({error}): {said}"));
            }
        };
        let warm = match Claimed::new(frame).check(generation, 0, &Limits::default()) {
            Ok(Checked::Warm(warm)) => warm,
            Ok(_) => return Err("its first frame was not that it is warm".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let memory = sandbox::rlimit::memory_of(pid)
            .map_err(|error| format!("its memory can't be read: {error}"))?;
        Ok(Self {
            process,
            stream,
            stdout: ours.stdout,
            stderr: ours.stderr,
            generation,
            sealed: warm.sealed.unwrap_or_default(),
            baseline: memory.data,
            baseline_resident: memory.resident,
        })
    }
}
