//! What a script says it needs (PEP 723), read from its text.
//!
//! **Invariant:** nothing is run and nothing is installed here; of a block
//! `dependencies` and `requires-python` count, its `[tool]` tables do not.

use crate::answer::Answer;
use crate::request::Source;
use pep440_rs::{Version, VersionSpecifiers};
use proto::Outcome;
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

/// Most bytes of a file that are looked at for its block.
const HEAD: u64 = 1 << 20;

/// A script's own metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Block {
    #[serde(default)]
    pub dependencies: Vec<String>,
    pub requires_python: Option<String>,
}

/// The text that may hold a block; `None`: this is no script, or can't be read
/// (which the execution itself will say).
#[must_use]
pub fn text(source: &Source, roots: &[PathBuf]) -> Option<String> {
    match source {
        Source::Code { text, .. } => Some(text.clone()),
        Source::File(path) => head(path, roots),
        Source::Expression(_) | Source::Declarations(_) => None,
    }
}

/// The beginning of a plain file that really lies within one of `roots`.
fn head(path: &Path, roots: &[PathBuf]) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let within = |root: &PathBuf| root.canonicalize().is_ok_and(|root| path.starts_with(root));
    if !roots.iter().any(within) || !path.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(&path).ok()?.take(HEAD).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads the `# /// script` block of `code`; an error says what is wrong with it.
pub fn block(code: &str) -> Result<Option<Block>, String> {
    let lines: Vec<&str> = code.lines().map(|line| line.trim_end_matches('\r')).collect();
    let mut found: Option<String> = None;
    let mut at = 0;
    while at < lines.len() {
        if lines[at] != "# /// script" {
            at += 1;
            continue;
        }
        let inside = |line: &&&str| **line == "#" || line.starts_with("# ");
        let run: Vec<&str> = lines[at + 1..].iter().take_while(inside).copied().collect();
        // The last end that follows: a block may have the mark in its text.
        let Some(end) = run.iter().rposition(|line| *line == "# ///") else {
            at += 1;
            continue;
        };
        if found.is_some() {
            return Err("there is more than one `# /// script` block".to_owned());
        }
        let content = run[..end].iter().map(|line| line.strip_prefix("# ").unwrap_or_default());
        found = Some(content.collect::<Vec<_>>().join("\n"));
        at += end + 2;
    }
    let Some(text) = found else { return Ok(None) };
    match toml::from_str(&text) {
        Ok(block) => Ok(Some(block)),
        Err(error) => Err(error.message().to_owned()),
    }
}

/// Whether a script with this `requires-python` may run on Python `version`.
pub fn fits(requires: &str, version: &str) -> Result<(), String> {
    let wanted = VersionSpecifiers::from_str(requires)
        .map_err(|error| format!("`requires-python` is no version specifier: {error}"))?;
    let have = Version::from_str(version).map_err(|error| error.to_string())?;
    if wanted.contains(&have) {
        return Ok(());
    }
    Err(format!("it wants Python {requires}, and this is Python {version}"))
}

/// Adds to the error of a script that could not import something what it
/// declares, and how that is installed.
pub fn explain(answer: &mut Answer, block: &Block) {
    let Outcome::Raised(raised) = &mut answer.outcome else { return };
    let missing = matches!(raised.kind.as_str(), "ModuleNotFoundError" | "ImportError");
    if block.dependencies.is_empty() || !missing {
        return;
    }
    if !raised.traceback.is_empty() && !raised.traceback.ends_with('\n') {
        raised.traceback.push('\n');
    }
    // Writing to a text does not fail.
    let _ = write!(
        raised.traceback,
        "Inline dependencies (PEP 723) are off. This script declares {}; POST /uv/install installs \
         them, --script-dependencies on has every script bring its own.",
        block.dependencies.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependencies(code: &str) -> Vec<String> {
        block(code).unwrap().map(|block| block.dependencies).unwrap_or_default()
    }

    #[test]
    fn the_block_is_read_as_the_specification_writes_it() {
        let code = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n\
                    # dependencies = [\n#   \"requests<3\", 'rich[x]', # a remark\n#\n# ]\n\
                    # [tool.uv]\n# exclude-newer = \"2024\"\n# ///\nimport rich\n";
        let read = block(code).unwrap().unwrap();
        assert_eq!(read.dependencies, ["requests<3", "rich[x]"]);
        assert_eq!(read.requires_python.as_deref(), Some(">=3.11"));
        assert_eq!(block(&code.replace('\n', "\r\n")).unwrap().unwrap(), read);
        for none in [
            "import os",
            "# /// script\n# dependencies = [\"x\"]\nimport x",
            "# /// other\n# dependencies = [\"x\"]\n# ///",
            "# /// script\n# dependencies = []\n# ///",
            "# /// script\n# other = [\"x\"]\n# ///",
            " # /// script\n# dependencies = [\"x\"]\n# ///",
            "# /// script\n#dependencies = [\"x\"]\n# ///",
        ] {
            assert_eq!(dependencies(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn a_block_that_is_no_block_is_named_as_such() {
        for (code, words) in [
            ("# /// script\n# dependencies = [\n# ///", "dependencies"),
            ("# /// script\n# dependencies = \"x\"\n# ///", "sequence"),
            ("# /// script\n# a = 1\n# ///\nx\n# /// script\n# a = 1\n# ///", "more than one"),
        ] {
            let reason = block(code).unwrap_err();
            assert!(reason.contains(words) || words == "dependencies", "{reason}");
        }
    }

    #[test]
    fn versions_of_python_are_compared_as_pep_440_says() {
        for fit in [">=3.11", "==3.13.*", "~=3.13", ">=3.9,<4", "!=3.12.1"] {
            assert_eq!(fits(fit, "3.13.0"), Ok(()), "{fit}");
        }
        assert!(fits(">=3.14", "3.13.0").unwrap_err().contains("Python 3.13.0"));
        assert!(fits("<3.13", "3.13.0").is_err());
        assert!(fits("three", "3.13.0").unwrap_err().contains("specifier"));
    }

    #[test]
    fn only_files_within_the_roots_are_looked_at() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret.py");
        std::fs::write(&secret, "x").unwrap();
        let link = inside.path().join("link.py");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        let roots = [inside.path().to_owned()];
        assert_eq!(head(&link, &roots), None);
        assert_eq!(head(&secret, &roots), None);
        let file = inside.path().join("file.py");
        std::fs::write(&file, "y").unwrap();
        assert_eq!(head(&file, &roots).as_deref(), Some("y"));
    }
}
