//! The one configuration, built once at the edge: flags over environment over
//! what the core sends over defaults.
//!
//! **Invariant:** nothing below reads the environment or a flag; it is handed
//! what it needs from here.

use crate::packages::Policy;
use crate::profile::Profiles;
use crate::tls::Mode;
use proto::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// The plugin's name; the core knows it by this.
    pub name: String,
    /// `sys.prefix` to use instead of the one libpython belongs to.
    pub python_home: Option<PathBuf>,
    /// Put in front of `sys.path`, readable by every execution.
    pub python_paths: Vec<PathBuf>,
    /// Site directories (`.pth` path lines count) after the interpreter's own.
    pub site_dirs: Vec<PathBuf>,
    /// `/execute-file` reads within these.
    pub file_roots: Vec<PathBuf>,
    /// Further readable paths.
    pub read_paths: Vec<PathBuf>,
    /// What executions are granted beyond the strict policy.
    pub profiles: Profiles,
    /// Where scratch directories are made; `None` = the system's temporary directory.
    pub scratch_root: Option<PathBuf>,
    /// Where the plugin remembers its declarations; `None` = the user's state directory.
    pub state_dir: Option<PathBuf>,
    /// Imported ahead in the common tier, beside the standard library's usual modules.
    pub preload: Vec<String>,
    /// What `/modules` reports on when asked for none.
    pub default_modules: Vec<String>,
    /// Who may install which packages, and where they go.
    pub packages: Policy,
    /// Log at level debug.
    pub debug: bool,
    /// What a request gets when it says nothing.
    pub defaults: Limits,
    /// What a request may ask for at most.
    pub ceiling: Limits,
    /// For jobs that name no limit.
    pub job_timeout: Duration,
    /// Executions running at once.
    pub max_concurrency: usize,
    /// Slots of `max_concurrency` that jobs never take.
    pub interactive_reserve: usize,
    /// Requests waiting for a slot.
    pub max_queue: usize,
    /// Longest wait for a slot.
    pub queue_timeout: Duration,
    /// Spares each tier keeps ready when idle.
    pub min_spares: usize,
    /// Most spares each tier keeps ready.
    pub max_spares: usize,
    /// Idle time after which a session ends.
    pub session_idle: Duration,
    /// Most sessions at a time.
    pub max_sessions: usize,
    /// What all sessions together may hold in memory, beyond fresh children.
    pub session_memory: u64,
    /// `PythonService` runs each glyph in a session of its own.
    pub glyph_sessions: bool,
    /// Tiers kept beside the two of the default profile and environment.
    pub max_tiers: usize,
    /// Idle time after which such a tier is let go.
    pub tier_idle: Duration,
    /// What the port speaks.
    pub tls: Mode,
    /// `--dangerously-no-sandbox`
    pub no_sandbox: bool,
    /// `--dangerously-allow-weak-sandbox`
    pub allow_weak_sandbox: bool,
    /// Treat the kernel's Landlock as if it were of this ABI (tests).
    pub landlock_abi_cap: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        let defaults = Limits::default();
        let ceiling = Limits {
            wall: Duration::from_secs(3600),
            memory_bytes: 8 << 30,
            output_bytes: 64 << 20,
            cpu: None,
            threads: 256,
            result_bytes: 8 << 20,
            result_depth: 100,
            scratch_bytes: 4 << 30,
            scratch_files: 100_000,
            host_calls: 1_000_000,
        };
        Self {
            name: "python".to_owned(),
            python_home: None,
            python_paths: Vec::new(),
            site_dirs: Vec::new(),
            file_roots: Vec::new(),
            read_paths: Vec::new(),
            profiles: Profiles::default(),
            scratch_root: None,
            state_dir: None,
            preload: Vec::new(),
            default_modules: ["numpy", "pandas", "requests", "json", "os", "sys"]
                .map(str::to_owned)
                .to_vec(),
            packages: Policy::default(),
            debug: false,
            defaults,
            ceiling,
            job_timeout: Duration::from_secs(300),
            max_concurrency: 32,
            interactive_reserve: 4,
            max_queue: 256,
            queue_timeout: Duration::from_secs(30),
            min_spares: 4,
            max_spares: 16,
            session_idle: Duration::from_secs(900),
            max_sessions: 64,
            session_memory: 2 << 30,
            glyph_sessions: false,
            max_tiers: 6,
            tier_idle: Duration::from_secs(600),
            tls: Mode::Off,
            no_sandbox: false,
            allow_weak_sandbox: false,
            landlock_abi_cap: None,
        }
    }
}
