//! How an install tells its caller how far it is.
//!
//! **Invariant:** telling never waits and never fails; a caller that does not
//! read loses lines, not its install.

use tokio::sync::mpsc;

/// Lines that wait for a slow caller; more are dropped.
const WAITING: usize = 1024;

/// Where lines of progress go; nowhere by default.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    lines: Option<mpsc::Sender<String>>,
}

impl Progress {
    /// Progress, and what is told of it.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<String>) {
        let (lines, told) = mpsc::channel(WAITING);
        (Self { lines: Some(lines) }, told)
    }

    /// Tells one line.
    pub fn tell(&self, line: &str) {
        if let Some(lines) = &self.lines {
            // A full channel is a caller that does not read.
            let _ = lines.try_send(line.to_owned());
        }
    }
}
