//! The plugin's life as the core sees it: initialised or not, healthy or not,
//! and when it ends.
//!
//! **Invariant:** everything here is an atomic; nobody waits to learn whether
//! the plugin is healthy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use tokio::sync::watch;

/// Why the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The core's `Shutdown`: gone within a second.
    Asked,
    /// SIGINT or SIGTERM: what runs may end, for at most two seconds.
    Signal,
    /// The core that launched us is gone.
    Orphaned,
}

const NEVER: u8 = 0;
const GOOD: u8 = 1;
const FAILED: u8 = 2;

/// What health is made of.
#[derive(Debug)]
pub struct Life {
    under_way: AtomicU32,
    attempts: AtomicU64,
    last: AtomicU8,
    stopping: AtomicBool,
    stop: watch::Sender<Option<Stop>>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            under_way: AtomicU32::new(0),
            attempts: AtomicU64::new(0),
            last: AtomicU8::new(NEVER),
            stopping: AtomicBool::new(false),
            stop: watch::Sender::new(None),
        }
    }
}

impl Life {
    /// Whether the core may keep us: while `Initialize` runs and after it
    /// succeeded, never before the first one and never after `Shutdown`.
    #[must_use]
    pub fn healthy(&self) -> bool {
        let under_way = self.under_way.load(Ordering::Acquire) > 0;
        !self.stopping() && (under_way || self.initialised())
    }

    /// Whether the last `Initialize` succeeded and its answer went out.
    #[must_use]
    pub fn initialised(&self) -> bool {
        self.last.load(Ordering::Acquire) == GOOD
    }

    /// Whether the plugin has begun to end.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// One line for people.
    #[must_use]
    pub fn words(&self) -> &'static str {
        if self.stopping() {
            "shutting down"
        } else if self.under_way.load(Ordering::Acquire) > 0 {
            "initialising"
        } else {
            match self.last.load(Ordering::Acquire) {
                GOOD => "ready",
                NEVER => "not initialised",
                _ => "the last Initialize failed or was cancelled",
            }
        }
    }

    /// An `Initialize` begins. Unless [`Attempt::delivered`] is called, it
    /// counts as failed when the attempt is dropped.
    #[must_use]
    pub fn attempt(self: &Arc<Self>) -> Attempt {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        let number = self.attempts.fetch_add(1, Ordering::AcqRel) + 1;
        Attempt { life: Arc::clone(self), number, delivered: false }
    }

    /// Begins the end; the first reason stands.
    pub fn stop(&self, reason: Stop) {
        self.stopping.store(true, Ordering::Release);
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            if first {
                *stop = Some(reason);
            }
            first
        });
    }

    /// Waits for the beginning of the end.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.subscribe();
        match stop.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            // The sender is a part of `self`.
            Ok(None) | Err(_) => Stop::Asked,
        }
    }
}

/// One `Initialize`, from its arrival to its answer.
#[derive(Debug)]
pub struct Attempt {
    life: Arc<Life>,
    number: u64,
    delivered: bool,
}

impl Attempt {
    /// The answer goes out.
    pub fn delivered(mut self) {
        self.delivered = true;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Of several at once, the newest decides.
        if self.life.attempts.load(Ordering::Acquire) == self.number {
            let last = if self.delivered { GOOD } else { FAILED };
            self.life.last.store(last, Ordering::Release);
        }
        self.life.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_the_contracts_table() {
        let life = Arc::new(Life::default());
        assert!(!life.healthy(), "never initialised");
        let first = life.attempt();
        assert!(life.healthy(), "in progress");
        drop(first);
        assert!(!life.healthy(), "cancelled before the answer went out");
        life.attempt().delivered();
        assert!(life.healthy(), "initialised");
        let again = life.attempt();
        assert!(life.healthy(), "again in progress");
        drop(again);
        assert!(!life.healthy(), "the last one failed");
        life.attempt().delivered();
        life.stop(Stop::Asked);
        assert!(!life.healthy(), "shutdown received");
    }

    #[test]
    fn an_older_attempt_does_not_overrule_a_newer_one() {
        let life = Arc::new(Life::default());
        let (old, new) = (life.attempt(), life.attempt());
        new.delivered();
        drop(old);
        assert!(life.healthy());
    }
}
