//! A staged environment, tried out: its modules are imported in a sandboxed
//! child before anybody depends on them.
//!
//! **Invariant:** modules are imported in a child alone, with the limits of an
//! execution and no host.

use super::generation::Package;
use crate::api::{Execute, outcome};
use crate::config::Config;
use crate::error::RunError;
use crate::request::{Request, Source};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Time for all imports together.
const WALL: Duration = Duration::from_secs(60);
/// Most modules tried one by one after they failed together.
const SINGLY: usize = 32;

const IMPORT: &str = r#"
import importlib
_result = {}
for _name in _names:
    try:
        importlib.import_module(_name)
    except BaseException as _error:
        _result[_name] = f"{type(_error).__name__}: {_error}"[:500]
"#;

/// Imports every module of `packages` found in `site` and answers which could
/// not be, with the reason.
pub async fn imports<E: Execute>(
    run: &E,
    config: &Config,
    site: Option<&Path>,
    modules: &[String],
) -> Result<BTreeMap<String, String>, RunError> {
    let mut failed = BTreeMap::new();
    if modules.is_empty() {
        return Ok(failed);
    }
    match together(run, config, site, modules).await? {
        Ok(reasons) => failed.extend(reasons),
        // One of them took the process with it: which?
        Err(reason) if modules.len() == 1 || modules.len() > SINGLY => {
            failed.extend(modules.iter().map(|module| (module.clone(), reason.clone())));
        }
        Err(_) => {
            for module in modules {
                match together(run, config, site, std::slice::from_ref(module)).await? {
                    Ok(reasons) => failed.extend(reasons),
                    Err(reason) => {
                        failed.insert(module.clone(), reason);
                    }
                }
            }
        }
    }
    Ok(failed)
}

async fn together<E: Execute>(
    run: &E,
    config: &Config,
    site: Option<&Path>,
    modules: &[String],
) -> Result<Result<BTreeMap<String, String>, String>, RunError> {
    // Names without a quote or an escape: identifiers, dots.
    let names: Vec<_> = modules.iter().map(|module| format!("\"{module}\"")).collect();
    let text = format!("_names = [{}]\n{IMPORT}", names.join(", "));
    let mut limits = config.defaults.clone();
    limits.wall = limits.wall.max(WALL.min(config.ceiling.wall));
    let mut request = Request::new(Source::Code { text, function: None }, limits.clone());
    request.python_paths = site.iter().map(|site| site.to_string_lossy().into_owned()).collect();
    let answer = run.execute(request).await?;
    if answer.outcome.success()
        && let Some(result) = &answer.result
        && let Ok(Value::Object(reasons)) = serde_json::from_slice(result)
    {
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        return Ok(Ok(reasons.into_iter().map(|(name, value)| (name, text(value))).collect()));
    }
    let bounds = outcome::Bounds { limits, ceiling: config.ceiling.clone() };
    let reason = outcome::sentence(&answer, &bounds);
    Ok(Err(reason.map_or_else(|| "it ended the process".to_owned(), |text| text.into_owned())))
}

/// The modules of the packages among `names`.
#[must_use]
pub fn modules_of(packages: &[Package], names: impl Fn(&str) -> bool) -> Vec<String> {
    let wanted = packages.iter().filter(|package| names(&package.name));
    wanted.flat_map(|package| package.modules.iter().cloned()).collect()
}
