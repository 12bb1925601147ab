//! The configuration in force: what the operator gave, what the core sent, and
//! what neither of them said.
//!
//! **Invariant:** a value the operator gave by flag or environment is never
//! replaced by one the core sends, and a value that makes no sense never
//! replaces one that does.

use crate::api::limits;
use crate::config::Config;
use crate::packages::policy::{environment_name, index_address};
use crate::profile::Reserved;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// A key of the plugin's table in `am.toml`, and of the settings page.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    /// `string`, `number`, `integer` or `boolean`: the core knows no other.
    pub kind: &'static str,
    pub about: &'static str,
    pub default: &'static str,
    pub min: &'static str,
    pub max: &'static str,
}

const fn key(
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    bounds: (&'static str, &'static str),
    about: &'static str,
) -> Key {
    Key { name, kind, about, default, min: bounds.0, max: bounds.1 }
}

/// What the keys of profiles begin with.
const SANDBOX: &str = "sandbox.";
const NONE: (&str, &str) = ("", "");
/// The schema's default in older versions, which the settings page wrote back
/// without anybody having chosen it.
const OLD_WORKERS: f64 = 4.0;

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "python_paths",
        "string",
        "",
        NONE,
        "Directories put in front of sys.path, separated by colons",
    ),
    key(
        "default_modules",
        "string",
        "numpy,pandas,requests,json,os,sys",
        NONE,
        "Modules that /modules reports on when asked for none, separated by commas",
    ),
    key("timeout_secs", "number", "30", ("0.001", "86400"), "Time limit of an execution, seconds"),
    key(
        "max_timeout_secs",
        "number",
        "3600",
        ("0.001", "86400"),
        "The longest time limit a request may ask for, seconds",
    ),
    key(
        "job_timeout_secs",
        "number",
        "300",
        ("0.001", "86400"),
        "Time limit of a job that names none, seconds",
    ),
    key("memory", "string", "1G", NONE, "Memory of an execution: bytes, or like 512M"),
    key("max_memory", "string", "8G", NONE, "The most memory a request may ask for"),
    key("output", "string", "8M", NONE, "Kept of stdout and of stderr, each; the rest is dropped"),
    key("threads", "integer", "64", ("1", "4096"), "Threads of an execution"),
    key("scratch", "string", "256M", NONE, "Size of an execution's scratch directory"),
    key("host_calls", "integer", "10000", ("1", "1000000"), "attest() and its kin, per execution"),
    key(
        "max_workers",
        "integer",
        "32",
        ("1", "1024"),
        "Executions running at once; 4, the default of older versions, counts as not set",
    ),
    key("queue", "integer", "256", ("0", "100000"), "Requests waiting for a free execution"),
    key("queue_timeout_secs", "number", "30", ("0.001", "3600"), "Longest wait in the queue"),
    key(
        "min_spares",
        "integer",
        "4",
        ("1", "256"),
        "Processes each tier keeps ready when nothing happens",
    ),
    key("max_spares", "integer", "16", ("1", "256"), "Most processes each tier keeps ready"),
    key("max_sessions", "integer", "64", ("1", "4096"), "Sessions at a time"),
    key(
        "session_idle_secs",
        "number",
        "900",
        ("0.001", "86400"),
        "Idle time after which a session ends, seconds",
    ),
    key("session_memory", "string", "2G", NONE, "Memory of all sessions together"),
    key(
        "glyph_sessions",
        "boolean",
        "false",
        NONE,
        "Each glyph is run in a session of its own and keeps its globals",
    ),
    key("file_roots", "string", "", NONE, "Directories /execute-file reads, separated by colons"),
    key(
        "state_dir",
        "string",
        "",
        NONE,
        "Where declarations are kept between runs; empty = $XDG_STATE_HOME/qntx-python",
    ),
    key(
        "site_dir",
        "string",
        "",
        NONE,
        "Where installed packages live; empty: the user's data directory",
    ),
    key("environment", "string", "default", NONE, "The package environment executions see"),
    key("uv", "string", "", NONE, "The uv that installs packages; empty: found on PATH"),
    key("installs", "boolean", "true", NONE, "Packages may be installed"),
    key(
        "allowed_packages",
        "string",
        "",
        NONE,
        "Names that may be installed, separated by commas; empty: every",
    ),
    key("index_url", "string", "", NONE, "The package index; empty: PyPI"),
    key(
        "allowed_indexes",
        "string",
        "",
        NONE,
        "Further indexes that a request may name, separated by commas",
    ),
    key(
        "script_dependencies",
        "string",
        "off",
        NONE,
        "Whether scripts get what they declare (PEP 723): off, allow-list, on",
    ),
    key(
        "script_wait_secs",
        "number",
        "120",
        ("0.001", "86400"),
        "Longest an execution waits for what its script declares, seconds",
    ),
    key(
        "require_hashes",
        "boolean",
        "false",
        NONE,
        "Install only packages whose hashes come with the request",
    ),
    key("install_timeout_secs", "number", "600", ("0.001", "86400"), "Longest an install takes"),
    key(
        "keep_generations",
        "integer",
        "5",
        ("0", "1000"),
        "Older package generations kept for a rollback",
    ),
    key(
        "sandbox.read_paths",
        "string",
        "",
        NONE,
        "More files and directories executions may read, separated by colons",
    ),
    key(
        "sandbox.write_paths",
        "string",
        "",
        NONE,
        "Files and directories executions may write, separated by colons; empty: their scratch alone",
    ),
    key(
        "sandbox.network",
        "string",
        "none",
        NONE,
        "none, or TCP connections to listed ports of any host, like tcp:443,80",
    ),
    key("sandbox.processes", "string", "none", NONE, "none, or allowed: programs may be started"),
    key(
        "sandbox.executables",
        "string",
        "",
        NONE,
        "What may be executed besides the interpreter where processes are allowed, separated by colons",
    ),
    key(
        "sandbox.environment",
        "string",
        "",
        NONE,
        "Environment variables of the plugin that executions see, separated by commas",
    ),
    key(
        "sandbox.profiles",
        "string",
        "",
        NONE,
        "Named profiles, a JSON object: name to an object of these keys, limits and requestable",
    ),
    key(
        "sandbox.handlers",
        "string",
        "",
        NONE,
        "Which handler runs under which profile: handler=profile, separated by commas",
    ),
    key("enable_debug", "boolean", "false", NONE, "Log at level debug"),
];

/// The configuration, replaceable while the plugin runs.
#[derive(Debug)]
pub struct Settings {
    base: Config,
    fixed: BTreeSet<&'static str>,
    launched_by_core: bool,
    current: RwLock<Arc<Config>>,
}

impl Settings {
    /// Settings that begin as `base`; `fixed` names the keys the operator set.
    #[must_use]
    pub fn new(base: Config, fixed: BTreeSet<&'static str>, launched_by_core: bool) -> Self {
        let current = RwLock::new(Arc::new(base.clone()));
        Self { base, fixed, launched_by_core, current }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        // It is replaced whole, so a poisoned lock still holds a good one.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a core launched this process.
    #[must_use]
    pub fn launched_by_core(&self) -> bool {
        self.launched_by_core
    }

    /// Puts what the core sent into force, from the operator's values up: a
    /// key that is no longer sent falls back. Answers the new configuration
    /// and what could not be taken.
    pub fn apply(&self, sent: &HashMap<String, String>) -> (Arc<Config>, Vec<String>) {
        let (config, complaints) = merge(&self.base, &self.fixed, sent);
        let config = Arc::new(config);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
        (config, complaints)
    }
}

fn merge(
    base: &Config,
    fixed: &BTreeSet<&'static str>,
    sent: &HashMap<String, String>,
) -> (Config, Vec<String>) {
    let mut config = base.clone();
    let mut complaints = Vec::new();
    let mut unknown = Vec::new();
    let mut sandbox = Vec::new();
    // In a fixed order, so that the same settings give the same log.
    for (name, value) in sent.iter().collect::<BTreeMap<_, _>>() {
        if let Some(key) = name.strip_prefix(SANDBOX) {
            // `sandbox.profiles.web.network` is a part of `sandbox.profiles`.
            let whole = KEYS.iter().map(|key| key.name).find(|whole| {
                let rest = name.strip_prefix(whole);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            if !whole.is_some_and(|whole| fixed.contains(whole)) && !value.trim().is_empty() {
                sandbox.push((key, value.trim()));
            }
            continue;
        }
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            // `args` are our own command line, sent a second time.
            if name != "args" {
                unknown.push(name.as_str());
            }
            continue;
        };
        if fixed.contains(key.name) || value.trim().is_empty() {
            continue;
        }
        if set(&mut config, key.name, value.trim()).is_none() {
            complaints
                .push(format!("`{name}` = \"{value}\" is no {} in bounds; ignored", key.kind));
        }
    }
    complaints.extend(config.profiles.set_all(sandbox.into_iter()));
    let reserved = Reserved::of(&config);
    complaints.extend(config.profiles.settle(&reserved));
    if !unknown.is_empty() {
        complaints.push(format!("unknown keys: {}; ignored", unknown.join(", ")));
    }
    // A default above the maximum would refuse every request that says nothing.
    config.ceiling.wall = config.ceiling.wall.max(config.defaults.wall);
    config.ceiling.memory_bytes = config.ceiling.memory_bytes.max(config.defaults.memory_bytes);
    (config, complaints)
}

/// Sets one key; `None` when the value makes no sense.
fn set(config: &mut Config, name: &str, value: &str) -> Option<()> {
    match name {
        "python_paths" => config.python_paths = paths(value),
        "file_roots" => config.file_roots = paths(value),
        "default_modules" => config.default_modules = list(value, ','),
        "timeout_secs" => config.defaults.wall = secs(value)?,
        "max_timeout_secs" => config.ceiling.wall = secs(value)?,
        "job_timeout_secs" => config.job_timeout = secs(value)?,
        "queue_timeout_secs" => config.queue_timeout = secs(value)?,
        "memory" => config.defaults.memory_bytes = size(value)?,
        "max_memory" => config.ceiling.memory_bytes = size(value)?,
        "scratch" => config.defaults.scratch_bytes = size(value)?,
        "output" => config.defaults.output_bytes = usize::try_from(size(value)?).ok()?,
        "threads" => config.defaults.threads = whole(value, 1.0, 4096.0)?,
        "host_calls" => config.defaults.host_calls = whole(value, 1.0, 1e6)?.into(),
        "max_workers" if number(value) == Some(OLD_WORKERS) => {}
        "max_workers" => config.max_concurrency = whole(value, 1.0, 1024.0)? as usize,
        "queue" => config.max_queue = whole(value, 0.0, 1e5)? as usize,
        "min_spares" => config.min_spares = whole(value, 1.0, 256.0)? as usize,
        "max_spares" => config.max_spares = whole(value, 1.0, 256.0)? as usize,
        "max_sessions" => config.max_sessions = whole(value, 1.0, 4096.0)? as usize,
        "session_idle_secs" => config.session_idle = secs(value)?,
        "session_memory" => config.session_memory = size(value)?,
        "glyph_sessions" => config.glyph_sessions = flag(value)?,
        "state_dir" => config.state_dir = Some(crate::env::expand_home(value)),
        "site_dir" => config.packages.site_dir = Some(absolute(value)?),
        "uv" => config.packages.uv = Some(absolute(value)?),
        "environment" => {
            environment_name(value).ok()?;
            value.clone_into(&mut config.packages.environment);
        }
        "installs" => config.packages.installs = flag(value)?,
        "allowed_packages" => config.packages.allowed = list(value, ','),
        "index_url" => config.packages.index_url = Some(index_address(value)?),
        "allowed_indexes" => {
            let all = list(value, ',');
            let all = all.iter().map(|url| index_address(url)).collect::<Option<Vec<_>>>();
            config.packages.indexes = all?;
        }
        "script_dependencies" => config.packages.scripts = value.parse().ok()?,
        "script_wait_secs" => config.packages.script_wait = secs(value)?,
        "require_hashes" => config.packages.require_hashes = flag(value)?,
        "install_timeout_secs" => config.packages.timeout = secs(value)?,
        "keep_generations" => config.packages.keep = whole(value, 0.0, 1000.0)? as usize,
        "enable_debug" => config.debug = flag(value)?,
        _ => return None,
    }
    Some(())
}

/// `30`, `30.000000` and ` 30 ` all mean 30: the core writes floats with six decimals.
fn number(value: &str) -> Option<f64> {
    value.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

fn secs(value: &str) -> Option<Duration> {
    let secs = number(value).filter(|secs| (0.001..=86_400.0).contains(secs))?;
    Duration::try_from_secs_f64(secs).ok()
}

fn whole(value: &str, min: f64, max: f64) -> Option<u32> {
    let number = number(value)?;
    let fits = number.fract() == 0.0 && (min..=max).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    fits.then_some(number as u32)
}

fn size(value: &str) -> Option<u64> {
    limits::size(value).filter(|bytes| *bytes > 0)
}

fn flag(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "1.000000" | "yes" | "on" => Some(true),
        "false" | "0" | "0.000000" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A list as the schema has it, or as the core writes a TOML array: JSON.
fn list(value: &str, separator: char) -> Vec<String> {
    if value.starts_with('[')
        && let Ok(items) = serde_json::from_str::<Vec<String>>(value)
    {
        return items;
    }
    let items = value.split(separator).map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// An absolute path, `~` expanded.
fn absolute(value: &str) -> Option<PathBuf> {
    Some(crate::env::expand_home(value)).filter(|path| path.is_absolute())
}

/// Directories, `~` expanded.
fn paths(value: &str) -> Vec<PathBuf> {
    list(value, ':').iter().map(|path| crate::env::expand_home(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(fixed: &[&'static str], sent: &[(&str, &str)]) -> (Arc<Config>, Vec<String>) {
        let settings = Settings::new(Config::default(), fixed.iter().copied().collect(), true);
        let sent = sent.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        settings.apply(&sent)
    }

    #[test]
    fn numbers_are_read_however_the_core_writes_them() {
        for text in ["45", "45.000000", " 45 "] {
            assert_eq!(apply(&[], &[("timeout_secs", text)]).0.defaults.wall.as_secs(), 45);
        }
        assert_eq!(apply(&[], &[("max_workers", "16.000000")]).0.max_concurrency, 16);
        assert_eq!(apply(&[], &[("memory", "268435456")]).0.defaults.memory_bytes, 256 << 20);
    }

    #[test]
    fn lists_come_as_text_or_as_json() {
        let (config, _) = apply(&[], &[("python_paths", "/a:/b"), ("default_modules", "os, re")]);
        assert_eq!(config.python_paths, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(config.default_modules, ["os", "re"]);
        let (config, _) = apply(&[], &[("python_paths", r#"["/x","/y z"]"#)]);
        assert_eq!(config.python_paths, [PathBuf::from("/x"), PathBuf::from("/y z")]);
    }

    #[test]
    fn the_operators_values_stay() {
        let (config, complaints) = apply(&["timeout_secs"], &[("timeout_secs", "5")]);
        assert_eq!(config.defaults.wall.as_secs(), 30);
        assert!(complaints.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_named_and_left_alone() {
        let (config, complaints) = apply(
            &[],
            &[("timeout_secs", "soon"), ("colour", "red"), ("args", "[]"), ("threads", "1.5")],
        );
        assert_eq!(config.defaults, Config::default().defaults);
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints.iter().any(|c| c.contains("colour")));
    }

    #[test]
    fn the_old_default_of_max_workers_is_not_taken_for_a_choice() {
        let (config, complaints) = apply(&[], &[("max_workers", "4.000000")]);
        assert_eq!(config.max_concurrency, 32);
        assert!(complaints.is_empty());
    }

    #[test]
    fn profiles_come_as_json_or_flattened_and_wrong_ones_are_named() {
        let (config, complaints) = apply(
            &[],
            &[
                ("sandbox.network", "tcp:443"),
                ("sandbox.processes", "perhaps"),
                ("sandbox.profiles", r#"{"web": {"network": "tcp:80"}}"#),
                ("sandbox.profiles.web.requestable", "true"),
                ("sandbox.wings", "2"),
            ],
        );
        assert_eq!(config.profiles.default.ports, [443]);
        assert!(!config.profiles.default.processes, "the strict default stays");
        assert!(config.profiles.named["web"].requestable);
        assert_eq!(config.profiles.named["web"].ports, [80]);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        for (complaint, key) in complaints.iter().zip(["sandbox.processes", "sandbox.wings"]) {
            assert!(complaint.contains(key), "{complaint}");
        }
        let fixed = ["sandbox.profiles", "sandbox.network"];
        let sent = [("sandbox.network", "tcp:1"), ("sandbox.profiles.web.network", "tcp:1")];
        assert_eq!(apply(&fixed, &sent).0.profiles, crate::profile::Profiles::default());
    }

    #[test]
    fn a_key_no_longer_sent_falls_back() {
        let settings = Settings::new(Config::default(), BTreeSet::new(), true);
        settings.apply(&HashMap::from([("timeout_secs".to_owned(), "5".to_owned())]));
        assert_eq!(settings.config().defaults.wall.as_secs(), 5);
        settings.apply(&HashMap::new());
        assert_eq!(settings.config().defaults.wall.as_secs(), 30);
    }

    #[test]
    fn every_default_of_the_schema_is_the_default_in_force() {
        let before = Config::default();
        let mut config = before.clone();
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            match key.name.strip_prefix(SANDBOX) {
                Some(name) => {
                    let complaints = config.profiles.set_all([(name, key.default)].into_iter());
                    assert_eq!(complaints, [""; 0]);
                }
                None => set(&mut config, key.name, key.default).unwrap(),
            }
        }
        assert_eq!(format!("{config:?}"), format!("{before:?}"));
    }
}
