//! How the process ends, and what it says when it ends badly.
//!
//! **Invariant:** a failure is printed once: the chain of its causes, then
//! what helps. No write here can panic.

use std::io::Write as _;
use std::process::ExitCode;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Success,
    /// 2: wrong arguments, as with every command line.
    Usage,
    /// 3: the machine, the sandbox or the port refuses.
    CannotStart,
    /// 125: `run` and `eval` could not run the program at all.
    CannotRun,
    /// 130: interrupted.
    Interrupted,
    /// What the program of `run` or `eval` ended with.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Usage => 2,
            Exit::CannotStart => 3,
            Exit::CannotRun => 125,
            Exit::Interrupted => 130,
            Exit::Program(code) => code,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
    pub hint: Option<String>,
}

impl Failure {
    /// A failure that ends with `exit`.
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// Wrong arguments.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, anyhow::Error::msg(message.into()))
    }

    /// The same failure with what helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says it on standard error.
    pub fn print(&self) {
        let mut text = String::new();
        for (at, cause) in self.error.chain().enumerate() {
            text.push_str(if at == 0 { "error: " } else { "  caused by: " });
            text.push_str(&cause.to_string());
            text.push('\n');
        }
        if let Some(hint) = &self.hint {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        say(&text);
    }
}

/// Writes to standard error; a closed one is no reason to fail.
fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
