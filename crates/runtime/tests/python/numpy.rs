//! numpy values: with numpy itself where the interpreter has it, and always
//! with a stand-in that has the same class names and methods.

use pyo3::prelude::*;
use runtime::convert::{Mode, to_json};

use crate::{rules, run, with_python};

/// Only what a value of numpy is asked for.
const STAND_IN: &str = r#"
import types
class dtype:
    def __init__(self, kind, type): self.kind, self.type = kind, type
class generic:
    def __init__(self, x): self.x = x
    dtype = property(lambda s: dtype(s.kind, type(s)))
    def __int__(self): return int(self.x)
    def __float__(self): return float(self.x)
    def __bool__(self): return bool(self.x)
    def __eq__(self, other): return self.x == getattr(other, "x", other)
    def __hash__(self): return hash(self.x)
    def __str__(self): return str(self.x)
    def item(self): return self.x
generic.__module__ = 'numpy'
class int64(generic): kind = 'i'
class float32(generic): kind = 'f'
class longdouble(generic):
    kind = 'f'
    def item(self): return self
class bool_(generic): kind = 'b'
class complex128(generic): kind = 'c'
class datetime64(generic): kind = 'M'
class ndarray:
    def __init__(self, kind, x): self.dtype, self.x = dtype(kind, generic), x
    size = property(lambda s: len(s.x))
    def tolist(self): return self.x
ndarray.__module__ = 'numpy'
np = types.SimpleNamespace(**globals())
np.array = lambda x: ndarray('O' if isinstance(x[0], dict) else 'c' if isinstance(x[0], complex) else 'f' if isinstance(x[0], float) else 'i', x)
"#;

fn each(code: &str, mode: Mode, expect: &str) {
    with_python(|py| {
        let mut ways = vec![STAND_IN];
        if py.import("numpy").is_ok() {
            ways.push("import numpy as np");
        }
        for way in ways {
            let value = run(py, &format!("{way}\n{code}")).get_item("v").expect("v").expect("v");
            let text = match to_json(&value, &rules(mode)) {
                Ok(json) => String::from_utf8(json).expect("UTF-8"),
                Err(error) => format!("error: {error}"),
            };
            assert_eq!(text, expect, "for {code} with {way:.20}");
        }
    });
}

#[test]
fn scalars_are_what_they_hold() {
    each(
        "v = [np.int64(2**62), np.float32(0.5), np.bool_(True)]",
        Mode::Result,
        "[4611686018427387904,0.5,true]",
    );
    each("v = np.float32('nan')", Mode::Result, r#""NaN""#);
    each("v = np.datetime64('2024-01-02')", Mode::Result, r#""2024-01-02""#);
    each("v = {np.int64(3): 1}", Mode::Result, r#"{"3":1}"#);
    each("v = np.longdouble(0.25)", Mode::Result, "0.25");
}

#[test]
fn arrays_are_nested_arrays() {
    each("v = np.array([1, 2, 3])", Mode::Result, "[1,2,3]");
    each("v = [np.array([{'a': 1}])]", Mode::Result, r#"[[{"a":1}]]"#);
    each("v = np.array([0.5, 1.5])", Mode::Attributes, "[0.5,1.5]");
}

#[test]
fn an_array_is_measured_before_it_is_unpacked() {
    each(
        "v = np.array([1] * 5_000_000)",
        Mode::Result,
        "error: the JSON of result is longer than the limit of 8388608 bytes, reached at result",
    );
}

#[test]
fn attributes_take_exact_scalars_only() {
    each("v = [np.int64(5), np.float32(0.5), np.bool_(False)]", Mode::Attributes, "[5,0.5,false]");
    each(
        "v = [np.int64(2**53 + 1)]",
        Mode::Attributes,
        "error: attributes[0] is 9007199254740993, which attributes can't hold: \
         a double is exact up to 2^53 only; pass it as str()",
    );
}

#[test]
fn complex_numbers_have_no_json() {
    with_python(|py| {
        let value = run(py, &format!("{STAND_IN}\nv = [complex128(1j)]"));
        let value = value.get_item("v").expect("v").expect("v");
        let error = to_json(&value, &rules(Mode::Result)).expect_err("no JSON");
        assert!(error.to_string().starts_with("result[0] is of type complex128"), "{error}");
    });
}
