//! Order statistics of a handful of timings.

use std::time::Duration;

/// Timings of one case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    micros: Vec<f64>,
}

impl Sample {
    /// Adds one timing.
    pub(crate) fn add(&mut self, elapsed: Duration) {
        self.micros.push(elapsed.as_secs_f64() * 1e6);
    }

    /// Adds those of another sample.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.micros.extend_from_slice(&other.micros);
    }

    /// The `q`-quantile in µs; NaN when nothing was measured.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (q * last as f64).round() as usize;
        sorted.get(index).copied().unwrap_or(f64::NAN)
    }

    /// How many timings there are.
    pub(crate) fn len(&self) -> usize {
        self.micros.len()
    }
}
