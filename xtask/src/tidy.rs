//! `cargo xtask tidy`: the rules about the project's shape that no compiler checks.
//!
//! Every rule about an absence stands beside a presence that has to hold: a misspelt
//! name is absent, too.

use anyhow::{Result, bail};
use clap::Args;

use crate::shell::Shell;
use crate::source::{Source, files};

/// A file longer than this wants to be two.
const LONGEST: usize = 600;

/// The files in which `unsafe` may be written: one module of each of the two crates that
/// speak C, and the test that attacks the sandbox by calling the kernel directly.
const UNSAFE: [&str; 5] = [
    "crates/sandbox/src/sys.rs",
    "crates/runtime/src/ffi.rs",
    "crates/runtime/src/ffi/heap.rs",
    "crates/runtime/src/ffi/huge.rs",
    "crates/sandbox/tests/confinement/raw.rs",
];

const PROTO: &str = "qntx-python-proto";
const SANDBOX: &str = "qntx-python-sandbox";
const RUNTIME: &str = "qntx-python-runtime";
const PLUGIN: &str = "qntx-python-plugin";
const PYFIND: &str = "qntx-python-pyfind";

/// Who links whom: a package, what it must have in it, what it must not.
const EDGES: &[(&str, &[&str], &[&str])] = &[
    (PROTO, &["prost"], &[SANDBOX, RUNTIME, PLUGIN, PYFIND, "pyo3", "tokio"]),
    (SANDBOX, &["rustix"], &[PROTO, RUNTIME, PLUGIN, PYFIND, "pyo3", "tokio", "prost"]),
    (RUNTIME, &[PROTO, SANDBOX, "pyo3"], &[PLUGIN, PYFIND, "tokio", "tonic", "hyper"]),
    (
        PLUGIN,
        &[PROTO, SANDBOX, RUNTIME, "tokio", "tonic", "rustls", "ring"],
        &[PYFIND, "aws-lc-rs", "openssl-sys"],
    ),
    ("xtask", &["clap"], &[PROTO, SANDBOX, RUNTIME, PLUGIN, PYFIND, "tokio", "pyo3"]),
];

/// Check the project's shape: dependency edges, file sizes, where unsafe is
#[derive(Debug, Args)]
pub(crate) struct Tidy {}

impl Tidy {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let rust = files(sh, &["rs"])?;
        let prose = files(sh, &["py", "pyi", "nix", "proto", "sh"])?;
        let manifests = files(sh, &["toml"])?;
        let mut faults = edges(sh)?;
        for source in &rust {
            faults.extend(opening(source));
            faults.extend(no_unsafe(source));
            faults.extend(no_ignored_test(source));
            faults.extend(runtime_only_in_main(source));
        }
        for source in rust.iter().chain(&prose) {
            faults.extend(size(source));
        }
        for source in &manifests {
            faults.extend(versions_from_the_workspace(source));
        }
        faults.extend(presences(&rust));
        if !faults.is_empty() {
            bail!("tidy: {} to put right\n{}", faults.len(), faults.join("\n"));
        }
        println!("tidy: {} files and {} dependency rules hold", rust.len() + prose.len(), rules());
        Ok(())
    }
}

fn rules() -> usize {
    EDGES.iter().map(|(_, present, absent)| present.len() + absent.len()).sum()
}

/// Dependency edges, as `cargo tree` sees them with only that package's own features.
fn edges(sh: &Shell) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (from, present, absent) in EDGES {
        let arguments = ["tree", "--package", from, "--edges", "normal", "--prefix", "none"];
        let tree = sh.read(sh.cargo(arguments).args(["--format", "{p}", "--locked"]))?;
        faults.extend(edge_faults(from, &tree, present, absent));
    }
    Ok(faults)
}

fn edge_faults(from: &str, tree: &str, present: &[&str], absent: &[&str]) -> Vec<String> {
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let missing = present.iter().filter(|name| !names.contains(name));
    let extra = absent.iter().filter(|name| names.contains(name));
    missing
        .map(|name| format!("{from} has to depend on {name}, or this rule checks nothing"))
        .chain(extra.map(|name| format!("{from} must not depend on {name}")))
        .collect()
}

fn opening(source: &Source) -> Option<String> {
    let first = source.text.lines().next().unwrap_or_default();
    (!first.starts_with("//! "))
        .then(|| format!("{}: begins without `//!`, what this file is", source.path.display()))
}

fn size(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LONGEST)
        .then(|| format!("{}: {lines} lines, {LONGEST} at most", source.path.display()))
}

fn no_unsafe(source: &Source) -> Option<String> {
    if UNSAFE.iter().any(|path| source.is(path)) {
        return None;
    }
    let line = *source.lines_with("unsafe").first()?;
    Some(format!("{}:{line}: unsafe belongs in {}", source.path.display(), UNSAFE.join(" or ")))
}

fn no_ignored_test(source: &Source) -> Option<String> {
    let line = *source.lines_with("ignore").first()?;
    let text = source.text.lines().nth(line - 1).unwrap_or_default();
    text.contains("#[ignore")
        .then(|| format!("{}:{line}: an ignored test tests nothing", source.path.display()))
}

/// The supervisor never initialises Python: in its crate only `main.rs`, which becomes
/// the zygote, may name `runtime`.
fn runtime_only_in_main(source: &Source) -> Option<String> {
    if !source.path.starts_with("crates/plugin/src") || source.is("crates/plugin/src/main.rs") {
        return None;
    }
    let line = *source.lines_with_path("runtime").first()?;
    Some(format!("{}:{line}: only main.rs may name `runtime`", source.path.display()))
}

/// Versions are decided once, in the workspace.
fn versions_from_the_workspace(source: &Source) -> Vec<String> {
    if !source.path.ends_with("Cargo.toml") || source.is("Cargo.toml") {
        return Vec::new();
    }
    let mut in_dependencies = false;
    let mut faults = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies
            && line.contains('=')
            && !line.trim_start().starts_with('#')
            && !line.replace(' ', "").contains("workspace=true")
        {
            let path = source.path.display();
            faults.push(format!("{path}:{}: the workspace decides versions", number + 1));
        }
    }
    faults
}

/// What has to be there for the rules above to mean something.
fn presences(rust: &[Source]) -> Vec<String> {
    let file = |path: &str| rust.iter().find(|source| source.is(path));
    let mut faults = Vec::new();
    for path in UNSAFE {
        if file(path).is_none_or(|source| source.lines_with("unsafe").is_empty()) {
            faults.push(format!("{path}: has no unsafe, so it need not be excepted"));
        }
    }
    let main = "crates/plugin/src/main.rs";
    if file(main).is_none_or(|source| source.lines_with_path("runtime").is_empty()) {
        faults.push(format!("{main}: does not name `runtime`, so who becomes the zygote?"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: PathBuf::from(path), text: text.to_owned() }
    }

    #[test]
    fn a_forbidden_edge_and_a_missing_one_are_both_named() {
        let tree = "a v1.0.0 (/w/a)\ntokio v1.54.0\nprost v0.14.6\n";
        assert!(edge_faults("a", tree, &["prost"], &["tonic"]).is_empty());
        assert_eq!(edge_faults("a", tree, &["prost"], &["tokio"]).len(), 1);
        assert_eq!(edge_faults("a", tree, &["porst"], &["tonic"]).len(), 1);
    }

    #[test]
    fn unsafe_is_refused_everywhere_but_in_its_two_files() {
        let text = "//! x\nunsafe fn f() {}\n";
        assert!(no_unsafe(&source("crates/plugin/src/lib.rs", text)).is_some());
        assert!(no_unsafe(&source(UNSAFE[0], text)).is_none());
        assert!(no_unsafe(&source("a.rs", "//! unsafe\n")).is_none());
    }

    #[test]
    fn long_files_ignored_tests_and_missing_openings_are_refused() {
        assert!(size(&source("a.rs", &"x\n".repeat(LONGEST))).is_none());
        assert!(size(&source("a.rs", &"x\n".repeat(LONGEST + 1))).is_some());
        let ignored = "#[ignore]\nfn f() {}\n";
        assert!(no_ignored_test(&source("a.rs", ignored)).is_some());
        assert!(no_ignored_test(&source("a.rs", "let ignore = 1;\n")).is_none());
        assert!(opening(&source("a.rs", "use x;\n")).is_some());
        assert!(opening(&source("a.rs", "//! This.\n")).is_none());
    }

    #[test]
    fn only_main_may_name_the_interpreter_side() {
        let text = "use runtime::zygote;\n";
        assert!(runtime_only_in_main(&source("crates/plugin/src/lib.rs", text)).is_some());
        assert!(runtime_only_in_main(&source("crates/plugin/src/main.rs", text)).is_none());
        let tokio = "use tokio::runtime::Handle;\nfn runtime() -> tokio::runtime::Runtime {}\n";
        assert!(runtime_only_in_main(&source("crates/plugin/src/lib.rs", tokio)).is_none());
    }

    #[test]
    fn a_version_outside_the_workspace_is_refused() {
        let text = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\nb = \"1\"\n";
        let faults = versions_from_the_workspace(&source("crates/a/Cargo.toml", text));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("crates/a/Cargo.toml:5"));
    }

    #[test]
    fn rules_about_files_that_are_not_there_are_refused() {
        assert_eq!(presences(&[]).len(), UNSAFE.len() + 1);
    }
}
