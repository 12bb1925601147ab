//! `cargo xtask bench`: what the project promises about speed, measured.
//!
//! It builds what is measured, fetches what it is compared with, runs the benches, and
//! writes table and plots of docs/performance.md.

mod page;
mod plot;
mod svg;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::python::Python;
use crate::shell::Shell;
use crate::uv;

/// The yardstick that the bench starts beside the plugin.
const IN_PROCESS: &str = "qntx-python-inprocess";

/// Measure
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum, default_value_t = Group::All)]
    group: Group,
    /// A tenth of the calls: to see that it works, not to quote
    #[arg(long)]
    quick: bool,
    /// Of `whole`: only what has WORD in its group or name
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Of `whole`: show the figures of an earlier results file beside the new ones
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Of `whole`: also watch the memory over this many executions (100000 without N)
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100000")]
    growth: Option<usize>,
    /// Of `whole`: also run what a user would otherwise take; fetches Jupyter from PyPI
    #[arg(long)]
    yardsticks: bool,
    /// Passed on to the bench of the one group, e.g. a name, or `--save-baseline main`
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Everything: pieces, whole, plots
    All,
    /// Single functions, with criterion
    Pieces,
    /// The real binary over gRPC, each figure as a ratio to the empty RPC
    Whole,
    /// Write table and plots of docs/performance.md from bench/results/whole.json
    Plots,
}

impl Bench {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let wants = |group| self.group == Group::All || self.group == group;
        if wants(Group::Pieces) {
            Python::found(sh)?;
            for (package, bench) in
                [("qntx-python-plugin", "pieces"), ("qntx-python-runtime", "interpreter")]
            {
                let mut command = sh.cargo(["bench", "--package", package, "--bench", bench]);
                if self.group == Group::Pieces && !self.rest.is_empty() {
                    command.arg("--").args(&self.rest);
                }
                sh.run(&mut command)?;
            }
        }
        if wants(Group::Whole) {
            self.whole(sh)?;
        }
        if wants(Group::Plots) || (self.group == Group::Whole && !self.quick) {
            let results = sh.root().join("bench/results/whole.json");
            for file in plot::all(&results, &sh.root().join("docs/performance"))? {
                println!("{}", file.display());
            }
            page::refresh(&results, &sh.root().join("docs/performance.md"))?;
        }
        Ok(())
    }

    fn whole(&self, sh: &Shell) -> Result<()> {
        let python = Python::found(sh)?.path(sh)?;
        let store = sh.target()?.join("bench");
        fs::create_dir_all(&store)?;
        sh.run(&mut sh.cargo(["build", "--release", "--package", IN_PROCESS]))?;
        let mut command =
            sh.cargo(["bench", "--package", "qntx-python-plugin", "--bench", "whole", "--"]);
        command.env("QNTX_BENCH_PYTHON", &python);
        let wanted = |name: &str| self.only.as_deref().is_none_or(|only| name.contains(only));
        if wanted("Imports import numpy") {
            command.env("QNTX_BENCH_SITE", numpy(sh, &python, &store)?);
            command.env("QNTX_BENCH_UV", uv::fetched(sh)?);
        }
        if self.yardsticks {
            command.arg("--yardsticks").env("QNTX_BENCH_JUPYTER", jupyter(sh, &python, &store)?);
        }
        if self.quick {
            command.arg("--quick");
        }
        for (flag, value) in [
            ("--only", self.only.clone()),
            ("--growth", self.growth.map(|n| n.to_string())),
            ("--baseline", self.baseline.as_deref().map(absolute).transpose()?),
        ] {
            command.args(value.map(|value| [flag.to_owned(), value]).into_iter().flatten());
        }
        if self.group == Group::Whole {
            command.args(&self.rest);
        }
        sh.run(&mut command)
    }
}

/// cargo runs a bench in its package's directory, not where this was typed.
fn absolute(file: &Path) -> Result<String> {
    let file = std::path::absolute(file)?;
    Ok(file.to_str().context("the baseline's path is not UTF-8")?.to_owned())
}

/// A directory with numpy in it, for that interpreter.
fn numpy(sh: &Shell, python: &Path, store: &Path) -> Result<PathBuf> {
    let directory = store.join("site");
    if !directory.join("numpy").is_dir() {
        sh.run(pip(sh, python).arg("--target").arg(&directory).arg("numpy"))
            .context("no numpy from PyPI; `--only` leaves the case of imports out")?;
    }
    Ok(directory)
}

/// pip without its chatter.
fn pip(sh: &Shell, python: impl AsRef<OsStr>) -> Command {
    let mut install = sh.command(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    install.args(["--root-user-action", "ignore", "--only-binary", ":all:"]);
    install
}

/// An environment with Jupyter's kernel gateway in it.
fn jupyter(sh: &Shell, python: &Path, store: &Path) -> Result<PathBuf> {
    let directory = store.join("jupyter");
    if !directory.join("bin/jupyter-kernelgateway").is_file() {
        sh.run(sh.command(python).args(["-m", "venv"]).arg(&directory))?;
        let python = directory.join("bin/python");
        sh.run(pip(sh, python).args(["jupyter_kernel_gateway", "ipykernel"]))
            .context("no Jupyter from PyPI")?;
    }
    Ok(directory)
}
