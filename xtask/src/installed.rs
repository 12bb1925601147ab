//! The whole way of an installation: `install` into a prefix, the core's launch of what is
//! there as the plugin `python`, and `uninstall`, which leaves nothing.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::install::Place;
use crate::portable::World;
use crate::python::Python;
use crate::shell::Shell;

/// What the core does with it: launch, run, attest, fire a watcher, stop.
const SCENARIOS: [&str; 6] = [
    "it_announces_its_port_before_any_python",
    "it_is_called_what_its_file_is_called",
    "a_program_is_answered_as_an_execution_result",
    "attest_reaches_the_core_with_its_identity",
    "the_watcher_answers_orders",
    "the_shutdown_rpc_alone_ends_it",
];

/// Installs into a directory of its own, drives what is there, and removes it. What `world` has
/// built is not built again.
pub(crate) fn check(sh: &Shell, world: Option<&World>) -> Result<()> {
    let directory = tempfile::tempdir_in(sh.target()?)?;
    let place = Place::under(directory.path());
    let verb = |verb: &str| -> Result<Command> {
        let mut command = sh.itself()?;
        command.arg(verb).arg("--prefix").arg(directory.path());
        Ok(command)
    };
    let mut install = verb("install")?;
    install.args(["--with", "cargo"]);
    if let Some(world) = world {
        world.lend(&mut install);
    }
    sh.run(&mut install)?;
    let binary = place.binary()?;
    let mut host = sh.cargo(["run", "--quiet", "-p", "qntx-python-testhost", "--", "--binary"]);
    host.arg(&binary).arg("run").args(SCENARIOS);
    sh.run(Python::found(sh)?.for_build(&mut host))
        .context("the core does not get along with what was installed")?;
    sh.run(&mut verb("uninstall")?)?;
    let plugins = binary.parent().context("no directory")?;
    let left = fs::read_dir(plugins)?.count();
    ensure!(left == 0, "{left} files are left in {}", plugins.display());
    Ok(())
}
