//! The licence texts that the archive owes: of every crate in the binary, and of the
//! bundled CPython and its libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::metadata::Package;
use crate::package::bundle::Bundle;
use crate::shell::Shell;

/// Beginnings of the names of files with licence texts.
const NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// One file with every text once, under the packages that have it.
pub(crate) fn texts(
    sh: &Shell,
    shipped: &BTreeSet<Package>,
    bundle: Option<&Bundle>,
    python: &Path,
) -> Result<String> {
    let mut by_text: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut textless = Vec::new();
    for package in shipped.iter().filter(|package| package.source.is_some()) {
        let label = format!("{} {}", package.name, package.version);
        let files = license_files_below(&package.directory)?;
        if files.is_empty() {
            let license = package.license.as_deref().unwrap_or("no licence named");
            textless.push(format!("{label}: {license}"));
        }
        for file in files {
            let text = String::from_utf8_lossy(&fs::read(file)?).trim().to_owned();
            by_text.entry(text).or_default().insert(label.clone());
        }
    }
    if let Some(bundle) = bundle {
        for file in license_files(python)? {
            let text = String::from_utf8_lossy(&fs::read(file)?).trim().to_owned();
            by_text.entry(text).or_default().insert(format!("CPython {}", bundle.version));
        }
        for library in &bundle.libraries {
            match copyright(sh, library) {
                Some(text) => {
                    by_text.entry(text).or_default().insert(library.clone());
                }
                None => textless.push(format!("{library}: see its project")),
            }
        }
    }
    let mut out = String::from("Licences of what this archive is made of, besides its own.\n");
    if !textless.is_empty() {
        let _ = write!(out, "\nPublished without a text of their own:\n");
        for line in textless {
            let _ = writeln!(out, "  {line}");
        }
    }
    for (text, packages) in by_text {
        let packages: Vec<String> = packages.into_iter().collect();
        let rule = "=".repeat(80);
        let _ = write!(out, "\n{rule}\n{}\n{rule}\n\n{text}\n", packages.join("\n"));
    }
    Ok(out)
}

/// Those of code that a crate has taken in, too, which it keeps beside that code.
fn license_files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = license_files(directory)?;
    let folders = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    for folder in folders.collect::<Result<BTreeSet<_>>>()? {
        if folder.is_dir() && !folder.is_symlink() {
            files.extend(license_files_below(&folder)?);
        }
    }
    Ok(files)
}

fn license_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What the distribution says of a library's copyright.
fn copyright(sh: &Shell, library: &str) -> Option<String> {
    let owner =
        sh.read(sh.command("dpkg-query").args(["--search", &format!("*/{library}")])).ok()?;
    let package = owner.lines().next()?.split(':').next()?;
    let text = fs::read(format!("/usr/share/doc/{package}/copyright")).ok()?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_two_crates_share_is_there_once_and_a_missing_one_is_named() {
        let root = tempfile::tempdir().expect("a directory");
        let package = |name: &str, text: Option<&str>| {
            let directory = root.path().join(name);
            fs::create_dir(&directory).expect("made");
            if let Some(text) = text {
                fs::write(directory.join("LICENSE-MIT"), text).expect("written");
            }
            Package {
                name: name.to_owned(),
                version: "1.0.0".to_owned(),
                license: Some("MIT".to_owned()),
                source: Some("registry".to_owned()),
                repository: None,
                rust_version: None,
                directory,
            }
        };
        let taken_in = root.path().join("a/third_party/b");
        let shipped = BTreeSet::from([
            package("a", Some("permission is granted\n")),
            package("b", Some("permission is granted")),
            package("c", None),
        ]);
        fs::create_dir_all(&taken_in).expect("made");
        fs::write(taken_in.join("LICENSE"), "others grant it").expect("written");
        let out = texts(&Shell::new(), &shipped, None, root.path()).expect("written");
        assert_eq!(out.matches("permission is granted").count(), 1);
        assert!(out.contains("a 1.0.0\nb 1.0.0") && out.contains("c 1.0.0: MIT"), "{out}");
        assert!(out.contains("others grant it"), "{out}");
    }
}
