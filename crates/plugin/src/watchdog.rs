//! What the supervisor itself sees of a running child: memory, threads, CPU
//! time, scratch. Sets the kernel's limits at hand-over and looks after the
//! rest on a tick.
//!
//! **Invariant:** readings come from the kernel (`/proc`, the process's CPU
//! clock), never from the child.

mod descendants;

use crate::error::Fault;
use crate::reaper::Process;
use crate::scratch::Scratch;
use crate::spare::{Baseline, Spare, cores};
use descendants::Started;
use proto::Limits;
use std::time::Duration;

/// Between looks at a run that goes on.
pub const TICK: Duration = Duration::from_millis(50);
/// Scratch is walked on every n-th tick.
const SCRATCH_EVERY: u32 = 4;

/// A limit that was crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    Memory,
    Threads,
    Scratch,
    Cpu,
}

/// Watches one run.
#[derive(Debug)]
pub struct Watchdog {
    limits: Limits,
    cpu_limit: Duration,
    baseline: Baseline,
    peak_resident: u64,
    ticks: u32,
    /// Processes may have been started: what they use counts.
    tree: bool,
}

impl Watchdog {
    /// Sets the limits of the run on the waiting child.
    pub fn start(spare: &mut Spare, limits: &Limits) -> Result<Self, Fault> {
        spare
            .baseline
            .limit(spare.process.pid(), limits)
            .and_then(|()| {
                let quota =
                    |scratch: &Scratch| scratch.limit(limits.scratch_bytes, limits.scratch_files);
                spare.process.quota().map_or(Ok(()), quota)
            })
            .map_err(|source| Fault::System { what: "the child's limits can't be set", source })?;
        spare.process.limit(limits).map_err(|source| Fault::System {
            what: "the limits of the child's cgroup can't be set",
            source,
        })?;
        Ok(Self {
            limits: limits.clone(),
            cpu_limit: limits.cpu_time(cores()),
            baseline: spare.baseline.clone(),
            peak_resident: 0,
            ticks: 0,
            tree: spare.sealed.processes,
        })
    }

    /// Looks at the child once.
    pub async fn look(&mut self, process: &Process) -> Option<Excess> {
        let pid = process.pid();
        self.ticks = self.ticks.wrapping_add(1);
        if sandbox::trial::without(sandbox::trial::Layer::Watch) {
            return None;
        }
        let started = if self.tree { descendants::of(pid) } else { Started::default() };
        if self.cpu_used(process) + started.cpu > self.cpu_limit {
            return Some(Excess::Cpu);
        }
        // A mounted scratch is memory, and holds its own quota.
        let mounted = process.quota().and_then(Scratch::mounted);
        if let Ok(memory) = sandbox::rlimit::memory_of(pid) {
            self.peak_resident = self.peak_resident.max(memory.resident);
            let grown = memory.resident.saturating_sub(self.baseline.resident);
            // Page tables are neither resident nor data: reading one byte in every two
            // megabytes of a large reservation fills nothing but them.
            let held = mounted.map_or(0, |used| used.bytes);
            let used = grown + page_tables_of(pid) + started.memory + held;
            if used > self.limits.memory_bytes + slack(self.limits.memory_bytes) {
                return Some(Excess::Memory);
            }
        }
        let own = threads_of(pid).unwrap_or(0);
        if own.saturating_add(started.threads) > self.limits.threads {
            return Some(Excess::Threads);
        }
        if mounted.is_none()
            && self.ticks.is_multiple_of(SCRATCH_EVERY)
            && let Some(path) = process.scratch().map(std::path::Path::to_path_buf)
        {
            let most = self.limits.scratch_files;
            let walk = tokio::task::spawn_blocking(move || Scratch::contents(&path, most));
            if let Ok(contents) = walk.await
                && (contents.bytes > self.limits.scratch_bytes || contents.entries > most)
            {
                return Some(Excess::Scratch);
            }
        }
        None
    }

    /// CPU time of the run so far.
    #[must_use]
    pub fn cpu_used(&self, process: &Process) -> Duration {
        sandbox::process::cpu_time(process.pid())
            .map_or(Duration::ZERO, |now| self.since_start(now))
    }

    /// `total`, without what the child used before its job.
    #[must_use]
    pub fn since_start(&self, total: Duration) -> Duration {
        total.saturating_sub(self.baseline.cpu)
    }

    /// Whether `cpu` is (nearly) all the CPU time allowed.
    #[must_use]
    pub fn cpu_spent(&self, cpu: Duration) -> bool {
        cpu + Duration::from_millis(100) >= self.cpu_limit
    }

    /// Whether the child stands, or stood, at 90 % of its memory limit.
    #[must_use]
    pub fn near_memory_limit(&self, process: &Process) -> bool {
        let near = self.limits.memory_bytes / 10 * 9;
        let peak = peak_of(process.pid()).unwrap_or(0);
        let data = sandbox::rlimit::memory_of(process.pid()).map_or(0, |memory| memory.data);
        peak.saturating_sub(self.baseline.resident) >= near
            || data.saturating_sub(self.baseline.data) >= near
    }

    /// Whether a peak of resident memory is 90 % of the limit.
    #[must_use]
    pub fn peak_near_limit(&self, peak: u64) -> bool {
        peak.saturating_sub(self.baseline.resident) >= self.limits.memory_bytes / 10 * 9
    }

    /// Largest resident memory seen on a tick.
    #[must_use]
    pub fn peak_resident(&self) -> u64 {
        self.peak_resident
    }
}

/// Beyond the limit: the kernel's own (`RLIMIT_DATA`) is met by a `MemoryError`, and who handles it is
/// not killed for the rest: page tables, pages of libraries, room the heap had before.
fn slack(limit: u64) -> u64 {
    (1 << 20) + limit / 256
}

fn status_field(pid: i32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
}

fn threads_of(pid: i32) -> Option<u32> {
    status_field(pid, "Threads").and_then(|threads| u32::try_from(threads).ok())
}

/// Page tables in bytes (`VmPTE` of proc_pid_status(5)).
fn page_tables_of(pid: i32) -> u64 {
    status_field(pid, "VmPTE").map_or(0, |kib| kib.saturating_mul(1024))
}

/// Peak resident memory in bytes (`VmHWM` of proc_pid_status(5)).
fn peak_of(pid: i32) -> Option<u64> {
    status_field(pid, "VmHWM").map(|kib| kib.saturating_mul(1024))
}
