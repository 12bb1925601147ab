//! Sessions: children that keep their globals between executions.
//!
//! A session begins with the first execution that names it. It ends when it
//! was idle too long, when more than the allowed number exist (the one unused
//! for longest goes), or with the execution that crashed it or ran over a
//! limit; then its name answers 410 once, and the next use begins a fresh one.
//!
//! **Invariant:** a session's child runs one execution at a time; the others
//! of its name wait for it, and no other caller ever gets it.

use crate::error::Rejected;
use crate::spare::Spare;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Idle time after which a session ends.
pub const IDLE: Duration = Duration::from_secs(15 * 60);
/// Most sessions at a time.
pub const MAX_SESSIONS: usize = 64;
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
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    used: Instant,
    executions: u64,
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
}

impl Sessions {
    /// Waits for the session of this name; begins it when there is none.
    pub async fn enter(&self, name: &str, patience: Duration) -> Result<Held, Rejected> {
        if name.is_empty() || name.len() > MAX_NAME {
            let reason = format!("`session` is a name of 1 to {MAX_NAME} bytes");
            return Err(Rejected::field("session", reason));
        }
        let session = self.find(name)?;
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

    fn find(&self, name: &str) -> Result<Arc<Session>, Rejected> {
        let mut evicted = None;
        let session = {
            let mut inner = self.lock();
            inner.ended.retain(|_, (when, _)| when.elapsed() < REMEMBERED);
            if let Some((_, reason)) = inner.ended.remove(name) {
                return Err(Rejected::SessionGone { session: name.to_owned(), reason });
            }
            if let Some(session) = inner.living.get(name) {
                return Ok(Arc::clone(session));
            }
            if inner.living.len() >= MAX_SESSIONS {
                let oldest = inner.living.iter().min_by_key(|(_, s)| s.seen().used);
                if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                    evicted = inner.living.remove(&oldest);
                    let reason = format!("{MAX_SESSIONS} others were used since");
                    inner.ended.insert(oldest, (Instant::now(), reason));
                }
            }
            let session = Arc::new(Session::new());
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

    /// Ends a session whose child is gone; its name answers why, once.
    pub fn lost(&self, held: Held, reason: String) {
        let mut inner = self.lock();
        if inner.living.get(&held.name).is_some_and(|now| Arc::ptr_eq(now, &held.session)) {
            inner.living.remove(&held.name);
            inner.ended.insert(held.name.clone(), (Instant::now(), reason));
        }
    }

    /// Ends the sessions that were idle too long.
    pub fn sweep(&self) {
        let mut idle = Vec::new();
        let mut inner = self.lock();
        let late = |session: &Arc<Session>| {
            session.seen().used.elapsed() > IDLE && Arc::strong_count(session) == 1
        };
        let names: Vec<String> = inner
            .living
            .iter()
            .filter(|(_, session)| late(session))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            idle.extend(inner.living.remove(&name));
            let reason = format!("it was idle for {} minutes", IDLE.as_secs() / 60);
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

impl Session {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            child: Arc::new(tokio::sync::Mutex::new(None)),
            began: now,
            seen: Mutex::new(Seen { used: now, executions: 0 }),
        }
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

    /// Gives the child back for the next execution.
    pub fn keep(mut self, mut child: Spare) {
        // The next execution's CPU time counts from here.
        child.baseline.cpu =
            sandbox::process::cpu_time(child.process.pid()).unwrap_or(child.baseline.cpu);
        *self.child = Some(child);
        let mut seen = self.session.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.used = Instant::now();
        seen.executions += 1;
    }
}
