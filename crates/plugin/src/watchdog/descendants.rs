//! What the processes that an execution started use, all together.
//!
//! **Invariant:** read from `/proc` by the supervisor; a process that ends meanwhile counts
//! nothing, and what it had used counts with its parent.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The sums over all descendants.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Started {
    /// CPU time, that of descendants already reaped included.
    pub(super) cpu: Duration,
    /// Resident memory that no file backs. What a fork still shares with its parent counts in both.
    pub(super) memory: u64,
    pub(super) threads: u32,
}

/// What one line of `/proc/PID/stat` says.
struct Stat {
    parent: i32,
    own: u64,
    reaped: u64,
    threads: u32,
}

/// Of the descendants of `root`, which itself is not counted, except for what it reaped.
pub(super) fn of(root: i32) -> Started {
    let mut stats: HashMap<i32, Stat> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            && let Some(stat) = read(pid)
        {
            stats.insert(pid, stat);
        }
    }
    let mut sum = Started::default();
    let mut ticks = stats.get(&root).map_or(0, |stat| stat.reaped);
    let mut family = HashSet::from([root]);
    // Whoever is orphaned becomes a child of the first process of the namespace: the root.
    loop {
        let found: Vec<i32> = stats
            .iter()
            .filter(|(pid, stat)| family.contains(&stat.parent) && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if found.is_empty() {
            break;
        }
        for pid in found {
            family.insert(pid);
            if let Some(stat) = stats.get(&pid) {
                ticks += stat.own + stat.reaped;
                sum.threads = sum.threads.saturating_add(stat.threads);
            }
            if let Ok(memory) = sandbox::rlimit::memory_of(pid) {
                sum.memory += memory.resident.saturating_sub(memory.shared);
            }
        }
    }
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    sum.cpu = Duration::from_secs(ticks) / u32::try_from(per_second).unwrap_or(100);
    sum
}

/// The fields of proc_pid_stat(5) after the name: state is 3, ppid 4, utime to cstime 14 to 17,
/// num_threads 20.
fn read(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: number(14)? + number(15)?,
        reaped: number(16)? + number(17)?,
        threads: u32::try_from(number(20)?).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_process_counts_and_an_ended_one_does_not() {
        let own = i32::try_from(std::process::id()).expect("a process id");
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().expect("sleep");
        let seen = of(own);
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert!(seen.threads >= 1 && seen.memory > 0, "{seen:?}");
        assert!(of(own).threads < seen.threads);
    }
}
