//! The oldest Rust that Cargo.toml promises, held as far as the toolchains here allow.
//!
//! Seen on every machine: no package of the lock file asks for more, every crate of ours
//! declares it, the README says it, and clippy's `incompatible_msrv` is an error. Compiled
//! with it: where rustup has that toolchain.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::metadata::{Metadata, Package};
use crate::shell::{Shell, which};

/// The lint that knows when each function of the standard library came.
const LINT: &str = "incompatible_msrv = \"deny\"";

/// Fails when anything contradicts the promise; says what could be seen.
pub(crate) fn check(sh: &Shell) -> Result<String> {
    let manifest = read(sh, "Cargo.toml")?;
    let promised = promised(&manifest).context("Cargo.toml has no rust-version")?;
    let packages = Metadata::read(sh, None)?.all();
    let mut faults: Vec<String> =
        packages.iter().filter_map(|package| fault(package, &promised)).collect();
    if !manifest.lines().any(|line| line == LINT) {
        faults.push(format!("Cargo.toml's lints lack `{LINT}`"));
    }
    if !read(sh, "README.md")?.contains(&format!("Rust {promised} or newer")) {
        faults.push(format!("README.md does not say `Rust {promised} or newer`"));
    }
    if !faults.is_empty() {
        bail!("rust-version {promised} does not hold\n{}", faults.join("\n"));
    }
    let silent = packages.iter().filter(|package| package.rust_version.is_none()).count();
    let compiled = match toolchain(sh, &promised) {
        Some(name) => {
            compile(sh, &name)?;
            format!("compiled with {name}")
        }
        None => {
            format!("NOT compiled with it: rustup has no toolchain {promised} here")
        }
    };
    Ok(format!(
        "Rust {promised}: {} packages ask for no more ({silent} do not say), {compiled}",
        packages.len()
    ))
}

fn read(sh: &Shell, name: &str) -> Result<String> {
    fs::read_to_string(sh.root().join(name)).with_context(|| format!("cannot read {name}"))
}

/// The workspace's `rust-version`.
fn promised(manifest: &str) -> Option<String> {
    let (_, package) = manifest.split_once("[workspace.package]")?;
    let line = package.lines().find_map(|line| line.strip_prefix("rust-version = "))?;
    Some(line.trim_matches('"').to_owned())
}

/// What contradicts the promise in one package.
fn fault(package: &Package, promised: &str) -> Option<String> {
    let Package { name, version, rust_version, source, .. } = package;
    match rust_version {
        None if source.is_none() => Some(format!("{name} does not say rust-version.workspace")),
        Some(own) if source.is_none() && own != promised => {
            Some(format!("{name} says rust-version {own}"))
        }
        Some(needed) if parts(needed) > parts(promised) => {
            Some(format!("{name} {version} needs Rust {needed}"))
        }
        _ => None,
    }
}

/// `1.89` and `1.89.0` are the same.
fn parts(version: &str) -> [u64; 3] {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// The installed toolchain of exactly this version.
fn toolchain(sh: &Shell, promised: &str) -> Option<String> {
    which("rustup")?;
    let list = sh.read(sh.command("rustup").args(["toolchain", "list"])).ok()?;
    let mut names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.find(|name| name.starts_with(promised)).map(str::to_owned)
}

/// Type-checks everything with it; cargo of that toolchain, not the one that runs this.
fn compile(sh: &Shell, toolchain: &str) -> Result<()> {
    let mut command: Command = sh.command("rustup");
    command.args(["run", toolchain, "cargo", "check", "--workspace", "--all-targets", "--locked"]);
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    sh.run(command.env("CARGO_TARGET_DIR", sh.target()?.join("msrv")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{fault, parts, promised};
    use crate::metadata::Package;

    fn package(rust_version: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: "odd".to_owned(),
            version: "2.0.0".to_owned(),
            license: None,
            source: source.map(str::to_owned),
            repository: None,
            rust_version: rust_version.map(str::to_owned),
            directory: PathBuf::new(),
        }
    }

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_named() {
        let fault = fault(&package(Some("1.90"), Some("registry")), "1.89").expect("a fault");
        assert_eq!(fault, "odd 2.0.0 needs Rust 1.90");
    }

    #[test]
    fn a_dependency_that_needs_less_or_says_nothing_is_fine() {
        for version in [Some("1.89.0"), Some("1.56"), None] {
            assert_eq!(fault(&package(version, Some("registry")), "1.89"), None, "{version:?}");
        }
    }

    #[test]
    fn a_crate_of_ours_says_the_promise_itself() {
        assert_eq!(fault(&package(Some("1.89"), None), "1.89"), None);
        assert!(fault(&package(None, None), "1.89").is_some());
        assert!(fault(&package(Some("1.85"), None), "1.89").is_some());
    }

    #[test]
    fn versions_are_compared_by_number_and_found_in_the_manifest() {
        assert!(parts("1.100") > parts("1.89"));
        assert_eq!(parts("1.89"), parts("1.89.0"));
        let manifest = "[package]\n[workspace.package]\nrust-version = \"1.89\"\n";
        assert_eq!(promised(manifest).as_deref(), Some("1.89"));
    }
}
