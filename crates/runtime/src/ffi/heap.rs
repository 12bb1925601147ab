//! Where a zygote's objects lie: together, and in whole huge pages.
//!
//! A fork copies an entry for each page of the heap, and the end of a child takes each back; for a
//! huge page both are done once for its 512 pages, and a child that writes to a few of them pays for
//! those alone. So CPython's arenas are cut from huge pages, libc's heap begins and ends at one, and
//! free blocks in between are used up, so that what a child allocates lies together as well.
//!
//! **Invariant:** what can't be had costs speed, nothing else: memory then comes as it always does.

use super::ffi;
use super::huge::{aligned, map};
use crate::text::HUGE;
use pyo3::Python;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ARENAS: Mutex<Arenas> = Mutex::new(Arenas { rest: 0..0, chunks: Vec::new(), closed: false });

/// What CPython's arenas are cut from, as addresses.
struct Arenas {
    /// What is left of the last chunk.
    rest: Range<usize>,
    /// Where each begins that is whole; each is a huge page long.
    chunks: Vec<usize>,
    /// Whether no more may be begun: in children, whose memory is their own.
    closed: bool,
}

fn arenas() -> MutexGuard<'static, Arenas> {
    ARENAS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has everything that is allocated from now on lie in huge pages. Before the interpreter starts.
pub fn prepare_heap() {
    let mut allocator = ffi::PyObjectArenaAllocator {
        ctx: std::ptr::null_mut(),
        alloc: Some(arena),
        free: Some(free_arena),
    };
    // SAFETY: copied by the callee; there is no arena yet that the old one would have to free.
    unsafe { ffi::PyObject_SetArenaAllocator(&raw mut allocator) };
    #[cfg(target_env = "gnu")]
    libc_heap::align();
}

/// An arena, which the caller's holding of the interpreter keeps apart from others.
extern "C" fn arena(_: *mut libc::c_void, size: usize) -> *mut libc::c_void {
    let mut arenas = arenas();
    if arenas.rest.len() < size
        && !arenas.closed
        && size <= HUGE
        && let Ok(chunk) = aligned(HUGE)
    {
        let start = chunk.expose_provenance();
        arenas.chunks.push(start);
        arenas.rest = start..start + HUGE;
    }
    if arenas.rest.len() >= size {
        let start = arenas.rest.start;
        arenas.rest.start += size;
        return std::ptr::with_exposed_provenance_mut(start);
    }
    map(size).unwrap_or(std::ptr::null_mut())
}

extern "C" fn free_arena(_: *mut libc::c_void, arena: *mut libc::c_void, size: usize) {
    arenas().chunks.retain(|start| start / HUGE != arena.addr() / HUGE);
    // SAFETY: an arena of this size, which nothing refers to any more; part of a mapping or one.
    unsafe { libc::munmap(arena, size) };
}

/// For a zygote that is about to fork: uses up the free blocks between those in use, of CPython's
/// allocator and of libc's, for ever. Where each huge page begins that they are in.
pub fn gather(_py: Python<'_>) -> Vec<usize> {
    fill_holes();
    #[cfg_attr(
        not(target_env = "gnu"),
        expect(unused_mut, reason = "another libc's heap is its own")
    )]
    let mut huge = close();
    #[cfg(target_env = "gnu")]
    huge.extend(libc_heap::fill().step_by(HUGE));
    huge
}

/// For a child of a zygote that has not gathered its memory yet, before its limits hold.
pub fn give_back(_py: Python<'_>) {
    close();
}

/// Begins no more chunks, and gives back what is left of the last: what is there and unused would
/// be memory that a child takes beyond its limit. The chunks that are whole.
fn close() -> Vec<usize> {
    let mut arenas = arenas();
    arenas.closed = true;
    let rest = std::mem::take(&mut arenas.rest);
    if !rest.is_empty() {
        arenas.chunks.retain(|start| start / HUGE != rest.start / HUGE);
        // SAFETY: the end of a mapping, which no arena has been cut from.
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(rest.start), rest.len()) };
    }
    std::mem::take(&mut arenas.chunks)
}

/// Takes no page that is not in use already.
fn fill_holes() {
    /// Pools of CPython's allocator from 3.10 on, and the header at their beginning
    /// (Objects/obmalloc.c); blocks of up to 512 bytes, in steps of 16.
    const POOL: usize = 16 << 10;
    const HEADER: usize = 48;
    for size in (16..=512).step_by(16) {
        for _ in 0..MOST {
            // SAFETY: the caller is attached.
            let block = unsafe { ffi::PyObject_Malloc(size) };
            if block.is_null() {
                break;
            }
            if block as usize % POOL == HEADER {
                // The first block of a fresh pool: the others are full.
                // SAFETY: allocated above, and not used since.
                unsafe { ffi::PyObject_Free(block) };
                break;
            }
        }
    }
    #[cfg(target_env = "gnu")]
    libc_heap::fill_holes();
}

/// Most blocks of one size; there are never that many holes.
const MOST: usize = 20_000;

/// glibc's main arena: the memory below the program's break.
#[cfg(target_env = "gnu")]
mod libc_heap {
    use super::{HUGE, MOST, Range};

    /// glibc maps blocks of at least 128 KiB by themselves, so these extend the heap.
    const STEP: usize = 64 << 10;

    /// Where the break is.
    fn end() -> usize {
        // SAFETY: asks, and moves nothing.
        unsafe { libc::sbrk(0) as usize }
    }

    /// Moves the break to a huge page. glibc goes on from wherever it finds it.
    pub(super) fn align() {
        let gap = end().next_multiple_of(HUGE) - end();
        if let Ok(gap) = isize::try_from(gap) {
            // SAFETY: takes memory that nobody has.
            unsafe { libc::sbrk(gap) };
        }
    }

    /// Extends the heap to the end of a huge page by blocks that stay taken, for the same reason
    /// as in [`close`](super::close). The whole huge pages.
    pub(super) fn fill() -> Range<usize> {
        let wanted = end().next_multiple_of(HUGE);
        for _ in 0..=HUGE / STEP {
            // SAFETY: no precondition.
            if end() >= wanted || unsafe { libc::malloc(STEP) }.is_null() {
                break;
            }
        }
        let top = end() / HUGE * HUGE;
        start().map_or(top..top, |start| start.next_multiple_of(HUGE).min(top)..top)
    }

    /// Where the heap begins (proc_pid_maps(5)).
    fn start() -> Option<usize> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let line = maps.lines().find(|line| line.ends_with("[heap]"))?;
        usize::from_str_radix(line.split_once('-')?.0, 16).ok()
    }

    pub(super) fn fill_holes() {
        // SAFETY: no precondition; the process has one thread.
        unsafe { libc::malloc_trim(0) };
        // SAFETY: no precondition.
        let info = unsafe { libc::mallinfo2() };
        // Above this the heap has not been used yet.
        let top = end().saturating_sub(info.keepcost);
        let large = (7..=16).rev().map(|power| 1usize << power);
        for size in large.filter(|size| *size > 1024).chain((24..=1032).rev().step_by(16)) {
            for _ in 0..MOST {
                // SAFETY: no precondition.
                let block = unsafe { libc::malloc(size) };
                if block.is_null() || block as usize >= top {
                    // SAFETY: allocated above, or null.
                    unsafe { libc::free(block) };
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARENA: usize = 1 << 20;

    fn ask(size: usize) -> usize {
        let arena = arena(std::ptr::null_mut(), size);
        assert!(!arena.is_null());
        // SAFETY: fresh memory of at least this size.
        unsafe { arena.cast::<u8>().write_bytes(1, size) };
        arena.expose_provenance()
    }

    #[test]
    fn arenas_fill_huge_pages_until_children_have_their_own() {
        let first = ask(ARENA);
        assert_eq!(first % HUGE, 0);
        assert_eq!(ask(ARENA), first + ARENA);
        let third = ask(ARENA);
        assert_eq!(third % HUGE, 0);
        assert_eq!(arenas().chunks, [first, third]);

        let fourth = ask(ARENA);
        assert_eq!(fourth, third + ARENA);
        free_arena(std::ptr::null_mut(), std::ptr::with_exposed_provenance_mut(first), ARENA);
        assert_eq!(arenas().chunks, [third], "with a hole it is whole no more");
        let fifth = ask(ARENA);

        assert_eq!(close(), [third], "the last has room for one more");
        let own = ask(ARENA);
        assert!(own == fifth + ARENA || !(fifth..fifth + HUGE).contains(&own));
        assert!(arenas().chunks.is_empty() && arenas().rest.is_empty());
        // Low addresses are nobody's; another thread may be where the first chunk was.
        assert!(super::super::collapse(HUGE).is_err(), "what is not there is refused");
    }
}
