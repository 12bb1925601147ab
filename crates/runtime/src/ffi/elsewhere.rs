//! Memory where there is no Linux: as the system has it, and copied page by page.

use pyo3::Python;
use std::io;
use std::ops::Range;

/// Nothing.
pub fn prepare_heap() {}

/// Nothing, in no huge page.
pub fn gather(_py: Python<'_>) -> Vec<usize> {
    Vec::new()
}

/// Nothing.
pub fn give_back(_py: Python<'_>) {}

/// Always an error.
///
/// # Errors
/// Always.
pub fn collapse(_start: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn make_huge(_range: &Range<usize>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing: pages are copied when they are written to.
pub fn populate(_range: &Range<usize>) {}
