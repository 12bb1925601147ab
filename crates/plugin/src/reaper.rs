//! The end of a child: kill, wait, account, remove its scratch directory.
//!
//! **Invariant:** every child that was forked is reaped exactly once, however
//! its execution ended, also when the caller went away.

use crate::scratch::Scratch;
use proto::Limits;
use sandbox::cgroup::{Delegation, Group, GroupLimits};
use sandbox::process::{Exit, Pidfd, Reaped};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A living child: its process and its directory. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    inner: Option<Inner>,
    census: Arc<Census>,
}

#[derive(Debug)]
struct Inner {
    pidfd: Pidfd,
    scratch: Scratch,
    /// Where a cgroup is delegated: the child's own.
    group: Option<Group>,
}

/// Which children are alive or being reaped.
#[derive(Debug, Default)]
pub struct Census {
    pids: Mutex<HashSet<i32>>,
    /// In which each child gets a group of its own; `None` where none is delegated.
    groups: Mutex<Option<Arc<Delegation>>>,
    changed: tokio::sync::Notify,
}

impl Census {
    /// Waits until no child is left.
    pub async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            if self.alive() == 0 {
                return;
            }
            changed.await;
        }
    }

    /// Children alive or being reaped.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.pids().len()
    }

    /// Children nobody knows of: a zygote forked them and died before it could
    /// say so, or is about to say so.
    #[must_use]
    pub fn strangers(&self) -> HashSet<i32> {
        let us = std::process::id().to_string();
        let Ok(entries) = std::fs::read_dir("/proc") else { return HashSet::new() };
        let stranger = |entry: std::fs::DirEntry| {
            let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            let (head, tail) = stat.rsplit_once(") ")?;
            let mut fields = tail.split(' ');
            let zombie = fields.next()? == "Z";
            let ours = fields.next()? == us;
            // A zygote of ours that lives looks like a fork that was not renamed yet.
            let child = head.ends_with("(qntx:child") || zombie && head.ends_with("(qntx:zygote");
            (ours && child && !self.pids().contains(&pid)).then_some(pid)
        };
        entries.filter_map(Result::ok).filter_map(stranger).collect()
    }

    /// Ends and reaps those of `strangers` that are still unknown. Blocking.
    pub fn reap_strangers(&self, strangers: &HashSet<i32>) {
        for pid in self.strangers().intersection(strangers) {
            if let Ok(pidfd) = Pidfd::open_child(*pid) {
                tracing::info!(pid, "reaping a child nobody knew of");
                // Both fail only when it is gone.
                let _ = pidfd.kill();
                let _ = pidfd.wait();
            }
        }
    }

    /// Gives each child adopted from now on a group of its own; `None` ends that.
    pub fn enclose_in(&self, groups: Option<Arc<Delegation>>) {
        *self.groups.lock().unwrap_or_else(PoisonError::into_inner) = groups;
    }

    /// Where groups are made.
    #[must_use]
    pub fn groups(&self) -> Option<Arc<Delegation>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn pids(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a child that was left to end by itself did.
#[derive(Debug)]
pub struct Ended {
    pub reaped: Reaped,
    /// It was still there when the patience ran out, and was killed.
    pub by_us: bool,
}

impl Process {
    /// Takes charge of the child `pid`.
    pub fn adopt(pid: i32, scratch: Scratch, census: Arc<Census>) -> std::io::Result<Self> {
        let pidfd = Pidfd::open_child(pid)?;
        census.pids().insert(pid);
        Ok(Self { inner: Some(Inner { pidfd, scratch, group: None }), census })
    }

    /// Puts it into a group of its own under `limits`, where groups can be made. The kernel may
    /// take a while over it, so it is done on a thread that may wait.
    pub async fn enclose(&mut self, limits: &Limits) -> std::io::Result<()> {
        let (Some(groups), Some(inner)) = (self.census.groups(), self.inner.as_mut()) else {
            return Ok(());
        };
        let (pid, limits) = (inner.pidfd.pid(), group_limits(limits));
        let made = tokio::task::spawn_blocking(move || {
            let group = groups.make(limits)?;
            group.add(pid)?;
            Ok(group)
        });
        inner.group = Some(made.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))?);
        Ok(())
    }

    /// Sets the limits of its group, where they are others than before.
    pub fn limit(&mut self, limits: &Limits) -> std::io::Result<()> {
        match self.inner.as_mut().and_then(|inner| inner.group.as_mut()) {
            Some(group) => group.limit(group_limits(limits)),
            None => Ok(()),
        }
    }

    /// Whether the kernel killed in its group because the memory was used up.
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        let group = self.inner.as_ref().and_then(|inner| inner.group.as_ref());
        group.is_some_and(|group| group.oom_kills() > 0)
    }

    /// Its process id; 0 once it was handed over to be reaped.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.inner.as_ref().map_or(0, |inner| inner.pidfd.pid())
    }

    /// Its scratch directory.
    #[must_use]
    pub fn scratch(&self) -> Option<&std::path::Path> {
        self.inner.as_ref().map(|inner| inner.scratch.path())
    }

    /// Its scratch directory, with its quota.
    #[must_use]
    pub fn quota(&self) -> Option<&Scratch> {
        self.inner.as_ref().map(|inner| &inner.scratch)
    }

    /// Sends SIGKILL. The child is reaped when `self` is dropped.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        if let Some(inner) = &self.inner
            && let Err(error) = inner.pidfd.signal(signal)
            && error.raw_os_error() != Some(libc::ESRCH)
        {
            tracing::error!(pid = inner.pidfd.pid(), %error, signal, "a child could not be signalled");
        }
    }

    /// Waits for the end of a child that is ending by itself, for at most
    /// `patience`, then kills it.
    pub async fn ended(mut self, patience: Duration) -> Option<Ended> {
        let inner = self.inner.take()?;
        let census = Arc::clone(&self.census);
        let task = tokio::spawn(async move { reap(inner, patience, &census).await });
        task.await.ok().flatten()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        kill_inner(&inner);
        let census = Arc::clone(&self.census);
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => {
                handle.spawn(async move { reap(inner, Duration::ZERO, &census).await });
            }
            Err(_) => {
                // The runtime is gone: the process is ending, wait in place.
                let pid = inner.pidfd.pid();
                let _ = inner.pidfd.wait();
                drop(inner);
                leave(&census, pid);
            }
        }
    }
}

fn kill_inner(inner: &Inner) {
    if let Err(error) = inner.pidfd.kill()
        && error.raw_os_error() != Some(libc::ESRCH)
    {
        tracing::error!(pid = inner.pidfd.pid(), %error, "a child could not be killed");
    }
}

async fn reap(inner: Inner, patience: Duration, census: &Census) -> Option<Ended> {
    let Inner { pidfd, scratch, group } = inner;
    let pid = pidfd.pid();
    let mut by_us = false;
    let reaped = match crate::readiness::watch(pidfd) {
        Ok(pidfd) => {
            if tokio::time::timeout(patience, pidfd.readable()).await.is_err() {
                // Only a child that has not ended by itself is left here.
                by_us = true;
                let _ = pidfd.get_ref().kill();
                let _ = pidfd.readable().await;
            }
            pidfd.get_ref().wait()
        }
        Err(error) => Err(error),
    };
    drop(scratch);
    if let Some(group) = group {
        // It may have to wait until the kernel has let the last process go. It can't panic.
        let _ = tokio::task::spawn_blocking(move || drop(group)).await;
    }
    leave(census, pid);
    reaped
        .inspect_err(|error| tracing::error!(pid, %error, "a child could not be reaped"))
        .ok()
        .map(|reaped| Ended { reaped, by_us })
}

fn group_limits(limits: &Limits) -> GroupLimits {
    GroupLimits { memory_bytes: limits.memory_bytes, threads: limits.threads }
}

fn leave(census: &Census, pid: i32) {
    census.pids().remove(&pid);
    census.changed.notify_waiters();
}

/// The signal that ended a child, if one did.
#[must_use]
pub fn signal_of(exit: Exit) -> Option<i32> {
    match exit {
        Exit::Signal(signal) => Some(signal),
        Exit::Code(_) => None,
    }
}
