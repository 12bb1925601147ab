//! Containers that are open while their parts are written.
//!
//! **Invariant:** a container is either copied before any code of a class can
//! run, or read with a bounds check each time: one that changes meanwhile can
//! make the text odd, never invalid, and never the process.

use std::collections::HashSet;
use std::vec;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple};

use super::Mode;
use super::fault::Fault;
use super::kind::{Kind, Kinds};
use super::out::{Out, room};
use super::{numpy, scalar};
use crate::errors;

type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// An open container.
pub(super) struct Frame<'py> {
    owner: Bound<'py, PyAny>,
    /// How many parts were begun.
    begun: usize,
    parts: Parts<'py>,
}

enum Parts<'py> {
    List(Bound<'py, PyList>),
    Tuple(Bound<'py, PyTuple>),
    /// A copy of what an iterator gave.
    Copied(vec::IntoIter<Bound<'py, PyAny>>),
    /// Parts of a set, to be put into the order of their text, with where the
    /// text of each starts.
    Unordered(vec::IntoIter<Bound<'py, PyAny>>, Vec<usize>),
    Dict {
        pairs: vec::IntoIter<Pair<'py>>,
        key: Option<Bound<'py, PyAny>>,
        /// Keys already written, when two may have the same text.
        seen: Option<HashSet<Vec<u8>>>,
    },
    /// Fields of a dataclass.
    Fields {
        fields: Bound<'py, PyTuple>,
        name: Option<Bound<'py, PyAny>>,
    },
}

impl<'py> Frame<'py> {
    /// The frame of a value that is exactly a builtin container.
    pub(super) fn of_exact(value: &Bound<'py, PyAny>, max: usize) -> Result<Option<Self>, Fault> {
        let parts = if let Ok(list) = value.cast_exact::<PyList>() {
            room(max, list.len(), 2)?;
            Parts::List(list.clone())
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            room(max, tuple.len(), 2)?;
            Parts::Tuple(tuple.clone())
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            Parts::dict(pairs_of(dict, max)?)
        } else {
            return Ok(None);
        };
        Ok(Some(Self::new(value, parts)))
    }

    /// The frame of a value of a subclass of a list or tuple, by what it holds.
    pub(super) fn of_sequence(
        value: &Bound<'py, PyAny>,
        max: usize,
    ) -> Result<Option<Self>, Fault> {
        let parts = if let Ok(list) = value.cast::<PyList>() {
            room(max, list.len(), 2)?;
            Parts::List(list.clone())
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            room(max, tuple.len(), 2)?;
            Parts::Tuple(tuple.clone())
        } else {
            return Ok(None);
        };
        Ok(Some(Self::new(value, parts)))
    }

    /// The frame of anything that can be iterated to an end.
    pub(super) fn of_iterable(value: &Bound<'py, PyAny>, max: usize) -> Result<Self, Fault> {
        Ok(Self::new(value, Parts::Copied(copied(value, max)?.into_iter())))
    }

    /// The frame of a set: in the order of its values when that is one.
    pub(super) fn of_set(value: &Bound<'py, PyAny>, max: usize) -> Result<Option<Self>, Fault> {
        if value.cast::<PySet>().is_err() && value.cast::<PyFrozenSet>().is_err() {
            return Ok(None);
        }
        let mut parts = copied(value, max)?;
        let numbers = parts.iter().all(|part| {
            part.is_exact_instance_of::<PyInt>()
                || part.cast_exact::<PyFloat>().is_ok_and(|float| !float.value().is_nan())
        });
        let texts = || parts.iter().all(|part| part.is_exact_instance_of::<PyString>());
        let parts = if numbers || texts() {
            let list = PyList::new(value.py(), parts.drain(..))?;
            list.sort()?;
            Parts::List(list)
        } else {
            Parts::Unordered(parts.into_iter(), Vec::new())
        };
        Ok(Some(Self::new(value, parts)))
    }

    /// The frame of a mapping, by its method `items`.
    pub(super) fn of_mapping(value: &Bound<'py, PyAny>, max: usize) -> Result<Self, Fault> {
        let items = value.call_method0(intern!(value.py(), "items"))?;
        let mut pairs = Vec::new();
        for item in copied(&items, max)? {
            pairs.push(item.extract::<Pair<'py>>()?);
        }
        Ok(Self::new(value, Parts::dict(pairs)))
    }

    /// The frame of a dataclass instance.
    pub(super) fn of_dataclass(value: &Bound<'py, PyAny>) -> Result<Self, Fault> {
        let py = value.py();
        let dataclasses = py.import(intern!(py, "dataclasses"))?;
        let fields = dataclasses.call_method1(intern!(py, "fields"), (value,))?;
        let fields = fields.cast_into::<PyTuple>().map_err(PyErr::from)?;
        Ok(Self::new(value, Parts::Fields { fields, name: None }))
    }

    fn new(owner: &Bound<'py, PyAny>, parts: Parts<'py>) -> Self {
        Self { owner: owner.clone(), begun: 0, parts }
    }

    /// Whether both are open for the same object.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.owner.is(&other.owner)
    }

    fn is_object(&self) -> bool {
        matches!(self.parts, Parts::Dict { .. } | Parts::Fields { .. })
    }

    pub(super) fn open(&self, out: &mut Out) -> Result<(), Fault> {
        out.push(if self.is_object() { b"{" } else { b"[" })
    }

    /// Writes what stands before the next part, and gives it.
    pub(super) fn next(
        &mut self,
        py: Python<'py>,
        mode: Mode,
        out: &mut Out,
        kinds: &mut Kinds<'py>,
    ) -> Result<Option<Bound<'py, PyAny>>, Fault> {
        let at = self.begun;
        let part = match &mut self.parts {
            Parts::List(list) if at < list.len() => list.get_item(at).ok(),
            Parts::Tuple(tuple) if at < tuple.len() => Some(tuple.get_item(at)?),
            Parts::List(_) | Parts::Tuple(_) => None,
            Parts::Copied(parts) | Parts::Unordered(parts, _) => parts.next(),
            Parts::Dict { pairs, key, .. } => pairs.next().map(|(next, value)| {
                *key = Some(next);
                value
            }),
            Parts::Fields { fields, name } if at < fields.len() => {
                let next = fields.get_item(at)?.getattr(intern!(py, "name"))?;
                let next = name.insert(next).cast::<PyString>().map_err(PyErr::from)?;
                Some(self.owner.getattr(next)?)
            }
            Parts::Fields { .. } => None,
        };
        let Some(part) = part else { return Ok(None) };
        self.begun += 1;
        if at > 0 {
            out.push(b",")?;
        }
        match &mut self.parts {
            Parts::Dict { key: Some(key), seen, .. } => {
                let from = out.len();
                write_key(key, mode, out, kinds)?;
                if let Some(seen) = seen
                    && !seen.insert(out.tail(from).to_vec())
                {
                    let key = String::from_utf8_lossy(out.tail(from));
                    return Err(Fault::DuplicateKey { key: shortened(&key) });
                }
                out.push(b":")?;
            }
            Parts::Fields { name: Some(name), .. } => {
                let name = name.cast::<PyString>().map_err(PyErr::from)?;
                scalar::string(name, mode, out)?;
                out.push(b":")?;
            }
            Parts::Unordered(_, starts) => starts.push(out.len()),
            Parts::List(_)
            | Parts::Tuple(_)
            | Parts::Copied(_)
            | Parts::Dict { .. }
            | Parts::Fields { .. } => {}
        }
        Ok(Some(part))
    }

    pub(super) fn close(&self, out: &mut Out) -> Result<(), Fault> {
        if let Parts::Unordered(_, starts) = &self.parts
            && let Some(first) = starts.first()
        {
            let ends = starts.iter().skip(1).map(|start| start - 1).chain([out.len()]);
            let mut texts: Vec<&[u8]> = starts
                .iter()
                .zip(ends)
                .map(|(start, end)| &out.tail(*start)[..end - start])
                .collect();
            texts.sort_unstable();
            let ordered = texts.join(&b',');
            out.replace_tail(*first, &ordered)?;
        }
        out.push(if self.is_object() { b"}" } else { b"]" })
    }

    /// Appends the way to the part that was begun last.
    pub(super) fn describe(&self, path: &mut String) {
        use std::fmt::Write as _;
        match &self.parts {
            Parts::Dict { key: Some(key), .. } => describe_key(key, path),
            Parts::Fields { name: Some(name), .. } => describe_key(name, path),
            // a set's parts have no position
            Parts::Unordered(..) => path.push_str("{…}"),
            Parts::List(_)
            | Parts::Tuple(_)
            | Parts::Copied(_)
            | Parts::Dict { key: None, .. }
            | Parts::Fields { name: None, .. } => {
                if let Some(at) = self.begun.checked_sub(1) {
                    let _ = write!(path, "[{at}]");
                }
            }
        }
    }
}

impl<'py> Parts<'py> {
    fn dict(pairs: Vec<Pair<'py>>) -> Self {
        // exact strings that are Unicode differ as JSON because they differ
        let plain = pairs
            .iter()
            .all(|(key, _)| key.cast_exact::<PyString>().is_ok_and(|text| text.to_str().is_ok()));
        let seen = if plain { None } else { Some(HashSet::new()) };
        Self::Dict { pairs: pairs.into_iter(), key: None, seen }
    }
}

fn pairs_of<'py>(dict: &Bound<'py, PyDict>, max: usize) -> Result<Vec<Pair<'py>>, Fault> {
    room(max, dict.len(), 5)?;
    let mut pairs = Vec::new();
    pairs.try_reserve_exact(dict.len()).map_err(|_| Fault::OutOfMemory)?;
    pairs.extend(dict.iter());
    Ok(pairs)
}

/// What iterating gives, as long as it can fit at all.
fn copied<'py>(value: &Bound<'py, PyAny>, max: usize) -> Result<Vec<Bound<'py, PyAny>>, Fault> {
    let mut parts = Vec::new();
    for part in value.try_iter()? {
        parts.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
        parts.push(part?);
        room(max, parts.len(), 2)?;
    }
    Ok(parts)
}

fn write_key<'py>(
    key: &Bound<'py, PyAny>,
    mode: Mode,
    out: &mut Out,
    kinds: &mut Kinds<'py>,
) -> Result<(), Fault> {
    if let Ok(text) = key.cast::<PyString>() {
        return scalar::string(text, mode, out);
    }
    let refused = || Fault::Key { type_name: errors::type_name(&key.get_type()) };
    if mode == Mode::Attributes {
        return Err(refused());
    }
    if key.is_none() {
        out.push(b"\"null\"")
    } else if let Ok(truth) = key.cast::<PyBool>() {
        out.push(if truth.is_true() { b"\"true\"" } else { b"\"false\"" })
    } else if let Ok(int) = key.cast::<PyInt>() {
        out.push(b"\"")?;
        scalar::integer(int, mode, out)?;
        out.push(b"\"")
    } else if let Ok(float) = key.cast::<PyFloat>() {
        let number = float.value();
        match scalar::not_finite(number) {
            Some(word) => out.string(word),
            None => out.string(&scalar::float_text(number)),
        }
    } else if kinds.of(key)? == Kind::NumpyScalar {
        match numpy::plain(key)? {
            Some(plain) if !plain.get_type().is(key.get_type()) => {
                if !plain.is_instance_of::<PyInt>() && !plain.is_instance_of::<PyFloat>() {
                    return Err(refused());
                }
                write_key(&plain, mode, out, kinds)
            }
            Some(_) | None => Err(refused()),
        }
    } else {
        Err(refused())
    }
}

fn describe_key(key: &Bound<'_, PyAny>, path: &mut String) {
    use std::fmt::Write as _;
    let name = match key.cast::<PyString>() {
        Ok(text) => scalar::without_surrogates(text).unwrap_or_default(),
        // only exact builtins: no code of a class runs for a message
        Err(_) if key.is_exact_instance_of::<PyInt>() || key.is_exact_instance_of::<PyFloat>() => {
            key.repr().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
        }
        Err(_) => errors::type_name(&key.get_type()),
    };
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let _ = if plain && !name.is_empty() && key.is_instance_of::<PyString>() && name.len() <= 60 {
        write!(path, ".{name}")
    } else {
        write!(path, "[{:?}]", shortened(&name))
    };
}

fn shortened(text: &str) -> String {
    if text.len() <= 60 {
        return text.to_owned();
    }
    format!("{}…", &text[..errors::floor_boundary(text, 60)])
}
