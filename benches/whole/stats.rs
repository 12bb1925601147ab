//! Order statistics of a handful of timings.

use serde_json::{Value, json};
use std::time::Duration;

/// The quantiles that the results file keeps of a sample, for the plots.
const KEPT: [f64; 11] = [0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

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
        at(&sorted, q)
    }

    /// The median in µs.
    pub(crate) fn p50(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The 99th percentile in µs.
    pub(crate) fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// How many timings there are.
    pub(crate) fn len(&self) -> usize {
        self.micros.len()
    }

    /// `[[quantile, µs], …]` for the results file.
    pub(crate) fn quantiles(&self) -> Value {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        KEPT.iter().map(|q| json!([q, at(&sorted, *q)])).collect()
    }
}

fn at(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (q * last as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The slope of a straight line through `points`, by least squares.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (mx, my) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (num, den) = points.iter().fold((0.0, 0.0), |(num, den), (x, y)| {
        (num + (x - mx) * (y - my), den + (x - mx) * (x - mx))
    });
    num / den
}
