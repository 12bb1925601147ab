//! Why a value has no JSON.
//!
//! **Invariant:** every message names the path of the value and, for a limit,
//! the limit; building a message runs no code of the value's own class.

use pyo3::prelude::*;

use super::frame::Frame;
use super::{Mode, Rules};
use crate::errors;

/// Why a value could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A type without a JSON form.
    #[error("{path} is of type {type_name}, which {target} can't hold: {hint}")]
    Unsupported { path: String, type_name: String, target: &'static str, hint: &'static str },
    /// A value of a type that has a form, but not this value in attributes.
    #[error("{path} is {what}, which attributes can't hold: {hint}")]
    Inexact { path: String, what: String, hint: &'static str },
    /// A dictionary key that is not text and has no text form.
    #[error("{path} has a key of type {type_name}: {target} wants str keys")]
    Key { path: String, type_name: String, target: &'static str },
    /// Two keys of one dictionary have the same text.
    #[error("{path} has two keys that are both {key} as JSON")]
    DuplicateKey { path: String, key: String },
    /// A container inside itself.
    #[error("{path} contains itself")]
    Cycle { path: String },
    /// Nested beyond the limit.
    #[error("{path} is nested deeper than the limit of {limit} levels")]
    TooDeep { path: String, limit: usize },
    /// Longer than the limit.
    #[error("the JSON of {root} is longer than the limit of {limit} bytes, reached at {path}")]
    TooLarge { root: String, path: String, limit: usize },
    /// Code of the value's class raised.
    #[error("{path} could not be converted, its own code raised {summary}")]
    Raised { path: String, summary: String, error: PyErr },
    /// No memory for the JSON text.
    #[error("no memory left for the JSON of {path}")]
    OutOfMemory { path: String },
}

impl ConvertError {
    /// Whether a limit was the reason.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        match self {
            Self::TooDeep { .. } | Self::TooLarge { .. } | Self::OutOfMemory { .. } => true,
            Self::Unsupported { .. }
            | Self::Inexact { .. }
            | Self::Key { .. }
            | Self::DuplicateKey { .. }
            | Self::Cycle { .. }
            | Self::Raised { .. } => false,
        }
    }
}

/// A [`ConvertError`] that does not know its path yet.
#[derive(Debug)]
pub(super) enum Fault {
    Unsupported { type_name: String, hint: &'static str },
    Inexact { what: String, hint: &'static str },
    Key { type_name: String },
    DuplicateKey { key: String },
    Cycle,
    TooDeep,
    TooLarge,
    OutOfMemory,
    Raised(PyErr),
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl Fault {
    /// `hint` empty: the general advice.
    pub(super) fn unsupported(value: &Bound<'_, PyAny>, hint: &'static str) -> Self {
        Self::Unsupported { type_name: errors::type_name(&value.get_type()), hint }
    }

    pub(super) fn at(self, py: Python<'_>, rules: &Rules<'_>, stack: &[Frame<'_>]) -> ConvertError {
        let root = rules.root;
        let path = path(root, stack);
        // a key is no place of its own: the dictionary is meant
        let holders = stack.split_last().map_or(stack, |(_, holders)| holders);
        let (target, advice) = match rules.mode {
            Mode::Result => {
                ("JSON", "assign something JSON can hold to _result, or its repr() or str()")
            }
            Mode::Attributes => (
                "an attribute",
                "use None, bool, int, float, str, list or dict, for instance str() of it",
            ),
        };
        match self {
            Self::Unsupported { type_name, hint } => {
                let hint = if hint.is_empty() { advice } else { hint };
                ConvertError::Unsupported { path, type_name, target, hint }
            }
            Self::Inexact { what, hint } => ConvertError::Inexact { path, what, hint },
            Self::Key { type_name } => {
                ConvertError::Key { path: self::path(root, holders), type_name, target }
            }
            Self::DuplicateKey { key } => {
                ConvertError::DuplicateKey { path: self::path(root, holders), key }
            }
            Self::Cycle => ConvertError::Cycle { path },
            Self::TooDeep => ConvertError::TooDeep { path, limit: rules.max_depth },
            Self::TooLarge => ConvertError::TooLarge {
                root: if root.is_empty() { "the value" } else { root }.to_owned(),
                path,
                limit: rules.max_bytes,
            },
            Self::OutOfMemory => ConvertError::OutOfMemory { path },
            Self::Raised(error) => {
                ConvertError::Raised { path, summary: errors::summary(py, &error), error }
            }
        }
    }
}

/// Longest path shown; the middle of a longer one is left out.
const MAX_PATH: usize = 200;

fn path(root: &str, stack: &[Frame<'_>]) -> String {
    let mut path = root.to_owned();
    for frame in stack {
        frame.describe(&mut path);
    }
    if path.is_empty() {
        path.push_str("the value");
    }
    let path = path.strip_prefix('.').unwrap_or(&path);
    if path.len() <= MAX_PATH {
        return path.to_owned();
    }
    let head = errors::floor_boundary(path, MAX_PATH / 2);
    let tail = errors::floor_boundary(path, path.len() - MAX_PATH / 2);
    format!("{}…{}", &path[..head], &path[tail..])
}
