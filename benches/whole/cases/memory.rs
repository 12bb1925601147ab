//! What the processes hold, as root reads it from the kernel.

use super::Bed;
use crate::report::{Budget, Row};
use anyhow::{Context, Result};

const GROUP: &str = "Memory";
const MIB: f64 = 1024.0;

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    if !bed.wants(GROUP, "idle spare") {
        return Ok(Vec::new());
    }
    super::settle().await;
    let mut spares: Vec<f64> = descendants(bed.plugin.pid())?
        .into_iter()
        .filter(|process| process.name == "qntx:child")
        .filter_map(|process| kib(process.pid, "smaps_rollup", "Pss:"))
        .map(|kib| kib / MIB)
        .collect();
    spares.sort_by(f64::total_cmp);
    let most = spares.last().copied().context("no idle spare whose memory can be read")?;
    let mean = spares.iter().sum::<f64>() / spares.len() as f64;
    let budget = Some(Budget::ValueAtMost(3.0));
    let mut rows = vec![
        Row::figure(GROUP, "idle spare, PSS, the largest of all tiers", most, "MiB", budget),
        Row::figure(GROUP, format!("idle spare, PSS, mean of {}", spares.len()), mean, "MiB", None),
    ];
    let supervisor = kib(bed.plugin.pid(), "smaps_rollup", "Pss:").unwrap_or(f64::NAN) / MIB;
    rows.push(Row::figure(GROUP, "supervisor, PSS", supervisor, "MiB", None));
    for process in descendants(bed.plugin.pid())? {
        if process.name == "qntx:zygote"
            && let Some(kib) = kib(process.pid, "smaps_rollup", "Pss:")
        {
            let name = format!("zygote {}, PSS", rows.len() - 2);
            rows.push(Row::figure(GROUP, name, kib / MIB, "MiB", None));
        }
    }
    Ok(rows)
}

/// A process below the plugin's.
#[derive(Debug)]
pub(crate) struct Below {
    pub(crate) pid: u32,
    pub(crate) name: String,
}

/// The processes whose parent is `pid`.
pub(crate) fn descendants(pid: u32) -> Result<Vec<Below>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let parent = tail.split_whitespace().nth(1).and_then(|parent| parent.parse().ok());
        if parent == Some(pid) {
            let name = head.split_once('(').map_or("", |(_, name)| name).to_owned();
            found.push(Below { pid: child, name });
        }
    }
    Ok(found)
}

/// One figure in KiB of a file below `/proc/PID`.
pub(crate) fn kib(pid: u32, file: &str, label: &str) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Lets the kernel measure the peak anew.
pub(crate) fn reset_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")
        .with_context(|| format!("the peak memory of {pid} can't be reset"))
}

/// The most memory resident since [`reset_peak`], in MiB.
pub(crate) fn peak(pid: u32) -> Result<f64> {
    kib(pid, "status", "VmHWM:").map(|kib| kib / MIB).context("no VmHWM")
}
