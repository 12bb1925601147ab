//! The interpreter the build was configured with: what it is and where its library lies.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How a crate hands the answer to those above it: `links` metadata, under this prefix.
const HANDED_DOWN: &str = "DEP_QNTX_PYTHON_RUNTIME_";

/// What the interpreter is asked besides what `PyO3` already knows of it.
const QUESTIONS: &str = "
import os, sys, sysconfig
var = sysconfig.get_config_var
print('.'.join(map(str, sys.version_info[:3])))
print(sys.base_prefix)
print(sys.executable)
libdir = var('LIBDIR') or ''
stem = 'libpython' + (var('LDVERSION') or '%d.%d' % sys.version_info[:2])
library = os.path.join(libdir, stem + ('.dylib' if sys.platform == 'darwin' else '.so'))
if not os.path.exists(library) and var('PYTHONFRAMEWORK'):
    libdir = var('PYTHONFRAMEWORKPREFIX')
    library = os.path.join(libdir, var('LDLIBRARY'))
print(libdir)
print(os.path.realpath(library))
";

/// A shared CPython.
#[derive(Debug)]
pub(crate) struct Python {
    /// `3.13.0`.
    pub(crate) version: String,
    /// `sys.base_prefix`: the installation, also for the interpreter of an environment.
    pub(crate) prefix: String,
    /// `sys.executable`.
    pub(crate) executable: String,
    /// The directory of the shared library.
    pub(crate) libdir: String,
    /// The shared library's file.
    pub(crate) library: String,
}

impl Python {
    /// What a crate below found, when it has handed that on.
    pub(crate) fn handed_down() -> Option<Self> {
        let get = |key: &str| env::var(format!("{HANDED_DOWN}{key}")).ok();
        Some(Self {
            version: get("VERSION")?,
            prefix: get("PREFIX")?,
            executable: get("EXECUTABLE")?,
            libdir: get("LIBDIR")?,
            library: get("LIBRARY")?,
        })
    }

    /// The interpreter that `PyO3` was configured with, asked for the rest.
    pub(crate) fn asked() -> Self {
        let config = pyo3_build_config::get();
        let executable = config.executable().unwrap_or_default().to_owned();
        assert!(
            Path::new(&executable).exists(),
            "the Python this build was configured with, {executable}, is gone. \
             `cargo clean -p pyo3-ffi` makes the next build look for another"
        );
        let answer = match config.run_python_script(QUESTIONS) {
            Ok(answer) => answer,
            Err(error) => panic!("{executable} does not answer: {error}"),
        };
        let mut lines = answer.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        let (version, prefix, executable) = (next(), next(), next());
        let (libdir, library) = (next(), next());
        assert!(
            config.shared() && Path::new(&library).is_file(),
            "{executable} has no shared library to link to ({library}). \
             `tools/find-python --explain` says which interpreters have one"
        );
        Self { version, prefix, executable, libdir, library }
    }

    /// Prints the metadata that [`Python::handed_down`] reads in the crates above.
    pub(crate) fn hand_down(&self) {
        if env::var_os("CARGO_MANIFEST_LINKS").is_none() {
            return;
        }
        for (key, value) in [
            ("version", &self.version),
            ("prefix", &self.prefix),
            ("executable", &self.executable),
            ("libdir", &self.libdir),
            ("library", &self.library),
        ] {
            println!("cargo::metadata={key}={value}");
        }
    }

    /// What was taken and why, as one line for people.
    pub(crate) fn sentence(&self, portable: bool) -> String {
        let why = match wish() {
            Some(_) => "named by PYO3_PYTHON",
            None => "`tools/find-python --explain` says why",
        };
        let portable =
            if portable { "; portable: the library is looked for beside the binary" } else { "" };
        format!("built against CPython {} at {} ({why}){portable}", self.version, self.executable)
    }

    /// When the search would end elsewhere today than it did for `PyO3`'s build script,
    /// which cargo does not run again for that: what to do about it.
    pub(crate) fn outdated(&self) -> Option<String> {
        if wish().is_some() {
            return None;
        }
        let finder = PathBuf::from(env::var_os("PYO3_PYTHON")?);
        println!("cargo::rerun-if-changed={}", finder.display());
        let output = Command::new(&finder).arg("--path").output().ok()?;
        let best = String::from_utf8(output.stdout).ok()?;
        let best = best.trim();
        let same = Path::new(best).canonicalize().ok()?
            == Path::new(&self.executable).canonicalize().ok()?;
        (!same).then(|| {
            format!("{best} would be taken today; `cargo clean -p pyo3-ffi` makes the next build take it")
        })
    }
}

/// The caller's own `PYO3_PYTHON`; the project's finder in its place is none.
fn wish() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("PYO3_PYTHON")?);
    (path.file_name()? != "find-python").then_some(path)
}
