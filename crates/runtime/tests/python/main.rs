//! What a child does with Python values, in an interpreter of the test's own.
//!
//! **Invariant:** nothing here forks; tests share one interpreter, so each has
//! it to itself while it runs and leaves it as it was.

mod attributes;
mod convert;
mod declared;
mod errors;
mod host;
mod module;
mod numpy;
mod property;
mod tail;
mod variables;

use std::cell::Cell;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use runtime::convert::{Mode, Rules, to_json};

/// A test's turn at the interpreter, from its first use to the end of the outermost one.
struct Turn(Option<MutexGuard<'static, ()>>);

thread_local! {
    static MINE: Cell<bool> = const { Cell::new(false) };
}

impl Turn {
    /// Waits for the turns of others; not for this thread's own.
    fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let free = || TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (!MINE.get()).then(free);
        MINE.set(true);
        Self(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        MINE.set(self.0.is_none());
    }
}

/// Runs `work` in the interpreter, which has `qntx` installed; alone, because some tests change
/// what all of it sees, and Python lets another thread go on in the middle.
fn with_python<T>(work: impl FnOnce(Python<'_>) -> T) -> T {
    let _turn = Turn::take();
    Python::initialize();
    Python::attach(|py| {
        host::qntx(py);
        work(py)
    })
}

/// Runs `code` and gives its namespace.
fn run<'py>(py: Python<'py>, code: &str) -> Bound<'py, PyDict> {
    let module = PyModule::new(py, "__main__").expect("a module");
    let globals = module.dict();
    globals.set_item("__builtins__", py.import("builtins").expect("builtins")).expect("set");
    let code = CString::new(code).expect("no NUL");
    if let Err(error) = py.run(&code, Some(&globals), None) {
        panic!("the test's own code raised {}", runtime::errors::summary(py, &error));
    }
    globals
}

/// What `code` leaves in `v`.
fn value<'py>(py: Python<'py>, code: &str) -> Bound<'py, PyAny> {
    run(py, code).get_item("v").expect("a lookup").expect("the code sets v")
}

fn rules(mode: Mode) -> Rules<'static> {
    let root = if mode == Mode::Result { "result" } else { "attributes" };
    Rules { max_bytes: 8 << 20, max_depth: 100, mode, root }
}

/// The JSON of `v` after `code`, or the error.
fn converted(code: &str, rules: &Rules<'_>) -> String {
    with_python(|py| match to_json(&value(py, code), rules) {
        Ok(json) => String::from_utf8(json).expect("JSON is UTF-8"),
        Err(error) => format!("error: {error}"),
    })
}

/// Checks what `code` leaves in `v` as a result.
#[track_caller]
fn check(code: &str, expect: &str) {
    assert_eq!(converted(code, &rules(Mode::Result)), expect, "for {code}");
}

/// Checks what `code` leaves in `v` as attributes.
#[track_caller]
fn check_attributes(code: &str, expect: &str) {
    assert_eq!(converted(code, &rules(Mode::Attributes)), expect, "for {code}");
}
