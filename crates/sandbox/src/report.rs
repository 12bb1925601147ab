//! Telling the supervisor which system call a filter refused.
//!
//! **Invariant:** a report is a claim of the process that dies, never evidence: the evidence is the
//! `SIGSYS` that the supervisor sees when it reaps.

use std::io;
use std::os::fd::RawFd;

use crate::sys;

/// Installs a `SIGSYS` handler that writes `prefix`, then the number of the refused system call as
/// four bytes, least significant first, to `fd` in one `write`, and then dies of the signal.
///
/// Call it in the child, before [`Confined::finish`](crate::Confined::finish): the child's last
/// filter refuses to replace the handler. Only what a filter trapped is reported; a `SIGSYS` that
/// the program sends itself ends it without a word. [`retarget_sigsys_report`] changes what is
/// written later.
///
/// # Errors
/// `InvalidInput` for a prefix over 252 bytes, else the system's reason.
pub fn install_sigsys_reporter(fd: RawFd, prefix: &[u8]) -> io::Result<()> {
    retarget_sigsys_report(fd, prefix)?;
    sys::install_sigsys_handler()
}

/// Changes where and with what prefix the installed handler reports; needs no system call, so it
/// works under every filter.
///
/// # Errors
/// `InvalidInput` for a prefix over 252 bytes.
pub fn retarget_sigsys_report(fd: RawFd, prefix: &[u8]) -> io::Result<()> {
    if prefix.len() > sys::REPORT_PREFIX_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sys::set_report(fd, prefix);
    Ok(())
}
