//! Whose attacks: the user, the interpreter and the binary that user can read.
//!
//! The interpreter that the project is built with may lie in a home that nobody else may enter, so
//! for another user it is copied, together with the binary, whose run path looks beside itself.

use crate::support::BINARY;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The user that no file belongs to.
const NOBODY: u32 = 65534;

/// An interpreter, a binary, and whose they are used as.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    pub(crate) python: PathBuf,
    pub(crate) binary: PathBuf,
    /// Where the interpreter was copied to.
    pub(crate) home: Option<PathBuf>,
    pub(crate) user: Option<u32>,
}

impl Prefix {
    /// The interpreter that `tools/find-python` finds, as the user who runs the tests.
    pub(crate) fn discovered() -> Self {
        let python = asked("import sys; print(sys.executable)");
        Self { python, binary: BINARY.into(), home: None, user: None }
    }

    /// A readable copy of it, as an unprivileged user.
    pub(crate) fn for_nobody() -> Self {
        static COPY: OnceLock<tempfile::TempDir> = OnceLock::new();
        let directory = COPY.get_or_init(copy).path();
        Self {
            python: directory.join("python/bin/python3"),
            binary: directory.join("qntx-python-plugin"),
            home: Some(directory.join("python")),
            user: Some(NOBODY),
        }
    }

    /// A command of this user.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let Some(user) = self.user else { return Command::new(program.into()) };
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &user.to_string(), "--regid", &user.to_string(), "--clear-groups"])
            .arg(program.into())
            .env_remove("HOME")
            .env("LD_LIBRARY_PATH", self.home.as_ref().unwrap().join("lib"));
        command
    }

    /// Makes a tree this user's own.
    pub(crate) fn give(&self, path: &Path) {
        let Some(user) = self.user else { return };
        std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in std::fs::read_dir(path).unwrap() {
                self.give(&entry.unwrap().path());
            }
        }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.user.is_none() && rustix::process::geteuid().is_root()
    }
}

fn asked(question: &str) -> PathBuf {
    let finder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/find-python");
    let answer = Command::new(finder).args(["-I", "-c", question]).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    PathBuf::from(String::from_utf8(answer.stdout).unwrap().trim())
}

/// `python/bin/python3`, `python/lib` without tests and packages, and the binary beside it.
fn copy() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    open(place.path());
    let library = asked("import sysconfig; print(sysconfig.get_config_var('LIBDIR'))");
    let stdlib = asked("import sysconfig; print(sysconfig.get_path('stdlib'))");
    let executable = asked("import sys; print(sys.executable)").canonicalize().unwrap();
    let lib = place.path().join("python/lib");
    copy_tree(&stdlib, &lib.join(stdlib.file_name().unwrap()));
    for entry in std::fs::read_dir(library).unwrap() {
        let entry = entry.unwrap().path();
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("libpython") && name.contains(".so") {
            std::fs::copy(&entry, lib.join(name)).unwrap();
        }
    }
    std::fs::create_dir_all(place.path().join("python/bin")).unwrap();
    std::fs::copy(executable, place.path().join("python/bin/python3")).unwrap();
    std::fs::copy(BINARY, place.path().join("qntx-python-plugin")).unwrap();
    place
}

fn copy_tree(from: &Path, to: &Path) {
    const LEFT_OUT: [&str; 6] =
        ["test", "site-packages", "idlelib", "ensurepip", "tkinter", "__pycache__"];
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            if !LEFT_OUT.contains(&text.as_ref()) && !text.starts_with("config-") {
                copy_tree(&entry.path(), &to.join(&name));
            }
        } else {
            std::fs::copy(entry.path(), to.join(&name)).unwrap();
        }
    }
}

/// Lets everybody enter.
pub(crate) fn open(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
