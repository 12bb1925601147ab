//! How the QNTX core takes an archive, written anew from its contract: what these rules
//! refuse or drop, no user gets.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::GzDecoder;

use crate::package::archive::checksum;
use crate::repro::digest;

/// The longest checksum file that is read.
const CHECKSUM_LIMIT: u64 = 4096;

/// The asset a core on `system` (`linux-amd64`) takes: the first whose name ends so.
pub(crate) fn chosen<'a>(assets: &'a [String], system: &str) -> Option<&'a String> {
    assets.iter().find(|name| name.ends_with(&format!("-{system}.tar.gz")))
}

/// Unpacks `archive` into `target` and gives the plugin's path in it.
pub(crate) fn unpack(archive: &Path, plugin: &str, target: &Path) -> Result<PathBuf> {
    verify(archive)?;
    let mut found = None;
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(archive)?));
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        ensure!(
            name.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)),
            "{} leads outside",
            name.display()
        );
        let path = target.join(&name);
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            fs::create_dir_all(&path)?;
        } else if kind.is_file() {
            fs::create_dir_all(path.parent().context("no directory")?)?;
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            fs::write(&path, bytes)?;
            let mode = if entry.header().mode()? & 0o111 != 0 { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            if name.file_name().is_some_and(|file| file == plugin) {
                found = Some(path);
            }
        }
        // Links and devices are dropped, as the core drops them.
    }
    found.with_context(|| format!("no regular file {plugin} in {}", archive.display()))
}

/// The checksum file beside the archive: its first word is the archive's digest.
fn verify(archive: &Path) -> Result<()> {
    let path = checksum(archive);
    let length = fs::metadata(&path).with_context(|| format!("no {}", path.display()))?.len();
    ensure!(length <= CHECKSUM_LIMIT, "{} is too long", path.display());
    let text = fs::read_to_string(&path)?;
    let word = text.split_whitespace().next().unwrap_or_default();
    ensure!(
        word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit()),
        "{} begins with no digest",
        path.display()
    );
    if !word.eq_ignore_ascii_case(&digest(archive)?) {
        bail!("{} is not what its checksum says", archive.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with one entry, and its checksum.
    fn archive(directory: &Path, name: &str, kind: tar::EntryType) -> PathBuf {
        let path = directory.join("x.tar.gz");
        let file = File::create(&path).expect("created");
        let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        let mut header = tar::Header::new_ustar();
        // set_path refuses what a hostile archive may well have.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o700);
        header.set_size(0);
        header.set_cksum();
        tar.append(&header, std::io::empty()).expect("appended");
        tar.into_inner().expect("whole").finish().expect("finished");
        fs::write(checksum(&path), digest(&path).expect("read")).expect("written");
        path
    }

    #[test]
    fn a_plugin_is_found_and_made_executable_for_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = archive(directory.path(), "p/plugin", tar::EntryType::Regular);
        let found = unpack(&path, "plugin", &directory.path().join("out")).expect("unpacked");
        assert_eq!(fs::metadata(found).expect("there").permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn paths_that_lead_outside_and_links_are_not_taken() {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, kind) in [
            ("../plugin", tar::EntryType::Regular),
            ("/plugin", tar::EntryType::Regular),
            ("plugin", tar::EntryType::Symlink),
            ("other", tar::EntryType::Regular),
        ] {
            let path = archive(directory.path(), name, kind);
            assert!(unpack(&path, "plugin", &directory.path().join("out")).is_err(), "{name}");
        }
    }

    #[test]
    fn an_archive_that_changed_after_its_checksum_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = archive(directory.path(), "plugin", tar::EntryType::Regular);
        fs::write(checksum(&path), "0".repeat(64)).expect("written");
        assert!(unpack(&path, "plugin", directory.path()).is_err());
    }

    #[test]
    fn only_the_archive_with_python_is_taken() {
        let assets = [
            "qntx-python-plugin-linux-amd64-system-python.tgz",
            "qntx-python-plugin-linux-amd64.tar.gz.sha256",
            "qntx-python-plugin-linux-amd64.tar.gz",
        ]
        .map(str::to_owned);
        assert_eq!(chosen(&assets, "linux-amd64"), Some(&assets[2]));
    }
}
