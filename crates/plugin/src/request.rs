//! What a caller asks for, checked and complete: the one shape behind every
//! door (HTTP, `HandleHTTP`, `PythonService`, jobs, the command line).
//!
//! **Invariant:** a `Request` is valid. What can be wrong with a caller's words
//! is found while it is made, and becomes a [`Rejected`].

use crate::caller::Caller;
use crate::tiers::Environment;
use bytes::Bytes;
use proto::Limits;

/// One execution to be run.
#[derive(Debug, Clone)]
pub struct Request {
    pub source: Source,
    pub limits: Limits,
    /// Answer the script's public globals as name → repr.
    pub capture_variables: bool,
    /// Put in front of `sys.path`; each within a configured root.
    pub python_paths: Vec<String>,
    /// JSON of the attestation the run is about; `None` = `upstream` is None.
    pub upstream: Option<Bytes>,
    pub glyph_id: String,
    /// Bytes on the program's stdin; empty = /dev/null.
    pub stdin: Bytes,
    /// Keep and reuse the globals under this name.
    pub session: Option<String>,
    /// The handler this run belongs to: stamped on what it attests.
    pub handler: Option<String>,
    pub class: Class,
    /// Whose it is: callers share the slots evenly.
    pub caller: Caller,
    /// The sandbox profile it runs under; empty = the default one.
    pub profile: String,
    /// The packages it sees; `None` = those of the configuration.
    pub environment: Option<Environment>,
    /// Most time to wait for a slot; `None` = the configured default.
    pub queue_timeout: Option<std::time::Duration>,
}

/// What is run.
#[derive(Debug, Clone)]
pub enum Source {
    /// A module given as text. `function`: call it after the body (a trigger).
    Code { text: String, function: Option<String> },
    /// One expression; its value is the result.
    Expression(String),
    /// A file the child reads itself, inside the sandbox.
    File(std::path::PathBuf),
    /// Run the module with host calls refused and answer what it declares.
    Declarations(String),
}

/// Which slots an execution may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Somebody waits for the answer.
    Interactive,
    /// A job, a watcher, a schedule.
    Job,
}

impl Request {
    /// A request with nothing but its source and limits, of the caller whose
    /// call this task answers.
    #[must_use]
    pub fn new(source: Source, limits: Limits) -> Self {
        Self {
            source,
            limits,
            capture_variables: false,
            python_paths: Vec::new(),
            upstream: None,
            glyph_id: String::new(),
            stdin: Bytes::new(),
            session: None,
            handler: None,
            class: Class::Interactive,
            caller: Caller::current(),
            profile: String::new(),
            environment: None,
            queue_timeout: None,
        }
    }
}
