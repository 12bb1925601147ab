//! Where an environment's generations live, and which of them is in force.
//!
//! ```text
//! <place>/lock                 held while anything below changes
//! <place>/current              the number in force, one line; 0 or absent = none
//! <place>/generations/<n>/     site/, lock.txt, manifest.json, lease
//! <place>/staging-<pid>-<n>/   an install under way
//! ```
//!
//! **Invariant:** `current` is only ever replaced by a rename, after what it
//! names is complete and on disk; a generation's directory appears by a rename
//! and is never written to again, and none is removed while somebody holds its
//! lease.

use super::generation::Manifest;
use super::policy::Policy;
use rustix::fs::FlockOperation;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

const CURRENT: &str = "current";
const GENERATIONS: &str = "generations";
const LEASE: &str = "lease";
const LOCK: &str = "lock";
const MANIFEST: &str = "manifest.json";
const STAGING: &str = "staging-";
/// No name of an environment begins with a dot.
const SCRIPTS: &str = ".scripts";
/// When an environment of a script was used last: the time of this file.
const USED: &str = "used";
/// How often a held lock is asked for again.
const ASK: Duration = Duration::from_millis(25);

/// One environment's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    root: PathBuf,
}

/// The right to change a place.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A promise of others not to remove a generation.
#[derive(Debug)]
pub struct Lease {
    _file: File,
}

/// A directory under way; removed when it is dropped before it is kept.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
}

impl Place {
    /// The place of `environment` under `policy`; `None` without a home.
    #[must_use]
    pub fn of(policy: &Policy, environment: &str) -> Option<Self> {
        Some(Self { root: policy.base()?.join(environment) })
    }

    /// The place of what scripts with this digest declare; `None` without a home.
    #[must_use]
    pub fn script(policy: &Policy, digest: &str) -> Option<Self> {
        Some(Self { root: policy.base()?.join(SCRIPTS).join(digest) })
    }

    /// The names of the environments there are, but for those of scripts.
    #[must_use]
    pub fn names(policy: &Policy) -> Vec<String> {
        let Some(base) = policy.base() else { return Vec::new() };
        let mut names: Vec<String> = directories(&base)
            .into_iter()
            .filter(|path| path.join(GENERATIONS).is_dir())
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .filter(|name| super::policy::environment_name(name).is_ok())
            .collect();
        names.sort();
        names
    }

    /// Where environments of scripts are.
    #[must_use]
    pub fn scripts(policy: &Policy) -> Vec<Self> {
        let Some(base) = policy.base() else { return Vec::new() };
        directories(&base.join(SCRIPTS)).into_iter().map(|root| Self { root }).collect()
    }

    /// The directory of all of it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What goes on `sys.path`.
    #[must_use]
    pub fn site(&self, generation: u64) -> PathBuf {
        self.directory(generation).join("site")
    }

    /// The lock of a generation.
    #[must_use]
    pub fn lock_file(&self, generation: u64) -> PathBuf {
        self.directory(generation).join("lock.txt")
    }

    fn directory(&self, generation: u64) -> PathBuf {
        self.root.join(GENERATIONS).join(generation.to_string())
    }

    /// Makes the directories.
    pub fn make(&self) -> io::Result<()> {
        directory(&self.root.join(GENERATIONS))
    }

    /// The number in force; 0 = none. A number whose generation is not there
    /// (somebody removed it by hand) is said and counts as none.
    #[must_use]
    pub fn current(&self) -> u64 {
        let text = match std::fs::read_to_string(self.root.join(CURRENT)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return 0,
            Err(error) => {
                tracing::error!(path = %self.root.display(), %error, "`current` can't be read");
                return 0;
            }
        };
        match text.trim().parse() {
            Ok(0) => 0,
            Ok(number) if self.manifest(number).is_ok() => number,
            Ok(_) | Err(_) => {
                let path = self.root.display();
                tracing::error!(%path, names = %text.trim(), "`current` names no generation");
                0
            }
        }
    }

    /// A generation's manifest.
    pub fn manifest(&self, generation: u64) -> io::Result<Manifest> {
        let bytes = std::fs::read(self.directory(generation).join(MANIFEST))?;
        let manifest: Manifest = serde_json::from_slice(&bytes)?;
        if manifest.generation == generation && self.site(generation).is_dir() {
            return Ok(manifest);
        }
        Err(io::Error::other(format!("generation {generation} is not complete")))
    }

    /// Every generation, oldest first.
    #[must_use]
    pub fn history(&self) -> Vec<Manifest> {
        let mut all: Vec<_> =
            self.numbers().into_iter().filter_map(|n| self.manifest(n).ok()).collect();
        all.sort_by_key(|manifest| manifest.generation);
        all
    }

    fn numbers(&self) -> Vec<u64> {
        let Ok(entries) = std::fs::read_dir(self.root.join(GENERATIONS)) else { return Vec::new() };
        let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    /// Waits for the lock until `until`; `None` when somebody has it that long.
    pub async fn lock(&self, until: Instant) -> io::Result<Option<Lock>> {
        self.make()?;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(Some(lock));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            tokio::time::sleep(ASK).await;
        }
    }

    pub(super) fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = open(&self.root.join(LOCK))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what installs that were cut off left, when nobody installs now.
    pub fn sweep_if_idle(&self) {
        if self.root.is_dir()
            && let Ok(Some(lock)) = self.try_lock()
        {
            self.sweep(&lock);
        }
    }

    /// Removes what installs that were cut off left.
    pub fn sweep(&self, _lock: &Lock) {
        let Ok(entries) = std::fs::read_dir(&self.root) else { return };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(STAGING) {
                tracing::info!(path = %entry.path().display(), "removing an unfinished install");
                remove(&entry.path());
            }
        }
    }

    /// A new directory to install into.
    pub fn stage(&self, _lock: &Lock) -> io::Result<Staging> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(format!("{STAGING}{}-{number}", std::process::id()));
        let staging = Staging { path };
        for directory in [staging.path.clone(), staging.site(), staging.path.join("tmp")] {
            std::fs::DirBuilder::new().mode(0o700).create(directory)?;
        }
        Ok(staging)
    }

    /// Makes a generation of what was staged and puts it in force. Blocking.
    pub fn commit(
        &self,
        lock: &Lock,
        mut staging: Staging,
        mut manifest: Manifest,
    ) -> io::Result<Manifest> {
        let number = self.numbers().into_iter().max().unwrap_or(0).max(self.current()) + 1;
        manifest.generation = number;
        remove(&staging.path.join("tmp"));
        open(&staging.path.join(LEASE))?;
        let text = serde_json::to_vec_pretty(&manifest)?;
        std::fs::write(staging.path.join(MANIFEST), text)?;
        // One call for all the files: they are on disk before anything names them.
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(File::open(&staging.path)?)?;
        #[cfg(not(target_os = "linux"))]
        rustix::fs::sync();
        let home = self.root.join(GENERATIONS);
        std::fs::rename(&staging.path, self.directory(number))?;
        staging.path = PathBuf::new();
        File::open(&home)?.sync_all()?;
        self.point(lock, number)?;
        Ok(manifest)
    }

    /// Puts a generation in force; 0 = none. Blocking.
    pub fn point(&self, _lock: &Lock, generation: u64) -> io::Result<()> {
        let next = self.root.join("current.next");
        std::fs::write(&next, format!("{generation}\n"))?;
        File::open(&next)?.sync_all()?;
        std::fs::rename(&next, self.root.join(CURRENT))?;
        File::open(&self.root)?.sync_all()
    }

    /// Keeps others from removing a generation.
    pub fn lease(&self, generation: u64) -> io::Result<Lease> {
        let path = self.directory(generation).join(LEASE);
        let file = File::open(&path)?;
        rustix::fs::flock(&file, FlockOperation::LockShared)?;
        // Whoever removes it holds it exclusively: by now it may be another's, or nobody's.
        let (ours, there) = (file.metadata()?, path.metadata()?);
        if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
            return Ok(Lease { _file: file });
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// Says that it was used now.
    pub fn touch(&self) {
        let path = self.root.join(USED);
        let touched = open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::warn!(path = %path.display(), %error, "a use can't be noted");
        }
    }

    /// When it was used last.
    #[must_use]
    pub fn used(&self) -> SystemTime {
        let time = |path: PathBuf| path.metadata().and_then(|meta| meta.modified());
        time(self.root.join(USED))
            .or_else(|_| time(self.root.join(CURRENT)))
            .or_else(|_| time(self.root.clone()))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Removes all of it, unless somebody installs here or uses it. Blocking.
    pub fn discard(&self) {
        let Ok(Some(_lock)) = self.try_lock() else { return };
        let numbers = self.numbers();
        let exclusive: Vec<_> =
            numbers.iter().filter_map(|number| self.exclusive(*number)).collect();
        if exclusive.len() == numbers.len() {
            tracing::info!(path = %self.root.display(), "packages of a script are removed");
            remove(&self.root);
        }
    }

    /// Removes generations that are too many, too old or too much. Blocking.
    pub fn prune(&self, _lock: &Lock, policy: &Policy) {
        let current = self.current();
        let mut all = self.history();
        all.reverse();
        let in_force = all.iter().filter(|manifest| manifest.generation == current);
        let (mut kept, mut bytes) = (0, in_force.map(|manifest| manifest.bytes).sum::<u64>());
        for manifest in all.into_iter().filter(|manifest| manifest.generation != current) {
            let number = manifest.generation;
            let created = SystemTime::UNIX_EPOCH + Duration::from_millis(manifest.created_ms);
            let age = created.elapsed().unwrap_or_default();
            let fits = kept < policy.keep
                && age <= policy.keep_age
                && bytes.saturating_add(manifest.bytes) <= policy.keep_bytes;
            // Held until it is gone, so that nobody begins to use it meanwhile.
            let exclusive = if fits { None } else { self.exclusive(number) };
            if exclusive.is_none() {
                bytes = bytes.saturating_add(manifest.bytes);
                kept += 1;
            } else {
                tracing::info!(generation = number, "an old package generation is removed");
                remove(&self.directory(number));
            }
        }
    }

    /// The right to remove a generation, when nobody uses it.
    fn exclusive(&self, generation: u64) -> Option<File> {
        let file = open(&self.directory(generation).join(LEASE)).ok()?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(file)
    }
}

impl Staging {
    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is installed into.
    #[must_use]
    pub fn site(&self) -> PathBuf {
        self.path.join("site")
    }

    /// The lock under way.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.path.join("lock.txt")
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove(&self.path);
        }
    }
}

/// Makes a directory of the user's own, and those above it.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn directories(within: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(within) else { return Vec::new() };
    entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        // The next install sweeps again.
        tracing::warn!(path = %path.display(), %error, "a directory could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(home: &Path) -> Place {
        let policy = Policy { home: Some(home.to_owned()), ..Policy::default() };
        Place::of(&policy, "default").unwrap()
    }

    fn commit(place: &Place, lock: &Lock) -> u64 {
        let staging = place.stage(lock).unwrap();
        std::fs::write(staging.site().join("x.py"), "x = 1").unwrap();
        let created_ms = 1000 * SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let manifest = Manifest { created_ms, bytes: 5, ..Manifest::default() };
        place.commit(lock, staging, manifest).unwrap().generation
    }

    #[test]
    fn a_commit_is_in_force_and_a_staging_that_is_dropped_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.make().unwrap();
        let lock = place.try_lock().unwrap().unwrap();
        assert_eq!(place.current(), 0);
        let path = place.stage(&lock).unwrap().path().to_owned();
        assert!(!path.exists());
        assert_eq!((commit(&place, &lock), place.current()), (1, 1));
        assert_eq!((commit(&place, &lock), place.current()), (2, 2));
        place.point(&lock, 1).unwrap();
        assert_eq!((commit(&place, &lock), place.current()), (3, 3), "no number is used twice");
        assert_eq!(place.history().len(), 3);
        assert!(place.try_lock().unwrap().is_none(), "one at a time");
    }

    #[test]
    fn a_damaged_pointer_counts_as_none() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.make().unwrap();
        for text in ["", "x", "7", "-1", "1\u{0}"] {
            std::fs::write(place.root().join(CURRENT), text).unwrap();
            assert_eq!(place.current(), 0, "{text:?}");
        }
    }

    #[test]
    fn pruning_keeps_the_one_in_force_and_what_is_leased() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.make().unwrap();
        let lock = place.try_lock().unwrap().unwrap();
        for _ in 0..5 {
            commit(&place, &lock);
        }
        place.point(&lock, 2).unwrap();
        let lease = place.lease(1).unwrap();
        let few = Policy { keep: 1, ..Policy::default() };
        place.prune(&lock, &few);
        let left = |place: &Place| {
            place.history().iter().map(|manifest| manifest.generation).collect::<Vec<_>>()
        };
        assert_eq!(left(&place), [1, 2, 5]);
        drop(lease);
        place.prune(&lock, &Policy { keep_bytes: 6, ..Policy::default() });
        assert_eq!(left(&place), [2]);
    }

    #[test]
    fn what_is_too_old_is_pruned_unless_it_is_in_force() {
        let home = tempfile::tempdir().unwrap();
        let place = place(home.path());
        place.make().unwrap();
        let lock = place.try_lock().unwrap().unwrap();
        for _ in 0..3 {
            commit(&place, &lock);
        }
        let left = |place: &Place| place.history().len();
        place.prune(&lock, &Policy { keep_age: Duration::from_secs(3600), ..Policy::default() });
        assert_eq!(left(&place), 3);
        // Ages are counted in milliseconds from the second a commit here is dated to.
        std::thread::sleep(Duration::from_millis(5));
        place.prune(&lock, &Policy { keep_age: Duration::ZERO, ..Policy::default() });
        assert_eq!(left(&place), 1);
    }
}
