//! Scratch directories as file systems of their own, where the machine lets us mount.
//!
//! A directory's quota can be held from outside only by looking: what a program has written and
//! then unlinked is seen by nobody without privileges. A `tmpfs` of the right size holds it to the
//! byte and the file, and answers `ENOSPC`. It needs a mount namespace that is ours: as root by
//! itself, else within a user namespace in which the user is who it was.
//!
//! **Invariant:** nothing is mounted but in a namespace of this process's own, which ends with its
//! last process, and everything mounted with it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::trial::{self, Layer};
use crate::{process, sys};

static GRANTED: AtomicBool = AtomicBool::new(false);

/// What a mounted scratch directory holds, files without a name included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Bytes, in whole pages.
    pub bytes: u64,
    /// Files, directories and everything else.
    pub entries: u64,
}

/// Enters a mount namespace of this process's own. To be called before any thread exists, and
/// before the first process is started that is to see the mounts.
///
/// # Errors
/// Why there is none. The process is as it was then, or in a user namespace in which it is who it
/// was and may mount nothing.
pub fn enter_namespace() -> io::Result<()> {
    if trial::without(Layer::ScratchMount) {
        return Err(io::Error::other("a test has taken it away"));
    }
    let proof = process::SingleThreaded::prove().map_err(io::Error::other)?;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if sys::unshare(&proof, libc::CLONE_NEWNS).is_err() {
        sys::unshare(&proof, libc::CLONE_NEWUSER | libc::CLONE_NEWNS)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        let (user, group) = (user.as_raw(), group.as_raw());
        std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
        std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    }
    // what the host mounts later is still seen here, and nothing of ours there
    sys::mount(None, Path::new("/"), None, libc::MS_REC | libc::MS_SLAVE, "")?;
    GRANTED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Whether [`enter_namespace`] has succeeded.
#[must_use]
pub fn granted() -> bool {
    GRANTED.load(Ordering::Relaxed)
}

/// Mounts an empty file system of this size over a directory.
///
/// # Errors
/// The system's reason; the directory is as it was.
pub fn mount(path: &Path, bytes: u64, entries: u64) -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    let options = format!("{},mode=0700", size(bytes, entries));
    sys::mount(Some("qntx"), path, Some("tmpfs"), flags, &options)
}

/// Gives a mounted directory another size.
///
/// # Errors
/// The system's reason, such as that it holds more already.
pub fn resize(path: &Path, bytes: u64, entries: u64) -> io::Result<()> {
    let flags = libc::MS_REMOUNT | libc::MS_NOSUID | libc::MS_NODEV;
    sys::mount(None, path, None, flags, &size(bytes, entries))
}

/// Takes a mounted directory's file system away, and with it what it holds.
///
/// # Errors
/// `EINVAL` where nothing is mounted.
pub fn unmount(path: &Path) -> io::Result<()> {
    match sys::unmount(path, 0) {
        // somebody still looks at it: it goes when they have
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            sys::unmount(path, libc::MNT_DETACH)
        }
        other => other,
    }
}

/// What a mounted directory holds.
///
/// # Errors
/// The system's reason.
pub fn used(path: &Path) -> io::Result<Used> {
    let about = rustix::fs::statvfs(path)?;
    let bytes = about.f_blocks.saturating_sub(about.f_bfree).saturating_mul(about.f_frsize);
    // the directory itself is one
    let entries = about.f_files.saturating_sub(about.f_ffree).saturating_sub(1);
    Ok(Used { bytes, entries })
}

fn size(bytes: u64, entries: u64) -> String {
    let mut text = String::new();
    // Writing to a String does not fail. No size at all would mean half of all memory.
    let _ = write!(text, "size={},nr_inodes={}", bytes.max(4096), entries.saturating_add(1).max(2));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_size_is_ever_without_bound() {
        assert_eq!(size(0, 0), "size=4096,nr_inodes=2");
        assert_eq!(size(1 << 20, 10), "size=1048576,nr_inodes=11");
        assert!(size(u64::MAX, u64::MAX).ends_with(&format!("nr_inodes={}", u64::MAX)));
    }
}
