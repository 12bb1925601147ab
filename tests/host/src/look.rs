//! What the kernel says about a process: its descendants, what they hold, its
//! connections.
//!
//! **Invariant:** nothing is asked of the process itself.

use anyhow::Context as _;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// The descendants of `pid`, zombies left out.
pub fn family(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // it may have ended since
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let after = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after.split_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        if state != Some("Z")
            && let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok())
        {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.remove(0);
    Ok(found)
}

/// Whether it is gone; a zombie is.
#[must_use]
pub fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
}

/// What its descriptors lead to, by number: `pipe:[1234]`, `socket:[5678]`, a path.
pub fn descriptors(pid: u32) -> anyhow::Result<Vec<(i32, PathBuf)>> {
    let directory = format!("/proc/{pid}/fd");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&directory).with_context(|| directory.clone())? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // closed since the directory was read
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        found.push((number.context("no number")?, target));
    }
    Ok(found)
}

/// One line of `/proc/net/tcp`.
#[derive(Debug)]
struct Row {
    local: u16,
    remote: u16,
    state: u8,
    inode: String,
}

fn sockets() -> anyhow::Result<Vec<Row>> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let port = |text: &str| u16::from_str_radix(text.rsplit(':').next().unwrap_or_default(), 16);
    let mut rows = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, _, _, _, _, _, inode, ..] = fields.as_slice() else {
            continue;
        };
        let state = u8::from_str_radix(state, 16)?;
        let (local, remote) = (port(local)?, port(remote)?);
        rows.push(Row { local, remote, state, inode: (*inode).to_owned() });
    }
    Ok(rows)
}

const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

/// The local ports of the connections that lead to `port`.
pub fn connections_to(port: u16) -> anyhow::Result<BTreeSet<u16>> {
    let mut rows = sockets()?;
    rows.retain(|row| row.remote == port && row.state == ESTABLISHED);
    Ok(rows.into_iter().map(|row| row.local).collect())
}

/// The listening socket at `port`, as a descriptor shows it.
pub fn listener(port: u16) -> anyhow::Result<PathBuf> {
    let row = sockets()?.into_iter().find(|row| row.local == port && row.state == LISTEN);
    Ok(PathBuf::from(format!("socket:[{}]", row.context("nobody listens there")?.inode)))
}

/// Copies of the descriptors of `pid` for the connections that came in at `port`.
pub fn accepted(pid: u32, port: u16) -> anyhow::Result<Vec<OwnedFd>> {
    let mut rows = sockets()?;
    rows.retain(|row| row.local == port && row.state == ESTABLISHED);
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("no pid")?;
    let process = rustix::process::pidfd_open(raw, rustix::process::PidfdFlags::empty())?;
    let mut copies = Vec::new();
    for (number, target) in descriptors(pid)? {
        let name = target.to_str().unwrap_or_default();
        let inode = name.strip_prefix("socket:[").and_then(|name| name.strip_suffix(']'));
        if rows.iter().any(|row| inode == Some(row.inode.as_str())) {
            let flags = rustix::process::PidfdGetfdFlags::empty();
            let copy = rustix::process::pidfd_getfd(&process, number, flags);
            copies.push(copy.context("the plugin's parent, or root, may copy its descriptors")?);
        }
    }
    Ok(copies)
}
