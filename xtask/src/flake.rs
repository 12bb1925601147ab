//! `cargo xtask nix`: the flake, evaluated by every Nix that can be had, held against
//! its rules, and each rule against a change that breaks it.
//!
//! Where no binary cache and no source host can be reached, evaluation is what can be
//! seen of a flake; nixpkgs' place is taken by `nix/standin`, which says what it cannot
//! prove.

mod evaluation;
mod lock;
mod mutations;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::build::{self, PLUGIN};
use crate::flake::evaluation::Evaluation;
use crate::python::Python;
use crate::shell::{Shell, which};

/// Where Debian's packages come from, and the release whose Nix is newer.
const DEBIAN: (&str, &str) = ("trixie", "http://deb.debian.org/debian");

/// Evaluate the flake without network, and check the checks
#[derive(Debug, Default, Args)]
pub(crate) struct Nix {
    /// Only the installed Nix, not a newer one unpacked from Debian as well
    #[arg(long)]
    installed_only: bool,
}

/// A Nix to evaluate with, in a store of its own.
#[derive(Debug)]
struct Evaluator {
    version: String,
    program: PathBuf,
    arguments: Vec<String>,
    store: PathBuf,
}

impl Nix {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let scratch = Scratch::new(sh)?;
        let tree = scratch.tree(sh, "tracked")?;
        let evaluators = self.evaluators(sh, scratch.path())?;
        for nix in &evaluators {
            println!("== {}", nix.version);
            stages(sh, nix, &tree)?;
            let faults = rules::faults(&Evaluation::read(sh, nix, &tree)?, &tree)?;
            ensure!(faults.is_empty(), "the flake breaks its rules:\n{}", faults.join("\n"));
            println!("every rule holds");
            let caught = mutations::all_caught(sh, nix, scratch.path(), &tree)?;
            println!("{caught} changes for the worse, each caught");
        }
        linters(sh, &tree)?;
        the_binary_agrees(sh)
    }

    /// The Nix on PATH, and Debian's newer one where mmdebstrap can unpack it.
    fn evaluators(&self, sh: &Shell, scratch: &Path) -> Result<Vec<Evaluator>> {
        let mut found = Vec::new();
        if let Some(program) = which("nix") {
            found.push(Evaluator::new(sh, program, Vec::new(), scratch.join("store-installed"))?);
        }
        if !self.installed_only {
            match newer(sh) {
                Ok((program, arguments)) => {
                    found.push(Evaluator::new(
                        sh,
                        program,
                        arguments,
                        scratch.join("store-newer"),
                    )?);
                }
                Err(error) => eprintln!("\n!!! no newer Nix to check with: {error:#}\n"),
            }
        }
        ensure!(!found.is_empty(), "there is no nix here\nhint: apt-get install nix-bin");
        Ok(found)
    }
}

impl Evaluator {
    fn new(sh: &Shell, program: PathBuf, arguments: Vec<String>, store: PathBuf) -> Result<Self> {
        let mut nix = Self { version: String::new(), program, arguments, store };
        nix.version = sh.read(nix.command(sh).arg("--version"))?.trim().to_owned();
        Ok(nix)
    }

    /// This Nix, offline, with flakes, and with nothing of the machine's settings.
    fn command(&self, sh: &Shell) -> Command {
        let mut command = sh.command(&self.program);
        command.args(&self.arguments);
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command.args(["--option", "substituters", ""]).arg("--store").arg(&self.store);
        command
    }
}

/// What a person would type, on the tree as git has it.
fn stages(sh: &Shell, nix: &Evaluator, tree: &Path) -> Result<()> {
    let flake = format!("git+file://{}", tree.display());
    let standin = format!("path:{}", tree.join("nix/standin").display());
    let before = fs::read(tree.join("flake.lock")).context("no flake.lock")?;

    let mut metadata = nix.command(sh);
    metadata.args(["flake", "metadata", "--json", "--offline", "--no-update-lock-file", &flake]);
    lock::agrees(&sh.read(&mut metadata)?)?;
    println!("flake metadata: the pin is the one we know");

    let shown = nix
        .command(sh)
        .args(["flake", "show", "--json", "--offline", &flake])
        .args(["--override-input", "nixpkgs", &standin])
        .output()?;
    ensure!(
        shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains("oci-image"),
        "nix flake show: {}",
        String::from_utf8_lossy(&shown.stderr)
    );
    println!("flake show: every output evaluates");

    let mut check = nix.command(sh);
    check.args(["flake", "check", "--no-build", "--offline", &flake]);
    sh.read(check.args(["--override-input", "nixpkgs", &standin]))?;
    println!("flake check: every output has the right kind");

    let after = fs::read(tree.join("flake.lock")).context("no flake.lock")?;
    ensure!(before == after, "Nix rewrote flake.lock");
    Ok(())
}

/// The version the binary tells is the one the flake takes from Cargo.toml.
fn the_binary_agrees(sh: &Shell) -> Result<()> {
    let binary = build::binary(sh, "dev", &Python::found(sh)?)?;
    let said = crate::install::version(sh, &binary)?;
    println!("{PLUGIN} --version: {said}, as in Cargo.toml and the flake");
    Ok(())
}

/// deadnix and nixfmt, where they are.
fn linters(sh: &Shell, tree: &Path) -> Result<()> {
    let mut files = vec![tree.join("flake.nix")];
    for directory in ["nix", "nix/standin"] {
        for entry in fs::read_dir(tree.join(directory))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "nix") {
                files.push(path);
            }
        }
    }
    for (tool, flag) in [("deadnix", "--fail"), ("nixfmt", "--check")] {
        if which(tool).is_none() {
            eprintln!("\n!!! {tool} is not installed: its rules were NOT checked\n");
            continue;
        }
        sh.read(sh.command(tool).arg(flag).args(&files))?;
        println!("{tool}: {} files", files.len());
    }
    Ok(())
}

/// Debian trixie's Nix, unpacked under the target directory and started through its own
/// loader: neither root nor a chroot is needed.
fn newer(sh: &Shell) -> Result<(PathBuf, Vec<String>)> {
    let (suite, mirror) = DEBIAN;
    let root = sh.target()?.join(format!("nix-{suite}"));
    let program = root.join("usr/bin/nix");
    if !program.exists() {
        if which("mmdebstrap").is_none() {
            bail!("mmdebstrap is not installed");
        }
        let partial = root.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        let mut unpack = sh.command("mmdebstrap");
        unpack.args(["--quiet", "--variant=extract", "--include=nix-bin", suite]);
        if !sh.succeeds_within(unpack.arg(&partial).arg(mirror), Duration::from_secs(300)) {
            bail!("mmdebstrap could not unpack {suite}'s nix-bin from {mirror}");
        }
        fs::rename(&partial, &root)?;
    }
    let loader = find_loader(&root).context("the unpacked tree has no loader")?;
    let libraries: Vec<String> = fs::read_dir(root.join("usr/lib"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with("-linux-gnu"))
        .map(|path| path.display().to_string())
        .collect();
    let arguments =
        vec!["--library-path".to_owned(), libraries.join(":"), program.display().to_string()];
    Ok((loader, arguments))
}

fn find_loader(root: &Path) -> Option<PathBuf> {
    ["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/ld-linux-aarch64.so.1"]
        .into_iter()
        .map(|path| root.join(path))
        .find(|path| path.exists())
}

/// A directory for trees and stores, gone when dropped.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(sh: &Shell) -> Result<Self> {
        let path = sh.target()?.join(format!("nix-check-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self { path: path.canonicalize()? })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// The files git tracks, as they are now, in a repository of their own.
    fn tree(&self, sh: &Shell, name: &str) -> Result<PathBuf> {
        let tree = self.path.join(name);
        for file in sh.read(sh.command("git").args(["ls-files", "-z"]))?.split('\0') {
            let source = sh.root().join(file);
            if file.is_empty() || !source.is_file() {
                continue;
            }
            let target = tree.join(file);
            fs::create_dir_all(target.parent().unwrap_or(&tree))?;
            fs::copy(&source, &target).with_context(|| format!("cannot copy {file}"))?;
        }
        let git =
            |arguments: &[&str]| sh.read(sh.command("git").current_dir(&tree).args(arguments));
        git(&["init", "--quiet"])?;
        git(&["add", "--all", "--force"])?;
        Ok(tree)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nix makes its store read-only; what cannot be removed is under target/.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(&self.path).status();
        let _ = fs::remove_dir_all(&self.path);
    }
}
