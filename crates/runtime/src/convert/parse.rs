//! JSON text → Python value: what the host answers, and `upstream`.
//!
//! A parser of our own rather than the module `json`: a script may have replaced
//! that one, and a zygote need not have it loaded.
//!
//! **Invariant:** strict JSON; nesting is bounded; nothing of the script runs.

use std::collections::HashMap;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString};

use super::scalar::unlimited_digits;

/// Deepest nesting accepted.
const MAX_DEPTH: usize = 256;

/// The value of a JSON text.
///
/// Errors are `ValueError`s that name the byte. A lone surrogate escape becomes
/// U+FFFD; of two equal keys the last one counts.
pub fn from_json<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let text = std::str::from_utf8(text)
        .map_err(|error| PyValueError::new_err(format!("JSON is not UTF-8: {error}")))?;
    let mut parser = Parser { py, text, at: 0, keys: HashMap::new() };
    parser.space();
    let value = parser.value(0)?;
    parser.space();
    if parser.at < text.len() { Err(parser.wrong("nothing more")) } else { Ok(value) }
}

struct Parser<'a, 'py> {
    py: Python<'py>,
    text: &'a str,
    at: usize,
    /// Keys met, so that a list of like objects shares them.
    keys: HashMap<&'a str, Bound<'py, PyString>>,
}

impl<'a, 'py> Parser<'a, 'py> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn wrong(&self, wanted: &str) -> PyErr {
        PyValueError::new_err(format!("JSON: {wanted} expected at byte {}", self.at))
    }

    fn word(&mut self, word: &str) -> PyResult<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("nesting of at most 256 levels"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                Ok(PyString::from_bytes(self.py, text.as_ref().as_bytes())?.into_any())
            }
            Some(b't') => self.word("true").and_then(|()| true.into_bound_py_any(self.py)),
            Some(b'f') => self.word("false").and_then(|()| false.into_bound_py_any(self.py)),
            Some(b'n') => self.word("null").map(|()| self.py.None().into_bound(self.py)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.wrong("a value")),
        }
    }

    fn array(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let list = PyList::empty(self.py);
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(list.into_any());
        }
        loop {
            self.space();
            list.append(self.value(depth + 1)?)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(list.into_any());
                }
                _ => return Err(self.wrong("',' or ']'")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(self.py);
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(dict.into_any());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key"));
            }
            let key = self.key()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("':'"));
            }
            self.at += 1;
            self.space();
            dict.set_item(key, self.value(depth + 1)?)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(dict.into_any());
                }
                _ => return Err(self.wrong("',' or '}'")),
            }
        }
    }

    fn key(&mut self) -> PyResult<Bound<'py, PyString>> {
        match self.string()? {
            std::borrow::Cow::Borrowed(text) => {
                if let Some(key) = self.keys.get(text) {
                    return Ok(key.clone());
                }
                let key = PyString::from_bytes(self.py, text.as_bytes())?;
                self.keys.insert(text, key.clone());
                Ok(key)
            }
            std::borrow::Cow::Owned(text) => PyString::from_bytes(self.py, text.as_bytes()),
        }
    }

    /// The string whose opening quote is next.
    fn string(&mut self) -> PyResult<std::borrow::Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        let mut from = start;
        let mut owned: Option<String> = None;
        loop {
            match self.peek() {
                None => return Err(self.wrong("the end of the string")),
                Some(0..=0x1f) => return Err(self.wrong("no control character")),
                Some(b'"') => {
                    let text: &'a str = self.text;
                    let rest = &text[from..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => rest.into(),
                        Some(text) => (text + rest).into(),
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[from..self.at]);
                    self.at += 1;
                    let character = self.escape()?;
                    owned.get_or_insert_default().push(character);
                    from = self.at;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> PyResult<char> {
        let kind = self.peek().ok_or_else(|| self.wrong("an escape"))?;
        self.at += 1;
        Ok(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
                    let back = self.at;
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = back;
                }
                char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => {
                self.at -= 1;
                return Err(self.wrong("an escape"));
            }
        })
    }

    fn hex(&mut self) -> PyResult<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        let code = digits
            .iter()
            .fold(0, |code, digit| code << 4 | char::from(*digit).to_digit(16).unwrap_or_default());
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> PyResult<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.wrong("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> PyResult<Bound<'py, PyAny>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if !whole {
            let number: f64 = text.parse().map_err(|_| self.wrong("a number"))?;
            return number.into_bound_py_any(self.py);
        }
        match text.parse::<i64>() {
            Ok(number) => number.into_bound_py_any(self.py),
            Err(_) => unlimited_digits(self.py, || self.py.get_type::<PyInt>().call1((text,))),
        }
    }
}
