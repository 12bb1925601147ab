//! Cores to run on: not chosen here.

use std::convert::Infallible;
use std::io;

/// Nothing.
pub fn remember() {}

/// Nothing: no thread is ever bound.
///
/// # Errors
/// None.
pub fn free_self() -> io::Result<()> {
    Ok(())
}

/// Always false.
#[must_use]
pub fn bring_here(_pid: i32) -> bool {
    false
}

/// Cannot be made here.
#[derive(Debug)]
pub struct Bound(Infallible);

impl Bound {
    /// Always `None`.
    #[must_use]
    pub fn here() -> Option<Self> {
        None
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        match self.0 {}
    }
}
