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
    /// Passed on to the benches, e.g. a name, or `--save-baseline main`
    #[arg(last = true)]
    rest: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Everything
    All,
    /// Single functions, with criterion
    Criterion,
}

impl Bench {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let wanted = |group| self.group == Group::All || self.group == group;
        if wanted(Group::Criterion) {
            self.criterion(sh)?;
        }
        Ok(())
    }

    /// Every `[[bench]]` of the workspace. Libraries and binaries have none in them, and
    /// libtest's harness would refuse criterion's arguments.
    fn criterion(&self, sh: &Shell) -> Result<()> {
        Python::found(sh)?;
        let mut command = sh.cargo(["bench", "--workspace", "--benches"]);
        if !self.rest.is_empty() {
            command.arg("--").args(&self.rest);
        }
        sh.run(&mut command)
    }
}
