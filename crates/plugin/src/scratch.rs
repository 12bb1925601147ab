//! Scratch directories: one per child, made before the fork, gone after it.
//!
//! All of one plugin process lie under one root, `qntx-python-<uid>/<pid>-<n>`,
//! which holds a locked file for as long as the process lives. A root whose
//! lock is free belongs to a crashed process; the next start removes it.
//!
//! Where the process has a mount namespace of its own, each directory is a file
//! system of its own, which holds the quota to the byte ([`sandbox::mounts`]).
//! They are mounted in one that hides the root, so that no execution waits for
//! the journal of a disk that others write to.
//!
//! **Invariant:** no symlink in a scratch directory is ever followed, and
//! nothing outside the root is ever removed.

use crate::error::Fault;
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const LOCK: &str = "lock";
/// What the file system over the root may hold: empty directories, which take no bytes.
const MOUNT_POINTS: (u64, u64) = (1 << 20, 1 << 20);

/// The directory all scratch directories of this process are made in.
#[derive(Debug)]
pub struct ScratchRoot {
    path: PathBuf,
    next: AtomicU64,
    _lock: File,
}

/// One child's directory; removed with [`Scratch::remove`] or on drop.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// The quota in force, where it is a file system of its own.
    mounted: Option<Mutex<(u64, u64)>>,
    // Keeps the root, and with it the lock, for as long as a directory lives.
    _root: Arc<ScratchRoot>,
}

/// What a scratch directory holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Allocated bytes: holes of sparse files do not count.
    pub bytes: u64,
    /// Files, directories and everything else.
    pub entries: u64,
}

impl ScratchRoot {
    /// Makes this process's root under `parent` (default: the system's
    /// temporary directory) and removes the roots of crashed processes.
    pub fn open(parent: Option<&Path>) -> Result<Arc<Self>, Fault> {
        let base = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let uid = rustix::process::geteuid().as_raw();
        let shared = base.join(format!("qntx-python-{uid}"));
        make_private(&shared).map_err(|source| Fault::System {
            what: "the directory for scratch directories can't be made (--scratch-dir names another place)",
            source,
        })?;
        sweep(&shared);
        let pid = std::process::id();
        for attempt in 0..1000u32 {
            let path = shared.join(format!("{pid}-{attempt}"));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(source) => {
                    return Err(Fault::System { what: "the scratch root can't be made", source });
                }
            }
            let path = path.canonicalize().map_err(|source| Fault::System {
                what: "the scratch root can't be resolved",
                source,
            })?;
            let lock = lock(&path).map_err(|source| Fault::System {
                what: "the scratch root can't be locked",
                source,
            })?;
            if sandbox::mounts::granted() {
                let (bytes, entries) = MOUNT_POINTS;
                sandbox::mounts::mount(&path, bytes, entries).map_err(|source| Fault::System {
                    what: "the scratch root can't be mounted",
                    source,
                })?;
            }
            return Ok(Arc::new(Self { path, next: AtomicU64::new(1), _lock: lock }));
        }
        Err(Fault::System {
            what: "no free name for a scratch root",
            source: std::io::ErrorKind::AlreadyExists.into(),
        })
    }

    /// The root itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new directory in it.
    pub fn make(self: &Arc<Self>) -> Result<Scratch, Fault> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(number.to_string());
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|source| Fault::System { what: "no scratch directory can be made", source })?;
        let mounted = if sandbox::mounts::granted() {
            let defaults = proto::Limits::default();
            let size = (defaults.scratch_bytes, defaults.scratch_files);
            sandbox::mounts::mount(&path, size.0, size.1)
                .map_err(|source| Fault::System { what: "no scratch can be mounted", source })?;
            Some(Mutex::new(size))
        } else {
            None
        };
        Ok(Scratch { path, mounted, _root: Arc::clone(self) })
    }
}

impl ScratchRoot {
    /// Removes the root and what is in it. Blocking; again is a no-op.
    pub fn remove(&self) {
        if sandbox::mounts::granted() {
            let entries = std::fs::read_dir(&self.path).into_iter().flatten();
            for entry in entries.filter_map(Result::ok) {
                // An error: nothing is mounted there.
                let _ = sandbox::mounts::unmount(&entry.path());
            }
            // An error: this is done already.
            let _ = sandbox::mounts::unmount(&self.path);
        }
        remove_tree(&self.path);
    }
}

impl Drop for ScratchRoot {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Brings its quota into force, where it is a file system of its own.
    pub fn limit(&self, bytes: u64, entries: u64) -> std::io::Result<()> {
        let Some(mounted) = &self.mounted else { return Ok(()) };
        let mut size = mounted.lock().unwrap_or_else(PoisonError::into_inner);
        if *size != (bytes, entries) {
            sandbox::mounts::resize(&self.path, bytes, entries)?;
            *size = (bytes, entries);
        }
        Ok(())
    }

    /// What it holds, files without a name included, where it is a file system
    /// of its own.
    #[must_use]
    pub fn mounted(&self) -> Option<sandbox::mounts::Used> {
        self.mounted.as_ref().and_then(|_| sandbox::mounts::used(&self.path).ok())
    }

    /// What is in it now, counting at most `limit` entries. Blocking.
    #[must_use]
    pub fn contents(path: &Path, limit: u64) -> Contents {
        let mut contents = Contents::default();
        if let Ok(dir) = open_dir(rustix::fs::CWD, path.as_os_str().as_encoded_bytes()) {
            measure(&dir, limit, 0, &mut contents);
        }
        contents
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.mounted.is_some()
            && let Err(error) = sandbox::mounts::unmount(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a scratch could not be unmounted");
        }
        // Nearly always empty; a full one is removed beside the runtime's threads.
        if std::fs::remove_dir(&self.path).is_ok() {
            return;
        }
        let path = std::mem::take(&mut self.path);
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => {
                handle.spawn_blocking(move || remove_tree(&path));
            }
            Err(_) => remove_tree(&path),
        }
    }
}

fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = std::fs::symlink_metadata(path)?;
    let owner = std::os::unix::fs::MetadataExt::uid(&metadata);
    if !metadata.is_dir() || owner != rustix::process::geteuid().as_raw() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            format!("{} is not a directory of this user", path.display()),
        ));
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

fn lock(root: &Path) -> std::io::Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(root.join(LOCK))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Removes the roots whose process is gone.
fn sweep(shared: &Path) {
    let Ok(entries) = std::fs::read_dir(shared) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let named = entry.file_name().to_str().is_some_and(|name| {
            name.split_once('-').is_some_and(|(pid, _)| pid.parse::<u32>().is_ok())
        });
        if named && entry.file_type().is_ok_and(|kind| kind.is_dir()) && lock(&path).is_ok() {
            tracing::info!(path = %path.display(), "removing what a crashed plugin left");
            remove_tree(&path);
        }
    }
}

fn open_dir(at: impl std::os::fd::AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// Deepest nesting that is walked; a deeper tree counts as over every limit.
const MAX_DEPTH: usize = 100;

fn measure(dir: &OwnedFd, limit: u64, depth: usize, contents: &mut Contents) {
    let Ok(entries) = Dir::read_from(dir) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        contents.entries = contents.entries.saturating_add(1);
        if contents.entries > limit {
            return;
        }
        let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        contents.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            continue;
        }
        if depth == MAX_DEPTH {
            contents.entries = u64::MAX;
            return;
        }
        if let Ok(inner) = open_dir(dir, name.to_bytes()) {
            measure(&inner, limit, depth + 1, contents);
        }
    }
}

/// Removes a tree whatever its modes and however deep; errors are logged,
/// links never followed.
///
/// A directory within is not descended into but moved up beside its parent,
/// so that depth costs neither stack nor descriptors.
fn remove_tree(path: &Path) {
    if let Err(error) = flatten(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a scratch directory could not be removed");
    }
}

fn flatten(path: &Path) -> std::io::Result<()> {
    let root = open_dir(rustix::fs::CWD, path.as_os_str().as_encoded_bytes())?;
    // Nobody can have made a name in advance that nobody could guess.
    let secret = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), path);
    let mut moved = 0u64;
    let mut waiting: Vec<std::ffi::CString> = vec![c".".to_owned()];
    while let Some(name) = waiting.pop() {
        let dir = open_dir(&root, name.to_bytes())?;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let inner = entry.file_name();
            if inner == c"." || inner == c".." {
                continue;
            }
            match rustix::fs::unlinkat(&dir, inner, AtFlags::empty()) {
                Ok(()) => continue,
                Err(rustix::io::Errno::ISDIR) => {}
                Err(error) => return Err(error.into()),
            }
            // Made with mode 0, it could not be opened. Not through a link: it is a directory,
            // and its maker is gone.
            rustix::fs::chmodat(&dir, inner, Mode::RWXU, AtFlags::empty())?;
            if rustix::fs::unlinkat(&dir, inner, AtFlags::REMOVEDIR).is_ok() {
                continue;
            }
            // What is in the root is in its place: renamed, this very listing might show it again.
            if name.as_c_str() == c"." {
                waiting.push(inner.to_owned());
                continue;
            }
            moved += 1;
            let target = std::ffi::CString::new(format!(".moved-{secret:x}-{moved}"))?;
            rustix::fs::renameat(&dir, inner, &root, &target)?;
            waiting.push(target);
        }
        // Emptied, except for what was moved to the root itself.
        if name.as_c_str() != c"." {
            rustix::fs::unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
        }
    }
    std::fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crashed_process_s_root_is_swept_and_a_live_one_is_not() {
        let parent = tempfile::tempdir().expect("a directory");
        let live = ScratchRoot::open(Some(parent.path())).expect("a root");
        let shared = live.path().parent().expect("a parent").to_path_buf();
        let dead = shared.join("999999-0");
        std::fs::create_dir(&dead).expect("a directory");
        std::fs::write(dead.join("left"), b"x").expect("a file");
        let second = ScratchRoot::open(Some(parent.path())).expect("a second root");
        assert!(!dead.exists());
        assert!(live.path().exists() && second.path().exists());
        let path = live.path().to_path_buf();
        drop(live);
        assert!(!path.exists());
    }

    #[test]
    fn contents_count_allocated_bytes_and_never_follow_links() {
        let parent = tempfile::tempdir().expect("a directory");
        let root = ScratchRoot::open(Some(parent.path())).expect("a root");
        let scratch = root.make().expect("a scratch directory");
        let sparse = File::create(scratch.path().join("sparse")).expect("a file");
        sparse.set_len(1 << 40).expect("a hole");
        std::fs::write(scratch.path().join("full"), vec![1u8; 100_000]).expect("a file");
        std::os::unix::fs::symlink("/usr", scratch.path().join("link")).expect("a link");
        let contents = Scratch::contents(scratch.path(), 1000);
        assert_eq!(contents.entries, 3);
        assert!((100_000..2_000_000).contains(&contents.bytes), "{contents:?}");
    }

    #[test]
    fn a_directory_nobody_may_enter_is_removed_all_the_same() {
        let parent = tempfile::tempdir().expect("a directory");
        let root = ScratchRoot::open(Some(parent.path())).expect("a root");
        let scratch = root.make().expect("a scratch directory");
        let closed = scratch.path().join("closed");
        std::fs::create_dir(&closed).expect("a directory");
        std::fs::write(closed.join("file"), b"x").expect("a file");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o0)).expect("a mode");
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn many_full_directories_side_by_side_are_removed() {
        let parent = tempfile::tempdir().expect("a directory");
        let root = ScratchRoot::open(Some(parent.path())).expect("a root");
        let scratch = root.make().expect("a scratch directory");
        for i in 0..300 {
            let inner = scratch.path().join(format!("d{i}/e"));
            std::fs::create_dir_all(&inner).expect("a directory");
            std::fs::write(inner.join("f"), b"x").expect("a file");
            std::fs::write(scratch.path().join(format!("d{i}/f")), b"x").expect("a file");
        }
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_tree_of_any_depth_is_over_the_limit_and_is_removed() {
        let parent = tempfile::tempdir().expect("a directory");
        let root = ScratchRoot::open(Some(parent.path())).expect("a root");
        let scratch = root.make().expect("a scratch directory");
        let mut dir = open_dir(rustix::fs::CWD, scratch.path().as_os_str().as_encoded_bytes())
            .expect("a descriptor");
        for _ in 0..20_000 {
            rustix::fs::mkdirat(&dir, "d", Mode::RWXU).expect("a directory");
            dir = open_dir(&dir, b"d").expect("a descriptor");
        }
        assert_eq!(Scratch::contents(scratch.path(), 10_000).entries, u64::MAX);
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists());
    }
}
