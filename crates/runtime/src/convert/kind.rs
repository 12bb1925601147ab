//! What a value is that is no plain builtin, told by the classes it derives from.
//!
//! Classes are known by module and name, so nothing has to be imported for it.
//! A class that borrows such a name is only converted by its own methods, like
//! any subclass of the real one.
//!
//! **Invariant:** asking what a value is runs no method of the value itself.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyString, PyType};

use super::fault::Fault;
use super::frame::Frame;
use super::out::Out;
use super::{Mode, Step, numpy, scalar};

/// How a class is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Enum,
    IsoText,
    Seconds,
    Text,
    Iterable,
    Mapping,
    Dataclass,
    NumpyScalar,
    NumpyArray,
    /// A subclass of a builtin perhaps; else nothing JSON knows.
    Other,
}

/// Kinds of the classes met in one conversion.
#[derive(Default)]
pub(super) struct Kinds<'py> {
    known: Vec<(Bound<'py, PyType>, Kind)>,
}

/// More classes than this are looked up each time.
const MAX_KNOWN: usize = 16;

impl<'py> Kinds<'py> {
    pub(super) fn of(&mut self, value: &Bound<'py, PyAny>) -> Result<Kind, Fault> {
        let class = value.get_type();
        if let Some((_, kind)) = self.known.iter().find(|(known, _)| known.is(&class)) {
            return Ok(*kind);
        }
        let kind = classify(&class)?;
        if self.known.len() < MAX_KNOWN {
            self.known.push((class, kind));
        }
        Ok(kind)
    }
}

fn classify(class: &Bound<'_, PyType>) -> Result<Kind, Fault> {
    for base in class.mro() {
        let Ok(base) = base.cast_into::<PyType>() else { continue };
        // a class may hide its names behind a metaclass; then it is not one of these
        let (Ok(module), Ok(name)) = (base.module(), base.name()) else { continue };
        let kind = named(&module.to_string_lossy(), &name.to_string_lossy());
        if let Some(kind) = kind {
            return Ok(kind);
        }
    }
    let fields = class.getattr_opt(intern!(class.py(), "__dataclass_fields__"))?;
    if fields.is_some_and(|fields| fields.is_instance_of::<PyDict>()) {
        return Ok(Kind::Dataclass);
    }
    Ok(Kind::Other)
}

fn named(module: &str, name: &str) -> Option<Kind> {
    match (module, name) {
        ("enum", "Enum") => Some(Kind::Enum),
        ("datetime", "datetime" | "date" | "time") => Some(Kind::IsoText),
        ("datetime", "timedelta") => Some(Kind::Seconds),
        ("decimal", "Decimal")
        | ("fractions", "Fraction")
        | ("uuid", "UUID")
        | ("pathlib" | "pathlib._local", "PurePath")
        | ("collections", "UserString")
        | ("ipaddress", "_IPAddressBase") => Some(Kind::Text),
        ("collections", "deque" | "UserList")
        | ("array", "array")
        | ("builtins", "range" | "dict_keys" | "dict_values" | "dict_items")
        | ("collections", "odict_keys" | "odict_values" | "odict_items")
        | ("builtins", "odict_keys" | "odict_values" | "odict_items") => Some(Kind::Iterable),
        ("builtins", "mappingproxy") | ("collections", "UserDict" | "ChainMap") => {
            Some(Kind::Mapping)
        }
        ("numpy", "generic") => Some(Kind::NumpyScalar),
        ("numpy", "ndarray") => Some(Kind::NumpyArray),
        _ => None,
    }
}

/// One look at a value of a result.
pub(super) fn step<'py>(
    value: &Bound<'py, PyAny>,
    kinds: &mut Kinds<'py>,
    out: &mut Out,
) -> Result<Step<'py>, Fault> {
    let py = value.py();
    let max = out.max();
    match kinds.of(value)? {
        Kind::Enum => Ok(Step::Instead(value.getattr(intern!(py, "value"))?)),
        Kind::IsoText => text(value, value.call_method0(intern!(py, "isoformat"))?, out),
        Kind::Text => text(value, value.str()?.into_any(), out),
        Kind::Seconds => {
            let seconds = value.call_method0(intern!(py, "total_seconds"))?;
            if !seconds.is_instance_of::<PyFloat>() {
                return Err(Fault::unsupported(value, "its total_seconds() is not a float"));
            }
            Ok(Step::Instead(seconds))
        }
        Kind::Iterable => Ok(Step::Open(Frame::of_iterable(value, max)?)),
        Kind::Mapping => Ok(Step::Open(Frame::of_mapping(value, max)?)),
        Kind::Dataclass => Ok(Step::Open(Frame::of_dataclass(value)?)),
        Kind::NumpyScalar => numpy::scalar(value, Mode::Result),
        Kind::NumpyArray => numpy::array(value, Mode::Result, out),
        Kind::Other => {
            if scalar::write_subclass(value, Mode::Result, out)? {
                return Ok(Step::Written);
            }
            if let Some(frame) = Frame::of_sequence(value, max)? {
                return Ok(Step::Open(frame));
            }
            if let Some(frame) = Frame::of_set(value, max)? {
                return Ok(Step::Open(frame));
            }
            if value.is_instance_of::<PyDict>() {
                return Ok(Step::Open(Frame::of_mapping(value, max)?));
            }
            Err(Fault::unsupported(value, advice(value)))
        }
    }
}

/// One look at a value of attributes.
pub(super) fn strict_step<'py>(
    value: &Bound<'py, PyAny>,
    kinds: &mut Kinds<'py>,
    out: &mut Out,
) -> Result<Step<'py>, Fault> {
    let max = out.max();
    if scalar::write_subclass(value, Mode::Attributes, out)? {
        return Ok(Step::Written);
    }
    if let Some(frame) = Frame::of_sequence(value, max)? {
        return Ok(Step::Open(frame));
    }
    if value.is_instance_of::<PyDict>() {
        return Ok(Step::Open(Frame::of_mapping(value, max)?));
    }
    match kinds.of(value)? {
        Kind::NumpyScalar => numpy::scalar(value, Mode::Attributes),
        Kind::NumpyArray => numpy::array(value, Mode::Attributes, out),
        Kind::Enum
        | Kind::IsoText
        | Kind::Seconds
        | Kind::Text
        | Kind::Iterable
        | Kind::Mapping
        | Kind::Dataclass
        | Kind::Other => Err(Fault::unsupported(value, "")),
    }
}

fn text<'py>(
    value: &Bound<'py, PyAny>,
    text: Bound<'py, PyAny>,
    out: &mut Out,
) -> Result<Step<'py>, Fault> {
    let Ok(text) = text.cast::<PyString>() else {
        return Err(Fault::unsupported(value, "its own method did not give a str"));
    };
    scalar::string(text, Mode::Result, out)?;
    Ok(Step::Written)
}

/// What to do about a value of a common type that JSON can't hold.
fn advice(value: &Bound<'_, PyAny>) -> &'static str {
    let class = value.get_type();
    let Ok(name) = class.name() else { return "" };
    match name.to_string_lossy().as_ref() {
        "generator" | "map" | "filter" | "zip" | "enumerate" | "reversed" => {
            "make it a list with list(...)"
        }
        "coroutine" => "await it, for instance with asyncio.run(...)",
        "function" | "builtin_function_or_method" | "method" => "call it",
        "module" | "type" => "assign its __name__",
        "complex" => "assign [z.real, z.imag]",
        "DataFrame" => "assign df.to_dict('records')",
        "Series" | "Index" => "assign its .tolist() or .to_dict()",
        "Tensor" => "assign its .tolist()",
        _ => "",
    }
}
