//! Profiles as the operator writes them: keys, JSON, and the flattened tables of the core.
//!
//! **Invariant:** every complaint names the key it is about, and a value is taken whole or not at
//! all.

use super::{DEFAULT, Overrides, Profile, Profiles};
use crate::api::limits::size;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Longest name of a profile.
const MAX_NAME: usize = 32;
/// Most ports one profile lists.
const MAX_PORTS: usize = 64;
/// Environment variables that would decide about the interpreter itself.
const OWN_VARIABLES: [&str; 3] = ["LD_", "PYTHON", "GLIBC_TUNABLES"];

type Object = Map<String, Value>;

impl Profiles {
    /// Sets the keys `sandbox.*` in order; the complaints. `name` is without `sandbox.`.
    pub fn set_all<'k>(&mut self, keys: impl Iterator<Item = (&'k str, &'k str)>) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut tables: BTreeMap<String, Object> = BTreeMap::new();
        let mut handlers = Vec::new();
        for (name, text) in keys {
            let value = || Value::String(text.to_owned());
            let taken = if name == "profiles" {
                profiles(text).map(|read| tables.extend(read))
            } else if name == "handlers" {
                pairs(text).map(|read| handlers.extend(read))
            } else if let Some(path) = name.strip_prefix("profiles.") {
                nest(&mut tables, path, value())
            } else if let Some(handler) = name.strip_prefix("handlers.") {
                handlers.push((handler.to_owned(), text.trim().to_owned()));
                Ok(())
            } else {
                field(&mut self.default, name, &value())
            };
            if let Err(reason) = taken {
                complaints.push(format!("`sandbox.{name}`: {reason}; it is not in force"));
            }
        }
        for (name, table) in tables {
            let key = format!("sandbox.profiles.{name}");
            match check_name(&name).and_then(|()| Profile::read(&table)) {
                Ok(profile) => {
                    self.named.insert(name, profile);
                }
                Err(reason) => complaints.push(format!("`{key}`: {reason}; it is not in force")),
            }
        }
        self.handlers.extend(handlers);
        complaints
    }
}

impl Profile {
    /// Reads a profile's JSON object.
    fn read(object: &Object) -> Result<Self, String> {
        let mut profile = Self::default();
        for (name, value) in object {
            let named = |reason| format!("`{name}`: {reason}");
            match (name.as_str(), value) {
                ("limits", Value::Object(limits)) => {
                    profile.limits = Overrides::read(limits).map_err(named)?;
                }
                ("limits", _) => return Err(named("a JSON object is expected".to_owned())),
                ("requestable", _) => profile.requestable = flag(value).map_err(named)?,
                _ => field(&mut profile, name, value).map_err(named)?,
            }
        }
        Ok(profile)
    }
}

/// Sets one field of a profile.
fn field(profile: &mut Profile, name: &str, value: &Value) -> Result<(), String> {
    match name {
        "read_paths" => profile.read_paths = paths(value)?,
        "write_paths" => profile.write_paths = paths(value)?,
        "executables" => profile.executables = paths(value)?,
        "network" => profile.ports = network(text(value)?)?,
        "processes" => profile.processes = processes(text(value)?)?,
        "environment" => profile.environment = variables(value)?,
        _ => {
            return Err("unknown; known are read_paths, write_paths, network, processes, \
                        executables, environment and, in a profile, limits and requestable"
                .to_owned());
        }
    }
    Ok(())
}

/// `none`, or `tcp:443,80`.
pub(super) fn network(text: &str) -> Result<Vec<u16>, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("none") || text.is_empty() {
        return Ok(Vec::new());
    }
    let expected = "`none`, or TCP to listed ports like `tcp:443,80`, is expected";
    let Some(list) = text.strip_prefix("tcp:") else {
        return Err(format!("`{text}` is neither: {expected}"));
    };
    let mut ports = Vec::new();
    for port in list.split(',').map(str::trim) {
        match port.parse::<u16>() {
            Ok(number) if number > 0 => ports.push(number),
            Ok(_) | Err(_) => return Err(format!("`{port}` is no port (1 to 65535); {expected}")),
        }
    }
    ports.sort_unstable();
    ports.dedup();
    if ports.len() > MAX_PORTS {
        return Err(format!("{} ports where {MAX_PORTS} are the most", ports.len()));
    }
    Ok(ports)
}

fn processes(text: &str) -> Result<bool, String> {
    match text.trim() {
        "none" | "" => Ok(false),
        "allowed" => Ok(true),
        other => Err(format!("`{other}` is neither `none` nor `allowed`")),
    }
}

fn variables(value: &Value) -> Result<Vec<String>, String> {
    let names = list(value, ',')?;
    for name in &names {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(char::is_numeric) {
            return Err(format!("`{name}` is no name of an environment variable"));
        }
        if OWN_VARIABLES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(format!("`{name}` would change the interpreter itself"));
        }
    }
    Ok(names)
}

fn paths(value: &Value) -> Result<Vec<PathBuf>, String> {
    Ok(list(value, ':')?.iter().map(|path| crate::env::expand_home(path)).collect())
}

/// A JSON list of strings, as itself or in a text, or a text with separators.
fn list(value: &Value, separator: char) -> Result<Vec<String>, String> {
    let expected =
        || format!("a list of strings, or a text separated by `{separator}`, is expected");
    let whole: Option<Vec<String>> = match value {
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::String(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).ok()
        }
        Value::String(text) => {
            let items = text.split(separator).map(str::trim).filter(|item| !item.is_empty());
            Some(items.map(str::to_owned).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    whole.ok_or_else(expected)
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("a string is expected, not {value}"))
}

fn flag(value: &Value) -> Result<bool, String> {
    match (value.as_bool(), value.as_str()) {
        (Some(flag), _) => Ok(flag),
        (None, Some("true")) => Ok(true),
        (None, Some("false")) => Ok(false),
        (None, _) => Err(format!("true or false is expected, not {value}")),
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number| number.is_finite() && *number > 0.0)
}

fn whole(value: &Value) -> Option<u64> {
    let number = number(value).filter(|number| number.fract() == 0.0 && *number < 9e15)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Some(number as u64)
}

fn bytes(value: &Value) -> Option<u64> {
    match value.as_str() {
        Some(text) => size(text).filter(|bytes| *bytes > 0),
        None => whole(value),
    }
}

fn seconds(value: &Value) -> Option<Duration> {
    let secs = number(value).filter(|secs| (0.001..=86_400.0).contains(secs))?;
    Duration::try_from_secs_f64(secs).ok()
}

impl Overrides {
    fn read(object: &Object) -> Result<Self, String> {
        let mut own = Self::default();
        for (name, value) in object {
            let small = |value: &Value| bytes(value).and_then(|n| usize::try_from(n).ok());
            let count = |value: &Value| whole(value).and_then(|n| u32::try_from(n).ok());
            let taken = match name.as_str() {
                "timeout_secs" => seconds(value).map(|wall| own.wall = Some(wall)),
                "memory_bytes" => bytes(value).map(|n| own.memory_bytes = Some(n)),
                "output_bytes" => small(value).map(|n| own.output_bytes = Some(n)),
                "cpu_secs" => seconds(value).map(|cpu| own.cpu = Some(cpu)),
                "threads" => count(value).map(|n| own.threads = Some(n)),
                "result_bytes" => small(value).map(|n| own.result_bytes = Some(n)),
                "result_depth" => count(value).map(|n| own.result_depth = Some(n)),
                "scratch_bytes" => bytes(value).map(|n| own.scratch_bytes = Some(n)),
                "scratch_files" => whole(value).map(|n| own.scratch_files = Some(n)),
                "host_calls" => whole(value).map(|n| own.host_calls = Some(n)),
                _ => {
                    return Err(format!(
                        "unknown limit `{name}`; known are timeout_secs, memory_bytes, \
                         output_bytes, cpu_secs, threads, result_bytes, result_depth, \
                         scratch_bytes, scratch_files, host_calls"
                    ));
                }
            };
            taken.ok_or_else(|| format!("`{name}`: {value} makes no sense"))?;
        }
        Ok(own)
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name == DEFAULT {
        return Err(
            "the default profile is made by the keys `sandbox.network` and so on".to_owned()
        );
    }
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        return Err(format!(
            "a profile's name has 1 to {MAX_NAME} of the characters a-z, 0-9, _ and -"
        ));
    }
    Ok(())
}

fn profiles(text: &str) -> Result<BTreeMap<String, Object>, String> {
    let object: Object = serde_json::from_str(text)
        .map_err(|error| format!("a JSON object of profiles is expected: {error}"))?;
    let table = |(name, value): (String, Value)| {
        let Value::Object(table) = value else {
            return Err(format!("`{name}` has to be a JSON object, not {value}"));
        };
        Ok((name, table))
    };
    object.into_iter().map(table).collect()
}

/// `{"handler": "profile"}`, or `handler=profile,other=profile`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let expected = "`handler=profile` pairs separated by commas, or a JSON object, are expected";
    if text.trim_start().starts_with('{') {
        let pairs: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|error| format!("{expected}: {error}"))?;
        return Ok(pairs.into_iter().collect());
    }
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (handler, profile) = pair.split_once('=').ok_or_else(|| expected.to_owned())?;
            Ok((handler.trim().to_owned(), profile.trim().to_owned()))
        })
        .collect()
}

/// Puts `web.limits.threads` where a JSON object would have it.
fn nest(tables: &mut BTreeMap<String, Object>, path: &str, value: Value) -> Result<(), String> {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.as_slice() {
        // An inline table arrives as JSON.
        [name] => {
            let table = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            let table: Object = table.ok_or("a JSON object is expected")?;
            tables.entry((*name).to_owned()).or_default().extend(table);
        }
        [name, "limits"] => {
            let limits = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            let limits: Object = limits.ok_or("a JSON object is expected")?;
            tables
                .entry((*name).to_owned())
                .or_default()
                .insert("limits".to_owned(), Value::Object(limits));
        }
        [name, field] => {
            tables.entry((*name).to_owned()).or_default().insert((*field).to_owned(), value);
        }
        [name, "limits", limit] => {
            let table = tables.entry((*name).to_owned()).or_default();
            let limits = table.entry("limits").or_insert_with(|| Value::Object(Map::new()));
            let limits = limits.as_object_mut().ok_or("`limits` is given twice")?;
            limits.insert((*limit).to_owned(), value);
        }
        _ => return Err("a field of a profile is expected".to_owned()),
    }
    Ok(())
}
