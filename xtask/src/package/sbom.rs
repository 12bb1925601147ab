//! What is in the archive, for machines: a CycloneDX bill of materials, and where it all
//! came from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::build::PLUGIN;
use crate::metadata::Package;
use crate::package::bundle::{Bundle, glibc_floor};
use crate::repro::digest;
use crate::shell::Shell;

/// CycloneDX 1.5: the crates in the binary and the Python beside it. It holds no time
/// and no serial number, so that the same release gives the same file.
pub(crate) fn bill(
    sh: &Shell,
    shipped: &BTreeSet<Package>,
    bundle: Option<&Bundle>,
) -> Result<String> {
    let lock = fs::read_to_string(sh.root().join("Cargo.lock")).context("no Cargo.lock")?;
    let checksums = checksums(&lock);
    let mut components: Vec<Value> = shipped
        .iter()
        .filter(|package| package.source.is_some())
        .map(|package| component(package, &checksums))
        .collect();
    if let Some(bundle) = bundle {
        components.push(json!({
            "type": "platform",
            "name": "cpython",
            "version": bundle.version,
            "purl": format!("pkg:generic/cpython@{}", bundle.version),
            "licenses": [{ "license": { "id": "PSF-2.0" } }],
        }));
        for library in &bundle.libraries {
            components.push(json!({ "type": "library", "name": library }));
        }
    }
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "name": PLUGIN,
            "version": env!("CARGO_PKG_VERSION"),
            "purl": format!("pkg:cargo/{PLUGIN}@{}", env!("CARGO_PKG_VERSION")),
            "licenses": [{ "license": { "id": "MIT" } }],
        }},
        "components": components,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&bill)?))
}

/// The commit that is packed, asked once: another may follow while the packing goes on.
#[derive(Debug)]
pub(crate) struct Origin {
    commit: String,
    changed: bool,
    /// The commit's time, or `SOURCE_DATE_EPOCH`: the time of everything in an archive.
    pub(crate) time: u64,
}

impl Origin {
    pub(crate) fn read(sh: &Shell) -> Result<Self> {
        let git = |arguments: &[&str]| sh.read(sh.command("git").args(arguments));
        let status = git(&["status", "--porcelain", "--untracked-files=no"])?;
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        Ok(Self {
            commit: git(&["rev-parse", "HEAD"])?.trim().to_owned(),
            changed: !status.trim().is_empty(),
            time: time.trim().parse().context("the commit's time is no number")?,
        })
    }
}

/// From which sources, with which tools, for which systems.
pub(crate) fn provenance(
    sh: &Shell,
    origin: &Origin,
    stage: &Path,
    bundle: Option<&Bundle>,
) -> Result<String> {
    let mut sources = BTreeMap::new();
    for file in ["Cargo.lock", "Cargo.toml", "flake.lock", "flake.nix"] {
        sources.insert(file, digest(&sh.root().join(file))?);
    }
    let rustc = sh.read(sh.command("rustc").arg("--version"))?;
    let glibc = glibc_floor(stage)?.map(|(major, minor)| format!("{major}.{minor}"));
    let provenance = json!({
        "name": PLUGIN,
        "version": env!("CARGO_PKG_VERSION"),
        "commit": origin.commit,
        "changed_since_commit": origin.changed,
        "sha256": sources,
        "binary_sha256": digest(&stage.join(PLUGIN))?,
        "rustc": rustc.trim(),
        "bundled_python": bundle.map(|bundle| bundle.version.as_str()),
        "glibc_at_least": glibc,
    });
    Ok(format!("{}\n", serde_json::to_string_pretty(&provenance)?))
}

fn component(package: &Package, checksums: &BTreeMap<(String, String), String>) -> Value {
    let Package { name, version, .. } = package;
    let mut component = json!({
        "type": "library",
        "name": name,
        "version": version,
        "purl": format!("pkg:cargo/{name}@{version}"),
    });
    if let Some(license) = &package.license {
        // `/` is the old spelling of OR, which SPDX does not know.
        let expression = license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(checksum) = checksums.get(&(name.clone(), version.clone())) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// Name and version to checksum, from Cargo.lock.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            let key = (field(block, "name")?, field(block, "version")?);
            Some((key, field(block, "checksum")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_crate_is_listed_with_licence_and_checksum() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ff\"\n";
        let package = Package {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            license: Some("MIT/Apache-2.0".to_owned()),
            source: Some("registry".to_owned()),
            repository: None,
            rust_version: None,
            directory: PathBuf::new(),
        };
        let value = component(&package, &checksums(lock));
        assert_eq!(value["hashes"][0]["content"], "ff");
        assert_eq!(value["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(value["purl"], "pkg:cargo/a@1.0.0");
    }
}
