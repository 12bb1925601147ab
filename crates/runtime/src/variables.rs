//! `capture_variables`: the script's own public globals, as text.
//!
//! **Invariant:** at most [`CUT`] bytes of a repr are built for a builtin
//! container, however large or deep it is; a repr that raises is one entry that
//! says so, never an error.

use std::time::{Duration, Instant};

use proto::claimed::{MAX_REPR, MAX_VARIABLES};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBytes, PyDict, PyFrozenSet, PyInt, PyList, PyModule, PySet, PySlice, PyString, PyTuple,
};

use crate::convert::{unlimited_digits, without_surrogates};
use crate::errors;

/// A longer repr is cut at this many bytes, at a character boundary, plus `...`.
const CUT: usize = 1000;
/// So many characters have a longer repr than that.
const CUT_CHARS: isize = 1001;
/// Together; what is beyond is counted, not shown.
const MAX_TOTAL: usize = 4 << 20;
/// Time for all of them; what is left then is named without its repr.
const MAX_TIME: Duration = Duration::from_secs(1);
/// Containers within containers that are shown.
const MAX_DEPTH: usize = 100;
/// Bits of the largest integer that is written out to be cut.
const MAX_BITS: u64 = 1 << 20;

/// Name → repr of what the script defined at top level.
///
/// Left out: names starting with `_`, modules, and what is still the object that
/// `injected` gave that name.
#[must_use]
pub fn capture_variables(
    globals: &Bound<'_, PyDict>,
    injected: &Bound<'_, PyDict>,
) -> Vec<(String, String)> {
    let deadline = Instant::now() + MAX_TIME;
    let mut own = Vec::new();
    // a copy: a repr may change the globals
    for (name, value) in globals.iter() {
        let Ok(key) = name.cast::<PyString>() else { continue };
        let given = injected.get_item(key).ok().flatten();
        if value.is_instance_of::<PyModule>() || given.is_some_and(|given| given.is(&value)) {
            continue;
        }
        let Ok(name) = without_surrogates(key) else { continue };
        if !name.starts_with('_') && name.len() <= MAX_REPR {
            own.push((name, value));
        }
    }
    let mut captured: Vec<(String, String)> = Vec::new();
    let mut total = 0;
    let count = own.len();
    for (name, value) in own {
        if captured.len() + 1 >= MAX_VARIABLES || total > MAX_TOTAL {
            let left = count - captured.len();
            let repr = format!("<{left} more variables>");
            captured.push(("...".to_owned(), repr));
            break;
        }
        let repr = if Instant::now() > deadline {
            "<repr left out: the others took too long>".to_owned()
        } else {
            short_repr(&value)
        };
        total += name.len() + repr.len();
        captured.push((name, repr));
    }
    captured
}

fn short_repr(value: &Bound<'_, PyAny>) -> String {
    let mut text = Prefix { text: String::new(), open: Vec::new() };
    match text.repr(value) {
        Ok(()) => text.finish(),
        Err(error) => {
            format!("<repr failed: {}>", errors::type_name(&error.get_type(value.py())))
        }
    }
}

/// The beginning of a repr.
struct Prefix<'py> {
    text: String,
    /// Containers being written, to notice one inside itself.
    open: Vec<Bound<'py, PyAny>>,
}

impl<'py> Prefix<'py> {
    fn full(&self) -> bool {
        self.text.len() > CUT
    }

    fn finish(mut self) -> String {
        if self.full() {
            self.text.truncate(errors::floor_boundary(&self.text, CUT));
            self.text.push_str("...");
        }
        self.text
    }

    fn repr(&mut self, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let own_end = if let Ok(list) = value.cast_exact::<PyList>() {
            return self.container(value, "[", "]", "[...]", |text| {
                text.parts((0..list.len()).map_while(|at| list.get_item(at).ok()))
            });
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            let end = if tuple.len() == 1 { ",)" } else { ")" };
            return self.container(value, "(", end, "(...)", |text| text.parts(tuple.iter()));
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            // copied: a repr inside may change it
            let pairs: Vec<_> = dict.iter().take(CUT).collect();
            return self.container(value, "{", "}", "{...}", |text| text.pairs(pairs));
        } else if value.is_exact_instance_of::<PySet>() && value.len()? > 0 {
            Some(("{", "}", "set(...)"))
        } else if value.is_exact_instance_of::<PyFrozenSet>() && value.len()? > 0 {
            Some(("frozenset({", "})", "frozenset(...)"))
        } else {
            None
        };
        if let Some((start, end, again)) = own_end {
            let parts = value.try_iter()?.take(CUT).collect::<PyResult<Vec<_>>>()?;
            return self.container(value, start, end, again, |text| text.parts(parts));
        }
        let repr = whole_repr(value)?;
        self.push(&without_surrogates(&repr)?);
        Ok(())
    }

    fn push(&mut self, text: &str) {
        let room = (CUT + 8).saturating_sub(self.text.len());
        self.text.push_str(&text[..errors::floor_boundary(text, room)]);
    }

    fn container(
        &mut self,
        value: &Bound<'py, PyAny>,
        start: &str,
        end: &str,
        again: &str,
        parts: impl FnOnce(&mut Self) -> PyResult<()>,
    ) -> PyResult<()> {
        if self.open.iter().any(|open| open.is(value)) {
            self.push(again);
            return Ok(());
        }
        if self.open.len() == MAX_DEPTH {
            self.push("...");
            return Ok(());
        }
        self.push(start);
        self.open.push(value.clone());
        parts(self)?;
        self.open.pop();
        self.push(end);
        Ok(())
    }

    fn parts(&mut self, parts: impl IntoIterator<Item = Bound<'py, PyAny>>) -> PyResult<()> {
        for (at, part) in parts.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            if self.full() {
                break;
            }
            self.repr(&part)?;
        }
        Ok(())
    }

    fn pairs(&mut self, pairs: Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>) -> PyResult<()> {
        for (at, (key, value)) in pairs.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            if self.full() {
                break;
            }
            self.repr(&key)?;
            self.push(": ");
            self.repr(&value)?;
        }
        Ok(())
    }
}

/// The repr of something without parts, or at least its first [`CUT`] bytes.
fn whole_repr<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let py = value.py();
    let text = value.is_exact_instance_of::<PyString>();
    if (text || value.is_exact_instance_of::<PyBytes>()) && value.len()? > CUT {
        // the quotes around depend on those inside, of the whole
        let quotes = if text {
            ["'", "\""].map(|quote| PyString::new(py, quote).into_any())
        } else {
            [b"'", b"\""].map(|quote| PyBytes::new(py, quote).into_any())
        };
        let mut start = value.get_item(PySlice::new(py, 0, CUT_CHARS, 1))?;
        for quote in quotes {
            if value.contains(&quote)? {
                start = start.add(&quote)?;
            }
        }
        return start.repr();
    }
    if let Ok(int) = value.cast_exact::<PyInt>()
        && int.extract::<i64>().is_err()
    {
        let bits = int.call_method0(intern!(py, "bit_length"))?.extract::<u64>()?;
        if bits > MAX_BITS {
            return Ok(PyString::new(py, &format!("<int of {bits} bits>")));
        }
        return unlimited_digits(py, || int.repr());
    }
    value.repr()
}
