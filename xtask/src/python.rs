//! The CPython to build against: which one it is, and fetching one through uv.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::shell::{Shell, which};

/// The version that is fetched when asked for.
const WANTED: &str = "3.13";

/// The flag shared by the verbs that build.
#[derive(Debug, Default, Args)]
pub(crate) struct FetchPython {
    /// Install CPython 3.13 through uv first, and build against it
    #[arg(long)]
    fetch_python: bool,
}

impl FetchPython {
    /// Makes sure that there is an interpreter to build against, before cargo starts:
    /// the search's own message is better than a build script's.
    pub(crate) fn prepare(&self, sh: &Shell) -> Result<Python> {
        if self.fetch_python { Python::fetched(sh) } else { Python::found(sh) }
    }
}

/// Show the CPython that a build takes
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    python: FetchPython,
}

impl Show {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let python = self.python.prepare(sh)?;
        println!("{}", python.path(sh)?.display());
        Ok(())
    }
}

/// The interpreter a build takes.
#[derive(Debug)]
pub(crate) struct Python {
    /// Set when it is not the one cargo would take by itself.
    named: Option<PathBuf>,
}

impl Python {
    /// The one `tools/find-python` chooses.
    pub(crate) fn found(sh: &Shell) -> Result<Self> {
        let output = sh.output(sh.command(finder(sh)).arg("--path"))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(Self { named: None })
    }

    /// CPython 3.13 as uv installs it.
    fn fetched(sh: &Shell) -> Result<Self> {
        let Some(uv) = which("uv") else {
            bail!(
                "--fetch-python needs uv, and uv is not on PATH\n\
                 hint: python3 -m pip install --user uv, or see https://docs.astral.sh/uv"
            );
        };
        sh.run(sh.command(&uv).args(["python", "install", "--no-bin", WANTED])).context(
            "uv could not install CPython 3.13\n\
             hint: behind a mirror, set UV_PYTHON_INSTALL_MIRROR",
        )?;
        let path = sh.read(sh.command(&uv).args([
            "python",
            "find",
            "--no-project",
            "--managed-python",
            WANTED,
        ]))?;
        Ok(Self { named: Some(PathBuf::from(path.trim())) })
    }

    /// Where it is.
    pub(crate) fn path(&self, sh: &Shell) -> Result<PathBuf> {
        match &self.named {
            Some(path) => Ok(path.clone()),
            None => {
                let said = sh.read(sh.command(finder(sh)).arg("--path"))?;
                Ok(PathBuf::from(said.trim()))
            }
        }
    }

    /// Has `command` build against this interpreter.
    pub(crate) fn for_build<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(path) = &self.named {
            command.env("PYO3_PYTHON", path);
        }
        command
    }
}

/// The version of the interpreter a build takes, `3.13.0`.
pub(crate) fn version(sh: &Shell) -> Result<String> {
    let code = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let said = sh.read(sh.command(finder(sh)).args(["-I", "-c", code]))?;
    Ok(said.trim().to_owned())
}

/// Every interpreter that would do, one for each minor version.
pub(crate) fn every(sh: &Shell) -> Result<Vec<(String, PathBuf)>> {
    let report = sh.read(sh.command(finder(sh)).arg("--explain").env_remove("PYO3_PYTHON"))?;
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for line in report.lines() {
        let Some((path, answer)) = line.trim().split_once(" (") else { continue };
        let Some((_, version)) = answer.split_once("): CPython ") else { continue };
        let version = version.split(',').next().unwrap_or_default();
        let minor = version.rsplit_once('.').map_or(version, |(minor, _)| minor);
        if !found.iter().any(|(known, _)| known == minor) {
            found.push((minor.to_owned(), PathBuf::from(path)));
        }
    }
    Ok(found)
}

/// The script that searches.
pub(crate) fn finder(sh: &Shell) -> PathBuf {
    sh.root().join(Path::new("tools/find-python"))
}
