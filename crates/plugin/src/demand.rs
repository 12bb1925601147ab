//! How many spares a tier should have: enough for what arrives while a fork
//! takes its time, and for another burst like the last ones.
//!
//! With λ arrivals a second and forks that take c seconds, λc arrive meanwhile,
//! give or take √(λc) (Little's law, Poisson arrivals). A burst is told by what
//! arrives within [`BURST`]; it is expected again for a minute or two.
//!
//! **Invariant:** pure arithmetic on what it is told; no clock of its own.

use std::time::{Duration, Instant};

/// Over what time the rate is an average.
const RATE: Duration = Duration::from_secs(2);
/// What arrives within this is a burst: forks can't follow.
const BURST: Duration = Duration::from_millis(10);
/// In this time the memory of a burst fades to a third.
const MEMORY: Duration = Duration::from_secs(30);
/// The cost of a fork before one was seen.
const COST: Duration = Duration::from_millis(3);
/// A cost above this was a stall, not a cost.
const STALL: Duration = Duration::from_millis(100);

/// What was seen of a tier's callers and forks.
#[derive(Debug, Clone)]
pub struct Demand {
    seen: Option<Instant>,
    /// Arrivals, those of long ago counting less.
    recent: f64,
    /// The same over [`BURST`].
    burst: f64,
    /// The largest burst, fading.
    peak: f64,
    /// Seconds from the order of a fork to a warm spare.
    cost: f64,
}

impl Default for Demand {
    fn default() -> Self {
        Self { seen: None, recent: 0.0, burst: 0.0, peak: 0.0, cost: COST.as_secs_f64() }
    }
}

impl Demand {
    /// Somebody took a spare, or wants one.
    pub fn arrival(&mut self, now: Instant) {
        self.fade(now);
        self.recent += 1.0;
        self.burst += 1.0;
        self.peak = self.peak.max(self.burst);
    }

    /// A fork took `cost` until its child was warm.
    pub fn forked(&mut self, cost: Duration) {
        self.cost += (cost.min(STALL).as_secs_f64() - self.cost) / 8.0;
    }

    /// How many spares there should be now, from `floor` to `most`.
    pub fn target(&mut self, now: Instant, floor: usize, most: usize) -> usize {
        self.fade(now);
        // What could not be had anyway need not be forgotten first.
        let bound = most as f64;
        self.peak = self.peak.min(bound);
        let meanwhile = self.recent / RATE.as_secs_f64() * self.cost;
        let steady = meanwhile + 2.0 * meanwhile.sqrt();
        let wanted = steady.max(self.peak).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative, and bounded in the next line"
        )]
        let wanted = wanted as usize;
        wanted.clamp(floor.min(most), most)
    }

    fn fade(&mut self, now: Instant) {
        let Some(seen) = self.seen.replace(now) else { return };
        let passed = now.saturating_duration_since(seen).as_secs_f64();
        let over = |time: Duration| (-passed / time.as_secs_f64()).exp();
        self.recent *= over(RATE);
        self.burst *= over(BURST);
        self.peak *= over(MEMORY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrivals of `rate` a second for `secs`; answers the end.
    fn paced(demand: &mut Demand, from: Instant, rate: u32, secs: u32) -> Instant {
        for n in 0..rate * secs {
            demand.arrival(from + Duration::from_secs(1) * n / rate);
        }
        from + Duration::from_secs(secs.into())
    }

    #[test]
    fn without_arrivals_it_is_the_floor() {
        let mut demand = Demand::default();
        assert_eq!(demand.target(Instant::now(), 2, 8), 2);
        assert_eq!(demand.target(Instant::now(), 9, 8), 8, "the cap holds over the floor");
    }

    #[test]
    fn it_follows_rate_and_cost() {
        let now = Instant::now();
        let mut slow = Demand::default();
        let end = paced(&mut slow, now, 20, 10);
        assert_eq!(slow.target(end, 1, 64), 1, "20 a second, 3 ms each");
        let mut fast = Demand::default();
        let end = paced(&mut fast, now, 1000, 10);
        let cheap = fast.target(end, 1, 64);
        for _ in 0..100 {
            fast.forked(Duration::from_millis(10));
        }
        let dear = fast.target(end, 1, 64);
        assert!((5..=12).contains(&cheap), "{cheap}");
        assert!((13..=24).contains(&dear), "{dear}");
    }

    #[test]
    fn a_burst_is_remembered_and_forgotten() {
        let now = Instant::now();
        let mut demand = Demand::default();
        for _ in 0..12 {
            demand.arrival(now);
        }
        let at = |secs| now + Duration::from_secs(secs);
        assert_eq!(demand.target(now, 2, 8), 8);
        assert_eq!(demand.target(at(10), 2, 16), 6);
        assert_eq!(demand.target(at(120), 2, 16), 2);
    }

    #[test]
    fn a_stall_is_not_taken_for_a_cost() {
        let mut demand = Demand::default();
        demand.forked(Duration::from_secs(60));
        assert!(demand.cost < 0.02, "{}", demand.cost);
    }
}
