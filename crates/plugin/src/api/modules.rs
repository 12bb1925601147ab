//! `/modules`: what can be imported, asked of a fresh child's finders; and the
//! lookup behind `/uv/check`.
//!
//! **Invariant:** no module is imported to find out whether it could be.

use crate::api::body::Body;
use crate::api::json::Writer;
use crate::api::query::Query;
use crate::api::{Api, Call, Execute, Reply, attestations, outcome};
use crate::error::{Rejected, RunError};
use crate::request::{Request, Source};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most names in one question.
const MAX_NAMES: usize = 1000;
/// Longest dotted name.
const MAX_NAME: usize = 256;

/// Answers where each name is, if it is. A package's parts are looked for along
/// its path, so that not even the package is imported.
const FIND: &str = r#"
import sys
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import find_spec

def _spec(name):
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__spec__", None) or module
    if name in sys.modules:
        return None
    parts = name.split(".")
    try:
        spec = find_spec(parts[0])
        for end in range(2, len(parts) + 1):
            if spec is None or spec.submodule_search_locations is None:
                return None
            spec = PathFinder.find_spec(".".join(parts[:end]), spec.submodule_search_locations)
    except (ImportError, ValueError, AttributeError):
        return None
    return spec

_versions = {}
for _each in metadata.distributions():
    _name = _each.metadata["Name"]
    if _name and _name not in _versions:
        _versions[_name] = _each.version
_owners = metadata.packages_distributions() if _detail else {}

def _found(name):
    spec = _spec(name)
    if spec is None:
        return {"available": False}
    top = name.split(".")[0]
    owner = None if top in sys.stdlib_module_names else (_owners.get(top) or [None])[0]
    location = getattr(spec, "origin", None)
    if location in ("frozen", "built-in"):
        location = getattr(sys.modules.get(name), "__file__", location)
    if location is None:
        location = next(iter(getattr(spec, "submodule_search_locations", None) or ()), None)
    return {"available": True, "distribution": owner, "version": _versions.get(owner), "location": location}

_result = {"modules": {name: _found(name) for name in _names}, "distributions": _versions}
"#;

/// Where a module is.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Found {
    pub(super) available: bool,
    #[serde(default)]
    pub(super) distribution: Option<String>,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) location: Option<String>,
}

/// What a lookup found, in the order it was asked.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) modules: Vec<(String, Found)>,
    /// Distribution → version.
    pub(super) distributions: BTreeMap<String, Option<String>>,
}

/// What `/uv/check` was asked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) names: Vec<String>,
    /// `module` alone was given: the answer is one object.
    pub(super) single: bool,
    pub(super) importable: bool,
}

impl<E: Execute, A: attestations::Find> Api<E, A> {
    pub(super) async fn modules(&self, call: &Call, query: &Query) -> Result<Reply, RunError> {
        let config = self.settings.config();
        if let Some(name) = query.unknown(&["module", "modules"]) {
            return Err(Rejected::field(name, format!("unknown parameter `{name}`")).into());
        }
        let mut names = asked(&call.body, query)?.names;
        if names.is_empty() {
            names.clone_from(&config.default_modules);
        }
        let looked = match self.look_up(&names, false).await? {
            Ok(looked) => looked,
            Err(reply) => return Ok(reply),
        };
        let snapshot = self.run.snapshot();
        let mut writer = Writer::with_capacity(64 * names.len() + 1024);
        writer.object(|w| {
            w.key("modules").object(|w| {
                for (name, found) in &looked.modules {
                    w.key(name).bool(found.available);
                }
            });
            w.key("distributions").object(|w| {
                for (name, version) in &looked.distributions {
                    w.key(name).optional(version.as_deref());
                }
            });
            w.key("preloaded").strings(&snapshot.preloaded);
            w.key("set_aside").object(|w| {
                for (module, reason) in &snapshot.set_aside {
                    w.key(module).string(reason);
                }
            });
        });
        Ok(Reply::json(200, writer.finish()))
    }

    /// Looks the names up in a child, and whose they are when `owners`; a reply
    /// when that fails.
    pub(super) async fn look_up(
        &self,
        names: &[String],
        owners: bool,
    ) -> Result<Result<Looked, Reply>, RunError> {
        #[derive(Deserialize)]
        struct Raw {
            modules: BTreeMap<String, Found>,
            distributions: BTreeMap<String, Option<String>>,
        }
        let config = self.settings.config();
        let detail = if owners { "True" } else { "False" };
        let code = format!("_names = {}\n_detail = {detail}\n{FIND}", list(names));
        let request =
            Request::new(Source::Code { text: code, function: None }, config.defaults.clone());
        let bounds =
            outcome::Bounds { limits: request.limits.clone(), ceiling: config.ceiling.clone() };
        let answer = self.run.execute(request).await?;
        let failed = |reason: &str| {
            Ok(Err(Reply::error(500, &format!("the modules could not be looked up: {reason}"))))
        };
        let Some(found) = answer.result.as_ref().filter(|_| answer.outcome.success()) else {
            return failed(&outcome::sentence(&answer, &bounds).unwrap_or_default());
        };
        let mut raw: Raw = match serde_json::from_slice(found) {
            Ok(raw) => raw,
            Err(error) => return failed(&error.to_string()),
        };
        let modules = names.iter().map(|name| {
            let found = raw.modules.remove(name).unwrap_or_default();
            (name.clone(), found)
        });
        Ok(Ok(Looked { modules: modules.collect(), distributions: raw.distributions }))
    }
}

/// The question of `/uv/check`.
pub(super) fn checked(body: &Bytes, query: &Query) -> Result<Checked, Rejected> {
    if let Some(name) = query.unknown(&["module", "modules", "importable"]) {
        return Err(Rejected::field(name, format!("unknown parameter `{name}`")));
    }
    let mut asked = asked(body, query)?;
    if asked.names.is_empty() {
        return Err(Rejected::field("module", "missing field `module` (or `modules`)"));
    }
    match query.last("importable") {
        Some("true" | "1" | "") => asked.importable = true,
        Some("false" | "0") | None => {}
        Some(_) => return Err(Rejected::field("importable", "`importable` is true or false")),
    }
    Ok(asked)
}

/// The names in the query or in the body, each once.
fn asked(body: &Bytes, query: &Query) -> Result<Checked, Rejected> {
    let mut names = query.list("modules");
    let mut single = names.is_empty();
    names.extend(query.list("module"));
    let mut importable = false;
    if !body.trim_ascii().is_empty() {
        let mut body = Body::parse(body)?;
        let many = body.take::<Vec<String>>("modules", "a list of strings")?;
        single &= many.is_none();
        names.extend(many.unwrap_or_default());
        names.extend(body.text("module")?);
        importable = body.take("importable", "true or false")?.unwrap_or_default();
        body.finish()?;
    }
    if names.len() > MAX_NAMES {
        let count = names.len();
        return Err(Rejected::field("modules", format!("{count} names; at most {MAX_NAMES}")));
    }
    if let Some(name) = names.iter().find(|name| !is_dotted_name(name)) {
        let shown: String = name.chars().take(80).collect();
        return Err(Rejected::field("modules", format!("`{shown}` is no module's name")));
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(Checked { single: single && names.len() == 1, names, importable })
}

fn is_dotted_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(|c: char| c.is_numeric())
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    name.len() <= MAX_NAME && name.split('.').all(part)
}

/// A list of names as Python writes it; they hold no quote and no escape.
fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &'static str, query: &str) -> Result<Vec<String>, Rejected> {
        let body = Bytes::from_static(body.as_bytes());
        checked(&body, &Query::parse(query)).map(|asked| asked.names)
    }

    #[test]
    fn names_come_from_query_and_body_once_each() {
        let all = names(r#"{"modules":["os","a.b"]}"#, "module=json&modules=os,re").unwrap();
        assert_eq!(all, ["os", "re", "json", "a.b"]);
        assert!(names("", "").is_err());
    }

    #[test]
    fn what_is_no_name_never_reaches_the_code() {
        for bad in ["a b", "a\"]; import os #", "", ".os", "os.", "1a", "a-b", "a\\n"] {
            assert!(!is_dotted_name(bad), "{bad}");
        }
        assert!(is_dotted_name("os.path") && is_dotted_name("übung") && is_dotted_name("_x1"));
        assert!(names("", "modules=a;b").is_err());
        assert!(names("", "mods=a").is_err());
        assert!(names(r#"{"modules":"os"}"#, "").is_err());
    }
}
