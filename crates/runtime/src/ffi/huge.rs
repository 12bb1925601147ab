//! Memory by the kernel's own calls: huge pages, and pages that are copied before they are written to.
//!
//! **Invariant:** no call changes what memory holds; what is refused leaves everything as it was.

use crate::text::HUGE;
use std::io;
use std::ops::Range;

/// Fresh private memory.
pub(super) fn map(length: usize) -> io::Result<*mut libc::c_void> {
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a mapping of its own, wherever there is room.
    let room = unsafe { libc::mmap(std::ptr::null_mut(), length, access, flags, -1, 0) };
    if room == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(room) }
}

/// Fresh private memory that begins at a huge page.
pub(super) fn aligned(length: usize) -> io::Result<*mut libc::c_void> {
    let room = map(length + HUGE)?;
    let before = room.addr().next_multiple_of(HUGE) - room.addr();
    // SAFETY: within the mapping, which is larger by a huge page.
    let inner = unsafe { room.byte_add(before) };
    if before > 0 {
        // SAFETY: the part of the mapping before it, which nothing refers to.
        unsafe { libc::munmap(room, before) };
    }
    // SAFETY: within the mapping.
    let behind = unsafe { inner.byte_add(length) };
    // SAFETY: the part of it behind, which nothing refers to.
    unsafe { libc::munmap(behind, HUGE - before) };
    Ok(inner)
}

/// Makes one page of the huge page's worth at `start`.
///
/// # Errors
/// `EINVAL` on kernels before 6.1, `ENOMEM` where no huge page is free (madvise(2)).
pub fn collapse(start: usize) -> io::Result<()> {
    let start = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: changes no content, and refuses what is not mapped.
    match unsafe { libc::madvise(start, HUGE, libc::MADV_COLLAPSE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Copies the pages of `range` that are still shared with the parent of a fork, in one call
/// instead of a fault for each (`MADV_POPULATE_WRITE` of madvise(2)). A range that is not there
/// any more is passed over: it was a hint.
pub fn populate(range: &Range<usize>) {
    let start = std::ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: MADV_POPULATE_WRITE changes no content, and takes any range.
    unsafe { libc::madvise(start, range.len(), libc::MADV_POPULATE_WRITE) };
}

/// Puts a copy of the pages of `range`, which are mapped, readable and never written to, in huge
/// pages in their place: readable and executable, as the code among them has to be.
///
/// Whole huge pages of a library other than this one and libc, before any thread exists.
pub fn make_huge(range: &Range<usize>) -> io::Result<()> {
    let length = range.len();
    let source = std::ptr::with_exposed_provenance_mut::<libc::c_void>(range.start);
    let copy = aligned(length)?;
    let filled = fill_huge(copy, source, length);
    let moved = filled.and_then(|()| {
        let how = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: the copy replaces pages of the same content, in one step of the kernel's, so
        // that whoever reads or runs them sees no difference.
        let moved = unsafe { libc::mremap(copy, length, length, how, source) };
        if moved == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    });
    if moved.is_err() {
        // SAFETY: the copy, which stayed where it was and nothing refers to.
        unsafe { libc::munmap(copy, length) };
    }
    moved
}

/// Copies `length` bytes of `source` into the fresh mapping at `copy`, in huge pages, and ends its
/// being writable.
fn fill_huge(
    copy: *mut libc::c_void,
    source: *const libc::c_void,
    length: usize,
) -> io::Result<()> {
    let done = |result: libc::c_int| {
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // A hint; where it is not taken, the pages are put together below.
    // SAFETY: changes no content.
    unsafe { libc::madvise(copy, length, libc::MADV_HUGEPAGE) };
    // SAFETY: both are `length` bytes, one readable, the other fresh and writable, and they do not
    // overlap.
    unsafe { std::ptr::copy_nonoverlapping(source.cast::<u8>(), copy.cast::<u8>(), length) };
    // SAFETY: changes no content (madvise(2), Linux 6.1).
    done(unsafe { libc::madvise(copy, length, libc::MADV_COLLAPSE) })?;
    // SAFETY: whole pages of the copy, which nobody uses yet.
    done(unsafe { libc::mprotect(copy, length, libc::PROT_READ | libc::PROT_EXEC) })
}
