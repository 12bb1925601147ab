//! Python code of ours: its text, and what it was compiled to when this crate was built.
//!
//! Compiling all of it takes a tenth of a zygote's start. Byte code belongs to a version of CPython
//! and says to which (`importlib.util.MAGIC_NUMBER`): for any other the text is compiled.

use crate::errors::OUR_FILES;
use pyo3::prelude::*;
use pyo3::types::code::{PyCodeInput, PyCodeMethods as _};
use pyo3::types::{PyBytes, PyCode, PyDict};
use std::ffi::CString;

/// One source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    text: &'static str,
    /// What tracebacks call it.
    file: &'static str,
    /// As the build script leaves it.
    compiled: &'static [u8],
}

macro_rules! source {
    ($path:literal, $file:expr) => {
        Source {
            text: include_str!($path),
            file: $file,
            compiled: include_bytes!(concat!(env!("OUT_DIR"), "/src/", $path, ".code")),
        }
    };
}

pub(crate) const DECLARED: Source = source!("python/declared.py", "<qntx declared>");
pub(crate) const ERRORS: Source = source!("python/errors.py", OUR_FILES[1]);
pub(crate) const RESOLVE: Source = source!("python/resolve.py", "<resolve>");
pub(crate) const QNTX: Source = source!("python/qntx/__init__.py", OUR_FILES[0]);
pub(crate) const CHECKS: Source = source!("python/qntx/_checks.py", OUR_FILES[0]);

impl Source {
    /// Runs it in `globals`.
    pub(crate) fn run(&self, py: Python<'_>, globals: &Bound<'_, PyDict>) -> PyResult<()> {
        let code = match self.compiled(py)? {
            Some(code) => code,
            None => self.compile(py)?,
        };
        code.run(Some(globals), None)?;
        Ok(())
    }

    /// The code, when it is of this interpreter's kind.
    fn compiled<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyCode>>> {
        let kind = py.import("_frozen_importlib_external")?.getattr("MAGIC_NUMBER")?;
        let Some(code) = self.compiled.strip_prefix(kind.cast::<PyBytes>()?.as_bytes()) else {
            return Ok(None);
        };
        let code = py.import("marshal")?.call_method1("loads", (PyBytes::new(py, code),))?;
        Ok(Some(code.cast_into()?))
    }

    fn compile<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCode>> {
        let (text, file) = (CString::new(self.text)?, CString::new(self.file)?);
        PyCode::compile(py, &text, &file, PyCodeInput::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compiled_is_the_text() {
        Python::initialize();
        Python::attach(|py| {
            for source in [DECLARED, ERRORS, RESOLVE, QNTX, CHECKS] {
                let compiled = source.compiled(py).expect("read").expect("of this Python");
                let text = source.compile(py).expect("compiled");
                assert!(compiled.eq(&text).expect("compared"), "{}", source.file);
                let file = compiled.getattr("co_filename").expect("a name");
                assert_eq!(file.extract::<String>().expect("text"), source.file);
            }
        });
    }

    #[test]
    fn code_of_another_kind_is_compiled_from_its_text() {
        Python::initialize();
        Python::attach(|py| {
            let source = Source { text: "x = 1", file: "<x>", compiled: b"\0\0\r\nnot code" };
            let globals = PyDict::new(py);
            source.run(py, &globals).expect("it ran");
            let x = globals.get_item("x").expect("asked").expect("there");
            assert_eq!(x.extract::<i32>().expect("a number"), 1);
        });
    }
}
