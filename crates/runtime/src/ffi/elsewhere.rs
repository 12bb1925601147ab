//! Memory and names where there is no Linux: as the system has them, and copied page by page.

use pyo3::Python;
use std::ffi::CStr;
use std::io;
use std::ops::Range;

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Nothing.
pub fn prepare_heap() {}

/// Nothing, in no huge page.
pub fn gather(_py: Python<'_>) -> Vec<usize> {
    Vec::new()
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn collapse(_start: usize) -> io::Result<()> {
    Err(unsupported())
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn make_huge(_range: &Range<usize>) -> io::Result<()> {
    Err(unsupported())
}

/// Nothing: pages are copied when they are written to.
pub fn populate(_range: &Range<usize>) {}

/// Nothing: the process keeps its name.
///
/// # Errors
/// None.
pub fn set_name(_name: &CStr) -> io::Result<()> {
    Ok(())
}
