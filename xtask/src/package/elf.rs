//! Just enough of ELF to pack libraries: forget where a library was told to look for
//! others, and say which glibc it needs.

use anyhow::{Context as _, Result, ensure};

const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// Means something in executables only; loaders pass it over in libraries.
const DT_DEBUG: u64 = 21;

/// Takes the run path out of a 64-bit little-endian library, in place, so that the run
/// path of the program that loads it holds. Gives whether there was one.
pub(crate) fn forget_run_path(library: &mut [u8]) -> Result<bool> {
    ensure!(is_elf64(library), "not a 64-bit little-endian ELF file");
    let headers = index(number(library, 0x20, 8)?)?;
    let size = index(number(library, 0x36, 2)?)?;
    let count = index(number(library, 0x38, 2)?)?;
    let mut forgotten = false;
    for header in (0..count).map(|at| headers + at * size) {
        if number(library, header, 4)? != u64::from(PT_DYNAMIC) {
            continue;
        }
        let begin = index(number(library, header + 0x08, 8)?)?;
        let length = index(number(library, header + 0x20, 8)?)?;
        for entry in (begin..begin + length).step_by(16) {
            match number(library, entry, 8)? {
                DT_NULL => break,
                DT_RPATH | DT_RUNPATH => {
                    let tag = library.get_mut(entry..entry + 8).context("cut short")?;
                    tag.copy_from_slice(&DT_DEBUG.to_le_bytes());
                    forgotten = true;
                }
                _ => {}
            }
        }
    }
    Ok(forgotten)
}

/// Puts the path `to` wherever `from` is written, filled up with slashes, which paths do
/// not mind, so that nothing moves.
pub(crate) fn rename(bytes: &mut [u8], from: &str, to: &str) -> Result<()> {
    ensure!(!from.is_empty() && to.len() <= from.len(), "{to} does not fit where {from} is");
    let mut padded = to.as_bytes().to_vec();
    padded.resize(from.len(), b'/');
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if &bytes[at..at + from.len()] == from.as_bytes() {
            bytes[at..at + from.len()].copy_from_slice(&padded);
            at += from.len();
        } else {
            at += 1;
        }
    }
    Ok(())
}

/// Whether this is a file of the kind the others understand.
pub(crate) fn is_elf64(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01")
}

/// The newest `GLIBC_x.y` that a file asks for.
pub(crate) fn glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let mut newest = None;
    for (at, window) in bytes.windows(PREFIX.len()).enumerate() {
        if window != PREFIX {
            continue;
        }
        let rest = &bytes[at + PREFIX.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let minor = std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse().ok());
        newest = newest.max(minor.map(|minor| (2, minor)));
    }
    newest
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64> {
    let part = bytes.get(at..at + width).context("the file is cut short")?;
    let mut eight = [0; 8];
    eight[..width].copy_from_slice(part);
    Ok(u64::from_le_bytes(eight))
}

fn index(value: u64) -> Result<usize> {
    usize::try_from(value).context("an offset beyond memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library with one segment: the given dynamic tags.
    fn library(tags: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; 0x40 + 0x38];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[0x20] = 0x40;
        bytes[0x36] = 0x38;
        bytes[0x38] = 1;
        bytes[0x40] = 2;
        let begin = bytes.len();
        for tag in tags {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(0x1234_u64.to_le_bytes());
        }
        let length = bytes.len() - begin;
        bytes[0x48] = u8::try_from(begin).expect("small");
        bytes[0x60] = u8::try_from(length).expect("small");
        bytes
    }

    #[test]
    fn a_run_path_is_forgotten_and_nothing_else() {
        let mut with = library(&[1, DT_RUNPATH, 5, DT_NULL]);
        assert!(forget_run_path(&mut with).expect("read"));
        assert_eq!(with, library(&[1, DT_DEBUG, 5, DT_NULL]));
        assert!(!forget_run_path(&mut with).expect("read"));
    }

    #[test]
    fn what_is_cut_short_or_no_library_is_refused() {
        let whole = library(&[1, DT_RUNPATH, DT_NULL]);
        assert!(forget_run_path(&mut whole[..0x50].to_vec()).is_err());
        assert!(forget_run_path(&mut b"#!/bin/sh".to_vec()).is_err());
    }

    #[test]
    fn a_path_is_renamed_without_moving_anything() {
        let mut bytes = b"a\0/home/me/py/lib\0/home/me/py\0".to_vec();
        rename(&mut bytes, "/home/me/py", "/python").expect("fits");
        assert_eq!(bytes, b"a\0/python/////lib\0/python////\0");
        assert!(rename(&mut bytes, "/py", "/python").is_err());
    }

    #[test]
    fn the_newest_glibc_is_told() {
        assert_eq!(glibc(b"..GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.9\0"), Some((2, 34)));
        assert_eq!(glibc(b"static"), None);
    }
}
