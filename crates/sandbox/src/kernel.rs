//! What this kernel offers for confinement, and what each missing piece costs.
//!
//! **Invariant:** probing changes nothing about the process and is safe beside other threads.

use std::path::{Path, PathBuf};

use crate::{LANDLOCK_FLOOR, sys};

/// What the kernel offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFeatures {
    /// Kernel release, as `uname -r`.
    pub release: String,
    /// Landlock's ABI, 0 without Landlock.
    pub landlock_abi: u32,
    /// Seccomp filters with every action we use.
    pub seccomp: bool,
    /// User namespaces for unprivileged users, as far as the settings say.
    pub userns: bool,
    /// PID namespaces.
    pub pidns: bool,
    /// The own cgroup v2 directory, when it is delegated with the memory and pids controllers.
    pub cgroup2: Option<PathBuf>,
    /// Process descriptors.
    pub pidfd: bool,
    /// `PR_GET_TID_ADDRESS`, with which a forked child's libc learns its own thread id.
    pub tid_address: bool,
}

/// A confinement feature this system lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub feature: &'static str,
    /// What its absence costs.
    pub cost: &'static str,
    /// Whether the plugin refuses to start without it.
    pub required: bool,
}

impl KernelFeatures {
    /// What is missing, the required features first.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        let absent = |is_there: bool, feature, cost, required| {
            (!is_there).then_some(Missing { feature, cost, required })
        };
        [
            absent(
                self.landlock_abi >= 1,
                "landlock",
                "files cannot be kept out of reach: Linux 5.13 with lsm=landlock is needed",
                true,
            ),
            absent(
                self.landlock_abi == 0 || self.landlock_abi >= LANDLOCK_FLOOR,
                "landlock scopes",
                "an execution could signal others if seccomp failed: Linux 6.12 is needed",
                true,
            ),
            absent(
                self.seccomp,
                "seccomp filters",
                "processes and the network cannot be refused",
                true,
            ),
            absent(
                self.pidfd,
                "pidfd",
                "a process could be confused with its successor: Linux 5.4 is needed",
                true,
            ),
            absent(
                self.userns && self.pidns,
                "user and PID namespaces",
                "no profile can grant processes, because what an execution starts could not be ended \
                 for sure",
                false,
            ),
            absent(
                self.cgroup2.is_some(),
                "delegated cgroup v2",
                "memory and threads are watched and limited per process instead of per group",
                false,
            ),
            absent(
                self.tid_address,
                "PR_GET_TID_ADDRESS",
                "libc in a forked child keeps the zygote's thread id in its cache",
                false,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Looks at the running kernel.
#[must_use]
pub fn probe() -> KernelFeatures {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    KernelFeatures {
        release,
        landlock_abi: crate::landlock::effective_abi(None),
        seccomp: [
            libc::SECCOMP_RET_KILL_PROCESS,
            libc::SECCOMP_RET_TRAP,
            libc::SECCOMP_RET_ERRNO,
            libc::SECCOMP_RET_ALLOW,
        ]
        .into_iter()
        .all(sys::seccomp_action_available),
        userns: user_namespaces(),
        pidns: Path::new("/proc/self/ns/pid_for_children").exists(),
        cgroup2: delegated_cgroup(),
        pidfd: rustix::process::pidfd_open(
            rustix::process::getpid(),
            rustix::process::PidfdFlags::empty(),
        )
        .is_ok(),
        tid_address: rustix::thread::get_clear_child_tid_address().is_ok(),
    }
}

fn user_namespaces() -> bool {
    let setting = |path: &str| {
        std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok())
    };
    Path::new("/proc/self/ns/user").exists()
        && setting("/proc/sys/user/max_user_namespaces").is_some_and(|most| most > 0)
        && setting("/proc/sys/kernel/unprivileged_userns_clone") != Some(0)
        && setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").unwrap_or(0) == 0
}

/// The directory of the calling process's own cgroup v2.
pub(crate) fn own_cgroup() -> Option<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    cgroup_directory(&own, &mounts)
}

fn delegated_cgroup() -> Option<PathBuf> {
    let directory = own_cgroup()?;
    let controllers = std::fs::read_to_string(directory.join("cgroup.controllers")).ok()?;
    let has = |name| controllers.split_ascii_whitespace().any(|controller| controller == name);
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    let delegated = has("memory")
        && has("pids")
        && writable(&directory)
        && writable(&directory.join("cgroup.subtree_control"))
        && writable(&directory.join("cgroup.procs"));
    delegated.then_some(directory)
}

/// Where the own cgroup v2 directory is, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn cgroup_directory(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mount_point = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let is_cgroup2 = after.split(' ').next() == Some("cgroup2");
        is_cgroup2.then(|| before.split(' ').nth(4)).flatten()
    })?;
    Some(Path::new(mount_point).join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_directory_is_found_beside_older_hierarchies() {
        let own = "3:memory:/box\n0::/user.slice/a\n";
        let mounts = "30 22 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 22 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let found = cgroup_directory(own, mounts);
        assert_eq!(found, Some(PathBuf::from("/sys/fs/cgroup/unified/user.slice/a")));
        assert_eq!(cgroup_directory("3:memory:/box\n", mounts), None);
        assert_eq!(cgroup_directory(own, "30 22 0:26 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn what_is_missing_is_named_with_its_cost() {
        let nothing = KernelFeatures::default().missing();
        assert!(nothing.iter().any(|missing| missing.feature == "landlock" && missing.required));
        assert!(nothing.iter().all(|missing| !missing.cost.is_empty()));
        let old = KernelFeatures { landlock_abi: 5, ..KernelFeatures::default() };
        assert!(old.missing().iter().any(|missing| missing.feature == "landlock scopes"));
    }
}
