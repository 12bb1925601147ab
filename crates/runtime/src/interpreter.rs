//! Starting CPython and making it ready to fork: paths, preloads, freezing.
//!
//! **Invariant:** nothing outside CPython's own standard library is read here
//! before the seal; `start` imports nothing else.

use crate::ffi::{self, InitError, Start};
use crate::pages::PageMap;
use crate::text::{self, HUGE};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyModule};
use std::path::{Path, PathBuf};

/// What was started.
#[derive(Debug, Clone)]
pub struct Interpreter {
    pub version: String,
    pub prefix: PathBuf,
    pub executable: PathBuf,
    /// Directories the interpreter itself needs to read.
    pub directories: Vec<PathBuf>,
}

/// The prefix and executable that belong to the libpython that is loaded:
/// from its own place, whatever was compiled in (a Nix store, a moved tree).
#[must_use]
pub fn locate(home: &str) -> Start {
    let home = if home.is_empty() { prefix_of_library() } else { Some(PathBuf::from(home)) };
    let executable = home.as_deref().and_then(executable_in);
    Start { home, executable }
}

fn prefix_of_library() -> Option<PathBuf> {
    let library = std::fs::canonicalize(ffi::libpython_path()?).ok()?;
    let (major, minor) = ffi::library_version();
    library
        .ancestors()
        .skip(1)
        .take(4)
        .find(|dir| {
            ["lib", "lib64"].iter().any(|lib| {
                dir.join(lib).join(format!("python{major}.{minor}")).join("os.py").is_file()
            })
        })
        .map(Path::to_path_buf)
}

fn executable_in(home: &Path) -> Option<PathBuf> {
    let (major, minor) = ffi::library_version();
    [format!("python{major}.{minor}"), format!("python{major}"), "python".to_owned()]
        .iter()
        .map(|name| home.join("bin").join(name))
        .find(|path| path.is_file())
}

/// Puts libpython's code into huge pages; why not, where that can't be done.
///
/// Before [`start`]: afterwards there may be pointers that the copy has not.
pub fn huge_text() -> Result<(), String> {
    let path = ffi::libpython_path().ok_or("the dynamic linker does not know libpython")?;
    let path = std::fs::canonicalize(path).map_err(|error| error.to_string())?;
    if std::fs::canonicalize("/proc/self/exe").is_ok_and(|own| own == path) {
        return Err("libpython is part of the program".to_owned());
    }
    let maps = std::fs::read_to_string("/proc/self/maps").map_err(|error| error.to_string())?;
    let range = text::read_only(&maps, &path).ok_or("libpython has no whole huge page of code")?;
    ffi::make_huge(&range).map_err(|error| error.to_string())
}

/// Starts CPython without `site` and says what came up.
pub fn start(home: &str) -> Result<Interpreter, InitError> {
    ffi::initialize(&locate(home))?;
    Python::attach(describe)
        .map_err(|error| InitError { function: "sys".to_owned(), reason: error.to_string() })
}

fn describe(py: Python<'_>) -> PyResult<Interpreter> {
    let sys = py.import("sys")?;
    let version: String = sys.getattr("version")?.extract()?;
    let version = version.split_whitespace().next().unwrap_or_default().to_owned();
    let prefix: String = sys.getattr("base_prefix")?.extract()?;
    let executable: Option<String> = sys.getattr("executable")?.extract()?;
    let mut directories = vec![PathBuf::from(&prefix)];
    for entry in sys.getattr("path")?.cast::<PyList>()?.iter() {
        let path = PathBuf::from(entry.extract::<String>()?);
        if path.exists() && !path.starts_with(&prefix) {
            directories.push(path);
        }
    }
    Ok(Interpreter {
        version,
        prefix: prefix.into(),
        executable: executable.unwrap_or_default().into(),
        directories,
    })
}

/// The interpreter's own `site-packages`, and those of an active virtualenv's
/// interpreter when `site_dirs` names none of them.
#[must_use]
pub fn own_site_dirs(interpreter: &Interpreter) -> Vec<PathBuf> {
    let mut parts = interpreter.version.split('.');
    let (major, minor) = (parts.next().unwrap_or("3"), parts.next().unwrap_or("13"));
    let directory =
        interpreter.prefix.join("lib").join(format!("python{major}.{minor}")).join("site-packages");
    if directory.is_dir() { vec![directory] } else { Vec::new() }
}

/// Adds `python_paths` in front and site directories (with the path lines of
/// their `.pth` files) behind. Lines of `.pth` files that are code do not run.
pub fn add_paths(py: Python<'_>, python_paths: &[String], site_dirs: &[PathBuf]) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    for entry in python_paths.iter().rev() {
        path.insert(0, entry)?;
    }
    for directory in site_dirs {
        path.append(directory.to_string_lossy())?;
        for extra in pth_entries(directory) {
            path.append(extra.to_string_lossy())?;
        }
    }
    Ok(())
}

fn pth_entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "pth"))
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .flat_map(|text| text.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| {
            !line.is_empty()
                && !line.starts_with('#')
                && !line.starts_with("import ")
                && !line.starts_with("import\t")
        })
        .map(|line| directory.join(line))
        .filter(|path| path.is_dir())
        .collect()
}

/// What was imported, and what could not be, with the reason.
pub type Preloaded = (Vec<String>, Vec<(String, String)>);

/// Puts what is passed through into the environment of Python and of C.
pub fn set_environment<'e>(
    py: Python<'_>,
    variables: impl Iterator<Item = (&'e String, &'e String)>,
) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    for (name, value) in variables {
        environ.set_item(name, value)?;
    }
    Ok(())
}

fn import(py: Python<'_>, modules: &[String]) -> Preloaded {
    let (mut imported, mut set_aside) = (Vec::new(), Vec::new());
    for module in modules {
        match PyModule::import(py, module.as_str()) {
            Ok(_) => imported.push(module.clone()),
            Err(error) => set_aside.push((module.clone(), error.to_string())),
        }
    }
    (imported, set_aside)
}

/// Imports `modules`, with `os.register_at_fork` out of action: what its
/// callbacks would do in each child is done by hand (DESIGN 2). Not so when
/// programs are `forking`: they need them, at the price of a slower fork of ours.
pub fn preload(py: Python<'_>, modules: &[String], forking: bool) -> PyResult<Preloaded> {
    if forking {
        return Ok(import(py, modules));
    }
    let os = py.import("os")?;
    let posix = py.import("posix")?;
    let original = posix.getattr("register_at_fork")?;
    let namespace = PyDict::new(py);
    py.run(c"def register_at_fork(**callbacks): pass", Some(&namespace), None)?;
    let nothing = namespace.get_item("register_at_fork")?;
    posix.setattr("register_at_fork", &nothing)?;
    os.setattr("register_at_fork", &nothing)?;
    let preloaded = import(py, modules);
    posix.setattr("register_at_fork", &original)?;
    os.setattr("register_at_fork", &original)?;
    Ok(preloaded)
}

/// Pages of 4 KiB in use from which on a huge page, of 512, is worth the memory it takes more.
const FULL: usize = 320;

/// Makes everything alive immortal and moves it out of the collector's sight, so that
/// neither a child's use of it nor its first collection touches (and copies) the
/// zygote's pages; and puts its memory into huge pages, which a fork copies by one entry each.
/// Gives why they are not, where that failed.
pub fn freeze(py: Python<'_>, map: Option<&PageMap>) -> PyResult<std::io::Result<()>> {
    let gc = py.import("gc")?;
    gc.call_method0("collect")?;
    ffi::immortalise(py)?;
    gc.call_method0("freeze")?;
    let full =
        |start: &usize| map.and_then(|map| map.present(*start, HUGE).ok()).unwrap_or(0) >= FULL;
    let mut huge = ffi::gather(py).into_iter().filter(full);
    Ok(huge.try_for_each(ffi::collapse))
}
