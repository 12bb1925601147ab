//! `cargo xtask doctor`: what this machine has for building and running the plugin, and
//! what is missing, each with the line that helps.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::install::{Place, version};
use crate::nix::With;
use crate::python::finder;
use crate::shell::{Shell, which};

/// Look at the machine: toolchain, Python, Nix, the installed plugin
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    place: Place,
}

impl Doctor {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let mut missing = 0;
        let mut say = |what: &str, found: Result<String>| match found {
            Ok(found) => println!("ok       {what}: {}", indented(&found)),
            Err(error) => {
                missing += 1;
                println!("MISSING  {what}: {}", indented(&format!("{error:#}")));
            }
        };
        say("cargo", sh.read(&mut sh.cargo(["--version"])));
        say("rustc", sh.read(sh.command("rustc").arg("--version")));
        say("python", sh.read(sh.command(finder(sh)).arg("--explain")));
        say("linker", linker());
        for (tool, why) in [
            ("uv", "fetches Python; installs packages for the plugin"),
            ("cargo-deny", "bans and advisories"),
            ("nix", "the reproducible build"),
        ] {
            match which(tool) {
                Some(path) => println!("ok       {tool}: {}", path.display()),
                None => println!("none     {tool} ({why}); not needed to build"),
            }
        }
        With::Auto.is_nix(sh)?;

        let installed = self.place.binary()?;
        if installed.exists() {
            say("installed", installed_answers(sh, &installed));
        } else {
            println!("none     installed: {}", installed.display());
        }
        if missing > 0 {
            bail!("{missing} missing");
        }
        Ok(())
    }
}

fn linker() -> Result<String> {
    match ["cc", "gcc", "clang"].into_iter().find_map(which) {
        Some(path) => Ok(path.display().to_string()),
        None => bail!("no C compiler on PATH\nhint: install gcc or clang"),
    }
}

/// The installed file's version, then its own `doctor`, which looks at the kernel and
/// at what an unprivileged user could read.
fn installed_answers(sh: &Shell, installed: &Path) -> Result<String> {
    let said = version(sh, installed)?;
    let report = sh.read(sh.command(PathBuf::from(installed)).arg("doctor"))?;
    Ok(format!("{}\n{said}\n{report}", installed.display()))
}

/// Further lines under the first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n           ")
}
