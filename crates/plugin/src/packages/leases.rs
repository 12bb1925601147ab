//! Which generations this process uses, so that nobody removes them.
//!
//! **Invariant:** a generation is let go of only when no execution and no
//! session that may have begun with it is left.

use super::place::{Lease, Place};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The generations in use.
#[derive(Debug, Default)]
pub struct Leases {
    held: Mutex<Vec<Held>>,
}

#[derive(Debug)]
struct Held {
    place: Place,
    generation: u64,
    users: usize,
    /// When the last user went, and when what it began is over.
    released: Instant,
    until: Instant,
    _lease: Lease,
}

/// One use of a generation.
#[derive(Debug)]
pub struct Kept {
    leases: Arc<Leases>,
    place: Place,
    generation: u64,
    linger: Duration,
}

impl Leases {
    /// Keeps a generation from being removed until `linger` after the answer
    /// is dropped. An error: it is not there any more.
    pub fn hold(
        self: &Arc<Self>,
        place: &Place,
        generation: u64,
        linger: Duration,
    ) -> io::Result<Kept> {
        let mut held = self.held();
        let same = |held: &&mut Held| held.generation == generation && held.place == *place;
        if let Some(held) = held.iter_mut().find(same) {
            held.users += 1;
        } else {
            let now = Instant::now();
            held.push(Held {
                place: place.clone(),
                generation,
                users: 1,
                released: now,
                until: now,
                _lease: place.lease(generation)?,
            });
        }
        drop(held);
        Ok(Kept { leases: Arc::clone(self), place: place.clone(), generation, linger })
    }

    /// Lets go of what nobody uses. `oldest` is the age of the oldest session:
    /// one that began before a generation's last user went may use it still.
    pub fn sweep(&self, oldest: Option<Duration>) {
        let now = Instant::now();
        self.held().retain(|held| {
            let session = oldest.is_some_and(|age| age > now.duration_since(held.released));
            held.users > 0 || held.until > now || session
        });
    }

    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether it is this generation that is kept.
    #[must_use]
    pub fn is(&self, place: &Place, generation: u64) -> bool {
        self.generation == generation && self.place == *place
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut held = self.leases.held();
        let same =
            |held: &&mut Held| held.generation == self.generation && held.place == self.place;
        if let Some(held) = held.iter_mut().find(same) {
            held.users = held.users.saturating_sub(1);
            held.released = Instant::now();
            held.until = held.until.max(held.released + self.linger);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::Policy;
    use crate::packages::generation::Manifest;

    #[test]
    fn a_generation_is_kept_while_an_execution_or_a_session_may_use_it() {
        let home = tempfile::tempdir().unwrap();
        let policy = Policy { home: Some(home.path().to_owned()), ..Policy::default() };
        let place = Place::of(&policy, "default").unwrap();
        place.make().unwrap();
        let lock = place.try_lock().unwrap().unwrap();
        for _ in 0..2 {
            place.commit(&lock, place.stage(&lock).unwrap(), Manifest::default()).unwrap();
        }
        let none = Policy { keep: 0, ..policy };
        let there = |place: &Place| {
            place.prune(&lock, &none);
            place.manifest(1).is_ok()
        };
        let leases = Arc::new(Leases::default());
        let (first, second) = (
            leases.hold(&place, 1, Duration::ZERO).unwrap(),
            leases.hold(&place, 1, Duration::ZERO).unwrap(),
        );
        drop(first);
        leases.sweep(None);
        assert!(there(&place), "the second user is left");
        drop(second);
        leases.sweep(Some(Duration::from_secs(60)));
        assert!(there(&place), "a session that began before may use it");
        leases.sweep(Some(Duration::ZERO));
        assert!(!there(&place));
        assert!(leases.hold(&place, 1, Duration::ZERO).is_err(), "it is gone");
    }
}
