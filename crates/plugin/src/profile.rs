//! Profiles: what executions of one kind are granted beyond the strict policy.
//!
//! The keys `sandbox.read_paths`, `sandbox.network` and so on make the default profile, which
//! every execution has that names no other; `sandbox.profiles` holds the named ones, and
//! `sandbox.handlers` says which handler runs under which.
//!
//! **Invariant:** a profile that could not be read whole does not exist. Nothing of it is granted,
//! and what was in force without it stays in force.

mod parse;
mod place;

pub use place::Reserved;

use proto::Limits;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The profile of executions that name none.
pub const DEFAULT: &str = "default";

/// What executions of one kind are granted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Readable besides what every execution may read.
    pub read_paths: Vec<PathBuf>,
    /// Writable besides the scratch directory.
    pub write_paths: Vec<PathBuf>,
    /// TCP ports that may be connected to; empty = no network.
    pub ports: Vec<u16>,
    /// Processes may be started.
    pub processes: bool,
    /// What may be executed then, besides the interpreter itself.
    pub executables: Vec<PathBuf>,
    /// Environment variables passed through, by name.
    pub environment: Vec<String>,
    /// Its own defaults of limits.
    pub limits: Overrides,
    /// A request may name it.
    pub requestable: bool,
}

/// Limits that a profile sets; what it leaves out is the configuration's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    pub wall: Option<Duration>,
    pub memory_bytes: Option<u64>,
    pub output_bytes: Option<usize>,
    pub cpu: Option<Duration>,
    pub threads: Option<u32>,
    pub result_bytes: Option<usize>,
    pub result_depth: Option<u32>,
    pub scratch_bytes: Option<u64>,
    pub scratch_files: Option<u64>,
    pub host_calls: Option<u64>,
}

/// All profiles, and who runs under which.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profiles {
    /// Of executions that name none.
    pub default: Profile,
    /// By name; never [`DEFAULT`].
    pub named: BTreeMap<String, Profile>,
    /// Handler → profile; each is in `named`.
    pub handlers: BTreeMap<String, String>,
}

impl Profile {
    /// Whether it grants nothing.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.granted().is_empty()
    }

    /// What it grants, one sentence each, the configuration's words first.
    #[must_use]
    pub fn granted(&self) -> Vec<String> {
        let paths = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut sentences = Vec::new();
        if !self.read_paths.is_empty() {
            sentences.push(format!("read_paths: files are read in {}", paths(&self.read_paths)));
        }
        if !self.write_paths.is_empty() {
            sentences
                .push(format!("write_paths: files are written in {}", paths(&self.write_paths)));
        }
        if !self.ports.is_empty() {
            let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            let ports = ports.join(", ");
            sentences
                .push(format!("network: TCP connections are made to port {ports} of any host"));
        }
        if self.processes {
            let executables = paths(&self.executables);
            let and = if executables.is_empty() { "" } else { " and " };
            sentences.push(format!(
                "processes: programs are started, of the interpreter{and}{executables}"
            ));
        }
        if !self.environment.is_empty() {
            let names = self.environment.join(", ");
            sentences.push(format!("environment: {names} are passed through"));
        }
        sentences
    }
}

impl Overrides {
    /// Puts what is set into `limits`.
    pub fn apply(&self, limits: &mut Limits) {
        fn put<T: Copy>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        put(&mut limits.wall, self.wall);
        put(&mut limits.memory_bytes, self.memory_bytes);
        put(&mut limits.output_bytes, self.output_bytes);
        limits.cpu = self.cpu.or(limits.cpu);
        put(&mut limits.threads, self.threads);
        put(&mut limits.result_bytes, self.result_bytes);
        put(&mut limits.result_depth, self.result_depth);
        put(&mut limits.scratch_bytes, self.scratch_bytes);
        put(&mut limits.scratch_files, self.scratch_files);
        put(&mut limits.host_calls, self.host_calls);
    }
}

impl Profiles {
    /// The profile of this name; `None` when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        if name == DEFAULT { Some(&self.default) } else { self.named.get(name) }
    }

    /// The profile that the operator gave a handler.
    #[must_use]
    pub fn of_handler(&self, handler: &str) -> Option<(&str, &Profile)> {
        // The core's configuration arrives in lower case.
        let name = self
            .handlers
            .get(handler)
            .or_else(|| self.handlers.get(&handler.to_ascii_lowercase()))?;
        Some((name, self.get(name)?))
    }

    /// The named profile a request asks for, when requests may.
    ///
    /// # Errors
    /// Why not, with the names that may be asked for.
    pub fn requested(&self, name: &str) -> Result<&Profile, String> {
        match self.get(name) {
            Some(profile) if name == DEFAULT || profile.requestable => return Ok(profile),
            Some(_) | None => {}
        }
        let open = self.named.iter().filter(|(_, profile)| profile.requestable);
        let open: Vec<&str> = open.map(|(name, _)| name.as_str()).collect();
        let open = if open.is_empty() { "none".to_owned() } else { open.join(", ") };
        Err(format!(
            "there is no profile `{name}` that requests may name; they may name: {open} \
             (`sandbox.profiles`, with \"requestable\": true)"
        ))
    }

    /// Every profile that grants something, with its name.
    pub fn granting(&self) -> impl Iterator<Item = (&str, &Profile)> {
        let default = std::iter::once((DEFAULT, &self.default));
        let named = self.named.iter().map(|(name, profile)| (name.as_str(), profile));
        default.chain(named).filter(|(_, profile)| !profile.is_strict())
    }

    /// Removes what leads nowhere, or into what is the plugin's own; the complaints.
    pub fn settle(&mut self, reserved: &Reserved) -> Vec<String> {
        let mut complaints = Vec::new();
        reserved.keep_out("sandbox", &mut self.default, &mut complaints);
        self.named.retain(|name, profile| {
            let key = format!("sandbox.profiles.{name}");
            let before = complaints.len();
            reserved.keep_out(&key, profile, &mut complaints);
            let whole = complaints.len() == before;
            if !whole {
                complaints.push(format!("`{key}` is not in force, for the reasons above"));
            }
            whole
        });
        let named = &self.named;
        self.handlers.retain(|handler, profile| {
            let known = profile == DEFAULT || named.contains_key(profile);
            if !known {
                complaints.push(format!(
                    "`sandbox.handlers`: there is no profile `{profile}` for the handler \
                     `{handler}`, which runs under the default"
                ));
            }
            known
        });
        complaints
    }
}

#[cfg(test)]
mod tests;
