//! The uv of this machine: the one on PATH, or the one that the tests have fetched.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::shell::{Shell, which};

/// Where a fetched one is, below the target directory; the tests look there, too.
const HOME: &str = "tools-uv";

/// The one that is here.
pub(crate) fn found(sh: &Shell) -> Result<Option<PathBuf>> {
    let fetched = sh.target()?.join(HOME).join("bin/uv");
    Ok(which("uv").or_else(|| fetched.is_file().then_some(fetched)))
}

/// The one that is here, or one from PyPI.
pub(crate) fn fetched(sh: &Shell) -> Result<PathBuf> {
    if let Some(found) = found(sh)? {
        return Ok(found);
    }
    let home = sh.target()?.join(HOME);
    let mut install = sh.command("python3");
    install.args(["-m", "pip", "install", "--quiet", "--target"]);
    sh.run(install.arg(&home).arg("uv")).context("no uv on PATH, and none from PyPI")?;
    Ok(home.join("bin/uv"))
}
