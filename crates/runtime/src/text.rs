//! libpython's code in huge pages.
//!
//! A child finds none of libpython's file pages mapped: each sixteen of them cost it a fault of 8 µs,
//! and their removal at its end costs the same again, a millisecond in all. A fork copies huge
//! pages of memory by two entries. So the zygote, before it starts the interpreter, replaces the
//! library's read-only pages by a copy of them in huge pages, at the same addresses.
//!
//! **Invariant:** the bytes are the file's, and nobody can write to them; where it can't be done,
//! everything is as it was.

use std::ops::Range;
use std::path::Path;

/// A huge page (x86_64, and aarch64 with pages of 4 KiB).
pub const HUGE: usize = 2 << 20;

/// The whole huge pages within the read-only part of the library at `path`, by the text of
/// `/proc/self/maps` (proc_pid_maps(5)).
#[must_use]
pub fn read_only(maps: &str, path: &Path) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (range, flags) = (fields.next()?, fields.next()?);
        if fields.nth(3).map(Path::new) != Some(path) || flags.contains('w') {
            // Behind the read-only part comes what is written to.
            if found.is_some() {
                break;
            }
            continue;
        }
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        match &mut found {
            Some(all) if all.end == start && flags.starts_with('r') => all.end = end,
            Some(_) => break,
            None => found = Some(start..end),
        }
    }
    let all = found?;
    let whole = all.start.next_multiple_of(HUGE)..all.end / HUGE * HUGE;
    (!whole.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d000000000-55d000100000 r-xp 00000000 fe:00 1 /opt/plugin
7f5a13600000-7f5a13686000 r--p 00000000 fe:00 82744 /opt/lib/libpython3.13.so.1.0
7f5a13686000-7f5a13932000 r-xp 00086000 fe:00 82744 /opt/lib/libpython3.13.so.1.0
7f5a13932000-7f5a13a9e000 r--p 00332000 fe:00 82744 /opt/lib/libpython3.13.so.1.0
7f5a13a9e000-7f5a13aeb000 rw-p 0049d000 fe:00 82744 /opt/lib/libpython3.13.so.1.0
7f5a13aeb000-7f5a13b00000 r--p 00500000 fe:00 82744 /opt/lib/libpython3.13.so.1.0
";

    #[test]
    fn whole_huge_pages_before_the_writable_part_are_taken() {
        let path = Path::new("/opt/lib/libpython3.13.so.1.0");
        assert_eq!(read_only(MAPS, path), Some(0x7f5a_1360_0000..0x7f5a_13a0_0000));
        assert_eq!(read_only(MAPS, Path::new("/opt/plugin")), None);
        assert_eq!(read_only(MAPS, Path::new("/opt/lib/other.so")), None);
    }
}
