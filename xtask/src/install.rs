//! `cargo xtask install`: the release binary, where QNTX looks for plugins.
//!
//! The file is replaced in one step and only after it has answered: a plugin that is
//! running keeps the old file, and a build that does not start never takes its place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::build::{PLUGIN, binary};
use crate::nix::{self, With};
use crate::python::FetchPython;
use crate::shell::Shell;

/// Where a plugin goes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Plugins are in DIR/plugins [default: ~/.qntx]
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// The name QNTX knows the plugin by; the file is qntx-NAME-plugin
    #[arg(long, default_value = "python", value_parser = plugin_name)]
    name: String,
}

/// Build and install into ~/.qntx/plugins
#[derive(Debug, Args)]
pub(crate) struct Install {
    #[command(flatten)]
    place: Place,
    /// What builds: cargo, nix, or auto (Nix where it works)
    #[arg(long, env = "BUILD", value_enum, default_value_t = With::Cargo)]
    with: With,
    #[command(flatten)]
    python: FetchPython,
}

impl Install {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let target = self.place.binary()?;
        let directory = target.parent().context("no directory")?;
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let built = if self.with.is_nix(sh)? {
            // The link is a root of the store's garbage collector: it keeps the
            // libraries of the binary alive as long as the binary is here.
            let link = self.place.root()?;
            sh.run(nix::flakes(sh).args(["build", ".#default", "--out-link"]).arg(&link))?;
            link.join("bin").join(PLUGIN)
        } else {
            binary(sh, "release", &self.python.prepare(sh)?)?
        };
        put(&built, &target, |file| version(sh, file))?;
        println!("{}", target.display());
        println!("{}", version(sh, &target)?);
        Ok(())
    }
}

impl Place {
    /// The plugin `python` under `prefix`.
    pub(crate) fn under(prefix: &Path) -> Self {
        Self { prefix: Some(prefix.to_owned()), name: "python".to_owned() }
    }

    /// The installed binary.
    pub(crate) fn binary(&self) -> Result<PathBuf> {
        Ok(self.plugins()?.join(format!("qntx-{}-plugin", self.name)))
    }

    /// The link that keeps an installation from Nix alive.
    pub(crate) fn root(&self) -> Result<PathBuf> {
        Ok(self.plugins()?.join(format!(".qntx-{}-plugin.nix-root", self.name)))
    }

    fn plugins(&self) -> Result<PathBuf> {
        let prefix = match &self.prefix {
            Some(prefix) => std::path::absolute(prefix)?,
            None => std::env::home_dir().context("no home directory; give --prefix")?.join(".qntx"),
        };
        Ok(prefix.join("plugins"))
    }
}

/// Copies `from` beside `to`, lets `proof` look at the copy, then renames it into place.
/// When anything fails, what was there before is still there.
fn put(from: &Path, to: &Path, proof: impl FnOnce(&Path) -> Result<String>) -> Result<()> {
    let directory = to.parent().context("no directory")?;
    let name = to.file_name().context("no file name")?.to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}.new", std::process::id()));
    let written = write(from, &temporary).and_then(|()| {
        proof(&temporary)?;
        fs::rename(&temporary, to).context("cannot rename")?;
        // The rename is only on disk when the directory is.
        File::open(directory)?.sync_all().context("cannot sync the directory")
    });
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot install {}", to.display()))
}

fn write(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).with_context(|| format!("cannot open {}", from.display()))?;
    let mut file = File::create(to).with_context(|| format!("cannot create {}", to.display()))?;
    io::copy(&mut source, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(0o755))?;
    file.sync_all().context("cannot sync")
}

/// What the binary says of itself; it is asked without any of this process's
/// environment, as the core might start it.
pub(crate) fn version(sh: &Shell, file: &Path) -> Result<String> {
    let said = sh.read(sh.command(file).arg("--version").env_clear())?;
    let expected = format!("{PLUGIN} {}", env!("CARGO_PKG_VERSION"));
    let first = said.lines().next().unwrap_or_default();
    ensure!(first.starts_with(&expected), "--version says `{first}`, not `{expected}`");
    Ok(first.to_owned())
}

/// A name that is one path segment and that QNTX's configuration can hold.
fn plugin_name(name: &str) -> Result<String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(fine) || name.starts_with('-') {
        bail!("a plugin's name is lower-case letters, digits and hyphens");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_takes_the_place_of_the_old_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let (from, to) = (directory.path().join("built"), directory.path().join("installed"));
        fs::write(&from, "new").expect("written");
        fs::write(&to, "old").expect("written");
        put(&from, &to, |_| Ok(String::new())).expect("installed");
        assert_eq!(fs::read_to_string(&to).expect("there"), "new");
        assert_eq!(fs::metadata(&to).expect("there").permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 2);
    }

    #[test]
    fn a_build_that_does_not_answer_leaves_the_old_one_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let (from, to) = (directory.path().join("built"), directory.path().join("installed"));
        fs::write(&from, "new").expect("written");
        fs::write(&to, "old").expect("written");
        assert!(put(&from, &to, |_| bail!("does not start")).is_err());
        assert_eq!(fs::read_to_string(&to).expect("there"), "old");
        assert_eq!(fs::read_dir(directory.path()).expect("there").count(), 2);
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for bad in ["", "../x", "a/b", "A", "a b", "-x"] {
            assert!(plugin_name(bad).is_err(), "{bad}");
        }
        assert!(plugin_name("python-data").is_ok());
    }
}
