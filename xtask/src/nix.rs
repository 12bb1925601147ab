//! Whether Nix is the way to build here, and the commands that use it.
//!
//! Nix is taken by itself only when it will be quick: flakes work, and a substituter
//! answers within five seconds. Without a substituter it would compile the C library
//! and the compiler first.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::shell::{Shell, which};

/// How long a substituter may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum With {
    /// cargo, against a CPython found on this machine
    Cargo,
    /// Nix, against its own CPython 3.13
    Nix,
    /// Nix when flakes work and a substituter answers within 5 s, else cargo
    Auto,
}

impl With {
    /// Decides, and says what it decided and why.
    pub(crate) fn is_nix(self, sh: &Shell) -> Result<bool> {
        match self {
            Self::Cargo => Ok(false),
            Self::Nix => match flakes_work(sh) {
                Ok(()) => Ok(true),
                Err(reason) => bail!("BUILD=nix, but {reason}"),
            },
            Self::Auto => match usable(sh) {
                Ok(substituter) => {
                    eprintln!("building with Nix: {substituter} answers (BUILD=cargo for cargo)");
                    Ok(true)
                }
                Err(reason) => {
                    eprintln!("building with cargo: {reason} (BUILD=nix for Nix all the same)");
                    Ok(false)
                }
            },
        }
    }
}

/// `nix` with flakes switched on, whatever the machine's settings say.
pub(crate) fn flakes(sh: &Shell) -> Command {
    let mut command = sh.command("nix");
    command.args(["--extra-experimental-features", "nix-command flakes"]);
    command
}

/// The installable of the flake's check `name`, for this system.
pub(crate) fn check(sh: &Shell, name: &str) -> Result<String> {
    let system = sh.read(flakes(sh).args([
        "eval",
        "--impure",
        "--raw",
        "--expr",
        "builtins.currentSystem",
    ]))?;
    Ok(format!(".#checks.{}.{name}", system.trim()))
}

/// The substituter that answers, or why Nix is not the way.
fn usable(sh: &Shell) -> Result<String, String> {
    flakes_work(sh)?;
    let substituters = substituters(sh).map_err(|error| format!("{error:#}"))?;
    for url in &substituters {
        if sh.succeeds_within(flakes(sh).args(["store", "ping", "--store", url]), ANSWER) {
            return Ok(url.clone());
        }
    }
    Err(format!(
        "no substituter answers within {} s ({})",
        ANSWER.as_secs(),
        substituters.join(", ")
    ))
}

fn flakes_work(sh: &Shell) -> Result<(), String> {
    if which("nix").is_none() {
        return Err("there is no nix here".to_owned());
    }
    let mut command = flakes(sh);
    command.args(["flake", "metadata", "--offline", "--no-update-lock-file", "--json", "."]);
    match sh.output(&mut command) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().rev().find(|line| !line.trim().is_empty());
            Err(format!(
                "nix does not take the flake: {}",
                last.unwrap_or("no reason given").trim()
            ))
        }
        Err(error) => Err(format!("{error:#}")),
    }
}

fn substituters(sh: &Shell) -> Result<Vec<String>> {
    let config = sh.read(flakes(sh).args(["show-config", "--json"]))?;
    let config: Value = serde_json::from_str(&config).context("nix show-config wrote no JSON")?;
    let listed = config["substituters"]["value"].as_array().context("nix names no substituters")?;
    Ok(listed.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
