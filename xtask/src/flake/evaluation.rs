//! One evaluation of the flake: its facts, the plugin's derivation, the source it takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::flake::Evaluator;
use crate::shell::Shell;

/// The system the derivations are looked at for.
const SYSTEM: &str = "x86_64-linux";

/// What the flake comes to.
#[derive(Debug)]
pub(crate) struct Evaluation {
    /// What `nix/standin/facts.nix` gives.
    pub(crate) facts: Value,
    /// The plugin's derivation, as Nix shows it.
    pub(crate) derivation: Value,
    /// The files of the plugin's source, relative to it.
    pub(crate) source: BTreeSet<String>,
}

impl Evaluation {
    /// Evaluates the flake in `tree`.
    pub(crate) fn read(sh: &Shell, nix: &Evaluator, tree: &Path) -> Result<Self> {
        let shown = tree.display();
        let expression = format!(
            "import {shown}/nix/standin/facts.nix {{ tree = {shown}; system = \"{SYSTEM}\"; }}"
        );
        let mut eval = nix.command(sh);
        eval.args(["eval", "--offline", "--impure", "--json", "--expr", &expression]);
        let facts: Value = serde_json::from_str(&sh.read(&mut eval)?)?;

        let path = facts["plugin"]["drv"].as_str().context("no derivation")?.to_owned();
        let derivation = sh.read(nix.command(sh).args(["show-derivation", &path]))?;
        let derivation: Value = serde_json::from_str(&derivation)?;
        let derivation = derivation.get(&path).context("Nix shows another derivation")?.clone();

        let logical = facts["plugin"]["source"].as_str().context("no source")?;
        let physical = PathBuf::from(format!("{}{logical}", nix.store.display()));
        let mut source = BTreeSet::new();
        list(&physical, &physical, &mut source)?;
        Ok(Self { facts, derivation, source })
    }
}

/// The files under `directory`, relative to `root`.
fn list(root: &Path, directory: &Path, files: &mut BTreeSet<String>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list(root, &path, files)?;
        } else {
            files.insert(path.strip_prefix(root)?.display().to_string());
        }
    }
    Ok(())
}
