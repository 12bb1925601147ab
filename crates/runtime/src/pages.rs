//! Which of a zygote's pages a child writes to, found out by watching one.
//!
//! A child shares the zygote's memory until it writes. Each first write costs a fault, and the
//! faults of one child are much the same as those of the next. When one child, the scout, has
//! done what children do, the pages it has copied are those that the zygote has to itself again;
//! every later child copies them all in a few calls, before it begins.
//!
//! **Invariant:** what is found is a hint: a wrong page costs time, nothing else.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Bytes of a page of the page map's unit (x86_64, and aarch64 as commonly configured).
const PAGE: usize = 4096;
/// A page is in memory (bit 63 of an entry; proc_pid_pagemap(5)).
const PRESENT: u64 = 1 << 63;
/// It is a file's, or shared (bit 61).
const OF_A_FILE: u64 = 1 << 61;
/// Nobody else maps it (bit 56).
const EXCLUSIVE: u64 = 1 << 56;

/// The page map of the calling process; to be opened before it becomes non-dumpable, which
/// makes the file root's.
#[derive(Debug)]
pub struct PageMap(File);

impl PageMap {
    /// Opens it; `None` where there is none.
    #[must_use]
    pub fn open() -> Option<Self> {
        File::open("/proc/self/pagemap").ok().map(Self)
    }

    /// Its descriptor, which has to survive until it is used.
    #[must_use]
    pub fn raw_fd(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }

    /// Writable private pages that only this process maps, by address.
    fn exclusive(&self) -> std::io::Result<Vec<usize>> {
        let maps = std::fs::read_to_string("/proc/self/maps")?;
        let mut pages = Vec::new();
        for range in maps.lines().filter_map(private) {
            let mut entries = vec![0u8; range.len() / PAGE * 8];
            let offset = (range.start / PAGE * 8) as u64;
            // Maps that do not reach into the page map, such as vsyscall, are not read.
            let Ok(read) = self.0.read_at(&mut entries, offset) else { continue };
            for (index, entry) in
                entries.get(..read).unwrap_or_default().chunks_exact(8).enumerate()
            {
                let entry = u64::from_le_bytes(entry.try_into().unwrap_or_default());
                if entry & (PRESENT | OF_A_FILE | EXCLUSIVE) == PRESENT | EXCLUSIVE {
                    pages.push(range.start + index * PAGE);
                }
            }
        }
        Ok(pages)
    }

    /// How many pages are in memory of the `length` bytes at `start`.
    pub fn present(&self, start: usize, length: usize) -> std::io::Result<usize> {
        let mut entries = vec![0u8; length / PAGE * 8];
        self.0.read_exact_at(&mut entries, (start / PAGE * 8) as u64)?;
        let present = |entry: &&[u8]| {
            u64::from_le_bytes((*entry).try_into().unwrap_or_default()) & PRESENT != 0
        };
        Ok(entries.chunks_exact(8).filter(present).count())
    }

    /// The pages that were shared and are not any more, in ranges.
    pub fn copied(&self) -> std::io::Result<Vec<Range<usize>>> {
        Ok(ranges(&self.exclusive()?))
    }
}

/// The range of a line of `/proc/self/maps` (proc_pid_maps(5)) that is writable and private.
fn private(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    if fields.next()? != "rw-p" {
        return None;
    }
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(from)?..number(to)?)
}

/// Ascending pages as ranges. A page in between is not worth copying along: that costs more than
/// another call (3 µs, and 1).
fn ranges(pages: &[usize]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for page in pages {
        match ranges.last_mut() {
            Some(last) if *page == last.end => last.end = page + PAGE,
            _ => ranges.push(*page..page + PAGE),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range() {
        let page = |n: usize| n * PAGE;
        let pages = [1, 2, 4, 9].map(page);
        assert_eq!(ranges(&pages), [page(1)..page(3), page(4)..page(5), page(9)..page(10)]);
        assert!(ranges(&[]).is_empty());
    }

    #[test]
    fn pages_in_memory_are_counted() {
        let mut block = vec![0u8; 64 * PAGE];
        let start = block.as_ptr().addr().next_multiple_of(PAGE);
        let offset = start - block.as_ptr().addr();
        let map = PageMap::open().unwrap();
        let before = map.present(start, 32 * PAGE).unwrap();
        for page in 0..16 {
            block[offset + (2 * page + 1) * PAGE] = 1;
        }
        assert!(map.present(start, 32 * PAGE).unwrap() >= 16.max(before));
        assert!(before < 16, "{before} before they were written to");
    }

    #[test]
    fn only_private_writable_maps_count() {
        let line = |flags| format!("7f00-8f00 {flags} 00000000 00:00 0    [heap]");
        assert_eq!(private(&line("rw-p")), Some(0x7f00..0x8f00));
        for flags in ["r--p", "rw-s", "r-xp"] {
            assert_eq!(private(&line(flags)), None);
        }
    }
}
