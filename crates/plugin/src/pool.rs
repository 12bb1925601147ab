//! The spares of a tier, and those who wait for one.
//!
//! **Invariant:** a spare goes to who has waited longest, and nobody overtakes:
//! while somebody waits, no spare lies about.

use crate::demand::Demand;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Spares and waiting callers.
#[derive(Debug)]
pub struct Pool<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    spares: VecDeque<T>,
    waiting: VecDeque<oneshot::Sender<T>>,
    demand: Demand,
}

/// What a caller gets.
#[derive(Debug)]
pub enum Taken<T> {
    /// A spare; so many are left.
    Now(T, usize),
    /// The next that nobody before has a claim on.
    Later(oneshot::Receiver<T>),
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        let inner =
            Inner { spares: VecDeque::new(), waiting: VecDeque::new(), demand: Demand::default() };
        Self { inner: Mutex::new(inner) }
    }
}

impl<T> Pool<T> {
    /// A spare, or a place in the line.
    pub fn take(&self) -> Taken<T> {
        let mut inner = self.lock();
        inner.demand.arrival(Instant::now());
        // The youngest: what it and the zygote touched is in the processor's caches still.
        if let Some(spare) = inner.spares.pop_back() {
            return Taken::Now(spare, inner.spares.len());
        }
        let (sender, receiver) = oneshot::channel();
        inner.waiting.push_back(sender);
        Taken::Later(receiver)
    }

    /// Hands a spare to the first who waits, or keeps it, if `current` says
    /// under the lock that it is still wanted; else it is given back.
    pub fn offer(&self, mut spare: T, current: impl FnOnce() -> bool) -> Option<T> {
        let mut inner = self.lock();
        if !current() {
            return Some(spare);
        }
        while let Some(first) = inner.waiting.pop_front() {
            match first.send(spare) {
                Ok(()) => return None,
                // It gave up.
                Err(returned) => spare = returned,
            }
        }
        inner.spares.push_back(spare);
        None
    }

    /// A fork took this long until its child was warm.
    pub fn forked(&self, cost: Duration) {
        self.lock().demand.forked(cost);
    }

    /// How many spares there should be; see [`Demand`].
    pub fn target(&self, floor: usize, most: usize) -> usize {
        self.lock().demand.target(Instant::now(), floor, most)
    }

    /// Spares, and callers that wait.
    pub fn counts(&self) -> (usize, usize) {
        let mut inner = self.lock();
        inner.waiting.retain(|sender| !sender.is_closed());
        (inner.spares.len(), inner.waiting.len())
    }

    /// Spares that are ready.
    pub fn ready(&self) -> usize {
        self.lock().spares.len()
    }

    /// Takes the oldest spare out for good.
    pub fn shed(&self) -> Option<T> {
        self.lock().spares.pop_front()
    }

    /// Takes the spares out that are not `wanted`.
    pub fn retain(&self, wanted: impl Fn(&T) -> bool) -> VecDeque<T> {
        let mut inner = self.lock();
        let (kept, gone): (VecDeque<T>, _) =
            std::mem::take(&mut inner.spares).into_iter().partition(|s| wanted(s));
        inner.spares = kept;
        gone
    }

    /// Takes all spares out, and lets those who wait know.
    pub fn close(&self) -> VecDeque<T> {
        let mut inner = self.lock();
        inner.waiting.clear();
        std::mem::take(&mut inner.spares)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later<T: std::fmt::Debug>(pool: &Pool<T>) -> oneshot::Receiver<T> {
        match pool.take() {
            Taken::Later(receiver) => receiver,
            Taken::Now(spare, _) => panic!("there was {spare:?}"),
        }
    }

    #[test]
    fn those_who_wait_are_served_in_order_and_those_who_left_are_passed_over() {
        let pool = Pool::default();
        let (mut first, second, mut third) = (later(&pool), later(&pool), later(&pool));
        assert_eq!(pool.counts(), (0, 3));
        drop(second);
        assert_eq!(pool.counts(), (0, 2));
        for spare in 1..=3 {
            assert_eq!(pool.offer(spare, || true), None);
        }
        assert_eq!((first.try_recv(), third.try_recv()), (Ok(1), Ok(2)));
        assert!(matches!(pool.take(), Taken::Now(3, 0)));
    }

    #[test]
    fn what_is_not_wanted_any_more_comes_back() {
        let pool = Pool::default();
        assert_eq!(pool.offer(1, || false), Some(1));
        assert_eq!((pool.offer(2, || true), pool.offer(3, || true)), (None, None));
        assert_eq!(pool.retain(|spare| *spare > 2), [2]);
        assert_eq!((pool.ready(), pool.shed()), (1, Some(3)));
        let mut waiting = later(&pool);
        assert!(pool.close().is_empty());
        assert!(waiting.try_recv().is_err());
    }
}
