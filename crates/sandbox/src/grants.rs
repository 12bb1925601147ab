//! What an operator may grant beyond reading files and writing the own scratch directory.
//!
//! **Invariant:** the default grants nothing. A grant is in force from a zygote's seal on or not at
//! all; nothing sealed is ever loosened.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::SealError;

/// Dynamic loaders at their usual places: a program that is executed needs its own.
const LOADERS: &[&str] = &[
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// The first Landlock ABI that knows TCP ports (Linux 6.7).
const NETWORK_FLOOR: u32 = 4;
/// The first Landlock ABI that keeps signals within a domain (Linux 6.12).
const PROCESS_FLOOR: u32 = 6;

/// What a zygote and all its children are granted beyond the strict policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Directories (with all beneath) and files that may be written.
    pub write: Vec<PathBuf>,
    /// TCP ports that may be connected to, on any host; empty: no socket at all.
    pub connect: Vec<u16>,
    /// Processes may be started, and these files, or files in these directories, executed.
    pub execute: Option<Vec<PathBuf>>,
    /// Each child is the first process of a PID namespace of its own, in a user namespace of its
    /// own, so that the kernel ends whatever it started together with it.
    pub namespace: bool,
}

impl Grants {
    /// One sentence for each grant; empty when nothing is granted.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let paths = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut sentences = Vec::new();
        if !self.write.is_empty() {
            sentences.push(format!("write_paths: files are written in {}", paths(&self.write)));
        }
        if !self.connect.is_empty() {
            let ports: Vec<String> = self.connect.iter().map(u16::to_string).collect();
            sentences.push(format!(
                "network: TCP connections are made to port {} of any host",
                ports.join(", ")
            ));
        }
        if let Some(execute) = &self.execute {
            sentences.push(format!("processes: programs are started, of {}", paths(execute)));
        }
        sentences
    }

    /// Whether several processes may come to work on the same files, so that locks have to be real.
    #[must_use]
    pub fn shares_files(&self) -> bool {
        !self.write.is_empty() || self.execute.is_some()
    }

    /// Refuses what Landlock at this ABI can't hold to its bounds, whatever weakness is accepted:
    /// a grant that can't be bounded would be another one.
    ///
    /// # Errors
    /// [`SealError::Grant`].
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is sealed there"))]
    pub(crate) fn check(&self, abi: u32) -> Result<(), SealError> {
        let needs = |grant, floor| {
            let reason =
                format!("Landlock ABI {floor} holds it to its bounds, this kernel has {abi}");
            if abi < floor { Err(SealError::Grant { grant, reason }) } else { Ok(()) }
        };
        if !self.connect.is_empty() {
            needs("network", NETWORK_FLOOR)?;
        }
        if self.execute.is_some() {
            needs("processes", PROCESS_FLOOR)?;
        }
        Ok(())
    }
}

/// The dynamic loaders that executing `programs` takes: those at their usual places, and the one
/// that each file names. Where a loader may be executed, so may in effect everything readable.
#[must_use]
pub fn loaders_of(programs: &[PathBuf]) -> Vec<PathBuf> {
    let usual = LOADERS.iter().map(PathBuf::from);
    let named = programs.iter().filter_map(|path| loader_of(path));
    usual.chain(named).filter_map(|path| path.canonicalize().ok()).collect()
}

/// The program header `PT_INTERP` of a 64-bit ELF file of this byte order.
fn loader_of(path: &Path) -> Option<PathBuf> {
    const PT_INTERP: u32 = 3;
    let mut file = std::fs::File::open(path).ok()?;
    let mut header = [0; 64];
    file.read_exact(&mut header).ok()?;
    if !header.starts_with(b"\x7fELF\x02") {
        return None;
    }
    let long =
        |bytes: &[u8], at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let short = |at: usize| Some(u16::from_ne_bytes(header.get(at..at + 2)?.try_into().ok()?));
    let (table, size, count) = (long(&header, 32)?, u64::from(short(54)?), short(56)?);
    for entry in 0..u64::from(count.min(128)) {
        let mut program = [0; 56];
        file.seek(SeekFrom::Start(table.checked_add(entry * size)?)).ok()?;
        file.read_exact(&mut program).ok()?;
        if program[..4] != PT_INTERP.to_ne_bytes() {
            continue;
        }
        let mut name = vec![0; usize::try_from(long(&program, 32)?.min(4096)).ok()?];
        file.seek(SeekFrom::Start(long(&program, 8)?)).ok()?;
        file.read_exact(&mut name).ok()?;
        let name = name.split(|byte| *byte == 0).next()?;
        return Some(PathBuf::from(std::str::from_utf8(name).ok()?));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_granted_by_default_and_each_grant_has_its_sentence() {
        assert!(Grants::default().sentences().is_empty());
        let grants = Grants {
            write: vec!["/srv/out".into()],
            connect: vec![443, 80],
            execute: Some(vec!["/bin/true".into()]),
            namespace: true,
        };
        let sentences = grants.sentences();
        assert_eq!(sentences.len(), 3);
        for (sentence, part) in sentences.iter().zip(["/srv/out", "443, 80", "/bin/true"]) {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn a_program_s_loader_is_found_in_it() {
        let own = std::env::current_exe().unwrap();
        let loader = loader_of(&own).unwrap();
        assert!(loader.is_file(), "{}", loader.display());
        assert!(loaders_of(&[own]).contains(&loader.canonicalize().unwrap()));
        assert_eq!(loader_of(Path::new("/etc/passwd")), None);
    }

    #[test]
    fn what_an_old_landlock_cannot_bound_is_refused() {
        let network = Grants { connect: vec![443], ..Grants::default() };
        let processes = Grants { execute: Some(Vec::new()), ..Grants::default() };
        for abi in 0..8 {
            assert_eq!(network.check(abi).is_ok(), abi >= 4);
            assert_eq!(processes.check(abi).is_ok(), abi >= 6);
            assert!(Grants::default().check(abi).is_ok());
        }
    }
}
