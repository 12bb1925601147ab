//! The project's tasks. `cargo xtask VERB`; each verb is one file.
//!
//! The Makefile and `.ci/run` only call this, so that a task is written once and reads
//! the same on every machine.
//!
//! **Invariant:** depends on none of the project's own crates: it has to run when they
//! do not compile.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task speaks to the terminal")]

mod bench;
mod build;
mod cgroup;
mod check;
mod ci;
mod codegen;
mod doctor;
mod failures;
mod flake;
mod fresh;
mod host;
mod install;
mod installed;
mod macos;
mod metadata;
mod mirror;
mod msrv;
mod nix;
mod package;
mod portable;
mod python;
mod repro;
mod shell;
mod source;
mod supply;
mod test;
mod tidy;
mod uninstall;
mod uv;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::shell::Shell;

/// The project's tasks.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Build(build::Build),
    Test(test::Test),
    Check(check::Check),
    Tidy(tidy::Tidy),
    Codegen(codegen::Codegen),
    Bench(bench::Bench),
    Host(host::Host),
    Cgroup(cgroup::Cgroup),
    Python(python::Show),
    Install(install::Install),
    Fresh(fresh::Fresh),
    Uninstall(uninstall::Uninstall),
    Doctor(doctor::Doctor),
    Ci(ci::Ci),
    Package(package::Package),
    Repro(repro::Repro),
    Nix(flake::Nix),
}

fn main() -> ExitCode {
    match run(&Shell::new(), Cli::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(sh: &Shell, verb: Verb) -> Result<()> {
    match verb {
        Verb::Build(verb) => verb.run(sh),
        Verb::Test(verb) => verb.run(sh),
        Verb::Check(verb) => verb.run(sh),
        Verb::Tidy(verb) => verb.run(sh),
        Verb::Codegen(verb) => verb.run(sh),
        Verb::Bench(verb) => verb.run(sh),
        Verb::Host(verb) => verb.run(sh),
        Verb::Cgroup(verb) => verb.run(sh),
        Verb::Python(verb) => verb.run(sh),
        Verb::Install(verb) => verb.run(sh),
        Verb::Fresh(verb) => verb.run(sh),
        Verb::Uninstall(verb) => verb.run(sh),
        Verb::Doctor(verb) => verb.run(sh),
        Verb::Ci(verb) => verb.run(sh),
        Verb::Package(verb) => verb.run(sh),
        Verb::Repro(verb) => verb.run(sh),
        Verb::Nix(verb) => verb.run(sh),
    }
}
