//! What cargo says of the packages: all of them, and those in the shipped binary.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::build::PLUGIN;
use crate::shell::Shell;

/// A package of the lock file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// An SPDX expression, when the package names one.
    pub(crate) license: Option<String>,
    /// Where it was published; none for the project's own.
    pub(crate) source: Option<String>,
    pub(crate) repository: Option<String>,
    /// The oldest Rust it says it compiles with.
    pub(crate) rust_version: Option<String>,
    /// The directory of its manifest.
    pub(crate) directory: PathBuf,
}

/// The workspace's packages and everything they depend on.
#[derive(Debug)]
pub(crate) struct Metadata {
    packages: HashMap<String, Package>,
    /// Package id to the ids it links, build-time and test-time dependencies left out.
    linked: HashMap<String, Vec<String>>,
}

impl Metadata {
    /// Asks cargo, for the platform this runs on or for all of them.
    pub(crate) fn read(sh: &Shell, platform: Option<&str>) -> Result<Self> {
        let mut command = sh.cargo(["metadata", "--format-version", "1", "--locked"]);
        if let Some(platform) = platform {
            command.args(["--filter-platform", platform]);
        }
        Self::parse(&sh.read(&mut command)?)
    }

    fn parse(text: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text).context("cargo metadata wrote no JSON")?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();

        let mut linked = HashMap::new();
        for node in list(&json["resolve"]["nodes"]) {
            let normal = |dep: &&Value| list(&dep["dep_kinds"]).iter().any(|k| k["kind"].is_null());
            let ids =
                list(&node["deps"]).iter().filter(normal).filter_map(|d| text(&d["pkg"])).collect();
            linked.insert(text(&node["id"]).context("a node without id")?, ids);
        }
        let mut packages = HashMap::new();
        for package in list(&json["packages"]) {
            let id = text(&package["id"]).context("a package without id")?;
            if !linked.contains_key(&id) {
                continue;
            }
            let manifest = PathBuf::from(text(&package["manifest_path"]).unwrap_or_default());
            let package = Package {
                name: text(&package["name"]).context("a package without name")?,
                version: text(&package["version"]).context("a package without version")?,
                license: text(&package["license"]),
                source: text(&package["source"]),
                repository: text(&package["repository"]),
                rust_version: text(&package["rust_version"]),
                directory: manifest.parent().unwrap_or(&manifest).to_owned(),
            };
            packages.insert(id, package);
        }
        Ok(Self { packages, linked })
    }

    /// Every package, also those only a build or a test needs.
    pub(crate) fn all(&self) -> BTreeSet<Package> {
        self.packages.values().cloned().collect()
    }

    /// The packages whose code is in the plugin's binary, the plugin first left out.
    pub(crate) fn shipped(&self) -> Result<BTreeSet<Package>> {
        let (root, _) = self
            .packages
            .iter()
            .find(|(_, package)| package.name == PLUGIN)
            .with_context(|| format!("no package {PLUGIN}"))?;
        let mut seen = BTreeSet::new();
        let mut open = vec![root.clone()];
        while let Some(id) = open.pop() {
            for next in self.linked.get(&id).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        Ok(seen.iter().filter_map(|id| self.packages.get(id)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Metadata;

    #[test]
    fn build_and_test_dependencies_are_not_shipped() {
        let package = |name: &str| {
            format!(
                r#"{{"id":"{name}","name":"{name}","version":"1.0.0","license":"MIT",
                    "source":null,"repository":null,"manifest_path":"/w/{name}/Cargo.toml"}}"#
            )
        };
        let text = format!(
            r#"{{"packages":[{},{},{},{}],"resolve":{{"nodes":[
                {{"id":"qntx-python-plugin","deps":[
                    {{"pkg":"linked","dep_kinds":[{{"kind":"dev"}},{{"kind":null}}]}},
                    {{"pkg":"builds","dep_kinds":[{{"kind":"build"}}]}}]}},
                {{"id":"linked","deps":[{{"pkg":"deeper","dep_kinds":[{{"kind":null}}]}}]}},
                {{"id":"deeper","deps":[]}},
                {{"id":"builds","deps":[]}}]}}}}"#,
            package("qntx-python-plugin"),
            package("linked"),
            package("deeper"),
            package("builds"),
        );
        let metadata = Metadata::parse(&text).expect("valid");
        let names: Vec<String> =
            metadata.shipped().expect("there").into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["deeper", "linked"]);
        assert_eq!(metadata.all().len(), 4);
    }
}
