//! The Python module `qntx`, and the globals a script has without importing it.
//!
//! The module's code is part of the binary: [`install`] runs it in the
//! zygote and puts it into `sys.modules`, where every fork finds it. Its native
//! half is the private module `_qntx`; [`natives`] adds the JSON part of it, the
//! child adds the way to the supervisor.
//!
//! | Host call | Arguments (JSON object) | Reply (JSON) |
//! |---|---|---|
//! | `attest` | `subjects predicates contexts actors` (lists), `attributes` | the attestation |
//! | `attest_many` | `items`: list of the above | `{"created": n}` |
//! | `last` | `subjects predicates contexts actors` | the attestation or `null` |
//! | `query` | the same, `since until` (ms or null), `limit`; or `cursor` | `{"attestations": […], "cursor": next or null}` |
//! | `exists` | `id` | `true` or `false` |
//! | `fetch` | `url subjects predicate context fresh actor source` | `{"body", "status_code", "attestation_id"}` |
//! | `create_schedule` | `handler every payload metadata` | `{"id"}` |
//! | `pause_schedule`, `resume_schedule`, `delete_schedule` | `id` | `null` |
//! | `get_schedule`, `list_schedules` | `id`; nothing | the schedule; a list of them |
//! | `enqueue` | `handler payload` | `{"id"}` |
//! | `llm.chat` | `messages model provider temperature max_tokens attachments priority` | `{"content", "model", …}` |
//! | `embed` | `text` (one or a list), `model` | `{"vector": […]}` or `{"vectors": [[…]]}` |
//! | `search` | `query index top_k filters facets` | `{"hits", "total", "facet_distribution"}` |
//! | `vector_search` | `vector index top_k` | `[{"id", "distance"}]` |
//! | `read_file` | `id` | `{"mime_type", "base64"}` |
//! | `ground.write` | as `attest` | `null` |
//! | `ground.read` | `predicate context` | the text or `null` |
//! | `resolve` | `host` | `{"addresses", "error", "temporary"}`; asked by `socket`, where network is granted |
//!
//! **Invariant:** what [`Module`] holds was taken before user code ran; a script
//! that replaces the module's contents changes what it calls itself, not what
//! the child does.

use proto::claimed::{MAX_ARGS, MAX_LOG};
use proto::frame::{HostRefusal, Log, Note, Progress, note};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFunction, PyList, PyModule, PyTuple};

use crate::convert::{self, ConvertError, Mode, Rules, from_json, to_json};
use crate::{errors, source};

/// Deepest nesting of a host call's arguments.
const MAX_DEPTH: usize = 100;

/// The installed module, and what of it the child uses itself.
#[derive(Debug)]
pub struct Module {
    module: Py<PyModule>,
    globals: Py<PyDict>,
    make_error: Py<PyAny>,
    declared: Py<PyList>,
}

/// One use of a decorator.
#[derive(Debug)]
pub struct Declared<'py> {
    /// `watch`, `schedule` or `handler`.
    pub kind: String,
    /// The function as decorated.
    pub function: Bound<'py, PyAny>,
    /// watch: predicate, context; schedule: every, description; handler: description.
    pub details: Bound<'py, PyDict>,
}

/// Adds `encode` and `decode` to the private module `_qntx`.
pub fn natives(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(encode, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)
}

/// Runs the module and puts it into `sys.modules`, after `_qntx` is there;
/// takes the references that [`convert`] and [`errors`] need. In the zygote,
/// before any user code.
pub fn install(py: Python<'_>) -> PyResult<Module> {
    convert::prepare(py)?;
    errors::prepare(py)?;
    let module = PyModule::new(py, "qntx")?;
    let names = module.dict();
    let spec = py.import("_frozen_importlib")?.getattr("ModuleSpec")?;
    let spec = spec.call1(("qntx", py.None()))?;
    spec.setattr("origin", "built into qntx-python")?;
    names.set_item("__spec__", spec)?;
    names.set_item("__builtins__", py.import("builtins")?)?;
    // Found in `sys.modules` under its full name, before anything asks for its parent.
    let modules = py.import("sys")?.getattr("modules")?;
    let checks = PyModule::new(py, "qntx._checks")?;
    checks.dict().set_item("__builtins__", py.import("builtins")?)?;
    source::CHECKS.run(py, &checks.dict())?;
    modules.set_item("qntx._checks", checks)?;
    source::QNTX.run(py, &names)?;
    let globals = PyDict::new(py);
    for name in module.getattr("_GLOBALS")?.try_iter()? {
        let name = name?;
        globals.set_item(&name, names.as_any().get_item(&name)?)?;
    }
    let make_error = module.getattr("_make_error")?.unbind();
    let declared = module.getattr("_declared")?.cast_into::<PyList>()?.unbind();
    modules.set_item("qntx", &module)?;
    Ok(Module { module: module.unbind(), globals: globals.unbind(), make_error, declared })
}

impl Module {
    /// What a script's globals are given: the functions, and `upstream`.
    ///
    /// Forgets what earlier code declared. Keep the answer: it tells
    /// [`crate::variables::capture_variables`] which names are not the script's.
    pub fn begin<'py>(
        &self,
        py: Python<'py>,
        upstream: Option<&[u8]>,
        handler_name: &str,
        glyph_id: &str,
    ) -> PyResult<Bound<'py, PyDict>> {
        let upstream = match upstream {
            Some(json) if !json.is_empty() => from_json(py, json)?,
            Some(_) | None => py.None().into_bound(py),
        };
        let module = self.module.bind(py).dict();
        module.set_item(intern!(py, "upstream"), &upstream)?;
        module.set_item(intern!(py, "handler_name"), handler_name)?;
        module.set_item(intern!(py, "glyph_id"), glyph_id)?;
        let declared = self.declared.bind(py);
        declared.del_slice(0, declared.len())?;
        let given = self.globals.bind(py).copy()?;
        given.set_item(intern!(py, "upstream"), upstream)?;
        Ok(given)
    }

    /// What the decorators saw since [`Module::begin`], in order.
    pub fn declared<'py>(&self, py: Python<'py>) -> PyResult<Vec<Declared<'py>>> {
        let mut declared = Vec::new();
        for entry in self.declared.bind(py).iter() {
            let (kind, function, details) = entry.cast::<PyTuple>()?.extract()?;
            declared.push(Declared { kind, function, details });
        }
        Ok(declared)
    }

    /// The same as JSON: `[{"kind", "function", "line", …details}]`.
    pub fn declarations(&self, py: Python<'_>, max_bytes: usize) -> PyResult<Vec<u8>> {
        let list = PyList::empty(py);
        for Declared { kind, function, details } in self.declared(py)? {
            let entry = PyDict::new(py);
            entry.set_item("kind", kind)?;
            entry.set_item("function", function.getattr_opt(intern!(py, "__name__"))?)?;
            let line = match function.cast::<PyFunction>() {
                Ok(function) => {
                    let code = function.getattr(intern!(py, "__code__"))?;
                    Some(code.getattr(intern!(py, "co_firstlineno"))?)
                }
                Err(_) => None,
            };
            entry.set_item("line", line)?;
            entry.update(details.as_mapping())?;
            list.append(entry)?;
        }
        declarations(list.as_any(), max_bytes)
    }

    /// The exception for a host call that was refused.
    #[must_use]
    pub fn error(&self, py: Python<'_>, refusal: &HostRefusal) -> PyErr {
        let HostRefusal { kind, call, reason, retryable, created } = refusal;
        match self.make_error.bind(py).call1((kind, call, reason, retryable, created)) {
            Ok(error) => PyErr::from_value(error),
            Err(_) => PyRuntimeError::new_err(format!("{call}: {reason}")),
        }
    }
}

/// A list of declarations as JSON.
pub fn declarations(list: &Bound<'_, PyAny>, max_bytes: usize) -> PyResult<Vec<u8>> {
    let root = "declarations";
    let rules = Rules { max_bytes, max_depth: 4, mode: Mode::Attributes, root };
    to_json(list, &rules).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The frame of a `progress` or `log`, from what `_host_note` is given.
///
/// Texts beyond what the supervisor takes are cut, fields left out.
pub fn note(py: Python<'_>, json: &[u8]) -> PyResult<Note> {
    let note = from_json(py, json)?;
    let note = note.cast::<PyDict>()?;
    let part = |name: &str| {
        note.get_item(name)?.ok_or_else(|| PyValueError::new_err(format!("a note without {name}")))
    };
    let text = |name: &str, max: usize| -> PyResult<String> {
        let mut text = part(name)?.extract::<String>()?;
        text.truncate(errors::floor_boundary(&text, max));
        Ok(text)
    };
    let kind = match text("kind", 16)?.as_str() {
        "progress" => note::Kind::Progress(Progress {
            current: part("current")?.extract()?,
            total: part("total")?.extract()?,
            message: text("message", MAX_LOG)?,
        }),
        "log" => {
            let fields = part("fields")?;
            let rules = Rules {
                max_bytes: MAX_LOG,
                max_depth: MAX_DEPTH,
                mode: Mode::Result,
                root: "fields",
            };
            let fields = match to_json(&fields, &rules) {
                Ok(fields) => fields,
                Err(error) if error.is_limit() => br#"{"left_out":"too large"}"#.to_vec(),
                Err(error) => return Err(PyValueError::new_err(error.to_string())),
            };
            note::Kind::Log(Log {
                level: text("level", 16)?,
                message: text("message", MAX_LOG)?,
                stage: text("stage", 256)?,
                fields,
            })
        }
        other => return Err(PyValueError::new_err(format!("a note of unknown kind {other:?}"))),
    };
    Ok(Note { kind: Some(kind) })
}

/// The JSON of `value` under the rules for attributes; else `(whether a limit
/// was the reason, the reason)`.
#[pyfunction]
fn encode<'py>(value: &Bound<'py, PyAny>, root: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let rules = Rules { max_bytes: MAX_ARGS, max_depth: MAX_DEPTH, mode: Mode::Attributes, root };
    match to_json(value, &rules) {
        Ok(json) => Ok(PyBytes::new(py, &json).into_any()),
        Err(ConvertError::Raised { error, .. }) => Err(error),
        Err(error) => Ok((error.is_limit(), error.to_string()).into_pyobject(py)?.into_any()),
    }
}

/// The value of a JSON text.
#[pyfunction]
fn decode<'py>(py: Python<'py>, json: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    from_json(py, json)
}
