//! A release build that keeps nothing of the machine it was made on: no path of the
//! source, of cargo's home or of the target directory, and a run path relative to the
//! binary.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::build::{PLUGIN, built};
use crate::python::Python;
use crate::shell::Shell;

/// Where things lie, as far as the compiler would write it down.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) source: PathBuf,
    pub(crate) cargo_home: PathBuf,
    pub(crate) target: PathBuf,
    /// What else differs: environment variables.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// The mask for new files' modes.
    pub(crate) umask: &'static str,
    pub(crate) jobs: usize,
}

impl World {
    /// This machine as it is, with a target directory apart from the everyday one.
    pub(crate) fn here(sh: &Shell) -> Result<Self> {
        let cargo_home = match std::env::var_os("CARGO_HOME") {
            Some(home) => PathBuf::from(home),
            None => std::env::home_dir().context("no home directory")?.join(".cargo"),
        };
        Ok(Self {
            source: sh.root().to_owned(),
            cargo_home,
            target: sh.target()?.join("portable"),
            environment: Vec::new(),
            umask: "0022",
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Builds the plugin and gives the binary's path.
    pub(crate) fn build(&self, sh: &Shell) -> Result<PathBuf> {
        let python = Python::found(sh)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // The mask is a process's own: a shell sets it and becomes cargo.
        let mut command = sh.command("sh");
        command.current_dir(&self.source);
        command.args(["-c", "umask \"$0\" && exec \"$@\"", self.umask]).arg(cargo);
        command.args(["build", "--locked", "--release", "--package", PLUGIN, "--bin", PLUGIN]);
        command.args(["--jobs", &self.jobs.to_string()]);
        command.args(["--message-format", "json-render-diagnostics"]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.lend(&mut command);
        command.env("QNTX_PYTHON_PORTABLE", "1");
        // The interpreter's path is configuration, and the same in every world.
        built(python.for_build(command.env_remove("PYO3_PYTHON")))
    }

    /// Lets a cargo build here, so that libraries built once are not built again.
    pub(crate) fn lend(&self, command: &mut Command) {
        command.env("CARGO_HOME", &self.cargo_home).env("CARGO_TARGET_DIR", &self.target);
        command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", self.rustflags());
    }

    /// Each directory under the name it has in every world. The last prefix that fits
    /// wins, so what lies inside another comes after it.
    fn rustflags(&self) -> OsString {
        let mut flags = OsString::new();
        let places = [
            (&self.source, "/qntx-python"),
            (&self.cargo_home, "/cargo"),
            (&self.target, "/target"),
        ];
        for (path, name) in places {
            if !flags.is_empty() {
                flags.push("\x1f");
            }
            flags.push("--remap-path-prefix=");
            flags.push(path);
            flags.push("=");
            flags.push(name);
        }
        flags
    }
}

/// Fails when the binary has one of these texts in it.
pub(crate) fn holds_none_of(binary: &Path, texts: &[String]) -> Result<()> {
    let bytes =
        std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    for text in texts {
        if let Some(at) = find(&bytes, text.as_bytes()) {
            let around = &bytes[at..bytes.len().min(at + text.len() + 80)];
            let shown: String = String::from_utf8_lossy(around)
                .chars()
                .map(|c| if c.is_control() { '·' } else { c })
                .collect();
            bail!("{} holds a path of this machine at byte {at}: {shown}", binary.display());
        }
    }
    Ok(())
}

/// Where `needle` begins.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::holds_none_of;

    #[test]
    fn a_path_in_a_binary_is_found_and_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"\x7fELF\0/home/me/src/main.rs\0").expect("written");
        let texts = |text: &str| vec![text.to_owned()];
        let error = holds_none_of(file.path(), &texts("/home/me")).expect_err("found");
        assert!(format!("{error:#}").contains("/home/me/src/main.rs"));
        holds_none_of(file.path(), &texts("/home/you")).expect("absent");
    }
}
