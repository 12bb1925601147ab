//! `cargo xtask host`: a QNTX core on one machine with nothing installed.
//!
//! It launches the plugin as the core does, and either keeps it running, with
//! the handlers of `examples/` in its store, or runs the scenarios of the
//! contract against it.

use anyhow::Result;
use clap::Args;

use crate::python::FetchPython;
use crate::shell::Shell;

/// Drive the plugin as a QNTX core does
#[derive(Debug, Args)]
pub(crate) struct Host {
    /// Run the scenarios instead; with WORD those whose name contains it
    #[arg(long, value_name = "WORD", num_args = 0..=1, default_missing_value = "")]
    scenarios: Option<String>,
    /// List the scenarios
    #[arg(long, conflicts_with = "scenarios")]
    list: bool,
    #[command(flatten)]
    python: FetchPython,
}

impl Host {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let python = self.python.prepare(sh)?;
        let mut build =
            sh.cargo(["build", "-p", "qntx-python-plugin", "-p", "qntx-python-testhost"]);
        sh.run(python.for_build(&mut build))?;
        let mut command = sh.cargo(["run", "--quiet", "-p", "qntx-python-testhost", "--"]);
        match self.scenarios {
            Some(word) if word.is_empty() => command.arg("run"),
            Some(word) => command.args(["run", word.as_str()]),
            None if self.list => command.arg("list"),
            None => command.arg("hold"),
        };
        sh.run(python.for_build(&mut command))
    }
}
