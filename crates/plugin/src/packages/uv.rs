//! uv: where it is, and what it is asked to do.
//!
//! **Invariant:** uv reads no configuration of the user's, downloads no Python,
//! and writes in its cache and the staging directory alone; requirements reach
//! it in a file, never as arguments.

use super::cage::Cage;
use super::failure;
use super::process::{self, Ended, Order};
use super::progress::Progress;
use crate::spawner::Spawner;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HOW: &str = "installing packages needs uv, which is not there: put it next to the plugin's \
                   binary or on PATH, or name it with --uv PATH (`pip install uv`, `nix profile \
                   install nixpkgs#uv`, or https://docs.astral.sh/uv/ have it)";

/// uv, ready to be run.
#[derive(Debug)]
pub struct Uv<'a> {
    pub spawner: &'a Spawner,
    pub program: PathBuf,
    pub cache: PathBuf,
    /// The interpreter that wheels have to fit.
    pub python: PathBuf,
    pub staging: &'a Path,
    pub cage: Cage,
    pub progress: &'a Progress,
    pub until: Instant,
    /// What it said so far.
    pub said: Vec<String>,
}

/// How a resolution is made.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub index_url: Option<String>,
    pub only_binary: bool,
    /// Names whose locked versions are not kept.
    pub upgrade: Vec<String>,
}

/// Where uv is, by `configured`, next to the binary, on PATH.
pub fn find(configured: Option<&Path>) -> Result<PathBuf, String> {
    let exe = std::env::current_exe().ok();
    let beside = exe.as_deref().and_then(Path::parent).map(Path::to_owned);
    first(configured, beside.into_iter().chain(crate::env::search_path()))
}

fn first(
    configured: Option<&Path>,
    directories: impl Iterator<Item = PathBuf>,
) -> Result<PathBuf, String> {
    let is_program = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if let Some(path) = configured {
        let found = is_program(path).then(|| path.to_owned());
        return found.ok_or_else(|| {
            format!("`uv` is configured to be {}, which is no program", path.display())
        });
    }
    let mut all = directories.map(|directory| directory.join("uv"));
    all.find(|path| is_program(path)).ok_or_else(|| HOW.to_owned())
}

/// The executable of the interpreter with this prefix and version.
pub fn interpreter(prefix: &str, version: &str) -> Result<PathBuf, String> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or("3"), parts.next().unwrap_or_default());
    let names = [format!("python{major}.{minor}"), format!("python{major}"), "python".to_owned()];
    let bin = Path::new(prefix).join("bin");
    let found = names.iter().map(|name| bin.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        format!(
            "there is no python{major}.{minor} in {}: uv asks it which wheels fit",
            bin.display()
        )
    })
}

impl Uv<'_> {
    /// `uv 0.9.1`
    pub async fn version(&mut self) -> Result<String, String> {
        let ended = self.run(vec!["--version".into()]).await?;
        Ok(ended.stdout.split(" (").next().unwrap_or_default().trim().to_owned())
    }

    /// Resolves `requirements` into `lock`, whose versions are kept where they can be.
    pub async fn compile(
        &mut self,
        requirements: &Path,
        lock: &Path,
        wish: &Wish,
    ) -> Result<(), String> {
        let mut arguments = words("pip compile --generate-hashes --no-header --no-annotate");
        arguments.push("--output-file".into());
        arguments.push(lock.into());
        for name in &wish.upgrade {
            arguments.push("--upgrade-package".into());
            arguments.push(name.into());
        }
        self.common(&mut arguments, wish);
        arguments.push(requirements.into());
        self.run(arguments).await.map(drop)
    }

    /// Installs what `lock` names into `site`.
    pub async fn install(&mut self, lock: &Path, site: &Path, wish: &Wish) -> Result<(), String> {
        let mut arguments =
            words("pip install --no-deps --require-hashes --link-mode hardlink --compile-bytecode");
        arguments.push("--target".into());
        arguments.push(site.into());
        arguments.push("--requirement".into());
        arguments.push(lock.into());
        self.common(&mut arguments, wish);
        self.run(arguments).await.map(drop)
    }

    fn common(&self, arguments: &mut Vec<OsString>, wish: &Wish) {
        arguments.push("--python".into());
        arguments.push(self.python.clone().into());
        if wish.only_binary {
            arguments.extend(words("--only-binary :all:"));
        }
        if let Some(index) = &wish.index_url {
            arguments.extend(["--default-index".into(), OsString::from(index)]);
        }
    }

    async fn run(&mut self, mut arguments: Vec<OsString>) -> Result<Ended, String> {
        arguments.extend(words("--no-config --no-python-downloads --color never"));
        let order = Order {
            program: &self.program,
            cage: &self.cage,
            progress: self.progress,
            arguments,
            environment: self.environment(),
            directory: self.staging,
            deadline: self.until.saturating_duration_since(Instant::now()),
        };
        let ended = process::run(self.spawner, order);
        let ended = ended.await.map_err(|error| format!("uv can't be run: {error}"))?;
        self.said.push(ended.stderr.clone());
        if ended.success { Ok(ended) } else { Err(failure::sentence(&ended)) }
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let temporary = self.staging.join("tmp");
        let mut environment: Vec<(OsString, OsString)> = [
            ("PATH", OsStr::new("/usr/local/bin:/usr/bin:/bin")),
            ("HOME", self.staging.as_os_str()),
            ("TMPDIR", temporary.as_os_str()),
            ("UV_CACHE_DIR", self.cache.as_os_str()),
            ("UV_NO_PROGRESS", OsStr::new("1")),
            ("UV_HTTP_RETRIES", OsStr::new("2")),
            ("PYTHONDONTWRITEBYTECODE", OsStr::new("1")),
        ]
        .map(|(name, value)| (name.into(), value.to_owned()))
        .to_vec();
        environment.extend(crate::env::network());
        environment
    }

    /// What is left of the time, for whatever comes after uv.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

fn words(text: &str) -> Vec<OsString> {
    text.split(' ').map(OsString::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_uv_that_is_none_is_named_and_not_looked_for_elsewhere() {
        let error = find(Some(Path::new("/nonexistent/uv"))).unwrap_err();
        assert!(error.contains("/nonexistent/uv"), "{error}");
    }

    #[test]
    fn the_configured_uv_comes_first_and_then_the_first_that_is_a_program() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let directories = ["beside", "first", "second"].map(|name| place.path().join(name));
        for (directory, mode) in directories.iter().zip([0o644, 0o755, 0o755]) {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("uv"), "").unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(directory.join("uv"), mode).unwrap();
        }
        let [_, one, other] = &directories;
        let found = first(None, directories.clone().into_iter());
        assert_eq!(found, Ok(one.join("uv")));
        let named = other.join("uv");
        assert_eq!(first(Some(&named), directories.clone().into_iter()), Ok(named));
        let none = first(None, std::iter::empty()).unwrap_err();
        assert!(none.contains("--uv PATH") && none.contains("pip install uv"), "{none}");
    }

    #[test]
    fn an_interpreter_that_is_not_there_is_named() {
        let error = interpreter("/nonexistent", "3.13.1").unwrap_err();
        assert!(error.contains("python3.13 in /nonexistent/bin"), "{error}");
    }
}
