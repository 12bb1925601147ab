//! A host for the module `qntx`: it records calls and answers what it is told.

use proto::frame::HostRefusal;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyModule};
use runtime::qntx::{self, Module};

static MODULE: PyOnceLock<Module> = PyOnceLock::new();

/// The module, installed with this host behind it.
pub(crate) fn qntx(py: Python<'_>) -> &'static Module {
    MODULE.get_or_init(py, || {
        let native = PyModule::new(py, "_qntx").expect("a module");
        qntx::natives(&native).expect("natives");
        native.add_function(wrap_pyfunction!(host_call, &native).expect("f")).expect("added");
        native.add_function(wrap_pyfunction!(host_note, &native).expect("f")).expect("added");
        native.add("answers", PyDict::new(py)).expect("added");
        native.add("calls", pyo3::types::PyList::empty(py)).expect("added");
        let modules = py.import("sys").and_then(|sys| sys.getattr("modules")).expect("modules");
        modules.set_item("_qntx", native).expect("set");
        qntx::install(py).expect("install")
    })
}

/// Answers from `_qntx.answers[name]`: a JSON text, or `(kind, reason)` to refuse.
#[pyfunction]
#[pyo3(name = "_host_call")]
fn host_call<'py>(py: Python<'py>, name: &str, args: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let native = py.import("_qntx")?;
    let text = String::from_utf8_lossy(args).into_owned();
    native.getattr("calls")?.call_method1("append", ((name, text),))?;
    let answer = native.getattr("answers")?.get_item(name)?;
    let answer = if answer.is_callable() { answer.call0()? } else { answer };
    if let Ok((kind, reason)) = answer.extract::<(String, String)>() {
        let refusal =
            HostRefusal { kind, call: name.to_owned(), reason, retryable: true, created: 7 };
        return Err(qntx(py).error(py, &refusal));
    }
    Ok(PyBytes::new(py, answer.extract::<String>()?.as_bytes()))
}

#[pyfunction]
#[pyo3(name = "_host_note")]
fn host_note(py: Python<'_>, json: &[u8]) -> PyResult<()> {
    let note = qntx::note(py, json)?;
    let calls = py.import("_qntx")?.getattr("calls")?;
    calls.call_method1("append", (("note", format!("{:?}", note.kind)),))?;
    Ok(())
}
