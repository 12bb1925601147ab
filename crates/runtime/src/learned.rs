//! Learned preloads: modules that programs ask for often, imported because they
//! did and not because an operator said so.
//!
//! They come from the interpreter's own directories and from site directories,
//! none of which executions can write to; `python_paths` are out of reach
//! meanwhile, and a module that one of them has too is left to the programs.
//! Each is looked at after its import: a thread can't be forked, a descriptor
//! would be shared by all children, memory is every child's. A zygote that can't
//! be what it was before such a module ends, and says over which.
//!
//! **Invariant:** imported after the seal, one at a time, each announced before.

use crate::{ffi, interpreter};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sandbox::process::SingleThreaded;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Memory one module may take.
const MOST_KIB: u64 = 256 << 10;

/// Why a zygote can't go on after an import.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("it starts threads ({0})")]
    Threads(String),
    #[error("it keeps a descriptor open")]
    Descriptors,
    #[error("it takes {mib} MiB, more than {} MiB", MOST_KIB >> 10)]
    Memory { mib: u64 },
    #[error(transparent)]
    Python(#[from] PyErr),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Where learned modules may come from, and where another of the same name may
/// be that a program means.
#[derive(Debug)]
pub struct Sources<'a> {
    pub trusted: &'a [PathBuf],
    pub python_paths: &'a [String],
    /// Children may start processes: at-fork callbacks are left in place.
    pub forking: bool,
}

/// Imports `modules`; answers what was imported and what was set aside.
pub fn import(
    py: Python<'_>,
    modules: &[String],
    sources: &Sources<'_>,
    mut announce: impl FnMut(&str) -> std::io::Result<()>,
) -> Result<interpreter::Preloaded, Unfit> {
    let (mut imported, mut set_aside) = (Vec::new(), Vec::new());
    if modules.is_empty() {
        return Ok((imported, set_aside));
    }
    let path = path(py)?;
    let finder = py.import("importlib.machinery")?.getattr("PathFinder")?;
    let before: Vec<String> = path.extract()?;
    let trusted = before.iter().filter(|entry| is_trusted(Path::new(entry), sources.trusted));
    path.set_slice(0, before.len(), PyList::new(py, trusted)?.as_any())?;
    for module in modules {
        let top = module.split('.').next().unwrap_or(module);
        let elsewhere = finder.call_method1("find_spec", (top, sources.python_paths.to_vec()))?;
        if !elsewhere.is_none() {
            set_aside.push((module.clone(), "python_paths have a module of this name".to_owned()));
            continue;
        }
        announce(module)?;
        let state = State::now()?;
        let (done, failed) =
            interpreter::preload(py, std::slice::from_ref(module), sources.forking)?;
        state.compare()?;
        imported.extend(done);
        set_aside.extend(failed);
    }
    path.set_slice(0, path.len(), PyList::new(py, before)?.as_any())?;
    // What is there by now was looked for on the shorter path.
    py.import("importlib")?.call_method0("invalidate_caches")?;
    Ok((imported, set_aside))
}

fn path(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    Ok(py.import("sys")?.getattr("path")?.cast_into::<PyList>()?)
}

/// The names of all modules there are.
pub fn loaded(py: Python<'_>) -> PyResult<Vec<String>> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    Ok(modules.keys().iter().filter_map(|name| name.extract().ok()).collect())
}

/// Within a trusted directory that not everybody may write to.
fn is_trusted(entry: &Path, trusted: &[PathBuf]) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let world_writable = std::fs::metadata(entry).is_ok_and(|meta| {
        let mode = meta.permissions().mode();
        meta.is_dir() && mode & 0o002 != 0
    });
    !world_writable && trusted.iter().any(|root| entry.starts_with(root))
}

/// What an import must not change.
struct State {
    free_fd: i32,
    rss_kib: u64,
}

impl State {
    fn now() -> std::io::Result<Self> {
        Ok(Self { free_fd: lowest_free_fd()?, rss_kib: ffi::max_rss_kib() })
    }

    fn compare(&self) -> Result<(), Unfit> {
        SingleThreaded::prove().map_err(|error| Unfit::Threads(error.to_string()))?;
        if lowest_free_fd()? != self.free_fd {
            return Err(Unfit::Descriptors);
        }
        let grown = ffi::max_rss_kib().saturating_sub(self.rss_kib);
        if grown > MOST_KIB { Err(Unfit::Memory { mib: grown >> 10 }) } else { Ok(()) }
    }
}

/// The kernel gives the lowest number that is free: one that an import opened
/// and kept is found by it.
fn lowest_free_fd() -> std::io::Result<i32> {
    Ok(rustix::io::dup(rustix::stdio::stdin())?.as_raw_fd())
}
