//! What a process may reach, as plain data chosen by its owner.
//!
//! **Invariant:** a policy only ever adds permissions to nothing. A path that is not listed here is
//! out of reach, and no field takes a listed path away again.

use std::path::{Path, PathBuf};

use crate::Grants;

/// What the zygote, and therefore every child forked from it, may reach at most.
#[derive(Clone, Debug, Default)]
pub struct ZygotePolicy {
    /// Directories and files readable (directories: listable, recursively): the interpreter's
    /// prefix, site directories, configured roots, [`default_read_paths`]. Paths that do not exist
    /// are skipped and named in [`Enforced::skipped`](crate::Enforced::skipped).
    pub read: Vec<PathBuf>,
    /// Parent of all scratch directories, writable so that a child's narrower layer can grant its
    /// own one. `None`: nothing on the file system is writable except `/dev/null`.
    pub write_root: Option<PathBuf>,
    /// What is granted beyond that, to the zygote and to every child of it.
    pub grants: Grants,
    /// Pretend that the kernel's Landlock is at most this ABI. For tests of old kernels.
    pub landlock_abi_cap: Option<u32>,
    /// Go on below the declared floor. Every weakness then stands in
    /// [`Enforced::weakened`](crate::Enforced::weakened). Set by `--dangerously-allow-weak-sandbox`
    /// alone.
    pub allow_weak: bool,
}

/// What one tier of children may reach: a subset of its zygote's [`ZygotePolicy`].
#[derive(Clone, Debug, Default)]
pub struct ChildPolicy {
    /// Directories and files readable; anything the zygote's policy lacks stays out of reach.
    pub read: Vec<PathBuf>,
    /// Leave the child's own `/proc/PID` out: 50 µs less per child, at the price of programs that
    /// look at their own memory or stack.
    pub hide_own_proc: bool,
    /// As in [`ZygotePolicy::landlock_abi_cap`].
    pub landlock_abi_cap: Option<u32>,
    /// As in [`ZygotePolicy::allow_weak`].
    pub allow_weak: bool,
}

/// Paths of an ordinary Linux system that programs expect to be able to read, as `(path, why)`.
///
/// Absent on purpose: `/etc/passwd`, `/etc/hosts`, `/etc/resolv.conf`, `/home`, `/root`, `/var`,
/// `/run`, `/tmp`, `/dev/shm`, `/proc/net`, `/sys` as a whole.
pub const SYSTEM_READ_PATHS: &[(&str, &str)] = &[
    ("/lib", "shared libraries that extension modules and ctypes load"),
    ("/lib64", "the dynamic loader and shared libraries"),
    ("/usr/lib", "shared libraries, gconv, locale archives"),
    ("/usr/lib64", "shared libraries"),
    ("/usr/local/lib", "shared libraries installed by hand"),
    ("/nix/store", "everything on NixOS; world-readable by construction"),
    ("/etc/ld.so.cache", "the loader's index of shared libraries"),
    ("/usr/share/zoneinfo", "zoneinfo, datetime"),
    ("/etc/localtime", "the host's time zone"),
    ("/etc/timezone", "tzlocal and pandas ask for the zone's name"),
    ("/etc/zoneinfo", "time zones on NixOS"),
    ("/etc/ssl", "certificates for ssl contexts"),
    ("/etc/pki", "certificates on Red Hat systems"),
    ("/usr/share/ca-certificates", "certificates that /etc/ssl links to"),
    ("/usr/lib/ssl", "OpenSSL's directory on Debian"),
    ("/usr/share/fonts", "matplotlib, Pillow, reportlab"),
    ("/usr/local/share/fonts", "fonts installed by hand"),
    ("/etc/fonts", "fontconfig"),
    ("/usr/share/fontconfig", "fontconfig"),
    ("/usr/share/locale", "gettext, locale"),
    ("/usr/share/i18n", "locale definitions"),
    ("/usr/share/mime", "mimetypes"),
    ("/etc/mime.types", "mimetypes"),
    ("/etc/os-release", "platform.freedesktop_os_release"),
    ("/usr/lib/os-release", "what /etc/os-release links to"),
    ("/sys/devices/system/cpu", "os.cpu_count, OpenBLAS, OpenMP"),
    ("/sys/kernel/mm/transparent_hugepage/enabled", "allocators of numeric libraries"),
    ("/proc/cpuinfo", "OpenBLAS, numexpr, platform"),
    ("/proc/meminfo", "psutil, libraries that size their caches"),
    ("/proc/stat", "glibc's count of processors, psutil"),
    ("/proc/loadavg", "os.getloadavg"),
    ("/proc/sys/vm/overcommit_memory", "jemalloc decides how to reserve memory"),
];

/// Those of [`SYSTEM_READ_PATHS`] that exist here, without the ones that lie within another.
#[must_use]
pub fn default_read_paths() -> Vec<PathBuf> {
    let existing = SYSTEM_READ_PATHS.iter().map(|(path, _)| PathBuf::from(path));
    outermost(existing.filter(|path| path.exists()))
}

/// The paths with links resolved, sorted, and without those that lie within another one.
///
/// Fewer rules mean a cheaper ruleset; the reach stays the same because a rule on a directory
/// covers what is beneath. A path that cannot be resolved is kept as it is.
pub(crate) fn outermost(paths: impl IntoIterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut resolved: Vec<PathBuf> =
        paths.into_iter().map(|path| path.canonicalize().unwrap_or(path)).collect();
    resolved.sort();
    resolved.dedup();
    let mut kept: Vec<PathBuf> = Vec::with_capacity(resolved.len());
    for path in resolved {
        if !kept.iter().any(|outer: &PathBuf| path.starts_with(outer as &Path)) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_paths_fold_into_the_outer_one() {
        let folded = outermost(["/x/a/b", "/x/a", "/x/ab", "/y"].map(PathBuf::from));
        assert_eq!(folded, ["/x/a", "/x/ab", "/y"].map(PathBuf::from));
    }

    #[test]
    fn every_system_path_has_a_reason_and_none_is_private() {
        for (path, why) in SYSTEM_READ_PATHS {
            assert!(path.starts_with('/') && !why.is_empty(), "{path}");
            for private in ["/", "/etc", "/home", "/root", "/proc", "/tmp", "/var", "/run", "/dev"]
            {
                assert_ne!(*path, private);
            }
            assert!(!path.starts_with("/etc/passwd") && !path.starts_with("/etc/shadow"));
        }
    }

    #[test]
    fn default_paths_exist() {
        let paths = default_read_paths();
        assert!(!paths.is_empty());
        assert!(paths.iter().all(|path| path.exists()));
    }
}
