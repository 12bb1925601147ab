//! `cargo xtask build`: the release binary, through cargo or Nix.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::nix::{self, With};
use crate::python::{FetchPython, Python};
use crate::shell::Shell;

/// The package and its binary.
pub(crate) const PLUGIN: &str = "qntx-python-plugin";

/// Build the plugin
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Build without optimisation
    #[arg(long)]
    dev: bool,
    /// What builds: cargo, nix, or auto (Nix where it works)
    #[arg(long, env = "BUILD", value_enum, default_value_t = With::Cargo)]
    with: With,
    #[command(flatten)]
    python: FetchPython,
}

impl Build {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        if self.with.is_nix(sh)? {
            return sh.run(nix::flakes(sh).args(["build", ".#default", "--print-build-logs"]));
        }
        let profile = if self.dev { "dev" } else { "release" };
        let binary = binary(sh, profile, &self.python.prepare(sh)?)?;
        println!("{}", binary.display());
        Ok(())
    }
}

/// Builds the plugin and gives the path of the binary, as cargo reports it.
pub(crate) fn binary(sh: &Shell, profile: &str, python: &Python) -> Result<PathBuf> {
    let mut command = sh.cargo(["build", "--package", PLUGIN, "--bin", PLUGIN]);
    command.args(["--profile", profile, "--message-format", "json-render-diagnostics"]);
    python.for_build(&mut command);
    built(&mut command)
}

/// Runs a cargo that reports in JSON and gives the executable it made.
pub(crate) fn built(command: &mut std::process::Command) -> Result<PathBuf> {
    eprintln!("$ cargo build --package {PLUGIN}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the build failed");
    }
    executable(&String::from_utf8_lossy(&output.stdout)).context("cargo reported no executable")
}

/// The plugin's executable among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["target"]["name"] == PLUGIN)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::executable;

    #[test]
    fn the_executable_is_taken_from_cargos_report() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"plugin"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"qntx-python-plugin"},"executable":"/t/x"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages), Some(PathBuf::from("/t/x")));
        assert_eq!(executable("not json\n"), None);
    }
}
