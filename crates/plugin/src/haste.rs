//! Whether the thread that sends a job gives its own core to it.
//!
//! Waking an idle core takes 50 to 250 µs, there and back, longer than a short program runs. While
//! one execution is all there is to do, the thread that sent the job waits for the result itself,
//! on the core that both of them are bound to meanwhile.
//!
//! **Invariant:** a thread waits at most [`LONGEST`] for an execution, and after some that took
//! longer, for one in [`RETRY`] only.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longest wait.
const LONGEST: Duration = Duration::from_micros(500);
/// How many long programs in a row are believed to be the rule.
const TRUST: u32 = 4;
/// One in so many is tried all the same.
const RETRY: u32 = 16;

/// What recent executions were like.
#[derive(Debug, Default)]
pub struct Haste {
    /// Long programs in a row.
    long: AtomicU32,
}

impl Haste {
    /// How long to wait for the next program, `running` of them being under way.
    #[must_use]
    pub fn patience(&self, running: usize) -> Duration {
        let long = self.long.load(Ordering::Relaxed);
        let idle = running <= 1 && crate::spare::cores() > 1;
        if idle && (long < TRUST || long.is_multiple_of(RETRY)) { LONGEST } else { Duration::ZERO }
    }

    /// A program was done within the wait, or was not.
    pub fn learn(&self, short: bool) {
        if short {
            self.long.store(0, Ordering::Relaxed);
        } else {
            self.long.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_programs_and_company_end_the_haste() {
        let haste = Haste::default();
        let alone = if crate::spare::cores() > 1 { LONGEST } else { Duration::ZERO };
        assert_eq!((haste.patience(1), haste.patience(2)), (alone, Duration::ZERO));
        (0..TRUST).for_each(|_| haste.learn(false));
        assert_eq!(haste.patience(1), Duration::ZERO);
        (TRUST..RETRY).for_each(|_| haste.learn(false));
        assert_eq!(haste.patience(1), alone);
        haste.learn(true);
        assert_eq!(haste.patience(1), alone);
    }
}
