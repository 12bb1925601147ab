//! `/modules`: what can be imported, asked of a fresh child's finders.
//!
//! **Invariant:** no module is imported to find out whether it could be.

use crate::api::body::Body;
use crate::api::json::Writer;
use crate::api::query::Query;
use crate::api::{Api, Call, Execute, Reply, attestations, outcome};
use crate::error::{Rejected, RunError};
use crate::request::{Request, Source};
use bytes::Bytes;

/// Most names in one question.
const MAX_NAMES: usize = 1000;
/// Longest dotted name.
const MAX_NAME: usize = 256;

/// Answers the names with whether each is there. A package's parts are looked
/// for along its path, so that not even the package is imported.
const FIND: &str = r#"
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec

def _there(name):
    if name in sys.modules:
        return sys.modules[name] is not None
    parts = name.split(".")
    try:
        spec = find_spec(parts[0])
        for end in range(2, len(parts) + 1):
            if spec is None or spec.submodule_search_locations is None:
                return False
            spec = PathFinder.find_spec(".".join(parts[:end]), spec.submodule_search_locations)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None

_result = {name: _there(name) for name in _names}
"#;

impl<E: Execute, A: attestations::Find> Api<E, A> {
    pub(super) async fn modules(&self, call: &Call, query: &Query) -> Result<Reply, RunError> {
        let config = self.settings.config();
        let mut names = asked(&call.body, query)?;
        if names.is_empty() {
            names.clone_from(&config.default_modules);
        }
        let code = format!("_names = {}\n{FIND}", list(&names));
        let request =
            Request::new(Source::Code { text: code, function: None }, config.defaults.clone());
        let bounds =
            outcome::Bounds { limits: request.limits.clone(), ceiling: config.ceiling.clone() };
        let answer = self.run.execute(request).await?;
        let Some(found) = answer.result.as_ref().filter(|_| answer.outcome.success()) else {
            let reason = outcome::sentence(&answer, &bounds).unwrap_or_default();
            return Ok(Reply::error(500, &format!("the modules could not be looked up: {reason}")));
        };
        let snapshot = self.run.snapshot();
        let mut writer = Writer::with_capacity(found.len() + 1024);
        writer.object(|w| {
            w.key("modules").raw(found);
            w.key("preloaded").strings(&snapshot.preloaded);
            w.key("set_aside").object(|w| {
                for (module, reason) in &snapshot.set_aside {
                    w.key(module).string(reason);
                }
            });
        });
        Ok(Reply::json(200, writer.finish()))
    }
}

/// The names in the query or in the body, each once.
fn asked(body: &Bytes, query: &Query) -> Result<Vec<String>, Rejected> {
    if let Some(name) = query.unknown(&["module", "modules"]) {
        return Err(Rejected::field(name, format!("unknown parameter `{name}`")));
    }
    let mut names = query.list("modules");
    names.extend(query.list("module"));
    if !body.trim_ascii().is_empty() {
        let mut body = Body::parse(body)?;
        names.extend(body.take::<Vec<String>>("modules", "a list of strings")?.unwrap_or_default());
        names.extend(body.text("module")?);
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
    Ok(names)
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
        asked(&Bytes::from_static(body.as_bytes()), &Query::parse(query))
    }

    #[test]
    fn names_come_from_query_and_body_once_each() {
        let all = names(r#"{"modules":["os","a.b"]}"#, "module=json&modules=os,re").unwrap();
        assert_eq!(all, ["os", "re", "json", "a.b"]);
        assert!(names("", "").unwrap().is_empty());
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
