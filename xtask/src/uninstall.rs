//! `cargo xtask uninstall`: takes away what `install` put there, and nothing else.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::install::Place;
use crate::shell::Shell;

/// Remove the installed plugin
#[derive(Debug, Args)]
pub(crate) struct Uninstall {
    #[command(flatten)]
    place: Place,
}

impl Uninstall {
    pub(crate) fn run(self, _: &Shell) -> Result<()> {
        let binary = self.place.binary()?;
        if remove(&binary)? {
            println!("removed {}", binary.display());
        } else {
            println!("{} is not there", binary.display());
        }
        let root = self.place.root()?;
        if remove(&root)? {
            println!("removed {}; nix-collect-garbage can free its libraries", root.display());
        }
        Ok(())
    }
}

/// Whether there was something to remove.
fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::remove;

    #[test]
    fn a_file_goes_once_and_its_absence_is_no_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("qntx-python-plugin");
        std::fs::write(&file, "x").expect("written");
        assert!(remove(&file).expect("removed"));
        assert!(!remove(&file).expect("absent"));
    }
}
