//! An uncaught exception as data: what `python` would print, without frames of ours.
//!
//! The text comes from the standard library's own `traceback`, so that carets,
//! notes, groups, chains and folded recursion look as they do everywhere. It is
//! driven by python/errors.py, which [`prepare`] runs in the zygote; what user
//! code does to builtins later does not reach it, and to `sys.modules` only in a
//! child that was forked before [`load`]: there it makes the text a plainer one.
//!
//! **Invariant:** every exception has a description. Where describing it fails
//! (a hostile class, no memory) a plainer text made here takes its place.

use proto::claimed::MAX_TRACEBACK;
use proto::frame::Raised;
use pyo3::exceptions::{PyMemoryError, PySyntaxError, PySystemExit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyTuple, PyType};

use crate::convert::without_surrogates;

/// Pseudo-files of our own helpers: their frames are not shown.
pub const OUR_FILES: [&str; 2] = ["<qntx>", "<qntx errors>"];

/// Most bytes of a message that are kept.
const MAX_MESSAGE: usize = 64 << 10;

struct Helper {
    load: Py<PyAny>,
    describe: Py<PyAny>,
    register: Py<PyAny>,
    ours: Py<PyTuple>,
}

static HELPER: PyOnceLock<Helper> = PyOnceLock::new();

/// Makes our helper ready. Call it in the zygote, before user code.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    helper(py).map(|_| ())
}

/// Loads `traceback`, which is otherwise done for the first exception that is described. Call
/// it in the zygote, before it forks children that nobody waits for.
pub fn load(py: Python<'_>) -> PyResult<()> {
    helper(py)?.load.bind(py).call0().map(|_| ())
}

fn helper(py: Python<'_>) -> PyResult<&'static Helper> {
    HELPER.get_or_try_init(py, || {
        let globals = PyDict::new(py);
        let builtins = py.import("builtins")?.dict().copy()?;
        globals.set_item("__builtins__", builtins)?;
        globals.set_item("__name__", "_qntx_errors")?;
        crate::source::ERRORS.run(py, &globals)?;
        let part = |name: &str| {
            let part = globals.get_item(name)?;
            part.map(Bound::unbind).ok_or_else(|| PyErr::new::<PyMemoryError, _>(()))
        };
        Ok(Helper {
            load: part("load")?,
            describe: part("describe")?,
            register: part("register")?,
            ours: PyTuple::new(py, OUR_FILES)?.unbind(),
        })
    })
}

/// Makes the lines of `source` known under `filename`, so that tracebacks show them.
///
/// Call it before the code runs; it costs a copy of the text.
pub fn register_source(py: Python<'_>, filename: &str, source: &str) -> PyResult<()> {
    let lines = PyList::empty(py);
    let mut rest = source.strip_prefix('\u{FEFF}').unwrap_or(source);
    while !rest.is_empty() {
        // Python's lines end with these three only, unlike str.splitlines
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let after = if rest[end..].starts_with("\r\n") { end + 2 } else { end + 1 };
        lines.append(format!("{}\n", &rest[..end]))?;
        rest = rest.get(after..).unwrap_or_default();
    }
    helper(py)?.register.bind(py).call1((filename, lines))?;
    Ok(())
}

/// The description of an uncaught exception. `user_file` is the file name the
/// user's own code was compiled under.
#[must_use]
pub fn raised(py: Python<'_>, error: &PyErr, user_file: &str) -> Raised {
    let (traceback, line) = match described(py, error, user_file) {
        Ok(described) => described,
        Err(_) => (plain_traceback(py, error), 0),
    };
    Raised {
        r#type: type_name(&error.get_type(py)),
        message: cut(message(py, error), MAX_MESSAGE),
        traceback: cut_middle(traceback, MAX_TRACEBACK),
        line,
        memory_error: error.is_instance_of::<PyMemoryError>(py),
    }
}

fn described(py: Python<'_>, error: &PyErr, user_file: &str) -> PyResult<(String, u32)> {
    let helper = helper(py)?;
    // before 3.12 the traceback is not in the exception until it is asked for like this
    let exception = error.clone_ref(py).into_value(py);
    let answer = helper.describe.bind(py).call1((exception, user_file, &helper.ours))?;
    let (text, line) = answer.extract::<(Vec<u8>, i64)>()?;
    Ok((String::from_utf8_lossy(&text).into_owned(), u32::try_from(line).unwrap_or_default()))
}

/// The code and text of a `SystemExit`, by the rules of CPython; `None` when
/// the exception is another one.
///
/// The code is what the process's parent would see. A text goes to stderr,
/// followed by a line feed.
#[must_use]
pub fn exit_code(py: Python<'_>, error: &PyErr) -> Option<(i32, Option<String>)> {
    if !error.is_instance_of::<PySystemExit>(py) {
        return None;
    }
    let exception = error.value(py);
    let code = match exception.getattr(intern!(py, "code")) {
        Ok(code) => code,
        // as CPython does: the exception itself is printed
        Err(_) => exception.as_any().clone(),
    };
    if code.is_none() {
        return Some((0, None));
    }
    if let Ok(int) = code.cast::<PyInt>() {
        // beyond a C long CPython takes -1; exit() keeps the low eight bits
        let code = int.extract::<i64>().unwrap_or(-1) & 0xff;
        return Some((i32::try_from(code).unwrap_or(255), None));
    }
    let text = match code.str() {
        Ok(text) => escaped(&text),
        Err(_) => String::new(),
    };
    Some((1, Some(cut(text, MAX_MESSAGE))))
}

/// `Type: message` in one line, for messages of our own.
#[must_use]
pub fn summary(py: Python<'_>, error: &PyErr) -> String {
    let name = type_name(&error.get_type(py));
    let message = cut(message(py, error), 500);
    if message.is_empty() { name } else { format!("{name}: {message}") }
}

/// The class's name, qualified unless it is a builtin or the script's own.
#[must_use]
pub fn type_name(class: &Bound<'_, PyType>) -> String {
    let name = class.qualname().or_else(|_| class.name());
    let name = name.map_or_else(|_| "<unnamed type>".to_owned(), |name| escaped(&name));
    let module = class.module().map_or_else(|_| String::new(), |module| escaped(&module));
    let name = match module.as_str() {
        "" | "builtins" | "__main__" => name,
        module => format!("{module}.{name}"),
    };
    cut(name, 200)
}

fn message(py: Python<'_>, error: &PyErr) -> String {
    let value = error.value(py);
    if error.is_instance_of::<PySyntaxError>(py)
        && let Ok(text) = value.getattr(intern!(py, "msg"))
        && let Ok(text) = text.cast::<PyString>()
    {
        return escaped(text);
    }
    value.str().map_or_else(|_| "<exception str() failed>".to_owned(), |text| escaped(&text))
}

/// Without the standard library: file, line and function of each frame.
fn plain_traceback(py: Python<'_>, error: &PyErr) -> String {
    let mut text = String::new();
    let mut next = error.traceback(py).map(Bound::into_any);
    while let Some(entry) = next {
        if text.is_empty() {
            text.push_str("Traceback (most recent call last):\n");
        }
        if let Ok((file, line, function)) = plain_frame(&entry)
            && !OUR_FILES.contains(&file.as_str())
        {
            text.push_str(&format!("  File \"{file}\", line {line}, in {function}\n"));
        }
        if text.len() > MAX_TRACEBACK {
            break;
        }
        next = entry.getattr(intern!(py, "tb_next")).ok().filter(|next| !next.is_none());
    }
    text + &summary(py, error) + "\n"
}

fn plain_frame(entry: &Bound<'_, PyAny>) -> PyResult<(String, u32, String)> {
    let py = entry.py();
    let code = entry.getattr(intern!(py, "tb_frame"))?.getattr(intern!(py, "f_code"))?;
    Ok((
        code.getattr(intern!(py, "co_filename"))?.extract()?,
        entry.getattr(intern!(py, "tb_lineno"))?.extract()?,
        code.getattr(intern!(py, "co_name"))?.extract()?,
    ))
}

/// As Python's stderr writes text: lone surrogates as `\udc80`.
fn escaped(text: &Bound<'_, PyString>) -> String {
    if let Ok(text) = text.to_str() {
        return text.to_owned();
    }
    let py = text.py();
    let encoded = py
        .get_type::<PyString>()
        .call_method1(intern!(py, "encode"), (text, "utf-8", "backslashreplace"))
        .and_then(|bytes| bytes.extract::<Vec<u8>>());
    match encoded {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => without_surrogates(text).unwrap_or_default(),
    }
}

/// The last character boundary at or before byte `at`.
pub(crate) fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// At most `max` bytes of the text, `...` included.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(floor_boundary(&text, max - 3));
        text.push_str("...");
    }
    text
}

/// At most `max` bytes: a traceback's first and last lines are what matters.
fn cut_middle(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let half = max / 2 - 50;
    let head = &text[..floor_boundary(&text, half)];
    let tail = &text[floor_boundary(&text, text.len() - half)..];
    let left_out = text.len() - head.len() - tail.len();
    format!("{head}\n  [{left_out} bytes are left out]\n{tail}")
}
