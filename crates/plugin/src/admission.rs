//! Slots and the queue in front of them.
//!
//! Interactive calls and jobs share the slots; some slots are never given to
//! jobs. Within a class the order is first come, first served.
//!
//! **Invariant:** at most `max_concurrency` permits exist, at most `max_queue`
//! callers wait, and nobody waits longer than its queue time-out.

use crate::error::Rejected;
use crate::request::Class;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives out slots.
#[derive(Debug)]
pub struct Admission {
    slots: Arc<Semaphore>,
    job_slots: Arc<Semaphore>,
    sizes: Mutex<Sizes>,
    max_queue: AtomicUsize,
    queued: AtomicUsize,
    running: Arc<AtomicUsize>,
}

/// How many permits there are.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    all: usize,
    jobs: usize,
}

impl Sizes {
    fn new(max_concurrency: usize, reserve: usize) -> Self {
        let all = max_concurrency.max(1);
        Self { all, jobs: all.saturating_sub(reserve).max(1) }
    }
}

/// A slot; given back on drop.
#[derive(Debug)]
pub struct Slot {
    _slot: OwnedSemaphorePermit,
    _job: Option<OwnedSemaphorePermit>,
    running: Arc<AtomicUsize>,
}

impl Admission {
    /// `max_concurrency` slots, of which `reserve` are for interactive calls alone.
    #[must_use]
    pub fn new(max_concurrency: usize, reserve: usize, max_queue: usize) -> Self {
        let sizes = Sizes::new(max_concurrency, reserve);
        Self {
            slots: Arc::new(Semaphore::new(sizes.all)),
            job_slots: Arc::new(Semaphore::new(sizes.jobs)),
            sizes: Mutex::new(sizes),
            max_queue: AtomicUsize::new(max_queue),
            queued: AtomicUsize::new(0),
            running: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// A slot, at once or after waiting at most `patience`.
    pub async fn enter(&self, class: Class, patience: Duration) -> Result<Slot, Rejected> {
        if class == Class::Interactive
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            return Ok(self.slot(slot, None));
        }
        let waiting = Waiting::join(self)?;
        let wait = async {
            let job = match class {
                Class::Job => Some(Arc::clone(&self.job_slots).acquire_owned().await),
                Class::Interactive => None,
            };
            (Arc::clone(&self.slots).acquire_owned().await, job)
        };
        let answer = tokio::time::timeout(patience, wait).await;
        drop(waiting);
        match answer {
            Ok((Ok(slot), None)) => Ok(self.slot(slot, None)),
            Ok((Ok(slot), Some(Ok(job)))) => Ok(self.slot(slot, Some(job))),
            Ok((Err(_), _) | (_, Some(Err(_)))) => Err(Rejected::ShuttingDown),
            Err(_) => Err(self.busy()),
        }
    }

    /// Changes the numbers; slots that are taken away are taken as they become
    /// free.
    pub fn resize(&self, max_concurrency: usize, reserve: usize, max_queue: usize) {
        let new = Sizes::new(max_concurrency, reserve);
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        grow(&self.slots, sizes.all, new.all);
        grow(&self.job_slots, sizes.jobs, new.jobs);
        *sizes = new;
        self.max_queue.store(max_queue, Ordering::Relaxed);
    }

    /// Nobody gets a slot any more.
    pub fn close(&self) {
        self.slots.close();
        self.job_slots.close();
    }

    /// Executions that hold a slot.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Callers waiting for one.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    fn slot(&self, slot: OwnedSemaphorePermit, job: Option<OwnedSemaphorePermit>) -> Slot {
        self.running.fetch_add(1, Ordering::Relaxed);
        Slot { _slot: slot, _job: job, running: Arc::clone(&self.running) }
    }

    fn busy(&self) -> Rejected {
        Rejected::Busy {
            running: self.running(),
            queued: self.queued().min(self.max_queue.load(Ordering::Relaxed)),
            retry_after: Duration::from_secs(1),
        }
    }
}

fn grow(slots: &Arc<Semaphore>, old: usize, new: usize) {
    if new >= old {
        slots.add_permits(new - old);
        return;
    }
    let taken = slots.forget_permits(old - new);
    let left = u32::try_from(old - new - taken).unwrap_or(u32::MAX);
    if left > 0 {
        let slots = Arc::clone(slots);
        tokio::spawn(async move {
            if let Ok(permits) = slots.acquire_many_owned(left).await {
                permits.forget();
            }
        });
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(admission: &'a Admission) -> Result<Self, Rejected> {
        let before = admission.queued.fetch_add(1, Ordering::Relaxed);
        let place = Self(&admission.queued);
        if before >= admission.max_queue.load(Ordering::Relaxed) {
            Err(admission.busy())
        } else {
            Ok(place)
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_long_wait_gives_up() {
        let admission = Admission::new(1, 0, 1);
        let held = admission.enter(Class::Interactive, Duration::ZERO).await.expect("a slot");
        let patience = Duration::from_millis(30);
        let (first, second) = tokio::join!(
            admission.enter(Class::Interactive, patience),
            admission.enter(Class::Interactive, patience),
        );
        assert!(matches!(first, Err(Rejected::Busy { .. })));
        assert!(matches!(second, Err(Rejected::Busy { .. })));
        assert_eq!((admission.running(), admission.queued()), (1, 0));
        drop(held);
        assert!(admission.enter(Class::Interactive, Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn slots_can_be_taken_away_while_they_are_held() {
        let admission = Admission::new(2, 0, 8);
        let first = admission.enter(Class::Interactive, Duration::ZERO).await.expect("a slot");
        let second = admission.enter(Class::Interactive, Duration::ZERO).await.expect("a slot");
        admission.resize(1, 0, 8);
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        let patience = Duration::from_millis(20);
        assert!(admission.enter(Class::Interactive, patience).await.is_err());
        drop(second);
        assert!(admission.enter(Class::Interactive, patience).await.is_ok());
    }

    #[tokio::test]
    async fn jobs_leave_slots_for_interactive_calls() {
        let admission = Admission::new(2, 1, 8);
        let _job = admission.enter(Class::Job, Duration::from_secs(1)).await.expect("a slot");
        let second = admission.enter(Class::Job, Duration::from_millis(20)).await;
        assert!(matches!(second, Err(Rejected::Busy { .. })));
        assert!(admission.enter(Class::Interactive, Duration::ZERO).await.is_ok());
    }
}
