//! Processes: the proof of being single-threaded, the fork, and the hold on a child.
//!
//! **Invariant:** a child is named by descriptor, never by number alone, once [`Pidfd`] holds it;
//! and nothing forks without a [`SingleThreaded`].

use std::ffi::CStr;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::{SealError, sys};

/// Names the calling thread, as `ps` shows it.
///
/// # Errors
/// What prctl(2) says of `PR_SET_NAME`.
pub fn set_name(name: &CStr) -> io::Result<()> {
    Ok(rustix::thread::set_name(name)?)
}

/// Proof that the calling process has exactly one thread, the caller's.
///
/// Neither `Send` nor `Clone`: it is used up by what it permits, and a fork's child is handed its
/// own. [`SingleThreaded::assume`] makes one without looking.
#[derive(Debug)]
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Counts the threads through the link count of `/proc/self/task`: one system call, no
    /// allocation, unaffected by a seal.
    ///
    /// # Errors
    /// [`SealError::Threads`] when there are others, [`SealError::Step`] without `/proc`.
    pub fn prove() -> Result<Self, SealError> {
        let task = std::fs::metadata("/proc/self/task")
            .map_err(|source| SealError::Step { step: "count threads", source })?;
        match task.nlink().saturating_sub(2) {
            1 => Ok(Self::token()),
            count => Err(SealError::Threads { count }),
        }
    }

    pub(crate) fn token() -> Self {
        Self(PhantomData)
    }
}

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// In the forking process: the child's process id.
    Parent(i32),
    /// In the child, which is single-threaded by construction.
    Child(SingleThreaded),
}

/// Forks a child that belongs to the caller's **parent**: the supervisor reaps what the zygote
/// forks. No at-fork handlers run, neither libc's nor Python's.
///
/// # Errors
/// The system's reason, usually `EAGAIN` or `ENOMEM`.
pub fn fork_as_sibling(proof: SingleThreaded) -> io::Result<Fork> {
    fork_with(proof, libc::CLONE_PARENT | libc::SIGCHLD)
}

/// Forks a child of the caller's own: for a zygote that is the init of a PID namespace, where
/// `CLONE_PARENT` is refused. Otherwise as [`fork_as_sibling`].
///
/// # Errors
/// The system's reason, usually `EAGAIN` or `ENOMEM`.
pub fn fork_as_child(proof: SingleThreaded) -> io::Result<Fork> {
    fork_with(proof, libc::SIGCHLD)
}

/// Forks a sibling that is the first process of a new PID namespace, in a new user namespace: the
/// kernel ends everything in it together with that process. The child is single-threaded, holds
/// every capability in its new user namespace, and has to give them up
/// ([`harden::give_up_capabilities`](crate::harden::give_up_capabilities)) before anything else.
///
/// # Errors
/// The system's reason: `EPERM` or `ENOSPC` where user namespaces are not granted.
pub fn fork_into_namespace(proof: SingleThreaded) -> io::Result<Fork> {
    let namespaces = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
    fork_with(proof, namespaces | libc::CLONE_PARENT | libc::SIGCHLD)
}

/// Whether [`fork_into_namespace`] works here: makes the namespaces once, with a process that ends
/// at once.
///
/// # Errors
/// The system's reason.
pub fn try_namespace(proof: SingleThreaded) -> io::Result<()> {
    let namespaces = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
    match fork_with(proof, namespaces | libc::SIGCHLD)? {
        Fork::Child(_) => sys::exit_now(0),
        Fork::Parent(pid) => Pidfd::open_child(pid)?.wait().map(drop),
    }
}

fn fork_with(proof: SingleThreaded, flags: libc::c_int) -> io::Result<Fork> {
    // libc caches the thread id at the address it gave the kernel; without the kernel's help
    // (CONFIG_CHECKPOINT_RESTORE) the child keeps the parent's, which only raise() of an old glibc
    // and owner checks of mutexes would notice.
    let tid_address = rustix::thread::get_clear_child_tid_address().ok().flatten();
    match sys::clone_process(&proof, flags, tid_address)? {
        0 => Ok(Fork::Child(proof)),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What a process used, as the kernel counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// Largest resident set, pages shared with the zygote included.
    pub max_rss_bytes: u64,
}

/// A reaped process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// How it ended.
    pub exit: Exit,
    /// What it used.
    pub usage: Usage,
}

/// A process held by descriptor, so that its number cannot come to mean another one. Readable (in
/// the sense of `poll`) once the process has ended.
#[derive(Debug)]
pub struct Pidfd {
    fd: OwnedFd,
    pid: i32,
}

impl Pidfd {
    /// Takes hold of a child of the calling process that has not been reaped yet. That it is one
    /// is checked, because the number comes from another process.
    ///
    /// # Errors
    /// `ECHILD` when the process is not a child of the caller, `ESRCH` when there is none.
    pub fn open_child(pid: i32) -> io::Result<Self> {
        let held = Self::open(pid)?;
        let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        sys::waitid_pidfd(held.fd.as_fd(), look)?;
        Ok(held)
    }

    /// Takes hold of any process.
    ///
    /// # Errors
    /// `ESRCH` when there is none, `InvalidInput` for a number that no process has.
    pub fn open(pid: i32) -> io::Result<Self> {
        // rustix asserts on negative numbers, and this one may come from another process
        let number = Pid::from_raw(pid.max(0)).ok_or(io::ErrorKind::InvalidInput)?;
        let fd = rustix::process::pidfd_open(number, PidfdFlags::empty())?;
        Ok(Self { fd, pid })
    }

    /// The process id, for `/proc` and for logs.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal by number. A process that has ended but not been reaped takes it silently.
    ///
    /// # Errors
    /// `ESRCH` when it has been reaped, `EINVAL` for an unknown signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(signal).ok_or(io::ErrorKind::InvalidInput)?;
        rustix::process::pidfd_send_signal(&self.fd, signal).map_err(Into::into)
    }

    /// Sends `SIGKILL`.
    ///
    /// # Errors
    /// `ESRCH` when it has been reaped.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Waits for the end and reaps.
    ///
    /// # Errors
    /// `ECHILD` when the process is not a child of the caller or was reaped.
    pub fn wait(&self) -> io::Result<Reaped> {
        loop {
            match self.reap(0) {
                Ok(Some(reaped)) => return Ok(reaped),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reaps if it has ended.
    ///
    /// # Errors
    /// `ECHILD` when the process is not a child of the caller or was reaped.
    pub fn try_wait(&self) -> io::Result<Option<Reaped>> {
        self.reap(libc::WNOHANG)
    }

    fn reap(&self, options: libc::c_int) -> io::Result<Option<Reaped>> {
        let options = options | libc::WEXITED | libc::__WALL;
        let waited = sys::waitid_pidfd(self.fd.as_fd(), options)?;
        Ok(waited.map(|waited| Reaped {
            exit: if waited.code == libc::CLD_EXITED {
                Exit::Code(waited.status)
            } else {
                Exit::Signal(waited.status)
            },
            usage: Usage {
                user: duration(waited.usage.ru_utime),
                system: duration(waited.usage.ru_stime),
                max_rss_bytes: u64::try_from(waited.usage.ru_maxrss).unwrap_or(0) << 10,
            },
        }))
    }
}

impl std::os::fd::AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// CPU time that all threads of a process have used so far.
///
/// # Errors
/// `ESRCH` when there is no such process (also once it is a reaped zombie).
pub fn cpu_time(pid: i32) -> io::Result<Duration> {
    let time = sys::process_cpu_time(pid)?;
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Ok(Duration::new(seconds, nanos))
}

fn duration(time: libc::timeval) -> Duration {
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
}
