//! Sessions: children that keep their globals between executions.
//!
//! A session begins with the first execution that names it. It ends when it
//! was idle too long, when more than the allowed number exist or together they
//! hold more than the allowed memory (the one unused for longest goes), or with
//! the execution that crashed it or ran over a limit; then its name answers 410
//! once, and the next use begins a fresh one.
//!
//! An execution in a session can be interrupted: Python raises
//! `KeyboardInterrupt` where the program is, and the session stays. A program
//! that does not end then is killed after a grace, and its session with it.
//!
//! **Invariant:** a session's child runs one execution at a time; the others
//! of its name wait for it, and no other caller ever gets it.

use crate::config::Config;
use crate::error::Rejected;
use crate::spare::Spare;
use crate::tiers::Environment;
use sandbox::process::Pidfd;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Longest name.
const MAX_NAME: usize = 200;
/// How long the reason of a session's end is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The sessions of this process.
#[derive(Debug, Default)]
pub struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    living: HashMap<String, Arc<Session>>,
    /// Why a session ended, until its name is used again.
    ended: HashMap<String, (Instant, String)>,
}

/// One session.
#[derive(Debug)]
struct Session {
    child: Arc<tokio::sync::Mutex<Option<Spare>>>,
    began: Instant,
    seen: Mutex<Seen>,
    /// The profile and the environment it began with.
    kind: (String, Option<Environment>),
    running: Mutex<Option<Running>>,
    ended: Notify,
    /// It was killed over an interrupt.
    overdue: AtomicBool,
}

/// The execution under way.
#[derive(Debug)]
struct Running {
    pidfd: Pidfd,
    execution: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    used: Instant,
    executions: u64,
    /// What it holds beyond a fresh child's.
    memory: u64,
}

/// What came of an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// Nothing ran.
    Idle,
    /// The execution ended; the session is there.
    Stopped,
    /// It was killed after the grace, and the session is gone.
    Killed,
}

/// A session while one execution has it.
#[derive(Debug)]
pub struct Held {
    child: tokio::sync::OwnedMutexGuard<Option<Spare>>,
    session: Arc<Session>,
    name: String,
}

/// What `GET /sessions` shows of one.
#[derive(Debug, Clone)]
pub struct View {
    pub name: String,
    pub age: Duration,
    pub idle: Duration,
    pub executions: u64,
    /// Bytes it holds beyond a fresh child's.
    pub memory: u64,
    pub running: bool,
}

impl Sessions {
    /// Waits for the session of this name; begins it when there is none, with
    /// this profile and environment.
    pub async fn enter(
        &self,
        name: &str,
        kind: (String, Option<Environment>),
        patience: Duration,
        config: &Config,
    ) -> Result<Held, Rejected> {
        if name.is_empty() || name.len() > MAX_NAME {
            let reason = format!("`session` is a name of 1 to {MAX_NAME} bytes");
            return Err(Rejected::field("session", reason));
        }
        let session = self.find(name, &kind, config)?;
        if !goes_on(&session.kind, &kind) {
            return Err(Rejected::field(
                "session",
                format!("session `{name}` began with another profile or environment"),
            ));
        }
        let lock = tokio::time::timeout(patience, Arc::clone(&session.child).lock_owned()).await;
        let Ok(child) = lock else {
            return Err(Rejected::Busy {
                running: 1,
                queued: 1,
                retry_after: Duration::from_secs(1),
            });
        };
        // It may have ended while it was waited for, or its last execution was dropped half-way.
        let dropped = child.is_none() && session.seen().executions > 0;
        let mut inner = self.lock();
        if !inner.living.get(name).is_some_and(|now| Arc::ptr_eq(now, &session)) {
            let ended = inner.ended.remove(name);
            let reason = ended.map_or_else(|| "it was ended".to_owned(), |(_, reason)| reason);
            return Err(Rejected::SessionGone { session: name.to_owned(), reason });
        }
        if dropped {
            inner.living.remove(name);
            let reason = "its last execution was cancelled".to_owned();
            return Err(Rejected::SessionGone { session: name.to_owned(), reason });
        }
        drop(inner);
        Ok(Held { child, session, name: name.to_owned() })
    }

    fn find(
        &self,
        name: &str,
        kind: &(String, Option<Environment>),
        config: &Config,
    ) -> Result<Arc<Session>, Rejected> {
        let most = config.max_sessions.max(1);
        let mut evicted = Vec::new();
        let session = {
            let mut inner = self.lock();
            inner.ended.retain(|_, (when, _)| when.elapsed() < REMEMBERED);
            if let Some((_, reason)) = inner.ended.remove(name) {
                return Err(Rejected::SessionGone { session: name.to_owned(), reason });
            }
            if let Some(session) = inner.living.get(name) {
                return Ok(Arc::clone(session));
            }
            while inner.living.len() >= most {
                let reason = format!("{most} others were used since");
                evicted.extend(inner.evict(reason, |_| true));
            }
            let session = Arc::new(Session::new(kind.clone()));
            inner.living.insert(name.to_owned(), Arc::clone(&session));
            session
        };
        drop(evicted);
        Ok(session)
    }

    /// Ends a session; false when there is none of this name. An execution
    /// that is under way in it goes on to its end.
    pub fn end(&self, name: &str) -> bool {
        self.lock().living.remove(name).is_some()
    }

    /// Raises `KeyboardInterrupt` in the execution that runs in a session, and
    /// kills it when it has not ended after `grace`.
    pub async fn interrupt(&self, name: &str, grace: Duration) -> Result<Interrupted, Rejected> {
        let session = {
            let inner = self.lock();
            let gone = |reason: &str| {
                let (session, reason) = (name.to_owned(), reason.to_owned());
                Rejected::SessionGone { session, reason }
            };
            match (inner.living.get(name), inner.ended.get(name)) {
                (Some(session), _) => Arc::clone(session),
                (None, Some((_, reason))) => return Err(gone(reason)),
                (None, None) => return Err(gone("there is none of this name")),
            }
        };
        let Some(execution) = session.signal(libc::SIGINT, None) else {
            return Ok(Interrupted::Idle);
        };
        if tokio::time::timeout(grace, session.over(execution)).await.is_ok() {
            return Ok(Interrupted::Stopped);
        }
        session.overdue.store(true, Ordering::Release);
        if session.signal(libc::SIGKILL, Some(execution)).is_none() {
            // It ended at the last moment.
            session.overdue.store(false, Ordering::Release);
            return Ok(Interrupted::Stopped);
        }
        session.over(execution).await;
        Ok(Interrupted::Killed)
    }

    /// Gives the child back for the next execution, and ends others when all
    /// together hold too much memory.
    pub fn keep(&self, held: Held, child: Spare, config: &Config) {
        held.put_back(child);
        let mut evicted = Vec::new();
        {
            let mut inner = self.lock();
            let held = |inner: &Inner| {
                inner.living.values().map(|session| session.seen().memory).sum::<u64>()
            };
            while held(&inner) > config.session_memory {
                let most = crate::api::outcome::bytes(config.session_memory);
                let reason = format!("sessions held more than {most}, and it was unused longest");
                match inner.evict(reason, |session| session.seen().memory > 0) {
                    Some(session) => evicted.push(session),
                    None => break,
                }
            }
        }
        drop(evicted);
    }

    /// Ends a session whose child is gone; its name answers why, once.
    pub fn lost(&self, held: Held, reason: String) {
        let overdue = held.session.overdue.load(Ordering::Acquire);
        let reason = if overdue {
            "it was killed: it did not stop when interrupted".to_owned()
        } else {
            reason
        };
        let mut inner = self.lock();
        if inner.living.get(&held.name).is_some_and(|now| Arc::ptr_eq(now, &held.session)) {
            inner.living.remove(&held.name);
            inner.ended.insert(held.name.clone(), (Instant::now(), reason));
        }
    }

    /// Ends the sessions that were idle too long.
    pub fn sweep(&self, most: Duration) {
        let mut idle = Vec::new();
        let mut inner = self.lock();
        let late = |session: &Arc<Session>| {
            session.seen().used.elapsed() > most && Arc::strong_count(session) == 1
        };
        let names: Vec<String> = inner
            .living
            .iter()
            .filter(|(_, session)| late(session))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            idle.extend(inner.living.remove(&name));
            let reason = format!("it was idle for more than {} s", most.as_secs());
            inner.ended.insert(name, (Instant::now(), reason));
        }
        drop(inner);
        drop(idle);
    }

    /// Ends all.
    pub fn clear(&self) {
        let all = std::mem::take(&mut self.lock().living);
        drop(all);
    }

    /// What there is, by name.
    #[must_use]
    pub fn view(&self) -> Vec<View> {
        let mut views: Vec<View> = self
            .lock()
            .living
            .iter()
            .map(|(name, session)| {
                let seen = session.seen();
                View {
                    name: name.clone(),
                    age: session.began.elapsed(),
                    idle: seen.used.elapsed(),
                    executions: seen.executions,
                    memory: seen.memory,
                    running: session.running().is_some(),
                }
            })
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Ends the session unused for longest of those that `may` go.
    fn evict(&mut self, reason: String, may: impl Fn(&Session) -> bool) -> Option<Arc<Session>> {
        let living = self.living.iter().filter(|(_, session)| may(session));
        let oldest = living.min_by_key(|(_, session)| session.seen().used)?.0.clone();
        let session = self.living.remove(&oldest);
        self.ended.insert(oldest, (Instant::now(), reason));
        session
    }
}

/// Whether an execution of kind `asked` may go on in a session that began as
/// `began`: in the generation it began with, whichever is current by now.
fn goes_on(began: &(String, Option<Environment>), asked: &(String, Option<Environment>)) -> bool {
    let name = |environment: &Option<Environment>| environment.as_ref().map(|e| e.name.clone());
    began.0 == asked.0 && (asked.1.is_none() || name(&began.1) == name(&asked.1))
}

impl Session {
    fn new(kind: (String, Option<Environment>)) -> Self {
        let now = Instant::now();
        Self {
            child: Arc::new(tokio::sync::Mutex::new(None)),
            began: now,
            seen: Mutex::new(Seen { used: now, executions: 0, memory: 0 }),
            kind,
            running: Mutex::new(None),
            ended: Notify::new(),
            overdue: AtomicBool::new(false),
        }
    }

    /// Sends a signal to the execution under way, if it is this one; answers
    /// which it was.
    fn signal(&self, signal: i32, execution: Option<u64>) -> Option<u64> {
        let running = self.running();
        let running = running.as_ref()?;
        if execution.is_some_and(|execution| execution != running.execution) {
            return None;
        }
        // It fails only when the child is gone, and then the run is about to end.
        let _ = running.pidfd.signal(signal);
        Some(running.execution)
    }

    /// Waits until this execution is over.
    async fn over(&self, execution: u64) {
        loop {
            let ended = self.ended.notified();
            if self.running().as_ref().is_none_or(|running| running.execution != execution) {
                return;
            }
            ended.await;
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The child, when the session has begun.
    pub fn take(&mut self) -> Option<Spare> {
        self.child.take()
    }

    /// From now on `execution` can be interrupted.
    pub fn begin(&self, execution: u64, pid: i32) {
        // Without a descriptor of its own, it just can't be.
        let running = Pidfd::open(pid).ok().map(|pidfd| Running { pidfd, execution });
        *self.session.running() = running;
    }

    /// Gives the child back for the next execution.
    fn put_back(mut self, mut child: Spare) {
        let pid = child.process.pid();
        // The next execution's CPU time counts from here.
        child.baseline.cpu = sandbox::process::cpu_time(pid).unwrap_or(child.baseline.cpu);
        let resident = sandbox::rlimit::memory_of(pid).map_or(0, |memory| memory.resident);
        let memory = resident.saturating_sub(child.baseline.resident);
        *self.child = Some(child);
        let mut seen = self.session.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.used = Instant::now();
        seen.executions += 1;
        seen.memory = memory;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.session.running() = None;
        self.session.ended.notify_waiters();
    }
}
