//! A plugin with uv, an index and a place of its own.

use super::wheel::Index;
use crate::support::{Answer, Plugin};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// uv: on PATH, or installed from PyPI beside the binary under test, once.
pub(crate) fn uv() -> &'static Path {
    static UV: OnceLock<PathBuf> = OnceLock::new();
    UV.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if let Some(found) =
            std::env::split_paths(&path).map(|dir| dir.join("uv")).find(|path| path.is_file())
        {
            return found;
        }
        let target = Path::new(crate::support::BINARY).ancestors().nth(2).unwrap();
        let home = target.join("tools-uv");
        let uv = home.join("bin/uv");
        // Other test processes may be at it as well.
        let lock = std::fs::File::create(target.join("tools-uv.lock")).unwrap();
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
        if !uv.is_file() {
            let pip = Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--target"])
                .arg(&home)
                .arg("uv")
                .output();
            assert!(
                pip.as_ref().is_ok_and(|pip| pip.status.success()) && uv.is_file(),
                "these tests need uv: it is not on PATH and pip could not fetch it: {pip:?}"
            );
        }
        uv
    })
}

/// The interpreter that the plugin is built against.
pub(crate) fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = Command::new(root.join("tools/find-python")).arg("--path").output().unwrap();
    let path = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    path.canonicalize().unwrap()
}

/// A plugin whose packages come from `index` alone.
pub(crate) struct Bed {
    pub(crate) plugin: Plugin,
    pub(crate) place: tempfile::TempDir,
    pub(crate) index: Index,
    flags: Vec<String>,
}

impl Bed {
    pub(crate) fn new(index: Index) -> Self {
        Self::with(index, &[])
    }

    pub(crate) fn with(index: Index, more: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut flags: Vec<String> =
            ["--store", ":memory:", "--site-dir"].map(str::to_owned).into();
        flags.extend([text(place.path()), "--uv".to_owned(), text(uv())]);
        flags.extend(["--index-url".to_owned(), index.url()]);
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        Self { plugin: start(&flags), place, index, flags }
    }

    /// Another plugin over the same place.
    pub(crate) fn another(&self) -> Plugin {
        start(&self.flags)
    }

    /// The same with another program in the place of uv, and variables in its environment.
    pub(crate) fn with_program(
        index: Index,
        program: &Path,
        variables: &[(&str, &str)],
        more: &[&str],
    ) -> Self {
        let bed = Self::with(index, more);
        let mut flags = bed.flags.clone();
        let at = flags.iter().position(|flag| flag == "--uv").unwrap();
        flags[at + 1] = program.to_str().unwrap().to_owned();
        let mut command = Command::new(crate::support::BINARY);
        command.envs(variables.iter().copied());
        let given: Vec<&str> = flags.iter().map(String::as_str).collect();
        let plugin = Plugin::start_command(command, &given, tempfile::tempdir().unwrap());
        Self { plugin, flags, ..bed }
    }

    /// How many installs came to their end so far.
    pub(crate) fn installs(&self) -> usize {
        self.plugin.log().matches("packages installed").count()
    }

    /// The directory of the environment in use.
    pub(crate) fn root(&self) -> PathBuf {
        self.place.path().join(".environments/default")
    }

    pub(crate) fn install(&self, package: &str) -> Answer {
        self.plugin.post("/uv/install", &json!({ "package": package }))
    }

    /// Installs, or fails the test.
    #[track_caller]
    pub(crate) fn installed(&self, package: &str) -> Value {
        let answer = self.install(package);
        assert_eq!(
            (answer.status, &answer.body["success"]),
            (200, &json!(true)),
            "{:#}",
            answer.body
        );
        answer.body["result"].clone()
    }

    /// Installs what has to be refused; the reason.
    #[track_caller]
    pub(crate) fn refused(&self, package: &str) -> String {
        let answer = self.install(package);
        assert_eq!(
            (answer.status, &answer.body["success"]),
            (400, &json!(false)),
            "{:#}",
            answer.body
        );
        assert_eq!(answer.body["result"], json!(null));
        answer.text("error").to_owned()
    }

    /// Names in the environment's directory that an install leaves when it is cut off.
    pub(crate) fn left_over(&self) -> Vec<String> {
        left_over(&self.root())
    }
}

pub(crate) fn left_over(root: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("staging-")).collect()
}

fn start(flags: &[String]) -> Plugin {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Plugin::start_with(&flags)
}
