//! `cargo xtask test`: the whole suite.

use anyhow::Result;
use clap::Args;

use crate::nix::{self, With};
use crate::python::FetchPython;
use crate::shell::Shell;

/// Run all tests
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// What tests: cargo, nix, or auto (Nix where it works)
    #[arg(long, env = "BUILD", value_enum, default_value_t = With::Cargo)]
    with: With,
    #[command(flatten)]
    python: FetchPython,
    /// Passed on to `cargo test`, e.g. a name, or `-- --nocapture`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Test {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        if self.with.is_nix(sh)? {
            let tests = nix::check(sh, "tests")?;
            return sh.run(nix::flakes(sh).args(["build", &tests, "--no-link", "-L"]));
        }
        let python = self.python.prepare(sh)?;
        let mut command = sh.cargo(["test", "--workspace", "--no-fail-fast"]);
        command.args(&self.rest);
        sh.run(python.for_build(&mut command))
    }
}
