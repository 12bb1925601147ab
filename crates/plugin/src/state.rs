//! What the plugin remembers between its lives: one directory for each plugin
//! name and directory of the core's.
//!
//! A file is a line (`qntx-python VERSION CHECKSUM`) and JSON. It is written
//! beside its place and renamed into it.
//!
//! **Invariant:** one process at a time uses a directory; what is read is what
//! was written, whole, or an error.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of the files' contents; a file of another version is set aside.
const VERSION: u32 = 1;
/// A predecessor that was killed still holds its lock for a moment.
const LOCK: Duration = Duration::from_millis(1500);

/// Why something can't be remembered.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither the setting nor the environment names a place.
    #[error("no place for the plugin's state: set `state_dir`, XDG_STATE_HOME or HOME")]
    Nowhere,
    /// Another process has the directory.
    #[error("{} is in use by another process", path.display())]
    InUse { path: PathBuf },
    /// The file is damaged, or of another version; it was renamed.
    #[error("{} can't be used ({reason}); it was set aside", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// The file system refused.
    #[error("{}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The directory, held.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    _lock: File,
}

impl State {
    /// Opens the directory under `root` of the plugin called `name` in the
    /// process's working directory. Blocks.
    pub fn open(root: Option<&Path>, name: &str) -> Result<Self, StateError> {
        let root = root.map(Path::to_owned).or_else(crate::env::default_state);
        let root = root.ok_or(StateError::Nowhere)?;
        let here = std::env::current_dir().map_err(io_at(Path::new(".")))?;
        let here = checksum(here.as_os_str().as_encoded_bytes());
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        let directory = root.join(name).join(format!("{here:016x}"));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(io_at(&directory))?;
        let path = directory.join("lock");
        let lock = File::options().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.map_err(io_at(&path))?;
        let until = Instant::now() + LOCK;
        loop {
            let wish = rustix::fs::FlockOperation::NonBlockingLockExclusive;
            match rustix::fs::flock(&lock, wish) {
                Ok(()) => return Ok(Self { directory, _lock: lock }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(StateError::InUse { path: directory });
                }
                Err(errno) => return Err(io_at(&path)(errno.into())),
            }
        }
    }

    /// Reads what was saved as `what`; `None` = nothing was. Blocks.
    pub fn load<T: DeserializeOwned>(&self, what: &str) -> Result<Option<T>, StateError> {
        let path = self.directory.join(what);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_at(&path)(error)),
        };
        match opened(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(reason) => {
                let aside = self.directory.join(format!("{what}.damaged"));
                fs::rename(&path, &aside).map_err(io_at(&path))?;
                Err(StateError::Damaged { path, reason })
            }
        }
    }

    /// Saves `value` as `what`, for good when it returns. Blocks.
    pub fn save<T: Serialize>(&self, what: &str, value: &T) -> Result<(), StateError> {
        let path = self.directory.join(what);
        let fail = io_at(&path);
        let body = serde_json::to_vec(value).map_err(|error| fail(error.into()))?;
        let beside = self.directory.join(format!("{what}.new"));
        let write = || -> io::Result<()> {
            let mut file = File::options()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&beside)?;
            writeln!(file, "qntx-python {VERSION} {:016x}", checksum(&body))?;
            file.write_all(&body)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(fail)
    }
}

fn opened<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| "its first line is no text")?;
    let Some((mark, rest)) = head.split_once(' ') else { return Err("it is no state".into()) };
    let Some((version, sum)) = rest.split_once(' ') else { return Err("it is no state".into()) };
    if mark != "qntx-python" {
        return Err("it is no state of qntx-python".to_owned());
    }
    if version != VERSION.to_string() {
        return Err(format!("it has version {version}, not {VERSION}"));
    }
    if sum != format!("{:016x}", checksum(body)) {
        return Err("its checksum is wrong".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// FNV-1a: against torn writes and tired disks, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_read_again_by_the_next_life() {
        let root = tempfile::tempdir().unwrap();
        let state = State::open(Some(root.path()), "python").unwrap();
        assert_eq!(state.load::<Vec<u32>>("numbers").unwrap(), None);
        state.save("numbers", &vec![1, 2]).unwrap();
        state.save("numbers", &vec![3]).unwrap();
        drop(state);
        let state = State::open(Some(root.path()), "python").unwrap();
        assert_eq!(state.load::<Vec<u32>>("numbers").unwrap(), Some(vec![3]));
    }

    #[test]
    fn a_directory_has_one_user_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let state = State::open(Some(root.path()), "python").unwrap();
        let second = State::open(Some(root.path()), "python");
        assert!(matches!(second, Err(StateError::InUse { .. })), "{second:?}");
        State::open(Some(root.path()), "other/name").unwrap();
        drop(state);
        State::open(Some(root.path()), "python").unwrap();
    }

    #[test]
    fn damage_is_seen_named_and_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let state = State::open(Some(root.path()), "python").unwrap();
        for (find, put) in [("[1,2]", "[1,3]"), ("python 1", "python 9"), ("\n", " ")] {
            state.save("numbers", &vec![1, 2]).unwrap();
            let path = state.directory.join("numbers");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replacen(find, put, 1)).unwrap();
            let read = state.load::<Vec<u32>>("numbers");
            assert!(matches!(read, Err(StateError::Damaged { .. })), "{find:?}: {read:?}");
            assert_eq!(state.load::<Vec<u32>>("numbers").unwrap(), None);
        }
    }
}
