//! A tar archive whose bytes depend on its contents alone: sorted, one time for all, no
//! owner, two modes, no links.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};

use crate::repro::digest;

/// Packs everything under `directory`, and writes the checksum beside the archive.
pub(crate) fn pack(directory: &Path, archive: &Path, time: u64) -> Result<()> {
    let file =
        File::create(archive).with_context(|| format!("cannot create {}", archive.display()))?;
    // No name and no time in gzip's own header.
    let gzip = GzBuilder::new().mtime(0).write(file, Compression::best());
    let mut tar = tar::Builder::new(gzip);
    let mut paths = Vec::new();
    list(directory, &mut paths)?;
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(directory)?;
        let kind = fs::symlink_metadata(&path)?;
        let mut header = tar::Header::new_ustar();
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        if kind.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            tar.append_data(&mut header, name, std::io::empty())?;
        } else if kind.is_file() {
            let executable = kind.permissions().mode() & 0o111 != 0;
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if executable { 0o755 } else { 0o644 });
            header.set_size(kind.len());
            tar.append_data(&mut header, name, File::open(&path)?)?;
        } else {
            bail!("{} is neither a file nor a directory", name.display());
        }
    }
    let mut file = tar.into_inner()?.finish()?;
    file.flush()?;
    file.sync_all()?;

    let name = archive.file_name().context("no file name")?.to_string_lossy();
    fs::write(checksum(archive), format!("{}  {name}\n", digest(archive)?))?;
    Ok(())
}

/// The file with an archive's checksum.
pub(crate) fn checksum(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// Everything under `directory`, it left out.
fn list(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if fs::symlink_metadata(&path)?.is_dir() {
            list(&path, paths)?;
        }
        paths.push(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(mode: u32) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let inner = directory.path().join("b");
        fs::create_dir(&inner).expect("made");
        for (path, text) in [(inner.join("z"), "z"), (inner.join("a"), "a")] {
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        }
        directory
    }

    #[test]
    fn the_same_contents_give_the_same_bytes() {
        let out = tempfile::tempdir().expect("a directory");
        let (one, two) = (out.path().join("1.tar.gz"), out.path().join("2.tar.gz"));
        pack(tree(0o600).path(), &one, 7).expect("packed");
        pack(tree(0o644).path(), &two, 7).expect("packed");
        assert_eq!(digest(&one).expect("read"), digest(&two).expect("read"));
        pack(tree(0o755).path(), &two, 7).expect("packed");
        assert_ne!(digest(&one).expect("read"), digest(&two).expect("read"));
    }

    #[test]
    fn a_link_is_refused_and_not_followed() {
        let directory = tree(0o644);
        symlink("a", directory.path().join("link")).expect("linked");
        let out = tempfile::tempdir().expect("a directory");
        assert!(pack(directory.path(), &out.path().join("x.tar.gz"), 0).is_err());
    }
}
