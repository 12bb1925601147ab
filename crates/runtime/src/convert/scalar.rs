//! Values without parts: numbers, text, bytes.
//!
//! **Invariant:** an integer is written in full or refused; the time for one is
//! bounded by the size limit, whatever limit the interpreter has on digits.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyMemoryView, PyString};

use super::Mode;
use super::fault::Fault;
use super::out::Out;

/// Largest integer up to which a double holds every one.
const MAX_EXACT: i64 = 1 << 53;

static SET_MAX_DIGITS: PyOnceLock<Option<(Py<PyAny>, Py<PyAny>)>> = PyOnceLock::new();

/// `sys.get_int_max_str_digits` and its setter; none before 3.10.7.
fn digit_limit(py: Python<'_>) -> PyResult<Option<&'static (Py<PyAny>, Py<PyAny>)>> {
    SET_MAX_DIGITS
        .get_or_try_init(py, || {
            let sys = py.import(intern!(py, "sys"))?;
            let get = sys.getattr_opt(intern!(py, "get_int_max_str_digits"))?;
            let set = sys.getattr_opt(intern!(py, "set_int_max_str_digits"))?;
            Ok(get.zip(set).map(|(get, set)| (get.unbind(), set.unbind())))
        })
        .map(Option::as_ref)
}

pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    digit_limit(py).map(|_| ())
}

/// Runs `work` without the interpreter's limit on the digits of an integer.
pub(crate) fn unlimited_digits<T>(
    py: Python<'_>,
    work: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let Some((get, set)) = digit_limit(py)? else { return work() };
    let before = get.bind(py).call0()?;
    set.bind(py).call1((0,))?;
    let done = work();
    set.bind(py).call1((before,))?;
    done
}

/// Writes `value` when it is exactly of a type without parts.
pub(super) fn write_exact(
    value: &Bound<'_, PyAny>,
    mode: Mode,
    out: &mut Out,
) -> Result<bool, Fault> {
    if value.is_none() {
        out.push(b"null")?;
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        string(text, mode, out)?;
    } else if let Ok(int) = value.cast_exact::<PyInt>() {
        integer(int, mode, out)?;
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        out.push(if truth.is_true() { b"true" } else { b"false" })?;
    } else if let Ok(float) = value.cast_exact::<PyFloat>() {
        self::float(float, mode, out)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Writes `value` when it is of a subclass of such a type, or bytes.
pub(super) fn write_subclass(
    value: &Bound<'_, PyAny>,
    mode: Mode,
    out: &mut Out,
) -> Result<bool, Fault> {
    if let Ok(text) = value.cast::<PyString>() {
        string(text, mode, out)?;
    } else if let Ok(int) = value.cast::<PyInt>() {
        integer(int, mode, out)?;
    } else if let Ok(float) = value.cast::<PyFloat>() {
        self::float(float, mode, out)?;
    } else if mode == Mode::Attributes {
        return Ok(false);
    } else if let Ok(bytes) = value.cast::<PyBytes>() {
        out.base64(bytes.as_bytes())?;
    } else if let Ok(bytes) = value.cast::<PyByteArray>() {
        out.has_room(bytes.len(), 1)?;
        out.base64(&bytes.to_vec())?;
    } else if let Ok(view) = value.cast::<PyMemoryView>() {
        let size = view.getattr(intern!(value.py(), "nbytes"))?.extract::<usize>()?;
        out.has_room(size, 1)?;
        let bytes = view.call_method0(intern!(value.py(), "tobytes"))?;
        let bytes = bytes.cast_into::<PyBytes>().map_err(PyErr::from)?;
        out.base64(bytes.as_bytes())?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

pub(super) fn string(text: &Bound<'_, PyString>, mode: Mode, out: &mut Out) -> Result<(), Fault> {
    // a character is at least a byte: don't encode what can't fit
    out.has_room(text.len()?, 1)?;
    if let Ok(text) = text.to_str() {
        return out.string(text);
    }
    match mode {
        Mode::Result => out.string(&without_surrogates(text)?),
        Mode::Attributes => Err(Fault::Inexact {
            what: "a string with a lone surrogate".to_owned(),
            hint: "it is not Unicode text; encode it with errors='replace' first",
        }),
    }
}

/// The text with each lone surrogate replaced by U+FFFD.
pub(crate) fn without_surrogates(text: &Bound<'_, PyString>) -> PyResult<String> {
    let py = text.py();
    if let Ok(text) = text.to_str() {
        return Ok(text.to_owned());
    }
    let encode = intern!(py, "encode");
    let arguments = (intern!(py, "utf-8"), intern!(py, "surrogatepass"));
    // str's own method: a subclass may have replaced it
    let encoded =
        py.get_type::<PyString>().call_method1(encode, (text, arguments.0, arguments.1))?;
    let encoded = encoded.cast_into::<PyBytes>()?;
    let mut bytes = encoded.as_bytes();
    let mut clean = String::new();
    while !bytes.is_empty() {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                clean.push_str(rest);
                break;
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                clean.push_str(&String::from_utf8_lossy(good));
                clean.push('\u{FFFD}');
                // a surrogate has three bytes
                bytes = bad.get(3..).unwrap_or_default();
            }
        }
    }
    Ok(clean)
}

pub(super) fn integer(int: &Bound<'_, PyInt>, mode: Mode, out: &mut Out) -> Result<(), Fault> {
    let py = int.py();
    if let Ok(small) = int.extract::<i64>() {
        if mode == Mode::Attributes && !(-MAX_EXACT..=MAX_EXACT).contains(&small) {
            return Err(beyond_exact(&small.to_string()));
        }
        return out.push(small.to_string().as_bytes());
    }
    let class = py.get_type::<PyInt>();
    let bits = class.call_method1(intern!(py, "bit_length"), (int,))?.extract::<u64>()?;
    if mode == Mode::Attributes {
        return Err(beyond_exact(&format!("an integer of {bits} bits")));
    }
    // 2^10 > 10^3, so there are more than 3/10 digits to a bit
    let digits = usize::try_from(bits / 10).unwrap_or(usize::MAX);
    out.has_room(digits, 3)?;
    let text = unlimited_digits(py, || class.call_method1(intern!(py, "__repr__"), (int,)))?;
    let text = text.cast_into::<PyString>().map_err(PyErr::from)?;
    let text = text.to_str()?;
    // for big integers CPython calls Python code that the script could replace
    if !text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::unsupported(int, "its digits could not be had"));
    }
    out.push(text.as_bytes())
}

fn beyond_exact(what: &str) -> Fault {
    Fault::Inexact {
        what: what.to_owned(),
        hint: "a double is exact up to 2^53 only; pass it as str()",
    }
}

pub(super) fn float(float: &Bound<'_, PyFloat>, mode: Mode, out: &mut Out) -> Result<(), Fault> {
    let number = float.value();
    if let Some(word) = not_finite(number) {
        if mode == Mode::Attributes {
            let hint = "leave it out, or pass None or a string";
            return Err(Fault::Inexact { what: word.to_owned(), hint });
        }
        return out.string(word);
    }
    out.push(float_text(number).as_bytes())
}

/// The word for a float that JSON has no number for.
pub(super) fn not_finite(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number == f64::INFINITY {
        Some("Infinity")
    } else if number == f64::NEG_INFINITY {
        Some("-Infinity")
    } else {
        None
    }
}

/// A finite float as Python writes it: the shortest digits that read back the same.
pub(super) fn float_text(number: f64) -> String {
    let shortest = format!("{number:e}");
    let Some((digits, exponent)) = shortest.split_once('e') else { return shortest };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        Ok(_) | Err(_) => format!("{number:?}"),
    }
}
