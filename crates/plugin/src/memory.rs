//! Whether the machine has memory left for what is only convenient.
//!
//! **Invariant:** what can't be read counts as enough: a limit that is not
//! there does not stop anything.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is good for.
const FRESH: Duration = Duration::from_secs(1);
/// Of all memory, this part has to be left: one in ...
const LEFT: u64 = 20;

/// Reads the machine's memory, at most once a second.
#[derive(Debug, Default)]
pub struct Memory {
    last: Mutex<Option<(Instant, bool)>>,
}

impl Memory {
    /// Whether more than a twentieth is left, of the machine's memory and of the
    /// control group's.
    #[must_use]
    pub fn is_plenty(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, plenty)) = *last
            && when.elapsed() < FRESH
        {
            return plenty;
        }
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let machine = of_machine(&read("/proc/meminfo"));
        let group = of_group(
            &read("/sys/fs/cgroup/memory.max"),
            &read("/sys/fs/cgroup/memory.current"),
            &read("/sys/fs/cgroup/memory.stat"),
        );
        let plenty = [machine, group].into_iter().flatten().all(|(left, all)| left > all / LEFT);
        *last = Some((Instant::now(), plenty));
        plenty
    }
}

/// What is left and all there is, in KiB.
fn of_machine(meminfo: &str) -> Option<(u64, u64)> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((field("MemAvailable:")?, field("MemTotal:")?))
}

/// The same of a control group with a limit, in bytes. Cached files are given
/// back when the memory is wanted.
fn of_group(max: &str, current: &str, stat: &str) -> Option<(u64, u64)> {
    let max: u64 = max.trim().parse().ok()?;
    let current: u64 = current.trim().parse().ok()?;
    let cached = stat.lines().find_map(|line| line.strip_prefix("inactive_file "));
    let cached: u64 = cached.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    Some((max.saturating_sub(current.saturating_sub(cached)), max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let meminfo = "MemTotal:       24600000 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n";
        assert_eq!(of_machine(meminfo), Some((12_000_000, 24_600_000)));
        assert_eq!(of_machine(""), None);
        let stat = "anon 5\ninactive_file 100\n";
        assert_eq!(of_group("1000\n", "900\n", stat), Some((200, 1000)));
        assert_eq!(of_group("max\n", "900\n", stat), None);
        assert_eq!(of_group("", "", ""), None);
    }
}
