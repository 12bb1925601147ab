//! What uv installed, looked at before anybody may import it.
//!
//! **Invariant:** after [`site`] a directory holds plain files and directories
//! only, none with a set-id bit, and no `.pth` file that runs code or leads
//! outside. Files are removed, never rewritten: they may be links into the cache.

use super::generation::Package;
use super::requirement::normalise;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

/// Deepest nesting of directories.
const DEPTH: usize = 64;
/// Most files and directories.
const ENTRIES: u64 = 1_000_000;
/// Largest RECORD, METADATA or `.pth` file that is read.
const TEXT: u64 = 64 << 20;

/// What is there.
#[derive(Debug, Default)]
pub struct Found {
    pub packages: Vec<Package>,
    pub bytes: u64,
    pub warnings: Vec<String>,
}

/// Why a directory is refused.
#[derive(Debug, thiserror::Error)]
pub enum Hostile {
    /// A link, a device, a set-id program.
    #[error("{path} is {what}, which no package may install")]
    Kind { path: String, what: &'static str },
    /// A record names a file outside the directory.
    #[error("{package} says that it installed `{path}`, which is outside its directory")]
    Outside { package: String, path: String },
    /// A distribution without a readable name and version.
    #[error("{path} is no distribution's record: {reason}")]
    Record { path: String, reason: &'static str },
    /// More than [`ENTRIES`] or deeper than [`DEPTH`].
    #[error("{path}: too many files, or too deep")]
    Size { path: String },
    /// It can't be read.
    #[error("{path} can't be read")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// Looks `directory` through. Blocking.
pub fn site(directory: &Path) -> Result<Found, Hostile> {
    let mut found = Found::default();
    let mut entries = 0;
    walk(directory, directory, 0, &mut entries, &mut found)?;
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for info in list(directory)?.iter().filter(|path| ends(path, "dist-info")) {
        let (package, files) = distribution(directory, info)?;
        for file in files {
            if let Some(first) = owners.insert(file.clone(), package.name.clone()) {
                found.warnings.push(format!("{first} and {} both install {file}", package.name));
            }
        }
        found.packages.push(package);
    }
    found.packages.sort_by(|a, b| a.name.cmp(&b.name));
    path_files(directory, &mut found)?;
    Ok(found)
}

fn walk(
    root: &Path,
    directory: &Path,
    depth: usize,
    entries: &mut u64,
    found: &mut Found,
) -> Result<(), Hostile> {
    for path in list(directory)? {
        *entries += 1;
        let shown = || path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if *entries > ENTRIES || depth > DEPTH {
            return Err(Hostile::Size { path: shown() });
        }
        let metadata = path.symlink_metadata().map_err(|e| unreadable(&path, e))?;
        let kind = |what| Err(Hostile::Kind { path: shown(), what });
        if metadata.is_symlink() {
            return kind("a symbolic link");
        } else if metadata.is_dir() {
            walk(root, &path, depth + 1, entries, found)?;
        } else if !metadata.is_file() {
            return kind("neither a file nor a directory");
        } else if metadata.permissions().mode() & 0o6000 != 0 {
            return kind("a set-id program");
        } else {
            found.bytes += metadata.size();
        }
    }
    Ok(())
}

/// Removes `.pth` files that run code or lead outside.
fn path_files(directory: &Path, found: &mut Found) -> Result<(), Hostile> {
    for path in list(directory)?.iter().filter(|path| ends(path, "pth")) {
        let text = read(path)?;
        let runs = |line: &str| line.starts_with("import ") || line.starts_with("import\t");
        let lines = text.lines().map(str::trim);
        let bad = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .find(|line| runs(line) || !inside(line));
        if let Some(line) = bad {
            std::fs::remove_file(path).map_err(|e| unreadable(path, e))?;
            let name = path.file_name().unwrap_or_default().display();
            let why = if runs(line) { "it runs code at start" } else { "it leads outside" };
            found.warnings.push(format!("{name} was left out: {why}"));
        }
    }
    Ok(())
}

/// One `dist-info`: the package, and its files but for the record's own.
fn distribution(root: &Path, info: &Path) -> Result<(Package, Vec<String>), Hostile> {
    let shown = info.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let wrong = |reason| Hostile::Record { path: shown.clone(), reason };
    let metadata = read(&info.join("METADATA"))?;
    let header = |name: &str| {
        let headers = metadata.lines().take_while(|line| !line.trim().is_empty());
        let mut headers = headers.filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let name = header("Name").ok_or_else(|| wrong("METADATA has no Name"))?;
    let version = header("Version").ok_or_else(|| wrong("METADATA has no Version"))?;
    let mut package =
        Package { name: normalise(name), version: version.to_owned(), ..Package::default() };
    let (mut modules, mut files) = (BTreeSet::new(), Vec::new());
    for line in read(&info.join("RECORD"))?.lines() {
        let path = record_path(line);
        if path.is_empty() {
            continue;
        }
        if !inside(&path) {
            return Err(Hostile::Outside { package: package.name, path });
        }
        // A record may name what is not there (bytecode); that weighs nothing.
        if let Ok(metadata) = root.join(&path).symlink_metadata() {
            package.bytes += metadata.size();
            package.files += 1;
        }
        modules.extend(module(&path));
        if !path.contains(".dist-info/") && !path.ends_with(".pyc") {
            files.push(path);
        }
    }
    package.modules = modules.into_iter().collect();
    Ok((package, files))
}

/// The first field of a line of comma-separated values.
fn record_path(line: &str) -> String {
    match line.strip_prefix('"') {
        Some(rest) => {
            let end = rest.rfind("\",").unwrap_or(rest.len());
            rest[..end].replace("\"\"", "\"")
        }
        None => line.split(',').next().unwrap_or_default().trim().to_owned(),
    }
}

/// The public module at the top that a file belongs to.
fn module(path: &str) -> Option<String> {
    let name = match path.split_once('/') {
        Some((package, "__init__.py")) => package,
        Some(_) => return None,
        None if path.ends_with(".py") => path.strip_suffix(".py")?,
        None if path.ends_with(".so") => path.split('.').next()?,
        None => return None,
    };
    let mut letters = name.chars();
    let begins = letters.next().is_some_and(|c| c.is_alphabetic());
    (begins && letters.all(|c| c.is_alphanumeric() || c == '_')).then(|| name.to_owned())
}

/// Whether a path stays below where it starts.
fn inside(path: &str) -> bool {
    let normal = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.contains(['\0', '\\']) && PathBuf::from(path).components().all(normal)
}

fn ends(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, Hostile> {
    let failed = |e| unreadable(directory, e);
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, Hostile> {
    let size = path.symlink_metadata().map_err(|e| unreadable(path, e))?.size();
    if size > TEXT {
        return Err(Hostile::Size { path: path.display().to_string() });
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(path: &Path, source: io::Error) -> Hostile {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Hostile::Io { path: name, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn made() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        let info = site.path().join("a_b-1.0.dist-info");
        fs::create_dir(&info).unwrap();
        fs::write(info.join("METADATA"), "Name: A_b\nVersion: 1.0\n\nName: no\n").unwrap();
        fs::write(info.join("RECORD"), "ab/__init__.py,,\n\"c,d.py\",,\n_x.py,,\nm.abi3.so,,\n")
            .unwrap();
        fs::create_dir(site.path().join("ab")).unwrap();
        fs::write(site.path().join("ab/__init__.py"), "x = 1\n").unwrap();
        site
    }

    #[test]
    fn a_distribution_is_described() {
        let found = site(made().path()).unwrap();
        let [package] = found.packages.as_slice() else { panic!("{found:?}") };
        assert_eq!((package.name.as_str(), package.version.as_str()), ("a-b", "1.0"));
        assert_eq!(package.modules, ["ab", "m"]);
        assert_eq!((package.bytes, package.files), (6, 1));
        assert!(found.warnings.is_empty());
    }

    #[test]
    fn links_set_id_bits_and_records_that_lead_outside_are_refused() {
        let dir = made();
        std::os::unix::fs::symlink("/etc", dir.path().join("ab/link")).unwrap();
        assert!(matches!(site(dir.path()), Err(Hostile::Kind { .. })));
        let dir = made();
        fs::set_permissions(dir.path().join("ab/__init__.py"), fs::Permissions::from_mode(0o4755))
            .unwrap();
        assert!(matches!(site(dir.path()), Err(Hostile::Kind { .. })));
        for outside in ["../x", "/etc/x", "ab/../../x"] {
            let dir = made();
            fs::write(dir.path().join("a_b-1.0.dist-info/RECORD"), format!("{outside},,\n"))
                .unwrap();
            assert!(matches!(site(dir.path()), Err(Hostile::Outside { .. })), "{outside}");
        }
    }

    #[test]
    fn path_files_that_run_code_or_lead_outside_are_left_out_and_said() {
        for (text, stays) in
            [("ab\n# x\n", true), ("import os\n", false), ("/etc\n", false), ("../x\n", false)]
        {
            let dir = made();
            fs::write(dir.path().join("x.pth"), text).unwrap();
            let found = site(dir.path()).unwrap();
            assert_eq!(dir.path().join("x.pth").exists(), stays, "{text}");
            assert_eq!(found.warnings.is_empty(), stays, "{:?}", found.warnings);
        }
    }
}
