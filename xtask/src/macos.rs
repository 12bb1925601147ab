//! The plugin type-checked for macOS from here: everything that it calls exists there.
//!
//! Nothing is linked, so its parts in C need no compiler of Apple's: a program that does nothing
//! stands in for one.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::build::PLUGIN;
use crate::python::{self, Python};
use crate::shell::{Shell, which};

const TARGET: &str = "aarch64-apple-darwin";

/// Why it can't be done on this machine.
pub(crate) fn impossible(sh: &Shell) -> Result<Option<String>> {
    if which("rustc").is_none() {
        return Ok(Some("there is no rustc on PATH".to_owned()));
    }
    let asked = ["--print", "target-libdir", "--target", TARGET];
    let library = sh.read(sh.command("rustc").args(asked))?;
    let there = Path::new(library.trim()).is_dir();
    Ok((!there).then(|| format!("its library is missing: `rustup target add {TARGET}`")))
}

/// Lints the plugin for it, warnings taken for errors.
pub(crate) fn check(sh: &Shell) -> Result<()> {
    let target = sh.target()?.join("macos");
    fs::create_dir_all(&target)?;
    // PyO3 can't ask an interpreter of another system; this is what it would have said.
    let interpreter = Python::found(sh)?.path(sh)?;
    let version = python::version(sh)?;
    let minor = version.rsplit_once('.').context("a version has three numbers")?.0;
    let answers = format!(
        "implementation=CPython\nversion={minor}\nshared=true\nabi3=false\n\
         lib_name=python{minor}\nlib_dir={}\nexecutable={}\npointer_width=64\nbuild_flags=\n\
         suppress_build_script_link_lines=true\n",
        interpreter.parent().context("no directory")?.with_file_name("lib").display(),
        interpreter.display(),
    );
    let config = target.join("pyo3.cfg");
    if fs::read_to_string(&config).ok().as_deref() != Some(&answers) {
        fs::write(&config, answers)?;
    }
    let arguments = ["--locked", "--package", PLUGIN, "--lib", "--bins", "--target", TARGET];
    let mut command = sh.cargo(["clippy"]);
    command.args(arguments).args(["--", "-D", "warnings"]);
    command.env("CARGO_TARGET_DIR", &target).env("PYO3_CONFIG_FILE", &config);
    for tool in ["CC", "AR"] {
        command.env(format!("{tool}_{}", TARGET.replace('-', "_")), "true");
    }
    sh.run(&mut command)
}
