//! A spare: a child that is forked, sealed and warm, and waits for its job.
//!
//! **Invariant:** a spare has run nothing of anybody's; it is used once.

use crate::error::Fault;
use crate::reaper::{Census, Process};
use crate::scratch::{Scratch, ScratchRoot};
use crate::stream::ChildStream;
use proto::claimed::Checked;
use proto::codec::MAX_FROM_CHILD;
use proto::frame::Sealed;
use proto::{Claimed, Limits};
use sandbox::rlimit::ChildRlimits;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long a finished child lingers before it is killed: its teardown would
/// otherwise take the core the answer needs (DESIGN 2).
pub const LINGER: Duration = Duration::from_millis(2);
/// And at most, while executions have all cores: then it is the others' answers.
const LONGEST_LINGER: Duration = Duration::from_millis(20);
/// Descriptors a child may have open (bounds pipes and sockets too).
const OPEN_FILES: u64 = 256;

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
    /// `None` while a run captures from it.
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    pub generation: u32,
    pub sealed: Sealed,
    pub baseline: Baseline,
}

/// What a child had used before its job: its limits count from here.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Private writable memory.
    pub data: u64,
    /// Resident memory, pages shared with the zygote included.
    pub resident: u64,
    /// CPU time.
    pub cpu: Duration,
    /// It has a user namespace of its own, whose processes the kernel counts apart.
    pub own_user: bool,
    /// The kernel's limits in force.
    pub rlimits: ChildRlimits,
}

impl Draft {
    /// Makes the descriptors and the directory of one child.
    pub fn new(root: &Arc<ScratchRoot>) -> Result<Self, Fault> {
        let scratch = root.make()?;
        let (channel, their_channel) = sandbox::fds::stream_pair()
            .map_err(|source| Fault::System { what: "no channel for a child", source })?;
        let pipe = || {
            sandbox::fds::pipe()
                .map_err(|source| Fault::System { what: "no pipe for a child", source })
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
        defaults: &Limits,
    ) -> Result<Self, String> {
        let mut process = Process::adopt(pid, scratch, census)
            .map_err(|error| format!("process {pid} is not a child of ours: {error}"))?;
        process.enclose(defaults).await.map_err(|error| format!("it gets no cgroup: {error}"))?;
        let mut stream = ChildStream::new(ours.channel, MAX_FROM_CHILD);
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
        let sealed = warm.sealed.unwrap_or_default();
        let baseline = Baseline::take(pid, defaults, sealed.namespaces)
            .map_err(|error| format!("its limits can't be set: {error}"))?;
        stream.rest();
        Ok(Self {
            process,
            stream,
            stdout: Some(ours.stdout),
            stderr: Some(ours.stderr),
            generation,
            sealed,
            baseline,
        })
    }

    /// Lets a finished child go, after [`LINGER`]: its descriptors and its
    /// memory are given back when the answer is on its way, and when those of
    /// the `running` ones are, or [`LONGEST_LINGER`] has passed.
    pub fn let_go(self, running: Arc<AtomicUsize>, then: impl FnOnce() + Send + 'static) {
        tokio::spawn(async move {
            let until = Instant::now() + LONGEST_LINGER;
            tokio::time::sleep(LINGER).await;
            while running.load(Ordering::Relaxed) >= cores() as usize && Instant::now() < until {
                tokio::time::sleep(LINGER).await;
            }
            drop(self);
            then();
        });
    }
}

impl Baseline {
    /// Reads what `pid` has used and sets the kernel's limits to `defaults`, so
    /// that a request that asks for nothing else costs no system call.
    fn take(pid: i32, defaults: &Limits, own_user: bool) -> std::io::Result<Self> {
        let memory = sandbox::rlimit::memory_of(pid)?;
        let cpu = sandbox::process::cpu_time(pid)?;
        let mut baseline = Self {
            data: memory.data,
            resident: memory.resident,
            cpu,
            own_user,
            rlimits: ChildRlimits::default(),
        };
        baseline.limit(pid, defaults)?;
        Ok(baseline)
    }

    /// Sets the kernel's limits for a run under `limits`, where they differ.
    pub fn limit(&mut self, pid: i32, limits: &Limits) -> std::io::Result<()> {
        let wanted = ChildRlimits {
            data_bytes: Some(limits.memory_bytes),
            // Whole seconds, rounded up; the watchdog's tick is exact.
            cpu_secs: Some((self.cpu + limits.cpu_time(cores())).as_secs().saturating_add(1)),
            fsize_bytes: Some(limits.scratch_bytes),
            nofile: Some(OPEN_FILES),
            nproc: self.own_user.then_some(limits.threads.into()),
        };
        let left_out = sandbox::trial::without(sandbox::trial::Layer::Rlimits);
        if wanted != self.rlimits && !left_out {
            wanted.apply_to(pid)?;
            self.rlimits = wanted;
        }
        Ok(())
    }
}

/// Cores this process may use, as found at the first call: finding out reads files of the
/// cgroup, which costs more than an empty call.
#[must_use]
pub fn cores() -> u32 {
    static CORES: OnceLock<u32> = OnceLock::new();
    *CORES.get_or_init(|| {
        std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
    })
}
