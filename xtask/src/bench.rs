//! `cargo xtask bench`: what the project promises about speed, measured.
//!
//! Each group measures one layer; `all` runs them in this order.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::python::Python;
use crate::shell::Shell;

/// Measure
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum, default_value_t = Group::All)]
    group: Group,
    /// Passed on to the group's bench, e.g. a name, or `--save-baseline main`
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Everything
    All,
    /// Single functions, with criterion
    Pieces,
    /// The real binary over gRPC, each figure as a ratio to the empty RPC; `-- --quick` for a
    /// tenth of the calls, `-- --only NAME`, `-- --baseline bench/results/whole.json`
    Whole,
}

impl Bench {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        Python::found(sh)?;
        for (group, bench) in [(Group::Pieces, "pieces"), (Group::Whole, "whole")] {
            if self.group == Group::All || self.group == group {
                self.bench(sh, bench)?;
            }
        }
        Ok(())
    }

    fn bench(&self, sh: &Shell, name: &str) -> Result<()> {
        let mut command = sh.cargo(["bench", "--package", "qntx-python-plugin", "--bench", name]);
        if self.group != Group::All && !self.rest.is_empty() {
            command.arg("--").args(&self.rest);
        }
        sh.run(&mut command)
    }
}
