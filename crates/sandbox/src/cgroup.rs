//! Groups of processes (cgroup v2) with limits of their own, where a part of the tree was delegated.
//!
//! **Invariant:** nothing outside the own cgroup is touched: no process of another's is moved, and
//! what is made here is removed here, or by the next start.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What our directories are called: this, and the process id of the supervisor.
const PREFIX: &str = "qntx-python-";
/// Of the controllers, those that are used where they are offered.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// A part of the tree in which groups can be made.
#[derive(Debug)]
pub struct Delegation {
    /// Holds one directory for each group, and no process.
    place: PathBuf,
    /// Where the supervisor moved itself, because a group with groups in it holds no process.
    own: PathBuf,
    controllers: Vec<&'static str>,
    made: AtomicU64,
}

/// Why there is no delegation.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No cgroup v2, or not for this process.
    #[error("there is no cgroup v2 for this process")]
    Absent,
    /// Neither memory nor pids can be limited there.
    #[error("{at} offers neither the memory nor the pids controller")]
    NoController {
        /// The own cgroup.
        at: String,
    },
    /// It may not be changed.
    #[error("{at} can't be changed")]
    Closed {
        /// Which file.
        at: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Others are in it, so that no groups with limits can be made beneath.
    #[error("{at} also holds other processes ({count}); a cgroup of the plugin's own is needed")]
    Shared {
        /// The own cgroup.
        at: String,
        /// How many.
        count: usize,
    },
}

fn closed(at: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let at = at.display().to_string();
    move |source| CgroupError::Closed { at, source }
}

/// Limits of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Memory of all its processes, caches and kernel memory included.
    pub memory_bytes: u64,
    /// Threads of all its processes.
    pub threads: u32,
}

impl Delegation {
    /// Takes the calling process's own cgroup over: moves the process into a leaf, hands the
    /// controllers on, and makes a place for groups. What an earlier supervisor left is removed.
    ///
    /// # Errors
    /// [`CgroupError`]; the process is where it was then.
    pub fn claim() -> Result<Self, CgroupError> {
        #[cfg(target_os = "linux")]
        let own = crate::kernel::own_cgroup();
        #[cfg(not(target_os = "linux"))]
        let own: Option<PathBuf> = None;
        Self::claim_at(&own.ok_or(CgroupError::Absent)?)
    }

    fn claim_at(at: &Path) -> Result<Self, CgroupError> {
        let offered = fs::read_to_string(at.join("cgroup.controllers"))
            .map_err(closed(&at.join("cgroup.controllers")))?;
        let offered = |name: &&str| offered.split_ascii_whitespace().any(|other| other == *name);
        let controllers: Vec<&'static str> =
            CONTROLLERS.into_iter().filter(|name| offered(name)).collect();
        if !controllers.contains(&"memory") && !controllers.contains(&"pids") {
            return Err(CgroupError::NoController { at: at.display().to_string() });
        }
        sweep(at);
        let pid = std::process::id();
        let others = members(at)?.into_iter().filter(|member| *member != pid).count();
        // the root of the whole tree may hold processes and groups; it has no type
        if others > 0 && at.join("cgroup.type").exists() {
            return Err(CgroupError::Shared { at: at.display().to_string(), count: others });
        }
        let own = at.join(format!("{PREFIX}{pid}-supervisor"));
        let place = at.join(format!("{PREFIX}{pid}"));
        fs::create_dir(&own).map_err(closed(&own))?;
        // dropped with the error, it undoes what was done
        let delegation = Self { place, own, controllers, made: AtomicU64::new(0) };
        let moved = delegation.own.join("cgroup.procs");
        write(&moved, &pid.to_string()).map_err(closed(&moved))?;
        hand_on(at, &delegation.controllers)?;
        fs::create_dir(&delegation.place).map_err(closed(&delegation.place))?;
        hand_on(&delegation.place, &delegation.controllers)?;
        Ok(delegation)
    }

    /// The controllers in use.
    #[must_use]
    pub fn controllers(&self) -> &[&'static str] {
        &self.controllers
    }

    /// Where groups are made.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// An empty group under these limits.
    ///
    /// # Errors
    /// The system's reason.
    pub fn make(&self, limits: GroupLimits) -> io::Result<Group> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let path = self.place.join(format!("execution-{number}"));
        fs::create_dir(&path)?;
        let memory = self.controllers.contains(&"memory");
        let pids = self.controllers.contains(&"pids");
        let mut group = Group { path, memory, pids, limits: None };
        if memory {
            // without swap accounting there is no such file, and no swap to limit
            write_if_there(&group.path.join("memory.swap.max"), "0")?;
            write(&group.path.join("memory.oom.group"), "1")?;
        }
        group.limit(limits)?;
        Ok(group)
    }
}

impl Drop for Delegation {
    fn drop(&mut self) {
        remove_tree(&self.place);
        // moving out of a leaf is refused while the parent hands controllers on
        if let Some(at) = self.own.parent() {
            for name in &self.controllers {
                let _ = write(&at.join("cgroup.subtree_control"), &format!("-{name}"));
            }
            let _ = write(&at.join("cgroup.procs"), &std::process::id().to_string());
        }
        // zygotes may still be ending in it, but we must be out
        let own = std::process::id();
        match members(&self.own) {
            Ok(members) if members.contains(&own) => {}
            Ok(_) | Err(_) => remove_group(&self.own),
        }
    }
}

/// One group; removed with everything in it when dropped.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    memory: bool,
    pids: bool,
    limits: Option<GroupLimits>,
}

impl Group {
    /// Moves a process into it, with all its threads; what it starts later is in it too.
    ///
    /// # Errors
    /// `ESRCH` when it is gone, else the system's reason.
    pub fn add(&self, pid: i32) -> io::Result<()> {
        write(&self.path.join("cgroup.procs"), &pid.to_string())
    }

    /// Sets the limits, where they are others than before.
    ///
    /// # Errors
    /// The system's reason.
    pub fn limit(&mut self, limits: GroupLimits) -> io::Result<()> {
        let before = self.limits.replace(limits);
        if self.memory && before.map(|before| before.memory_bytes) != Some(limits.memory_bytes) {
            write(&self.path.join("memory.max"), &limits.memory_bytes.to_string())?;
        }
        if self.pids && before.map(|before| before.threads) != Some(limits.threads) {
            write(&self.path.join("pids.max"), &limits.threads.to_string())?;
        }
        Ok(())
    }

    /// How many of its processes the kernel killed because the memory was used up.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        if self.memory { event(&self.path.join("memory.events"), "oom_kill ") } else { 0 }
    }

    /// How often a thread was refused.
    #[must_use]
    pub fn refused_threads(&self) -> u64 {
        if self.pids { event(&self.path.join("pids.events"), "max ") } else { 0 }
    }

    /// Memory in use, and the most there was where the kernel remembers it.
    #[must_use]
    pub fn memory_peak(&self) -> Option<u64> {
        fs::read_to_string(self.path.join("memory.peak")).ok()?.trim().parse().ok()
    }

    /// Kills everything in it.
    ///
    /// # Errors
    /// `NotFound` before Linux 5.14, else the system's reason.
    pub fn kill(&self) -> io::Result<()> {
        write(&self.path.join("cgroup.kill"), "1")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        remove_group(&self.path);
    }
}

/// Writes one value. `fs::write` would create a file that is not there; here none ever is.
fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn write_if_there(path: &Path, text: &str) -> io::Result<()> {
    match write(path, text) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn event(path: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn members(at: &Path) -> Result<Vec<u32>, CgroupError> {
    let path = at.join("cgroup.procs");
    let text = fs::read_to_string(&path).map_err(closed(&path))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn hand_on(at: &Path, controllers: &[&str]) -> Result<(), CgroupError> {
    let path = at.join("cgroup.subtree_control");
    let all: Vec<String> = controllers.iter().map(|name| format!("+{name}")).collect();
    write(&path, &all.join(" ")).map_err(closed(&path))
}

/// Kills what is in a group and removes it; a killed process is gone within a moment.
fn remove_group(path: &Path) {
    for attempt in 0..50 {
        match fs::remove_dir(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {}
        }
        if attempt == 0 {
            // before 5.14 there is no such file; then what is in it has been killed one by one
            let _ = write(&path.join("cgroup.kill"), "1");
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

fn remove_tree(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_group(&entry.path());
        }
    }
    remove_group(path);
}

/// Removes what supervisors that are gone have left.
fn sweep(at: &Path) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let pid = rest.strip_suffix("-supervisor").unwrap_or(rest);
        let lives = pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists();
        if !lives {
            remove_tree(&entry.path());
        }
    }
}
