//! `cargo xtask check`: everything about the code that needs no run of it.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::codegen::Codegen;
use crate::msrv;
use crate::nix::{self, With};
use crate::python::Python;
use crate::shell::Shell;
use crate::supply;
use crate::tidy::Tidy;

/// Where cargo-deny's advisories come from.
const ADVISORIES: &str = "https://github.com/rustsec/advisory-db";

/// Check format, lints, shape, generated documents and supply chain
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// What checks: cargo, nix, or auto (Nix where it works)
    #[arg(long, env = "BUILD", value_enum, default_value_t = With::Cargo)]
    with: With,
}

impl Check {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        if self.with.is_nix(sh)? {
            return sh.run(nix::flakes(sh).args(["flake", "check", "-L"]));
        }
        format(sh)?;
        lint(sh)?;
        Tidy {}.run(sh)?;
        Codegen::checking().run(sh)?;
        supply_chain(sh)
    }
}

/// Formatting, as rustfmt wants it.
pub(crate) fn format(sh: &Shell) -> Result<()> {
    sh.run(&mut sh.cargo(["fmt", "--all", "--check"]))
}

/// Lints of every target, warnings taken for errors.
pub(crate) fn lint(sh: &Shell) -> Result<()> {
    Python::found(sh)?;
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    sh.run(&mut sh.cargo(arguments))
}

/// Licences, sources, bans and the promised Rust always; advisories when their database
/// can be had.
pub(crate) fn supply_chain(sh: &Shell) -> Result<()> {
    println!("{}", msrv::check(sh)?);
    let packages = supply::check(sh)?;
    println!("supply chain: {packages} packages from crates.io, under licences deny.toml allows");

    let minute = Duration::from_secs(60);
    if !sh.succeeds_within(&mut sh.cargo(["deny", "--version"]), minute) {
        loud("cargo-deny is not installed: bans and advisories were NOT checked");
        return Ok(());
    }
    sh.run(&mut sh.cargo(["deny", "check", "licenses", "bans", "sources"]))?;

    let mut probe = sh.command("git");
    probe.env("GIT_TERMINAL_PROMPT", "0").args(["ls-remote", "--quiet", ADVISORIES, "HEAD"]);
    if !sh.succeeds_within(&mut probe, Duration::from_secs(10)) {
        loud("the advisory database is out of reach: advisories were NOT checked");
        return Ok(());
    }
    sh.run(&mut sh.cargo(["deny", "check", "advisories"]))
}

/// A gap that must not be overlooked.
fn loud(what: &str) {
    eprintln!("\n!!! {what}\n");
}
