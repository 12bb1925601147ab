//! A generation's own record of itself.
//!
//! **Invariant:** a generation's manifest is written before it gets its number
//! and never changed after.

use serde::{Deserialize, Serialize};

/// What a generation is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its number; the number of a directory always agrees.
    pub generation: u64,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// Python's version it was resolved for.
    pub python: String,
    pub uv: String,
    /// What was asked for, all requests together.
    pub requested: Vec<String>,
    pub packages: Vec<Package>,
    pub bytes: u64,
    /// What was found and put right, or left out.
    pub warnings: Vec<String>,
}

/// One installed distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// Of the files of this version that the lock allows.
    pub hashes: Vec<String>,
    pub bytes: u64,
    pub files: u64,
    /// Modules at the top, without private ones.
    pub modules: Vec<String>,
}

/// A package as the lock names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The requirement, `name==1.0` or `name @ https://…`, with its marker.
    pub line: String,
    pub name: String,
    pub hashes: Vec<String>,
}

/// Reads what `uv pip compile --generate-hashes` wrote.
#[must_use]
pub fn locked(text: &str) -> Vec<Locked> {
    let mut all = Vec::new();
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', '-']) {
            continue;
        }
        let (requirement, options) = line.split_once(" --hash=").unwrap_or((line, ""));
        let hashes = options.split("--hash=").map(str::trim).filter(|hash| !hash.is_empty());
        let name = requirement.split(['=', '@', '[', ' ', ';']).next().unwrap_or_default();
        all.push(Locked {
            line: requirement.trim().to_owned(),
            name: super::requirement::normalise(name),
            hashes: hashes.map(str::to_owned).collect(),
        });
    }
    all
}

/// The lock as uv reads it.
#[must_use]
pub fn write_lock(all: &[Locked]) -> String {
    let mut text = String::new();
    for locked in all {
        text.push_str(&locked.line);
        for hash in &locked.hashes {
            text.push_str(" \\\n    --hash=");
            text.push_str(hash);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_as_uv_writes_it_and_written_as_uv_reads_it() {
        let text = "a-b==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n\
                    c==2 ; python_version > '3' \\\n    --hash=sha256:22\n";
        let all = locked(text);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].name.as_str(), all[0].line.as_str()), ("a-b", "a-b==1.0"));
        assert_eq!(all[0].hashes, ["sha256:00", "sha256:11"]);
        assert_eq!(all[1].line, "c==2 ; python_version > '3'");
        assert_eq!(write_lock(&all), text);
    }
}
