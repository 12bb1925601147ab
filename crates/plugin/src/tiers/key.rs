//! What makes one tier another than the next, and what its zygotes are told.
//!
//! **Invariant:** two zygotes of the same key and the same configuration are
//! told the same; what differs between requests and has to be known before a
//! fork is in the key.

use crate::config::Config;
use crate::env;
use crate::profile::{DEFAULT, Profile};
use crate::scratch::ScratchRoot;
use proto::frame::ZygoteStart;
use std::fmt;
use std::path::{Path, PathBuf};

/// Modules of the standard library that most programs import.
const COMMON: [&str; 32] = [
    "json",
    "re",
    "math",
    "datetime",
    "time",
    "random",
    "collections",
    "itertools",
    "functools",
    "os",
    "pathlib",
    "io",
    "string",
    "textwrap",
    "hashlib",
    "base64",
    "uuid",
    "decimal",
    "statistics",
    "typing",
    "dataclasses",
    "enum",
    "copy",
    "csv",
    "operator",
    "contextlib",
    "tempfile",
    "threading",
    "traceback",
    "logging",
    "secrets",
    "urllib.parse",
];

/// Names of ports, as in `getaddrinfo("example.com", "https")`.
const SERVICES: &str = "/etc/services";

/// What every tier has: what our own side of a run needs.
const BARE: [&str; 2] = ["os", "linecache"];

/// What the end of a run may need, 20 ms of importing: the first answer after a start does not
/// wait for it.
const LATE: [&str; 2] = ["traceback", "threading"];

/// Names a tier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Key {
    /// Name of a sandbox profile; empty = the default one.
    pub profile: String,
    /// `None` = the site directories of the configuration.
    pub environment: Option<Environment>,
    pub preload: Preload,
}

/// A generation of a package environment, which stands in the place of the one
/// the configuration has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Environment {
    /// For logs and health.
    pub name: String,
    pub generation: u64,
    /// All site directories after the interpreter's own, in order.
    pub site_dirs: Vec<PathBuf>,
}

/// Which modules a zygote imports before it forks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Preload {
    /// What our own side of a run needs.
    #[default]
    Bare,
    /// The usual ones of the standard library, and those of `preload`.
    Common,
    /// These, and what programs were seen to ask for (`learning.rs`).
    Learned,
}

impl Key {
    /// The tier of the default profile and environment with these preloads.
    #[must_use]
    pub fn of(preload: Preload) -> Self {
        Self { preload, ..Self::default() }
    }

    /// Whether it is of the default profile and environment.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.profile.is_empty() && self.environment.is_none()
    }

    /// What a zygote of this tier is told; its generation is still to come, and
    /// what was learned.
    #[must_use]
    pub fn start_frame(&self, config: &Config, scratch: &ScratchRoot) -> ZygoteStart {
        let site_dirs = match &self.environment {
            Some(environment) => &environment.site_dirs,
            None => &config.site_dirs,
        };
        let profile = self.profile(config);
        let read_paths = config.read_paths.iter().chain(&config.file_roots);
        let read_paths = read_paths.chain(&profile.read_paths);
        let own_names = profile.ports.first().map(|_| SERVICES.to_owned());
        ZygoteStart {
            generation: 0,
            home: config.python_home.as_deref().map(text).unwrap_or_default(),
            read_paths: read_paths.map(|path| text(path)).chain(own_names).collect(),
            python_paths: config.python_paths.iter().map(|path| text(path)).collect(),
            site_dirs: site_dirs.iter().map(|path| text(path)).collect(),
            scratch_root: text(scratch.path()),
            preload: self.preload.modules(config),
            learned: Vec::new(),
            late: LATE.map(str::to_owned).to_vec(),
            landlock_abi_cap: config.landlock_abi_cap.unwrap_or(0),
            unsandboxed: config.no_sandbox,
            allow_weak: config.allow_weak_sandbox,
            plugin_version: crate::VERSION.to_owned(),
            write_paths: profile.write_paths.iter().map(|path| text(path)).collect(),
            connect_ports: profile.ports.iter().map(|port| u32::from(*port)).collect(),
            processes: profile.processes,
            executables: profile.executables.iter().map(|path| text(path)).collect(),
            namespaces: profile.processes,
            environment: env::passed(&profile.environment),
        }
    }

    /// The profile of this tier; one that is gone by now grants nothing.
    fn profile(&self, config: &Config) -> Profile {
        let name = if self.profile.is_empty() { DEFAULT } else { self.profile.as_str() };
        config.profiles.get(name).cloned().unwrap_or_default()
    }
}

impl Preload {
    /// The modules, in the order in which they are imported, each once.
    #[must_use]
    pub fn modules(self, config: &Config) -> Vec<String> {
        let mut modules: Vec<String> = BARE.map(str::to_owned).to_vec();
        let further = match self {
            Self::Bare => Vec::new(),
            Self::Common | Self::Learned => {
                COMMON.iter().map(|name| (*name).to_owned()).chain(config.preload.clone()).collect()
            }
        };
        for module in further {
            if !modules.contains(&module) {
                modules.push(module);
            }
        }
        modules
    }
}

impl fmt::Display for Preload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bare => "bare",
            Self::Common => "common",
            Self::Learned => "learned",
        })
    }
}

/// `common`, `common of trusted`, `bare with ml@3`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.preload.fmt(f)?;
        if !self.profile.is_empty() {
            write!(f, " of {}", self.profile)?;
        }
        match &self.environment {
            Some(environment) => write!(f, " with {}@{}", environment.name, environment.generation),
            None => Ok(()),
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
