//! Python value → JSON text, and back.
//!
//! [`to_json`] writes straight into a byte vector. It walks with a stack of its
//! own, so depth costs no machine stack, and an error knows the path of the
//! value it met (`result.items[3].x`). docs/values.md has this table for users.
//!
//! | Python | JSON in a result | in attributes |
//! |---|---|---|
//! | `None`, `bool` | `null`, `true`, `false` | the same |
//! | `int` of any size | number, every digit | up to ±2^53, else refused |
//! | `float` | number as `repr` writes it | the same |
//! | NaN, inf, -inf | `"NaN"`, `"Infinity"`, `"-Infinity"` | refused |
//! | `str` | string; each lone surrogate becomes U+FFFD | string; lone surrogates refused |
//! | `list`, `tuple`, named tuple | array | the same |
//! | `set`, `frozenset` | array: numbers and strings sorted by value, others by their JSON text | refused |
//! | `deque`, `range`, `array.array`, dict views | array | refused |
//! | `dict`, `OrderedDict`, `Counter`, mapping proxy | object | object, keys must be `str` |
//! | key: `int`, `float`, `bool`, `None` | string, as `json.dumps` writes it | refused |
//! | key: anything else, or two keys with one text | error | refused |
//! | `bytes`, `bytearray`, `memoryview` | `{"$bytes": "<base64>"}` | refused |
//! | `datetime`, `date`, `time` | ISO 8601 string | refused |
//! | `timedelta` | number of seconds | refused |
//! | `Decimal`, `Fraction`, `UUID`, `Path`, IP address | string as `str` writes it | refused |
//! | `Enum` member | its value | refused, unless it is an `int` or `str` |
//! | dataclass instance | object of its fields | refused |
//! | numpy scalar | as the Python value it holds; `datetime64` ISO, `timedelta64` seconds | bool, integer, float when exact |
//! | numpy array | nested arrays | the same, of such scalars |
//! | anything else (object, function, generator, complex, `DataFrame`) | error | refused |
//!
//! **Invariant:** nothing is ever `str()`-ed because it is unknown; no value,
//! however hostile, makes this panic, recurse without bound or write more than
//! [`Rules::max_bytes`]. Code of the value's own class may run (`isoformat`,
//! properties of a dataclass); what it raises is reported, never dropped.

mod fault;
mod frame;
mod kind;
mod numpy;
mod out;
mod parse;
mod scalar;

use pyo3::prelude::*;

pub use fault::ConvertError;
pub use parse::from_json;

pub(crate) use scalar::{unlimited_digits, without_surrogates};

use fault::Fault;
use frame::Frame;
use kind::Kinds;
use out::Out;

/// What the JSON is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The value of an execution: everything with an obvious form is accepted.
    Result,
    /// Attributes of an attestation, arguments of a host call: only what a
    /// protobuf `Struct` holds without bending it.
    Attributes,
}

/// How to convert.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Most bytes of JSON text.
    pub max_bytes: usize,
    /// Most levels of nesting: `[[1]]` has two.
    pub max_depth: usize,
    /// Which values are accepted.
    pub mode: Mode,
    /// How errors call the outermost value. When empty, paths begin with its
    /// first key.
    pub root: &'a str,
}

/// The JSON text of `value`, UTF-8, without spaces.
pub fn to_json(value: &Bound<'_, PyAny>, rules: &Rules<'_>) -> Result<Vec<u8>, ConvertError> {
    let mut converter = Converter {
        py: value.py(),
        rules,
        out: Out::new(rules.max_bytes),
        stack: Vec::new(),
        kinds: Kinds::default(),
    };
    match converter.run(value) {
        Ok(()) => Ok(converter.out.into_bytes()),
        Err(fault) => Err(fault.at(converter.py, rules, &converter.stack)),
    }
}

/// Takes references that user code could replace later. Call it in the zygote.
pub fn prepare(py: Python<'_>) -> PyResult<()> {
    scalar::prepare(py)
}

struct Converter<'a, 'py> {
    py: Python<'py>,
    rules: &'a Rules<'a>,
    out: Out,
    stack: Vec<Frame<'py>>,
    kinds: Kinds<'py>,
}

/// What became of a value that was looked at once.
enum Step<'py> {
    /// It is written.
    Written,
    /// It has parts; they are next.
    Open(Frame<'py>),
    /// It stands for this other value.
    Instead(Bound<'py, PyAny>),
}

/// Most values that may stand for one another in a row (an enum member whose
/// value is an enum member …).
const MAX_STAND_INS: usize = 8;

impl<'py> Converter<'_, 'py> {
    fn run(&mut self, root: &Bound<'py, PyAny>) -> Result<(), Fault> {
        self.begin(root)?;
        while let Some(frame) = self.stack.last_mut() {
            match frame.next(self.py, self.rules.mode, &mut self.out, &mut self.kinds)? {
                Some(value) => self.begin(&value)?,
                None => {
                    frame.close(&mut self.out)?;
                    self.stack.pop();
                }
            }
        }
        Ok(())
    }

    /// Writes a value without parts, or pushes the frame of one with parts.
    fn begin(&mut self, value: &Bound<'py, PyAny>) -> Result<(), Fault> {
        let mut instead: Option<Bound<'py, PyAny>> = None;
        for _ in 0..MAX_STAND_INS {
            match self.step(instead.as_ref().unwrap_or(value))? {
                Step::Written => return Ok(()),
                Step::Open(frame) => return self.push(frame),
                Step::Instead(other) => instead = Some(other),
            }
        }
        Err(Fault::unsupported(value, "its value stands for another value without end"))
    }

    fn push(&mut self, frame: Frame<'py>) -> Result<(), Fault> {
        if self.stack.iter().any(|open| open.is_of(&frame)) {
            return Err(Fault::Cycle);
        }
        if self.stack.len() >= self.rules.max_depth {
            return Err(Fault::TooDeep);
        }
        self.stack.try_reserve(1).map_err(|_| Fault::OutOfMemory)?;
        frame.open(&mut self.out)?;
        self.stack.push(frame);
        Ok(())
    }

    fn step(&mut self, value: &Bound<'py, PyAny>) -> Result<Step<'py>, Fault> {
        if scalar::write_exact(value, self.rules.mode, &mut self.out)? {
            return Ok(Step::Written);
        }
        if let Some(frame) = Frame::of_exact(value, self.rules.max_bytes)? {
            return Ok(Step::Open(frame));
        }
        match self.rules.mode {
            Mode::Result => kind::step(value, &mut self.kinds, &mut self.out),
            Mode::Attributes => kind::strict_step(value, &mut self.kinds, &mut self.out),
        }
    }
}
