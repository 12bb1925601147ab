//! Arguments of a host call: a JSON object, read field by field.
//!
//! **Invariant:** every field is either read or refused; an error names the
//! field and what was found there.

use super::error::{Call, HostError};
use crate::store::check_integers;
use serde_json::{Map, Value};

/// The arguments, with what was not read yet.
#[derive(Debug)]
pub(super) struct Args<'a> {
    call: Call<'a>,
    /// Where this object is within the arguments, for messages: `items[3].`
    at: String,
    fields: Map<String, Value>,
}

impl<'a> Args<'a> {
    /// Parses the bytes a child sent.
    pub(super) fn parse(call: Call<'a>, bytes: &[u8]) -> Result<Self, HostError> {
        let fields: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| call.invalid(format!("the arguments are no JSON object: {error}")))?;
        check_integers(bytes).map_err(|error| call.attribute(&error))?;
        Ok(Self { call, at: String::new(), fields })
    }

    /// The same for an object within the arguments.
    pub(super) fn within(call: Call<'a>, at: &str, value: Value) -> Result<Self, HostError> {
        if let Value::Object(fields) = value {
            return Ok(Self { call, at: format!("{at}."), fields });
        }
        Err(call.invalid(format!("`{at}` is {}, not a dict", kind(&value))))
    }

    /// A string or a list of strings; absent or null is empty.
    pub(super) fn words(&mut self, name: &str) -> Result<Vec<String>, HostError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::String(word)) => Ok(vec![word]),
            Some(Value::Array(items)) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| match item.as_str() {
                    Some(word) => Ok(word.to_owned()),
                    None => Err(self.wrong(&format!("{name}[{index}]"), &item, "a string")),
                })
                .collect(),
            Some(other) => Err(self.wrong(name, &other, "a string or a list of strings")),
        }
    }

    /// The same, but it has to be there.
    pub(super) fn required_words(&mut self, name: &str) -> Result<Vec<String>, HostError> {
        self.required(name)?;
        self.words(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, HostError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, &other, "a string")),
        }
    }

    pub(super) fn required_text(&mut self, name: &str) -> Result<String, HostError> {
        self.required(name)?;
        match self.text(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.call.invalid(format!("`{}{name}` is empty", self.at))),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, HostError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(self.wrong(name, &other, "true or false")),
        }
    }

    /// A whole number; `7.0` is one.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, HostError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match whole(&value) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(name, &value, "a whole number")),
        }
    }

    /// A whole number within `range`.
    pub(super) fn bounded(
        &mut self,
        name: &str,
        range: std::ops::RangeInclusive<i32>,
    ) -> Result<Option<i32>, HostError> {
        let Some(number) = self.integer(name)? else { return Ok(None) };
        match i32::try_from(number) {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.call.invalid(format!(
                "`{}{name}` is {number}, not within {} and {}",
                self.at,
                range.start(),
                range.end()
            ))),
        }
    }

    pub(super) fn float(&mut self, name: &str) -> Result<Option<f64>, HostError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(other) => Err(self.wrong(name, &other, "a number")),
        }
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Vec<f32>, HostError> {
        match self.take(name) {
            Some(Value::Array(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| match item.as_f64() {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "the wire's vectors are single precision"
                    )]
                    Some(number) => Ok(number as f32),
                    None => Err(self.wrong(&format!("{name}[{index}]"), item, "a number")),
                })
                .collect(),
            Some(other) => Err(self.wrong(name, &other, "a list of numbers")),
            None => Err(self.missing(name)),
        }
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Map<String, Value>, HostError> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(other) => Err(self.wrong(name, &other, "a dict")),
        }
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, HostError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(name, &other, "a list")),
        }
    }

    /// Any value as JSON text; absent or null is empty.
    pub(super) fn json(&mut self, name: &str) -> Vec<u8> {
        self.take(name).map_or_else(Vec::new, |value| value.to_string().into_bytes())
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| !value.is_null())
    }

    /// Whether the field is a list.
    pub(super) fn is_list(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(Value::is_array)
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), HostError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(self.call.invalid(format!("`{}{name}` is no argument of it", self.at)))
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.shift_remove(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<(), HostError> {
        if self.has(name) { Ok(()) } else { Err(self.missing(name)) }
    }

    fn missing(&self, name: &str) -> HostError {
        self.call.invalid(format!("`{}{name}` is missing", self.at))
    }

    fn wrong(&self, name: &str, found: &Value, wanted: &str) -> HostError {
        self.call.invalid(format!("`{}{name}` is {}, not {wanted}", self.at, kind(found)))
    }
}

fn whole(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let number = value.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with what it came from, and within 2^53"
    )]
    let whole = number as i64;
    #[expect(clippy::cast_precision_loss, reason = "below 2^53 every integer is a double")]
    let same = number.abs() <= 9_007_199_254_740_992.0 && whole as f64 == number;
    same.then_some(whole)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "None",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a dict",
    }
}
