//! What one execution may use. Every limit has a default; none is off.
//!
//! **Invariant:** a `Limits` is always within the bounds of [`Limits::ceiling`]
//! of the configuration it was made from; the request can't raise it further.

use std::time::Duration;

/// The limits of one execution (DESIGN 4).
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Wall clock from the start of the run. Default 30 s.
    pub wall: Duration,
    /// Memory beyond the interpreter's own, bytes. Default 1 GiB.
    pub memory_bytes: u64,
    /// stdout and stderr each, bytes. Default 8 MiB; the rest is dropped.
    pub output_bytes: usize,
    /// CPU time, all threads together. Default wall × cores.
    pub cpu: Option<Duration>,
    /// Threads, the interpreter's own included. Default 64.
    pub threads: u32,
    /// JSON of the result, bytes. Default 8 MiB.
    pub result_bytes: usize,
    /// Nesting of the result. Default 100.
    pub result_depth: u32,
    /// Scratch directory, bytes in sum. Default 256 MiB.
    pub scratch_bytes: u64,
    /// Scratch directory, files and directories. Default 10,000.
    pub scratch_files: u64,
    /// Host calls (`attest` …). Default 10,000.
    pub host_calls: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            memory_bytes: 1 << 30,
            output_bytes: 8 << 20,
            cpu: None,
            threads: 64,
            result_bytes: 8 << 20,
            result_depth: 100,
            scratch_bytes: 256 << 20,
            scratch_files: 10_000,
            host_calls: 10_000,
        }
    }
}

impl Limits {
    /// CPU time allowed on a machine with `cores` cores.
    #[must_use]
    pub fn cpu_time(&self, cores: u32) -> Duration {
        self.cpu.unwrap_or_else(|| self.wall.saturating_mul(cores.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_defaults_to_the_wall_clock_of_every_core() {
        let limits = Limits { wall: Duration::from_secs(3), ..Limits::default() };
        assert_eq!(limits.cpu_time(2), Duration::from_secs(6));
        let own = Limits { cpu: Some(Duration::from_secs(1)), ..limits };
        assert_eq!(own.cpu_time(2), Duration::from_secs(1));
    }
}
