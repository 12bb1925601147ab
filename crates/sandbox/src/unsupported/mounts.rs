//! Mounted scratch directories: not available here.
//!
//! **Invariant:** nothing here ever succeeds.

use std::io;
use std::path::Path;

/// As on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Bytes.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn enter_namespace() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Never.
#[must_use]
pub fn granted() -> bool {
    false
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn mount(_path: &Path, _bytes: u64, _entries: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn resize(_path: &Path, _bytes: u64, _entries: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn unmount(_path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Always an error.
///
/// # Errors
/// Always.
pub fn used(_path: &Path) -> io::Result<Used> {
    Err(io::ErrorKind::Unsupported.into())
}
