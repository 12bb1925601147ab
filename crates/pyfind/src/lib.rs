//! Build-time only: links a crate to the CPython that the build found.
//!
//! A build script calls [`link`]; then the crate's binaries, tests and benches find
//! libpython when they run, without `LD_LIBRARY_PATH`, and the code learns from
//! `env!` what it was built against:
//!
//! | Variable | Holds |
//! |---|---|
//! | `QNTX_PYTHON_BUILD_VERSION` | `3.13.0`: the interpreter's full version |
//! | `QNTX_PYTHON_BUILD_PREFIX` | its `sys.base_prefix`; empty in a portable build |
//! | `QNTX_PYTHON_BUILD_LIBDIR` | where its shared library is; empty in a portable build |
//!
//! Which interpreter that is, `tools/find-python` decides, or the caller's
//! `PYO3_PYTHON`. `PyO3`'s own build script asks it; this crate only reads the answer,
//! so the two cannot disagree.
//!
//! The run path names the packaged layouts first (`python/lib` beside the binary,
//! `../lib`, the binary's own directory), then the library's directory on this
//! machine. `QNTX_PYTHON_PORTABLE=1` leaves the last one out and bakes no path of this
//! machine into the binary: release archives and the reproducibility check want that.
//!
//! **Invariant:** nothing of this crate is part of a running program.

#![expect(clippy::print_stdout, reason = "a build script speaks to cargo on stdout")]

mod compiled;
mod python;

pub use crate::compiled::compile;

use std::env;

use crate::python::Python;

/// Set to `1`: no path of the building machine goes into the binary.
const PORTABLE: &str = "QNTX_PYTHON_PORTABLE";

/// Tells cargo how the calling crate finds libpython at run time.
///
/// The crate that depends on `pyo3` says `links = "qntx-python-runtime"` in its manifest
/// and hands the answer on; crates above it need only depend on it.
///
/// # Panics
/// When neither `pyo3` nor such a crate is a direct dependency, or when the interpreter
/// that was found has gone since. The message says what to do.
pub fn link() {
    for name in [PORTABLE, "PYO3_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX", "PYENV_ROOT"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let portable = env::var_os(PORTABLE).is_some_and(|value| value == "1");
    let python = match Python::handed_down() {
        Some(python) => python,
        None => {
            let python = Python::asked();
            python.hand_down();
            println!("cargo::warning={}", python.sentence(portable));
            if let Some(other) = python.outdated() {
                println!("cargo::warning={other}");
            }
            python
        }
    };
    for path in [&python.executable, &python.library] {
        println!("cargo::rerun-if-changed={path}");
    }

    let target = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    for argument in run_path(&target, portable, &python.libdir) {
        println!("cargo::rustc-link-arg={argument}");
    }
    let (prefix, libdir) =
        if portable { ("", "") } else { (python.prefix.as_str(), python.libdir.as_str()) };
    println!("cargo::rustc-env=QNTX_PYTHON_BUILD_VERSION={}", python.version);
    println!("cargo::rustc-env=QNTX_PYTHON_BUILD_PREFIX={prefix}");
    println!("cargo::rustc-env=QNTX_PYTHON_BUILD_LIBDIR={libdir}");
}

/// The linker arguments: where the binary looks for its libraries, in this order.
fn run_path(target: &str, portable: bool, libdir: &str) -> Vec<String> {
    let origin = if target == "macos" { "@loader_path" } else { "$ORIGIN" };
    let mut arguments: Vec<String> = ["/python/lib", "/../lib", ""]
        .iter()
        .map(|place| format!("-Wl,-rpath,{origin}{place}"))
        .collect();
    if !portable {
        arguments.push(format!("-Wl,-rpath,{libdir}"));
    } else if target == "linux" {
        // DT_RPATH instead of DT_RUNPATH: it also holds for what the bundled
        // libpython and its extension modules load in turn (OpenSSL, libffi, …).
        arguments.push("-Wl,--disable-new-dtags".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::run_path;

    #[test]
    fn packaged_layouts_are_looked_at_before_the_building_machine() {
        let arguments = run_path("linux", false, "/opt/py/lib");
        assert_eq!(arguments.first().map(String::as_str), Some("-Wl,-rpath,$ORIGIN/python/lib"));
        assert_eq!(arguments.last().map(String::as_str), Some("-Wl,-rpath,/opt/py/lib"));
    }

    #[test]
    fn a_portable_build_names_no_directory_of_this_machine() {
        for target in ["linux", "macos"] {
            let arguments = run_path(target, true, "/opt/py/lib");
            assert!(arguments.iter().all(|argument| !argument.contains("/opt/py")));
        }
    }
}
