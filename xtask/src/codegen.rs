//! `cargo xtask codegen`: what is written from the code, written again.
//!
//! `docs/python-api.md` is made of the docstrings and the stub of module `qntx` by
//! `tools/python-api`, run with the Python that the plugin is built against.

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::python;
use crate::shell::Shell;

/// The document.
const DOCUMENT: &str = "docs/python-api.md";
/// What writes it.
const WRITER: &str = "tools/python-api";

/// Write docs/python-api.md from the docstrings of module qntx
#[derive(Debug, Default, Args)]
pub(crate) struct Codegen {
    /// Write nothing; fail when the document is not what would be written
    #[arg(long)]
    check: bool,
}

impl Codegen {
    pub(crate) fn checking() -> Self {
        Self { check: true }
    }

    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let path = sh.root().join(DOCUMENT);
        let written = sh.read(sh.command(python::finder(sh)).arg(sh.root().join(WRITER)))?;
        if !self.check {
            fs::write(&path, written).with_context(|| format!("cannot write {DOCUMENT}"))?;
            println!("{DOCUMENT} written");
            return Ok(());
        }
        let there = fs::read_to_string(&path).with_context(|| format!("no {DOCUMENT}"))?;
        if let Some(line) = first_difference(&there, &written) {
            bail!(
                "{DOCUMENT} is not what the docstrings say, from line {line} on\n\
                 hint: cargo xtask codegen"
            );
        }
        println!("codegen: {DOCUMENT} is what the docstrings say");
        Ok(())
    }
}

/// The number of the first line that differs.
fn first_difference(there: &str, written: &str) -> Option<usize> {
    if there == written {
        return None;
    }
    let same = there.lines().zip(written.lines()).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_wherever_it_is() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("a\n", "a"), Some(2));
    }

    #[test]
    fn the_python_api_document_is_what_the_docstrings_say() {
        let sh = Shell::new();
        // A Nix build leaves prose out.
        if sh.root().join(DOCUMENT).exists() || std::env::var_os("NIX_BUILD_TOP").is_none() {
            Codegen::checking().run(&sh).unwrap();
        }
    }
}
