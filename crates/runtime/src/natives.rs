//! The private module `_qntx`: what Python code in a child may ask of ours.
//!
//! **Invariant:** a host call waits on its frame only, detached from the
//! interpreter, so that the program's other threads go on.

use crate::{link, qntx};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyModule};

static MODULE: PyOnceLock<qntx::Module> = PyOnceLock::new();

/// Installs `_qntx` and, on top of it, `qntx`. In the zygote.
pub fn install(py: Python<'_>) -> PyResult<&'static qntx::Module> {
    MODULE.get_or_try_init(py, || {
        let natives = PyModule::new(py, "_qntx")?;
        qntx::natives(&natives)?;
        natives.add_function(wrap_pyfunction!(_host_call, &natives)?)?;
        natives.add_function(wrap_pyfunction!(_host_note, &natives)?)?;
        py.import("sys")?.getattr("modules")?.set_item("_qntx", &natives)?;
        qntx::install(py)
    })
}

/// Has the supervisor resolve the names of hosts. In the zygote, after [`install`].
pub fn resolve_names(py: Python<'_>) -> PyResult<()> {
    let names = PyDict::new(py);
    names.set_item("__builtins__", py.import("builtins")?)?;
    names.set_item("__name__", "_socket")?;
    crate::source::RESOLVE.run(py, &names)
}

/// Asks the supervisor; raises the class of `qntx` that the refusal names.
#[pyfunction]
fn _host_call<'py>(py: Python<'py>, name: &str, args: Vec<u8>) -> PyResult<Bound<'py, PyBytes>> {
    match py.detach(|| link::host_call(name, args)) {
        Ok(value) => Ok(PyBytes::new(py, &value)),
        Err(refusal) => Err(install(py)?.error(py, &refusal)),
    }
}

/// Tells the supervisor; nothing is awaited.
#[pyfunction]
fn _host_note(py: Python<'_>, json: &[u8]) -> PyResult<()> {
    let note = qntx::note(py, json)?;
    py.detach(|| link::note(note));
    Ok(())
}
