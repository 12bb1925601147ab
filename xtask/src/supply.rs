//! The supply chain, as far as the lock file tells: where every package comes from and
//! under which licence, held against the lists in `deny.toml`.
//!
//! cargo-deny checks the same and more; this runs where cargo-deny is not installed.

use anyhow::{Context as _, Result, bail};

use crate::metadata::{Metadata, Package};
use crate::shell::Shell;

/// The one registry packages may come from, as cargo names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks every package of the lock file, for every platform.
pub(crate) fn check(sh: &Shell) -> Result<usize> {
    let path = sh.root().join("deny.toml");
    let deny = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let allowed = allowed(&deny).context("deny.toml has no [licenses] allow list")?;
    let packages = Metadata::read(sh, None)?.all();
    let faults: Vec<String> =
        packages.iter().flat_map(|package| faults(package, &allowed)).collect();
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(packages.len())
}

/// What is wrong with one package.
fn faults(package: &Package, allowed: &[String]) -> Vec<String> {
    let Package { name, version, .. } = package;
    let mut faults = Vec::new();
    match package.source.as_deref() {
        None | Some(REGISTRY) => {}
        Some(other) => faults.push(format!("{name} {version} comes from {other}")),
    }
    match package.license.as_deref() {
        None => faults.push(format!("{name} {version} names no licence")),
        Some(expression) if !permitted(expression, allowed) => {
            faults.push(format!("{name} {version}: {expression} is not allowed by deny.toml"));
        }
        Some(_) => {}
    }
    faults
}

/// The strings of `allow = [ … ]` in `[licenses]`.
fn allowed(deny: &str) -> Option<Vec<String>> {
    let (_, section) = deny.split_once("\n[licenses]")?;
    let (_, list) = section.split_once("\nallow = [")?;
    let (list, _) = list.split_once(']')?;
    let names = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    let names = names.flat_map(|line| line.split(','));
    let names = names.map(|name| name.trim().trim_matches('"').to_owned());
    Some(names.filter(|name| !name.is_empty()).collect())
}

/// Whether an SPDX expression can be satisfied with the allowed licences. `/` is the
/// old spelling of OR.
fn permitted(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let verdict = either(&mut rest, allowed);
    rest.is_empty() && verdict
}

fn either(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut verdict = both(words, allowed);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        verdict |= both(words, allowed);
    }
    verdict
}

fn both(words: &mut &[&str], allowed: &[String]) -> bool {
    let mut verdict = one(words, allowed);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        verdict &= one(words, allowed);
    }
    verdict
}

fn one(words: &mut &[&str], allowed: &[String]) -> bool {
    let Some((&first, rest)) = words.split_first() else { return false };
    *words = rest;
    if first == "(" {
        let verdict = either(words, allowed);
        if let Some((&")", rest)) = words.split_first() {
            *words = rest;
            return verdict;
        }
        return false;
    }
    let mut name = first.to_owned();
    if let [with, exception, rest @ ..] = *words
        && *with == "WITH"
    {
        name = format!("{first} WITH {exception}");
        *words = rest;
    }
    allowed.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{REGISTRY, allowed, faults, permitted};
    use crate::metadata::Package;

    fn list() -> Vec<String> {
        ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).to_vec()
    }

    #[test]
    fn an_expression_is_permitted_when_an_allowed_choice_exists() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(permitted(good, &list()), "{good}");
        }
    }

    #[test]
    fn an_expression_is_refused_when_none_exists_or_it_cannot_be_read() {
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT)", "", "MIT WITH Odd-exception"] {
            assert!(!permitted(bad, &list()), "{bad}");
        }
    }

    #[test]
    fn the_list_is_read_from_deny_toml_with_its_comments() {
        let deny = "[graph]\n\n[licenses]\n# why\nallow = [\n  \"MIT\", # ours\n  \"ISC\",\n]\n";
        assert_eq!(allowed(deny), Some(vec!["MIT".to_owned(), "ISC".to_owned()]));
        assert_eq!(allowed("[bans]\nallow = []\n"), None);
    }

    #[test]
    fn a_package_from_elsewhere_or_without_licence_is_named() {
        let package = |source: &str, license: Option<&str>| Package {
            name: "odd".to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
            source: Some(source.to_owned()),
            repository: None,
            rust_version: None,
            directory: PathBuf::new(),
        };
        assert!(faults(&package(REGISTRY, Some("MIT")), &list()).is_empty());
        assert_eq!(faults(&package("git+https://example.org/x", None), &list()).len(), 2);
    }
}
