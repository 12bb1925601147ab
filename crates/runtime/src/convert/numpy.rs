//! numpy scalars and arrays, through numpy's own methods and without importing it.
//!
//! **Invariant:** an array is looked at for its size before its elements become
//! Python objects; a scalar never stands for a scalar of its own class again.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt};

use super::fault::Fault;
use super::out::Out;
use super::{Mode, Step};

/// The Python value a numpy scalar holds; `None` when there is none.
pub(super) fn plain<'py>(value: &Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyAny>>, Fault> {
    let py = value.py();
    let plain = match kind(value)? {
        'b' => PyBool::new(py, value.is_truthy()?).to_owned().into_any(),
        'i' | 'u' => py.get_type::<PyInt>().call1((value,))?,
        'f' => py.get_type::<PyFloat>().call1((value,))?,
        'M' => value.str()?.into_any(),
        'm' => value.div(second(value)?)?,
        'c' => return Ok(None),
        _ => value.call_method0(intern!(py, "item"))?,
    };
    if plain.get_type().is(value.get_type()) { Ok(None) } else { Ok(Some(plain)) }
}

pub(super) fn scalar<'py>(value: &Bound<'py, PyAny>, mode: Mode) -> Result<Step<'py>, Fault> {
    let plain = match mode {
        Mode::Result => plain(value)?,
        Mode::Attributes if matches!(kind(value)?, 'b' | 'i' | 'u' | 'f') => plain(value)?,
        Mode::Attributes => None,
    };
    let Some(plain) = plain else { return Err(Fault::unsupported(value, "")) };
    // a long double may hold more than a double
    if mode == Mode::Attributes && !plain.eq(value)? && plain.eq(&plain)? {
        return Err(Fault::Inexact {
            what: "a number no double holds exactly".to_owned(),
            hint: "pass it as float() or str()",
        });
    }
    Ok(Step::Instead(plain))
}

pub(super) fn array<'py>(
    value: &Bound<'py, PyAny>,
    mode: Mode,
    out: &Out,
) -> Result<Step<'py>, Fault> {
    let py = value.py();
    let size = value.getattr(intern!(py, "size"))?.extract::<usize>()?;
    out.has_room(size, 2)?;
    let tolist = intern!(py, "tolist");
    let plain = match (mode, kind(value)?) {
        (_, 'b' | 'i' | 'u' | 'f') | (Mode::Result, 'O' | 'S' | 'U' | 'V') => {
            value.call_method0(tolist)?
        }
        (Mode::Result, 'M') => {
            value.call_method1(intern!(py, "astype"), ("U",))?.call_method0(tolist)?
        }
        (Mode::Result, 'm') => value.div(second(value)?)?.call_method0(tolist)?,
        _ => return Err(Fault::unsupported(value, "")),
    };
    if plain.is(value) || plain.get_type().is(value.get_type()) {
        return Err(Fault::unsupported(value, "its tolist() is no list"));
    }
    // a list, or the one element of an array without dimensions
    Ok(Step::Instead(plain))
}

/// The character numpy calls the kind of element by.
fn kind(value: &Bound<'_, PyAny>) -> Result<char, Fault> {
    let py = value.py();
    let kind = value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?;
    Ok(kind.extract::<char>()?)
}

/// `timedelta64(1, 's')`
fn second<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, Fault> {
    let py = value.py();
    let class = value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "type"))?;
    Ok(class.call1((1, "s"))?)
}
