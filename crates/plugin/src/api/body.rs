//! A request's JSON body, taken apart field by field.
//!
//! Each field is parsed on its own, so that every error names the field; what
//! nobody asked for is an error that names it too.
//!
//! **Invariant:** nothing is copied before it is known to be wanted: until a
//! field is taken it is a slice of the body.

use crate::error::Rejected;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The most levels of nesting in a value that is handed on to Python.
const MAX_DEPTH: usize = 128;

/// The members of the body that were not taken yet.
#[derive(Debug)]
pub struct Body<'b> {
    fields: Vec<(String, &'b RawValue)>,
    /// Put in front of a field's name in errors: `limits.`.
    prefix: &'static str,
    known: Vec<&'static str>,
}

impl<'b> Body<'b> {
    /// Reads `bytes` as one JSON object.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, Rejected> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            invalid(None, format!("the body is not UTF-8 text (byte {})", e.valid_up_to()))
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(invalid(None, "the body is empty; a JSON object is expected"));
        }
        Self::members(text, "")
    }

    fn members(text: &'b str, prefix: &'static str) -> Result<Self, Rejected> {
        let Members(fields) = serde_json::from_str(text).map_err(|e| {
            let field = prefix.strip_suffix('.');
            let what = field.map_or("the body".to_owned(), |field| format!("`{field}`"));
            let text = text.trim_start();
            let reason = if e.is_data() && !text.starts_with('{') {
                format!("{what} has to be a JSON object, not {}", kind(text))
            } else {
                format!("{what} is not valid JSON: {e}")
            };
            invalid(field.map(str::to_owned), reason)
        })?;
        for (at, (name, _)) in fields.iter().enumerate() {
            if fields[..at].iter().any(|(other, _)| other == name) {
                return Err(Rejected::field(name, format!("`{prefix}{name}` is given twice")));
            }
        }
        Ok(Self { fields, prefix, known: Vec::new() })
    }

    /// Takes `name` out; `None` when it is absent or `null`.
    pub fn take<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, Rejected> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw).map(Some).map_err(|e| self.wrong(name, expected, raw, &e))
    }

    /// Takes a text that has to be usable as a C string.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Rejected> {
        let text: Option<String> = self.take(name, "a string")?;
        match text {
            Some(text) if text.contains('\0') => {
                Err(Rejected::field(name, format!("`{name}` contains a NUL character")))
            }
            other => Ok(other),
        }
    }

    /// Takes `name` as it is written, when it is an object; `null` is absent.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Bytes>, Rejected> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        object(raw.as_bytes(), name).map(Some)
    }

    /// Takes `name` as a body of its own.
    pub fn nested(
        &mut self,
        name: &'static str,
        prefix: &'static str,
    ) -> Result<Option<Self>, Rejected> {
        self.raw(name).map(|raw| Self::members(raw, prefix)).transpose()
    }

    /// Refuses what was not taken.
    pub fn finish(self) -> Result<(), Rejected> {
        let Some((name, _)) = self.fields.first() else { return Ok(()) };
        let prefix = self.prefix;
        Err(Rejected::field(
            &format!("{prefix}{name}"),
            format!("unknown field `{prefix}{name}`; known are {}", self.known.join(", ")),
        ))
    }

    fn raw(&mut self, name: &'static str) -> Option<&'b str> {
        self.known.push(name);
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        let raw = self.fields.swap_remove(at).1.get();
        (raw != "null").then_some(raw)
    }

    fn wrong(&self, name: &str, expected: &str, raw: &str, e: &serde_json::Error) -> Rejected {
        let field = format!("{}{name}", self.prefix);
        let reason = if e.is_data() {
            format!("`{field}` has to be {expected}, not {}", kind(raw))
        } else if e.to_string().contains("surrogate") || e.to_string().contains("hex escape") {
            format!(
                "`{field}` has half of a surrogate pair (\\ud800 to \\udfff without its partner), \
                 which is no character"
            )
        } else if e.to_string().contains("recursion limit") {
            format!("`{field}` is nested deeper than {MAX_DEPTH} levels")
        } else {
            format!("`{field}` has to be {expected}: {e}")
        };
        Rejected::field(&field, reason)
    }
}

/// `bytes` when they are a JSON object of tolerable depth.
pub fn object(bytes: &[u8], name: &str) -> Result<Bytes, Rejected> {
    let wrong = |reason: String| Rejected::field(name, format!("`{name}` {reason}"));
    let text =
        std::str::from_utf8(bytes).map_err(|_| wrong("has to be JSON in UTF-8".to_owned()))?;
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|e| wrong(format!("is not valid JSON: {e}")))?;
    if !raw.get().starts_with('{') {
        return Err(wrong(format!("has to be an object, not {}", kind(raw.get()))));
    }
    if depth(raw.get()) > MAX_DEPTH {
        return Err(wrong(format!("is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(Bytes::copy_from_slice(raw.get().as_bytes()))
}

fn invalid(field: Option<String>, reason: impl Into<String>) -> Rejected {
    Rejected::Invalid { field, reason: reason.into() }
}

/// The kind of a JSON value by its first character.
fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if raw.contains(['.', 'e', 'E']) => "a number with a fraction",
        _ if raw.starts_with('-') => "a negative number",
        _ => "a number",
    }
}

/// The deepest nesting of a valid JSON text.
fn depth(json: &str) -> usize {
    let (mut now, mut deepest, mut text, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !text => now -= 1,
            _ => {}
        }
    }
    deepest
}

/// An object's members in order, values unparsed.
struct Members<'b>(Vec<(String, &'b RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if fields.len() == 64 {
                        return Err(serde::de::Error::custom("more than 64 fields"));
                    }
                    fields.push(member);
                }
                Ok(Members(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &[u8]) -> (Option<String>, String) {
        let outcome = Body::parse(body).and_then(|mut body| {
            body.text("code")?;
            body.take::<bool>("flag", "true or false")?;
            body.object("upstream")?;
            body.finish()
        });
        match outcome {
            Err(Rejected::Invalid { field, reason }) => (field, reason),
            other => panic!("{other:?}"),
        }
    }

    fn check(body: &str, field: Option<&str>, words: &str) {
        let (named, reason) = refusal(body.as_bytes());
        assert_eq!(named.as_deref(), field, "{reason}");
        assert!(reason.contains(words), "{reason}");
    }

    #[test]
    fn what_is_no_object_is_refused_without_a_field() {
        check("", None, "empty");
        check(" \n", None, "empty");
        check("hello", None, "not valid JSON");
        check("[1]", None, "object, not a list");
        check("\"x\"", None, "object, not a string");
        check("{\"code\":\"x\"", None, "not valid JSON");
        check(&"[".repeat(100_000), None, "object, not a list");
        assert!(refusal(b"{\"code\":\"\xff\"}").1.contains("UTF-8"));
    }

    #[test]
    fn errors_name_the_field() {
        check(r#"{"code":1}"#, Some("code"), "a string, not a number");
        check(r#"{"code":["x"]}"#, Some("code"), "a string, not a list");
        check(r#"{"flag":"yes"}"#, Some("flag"), "true or false, not a string");
        check(r#"{"colour":1}"#, Some("colour"), "known are code, flag, upstream");
        check(r#"{"code":"a","code":"b"}"#, Some("code"), "twice");
        check(r#"{"code":"a\u0000b"}"#, Some("code"), "NUL");
        check(r#"{"upstream":[]}"#, Some("upstream"), "an object, not a list");
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_in_words() {
        check(r#"{"code":"\ud800"}"#, Some("code"), "surrogate");
        check(r#"{"code":"\udc00 x"}"#, Some("code"), "surrogate");
        check(r#"{"code":"\ud800A"}"#, Some("code"), "surrogate");
        let mut body = Body::parse(br#"{"code":"\ud83d\ude00"}"#).unwrap();
        assert_eq!(body.text("code").unwrap().as_deref(), Some("\u{1F600}"));
    }

    #[test]
    fn deep_nesting_is_refused_where_it_would_be_handed_on() {
        let deep = format!(r#"{{"upstream":{}1{}}}"#, r#"{"a":"#.repeat(200), "}".repeat(200));
        check(&deep, Some("upstream"), "deeper than 128");
        assert_eq!(depth(r#"{"a":["[[\"[[",{"b":[]}]}"#), 4);
    }

    #[test]
    fn null_is_absent_and_numbers_keep_their_digits() {
        let mut body = Body::parse(
            b"\xef\xbb\xbf{\"code\": null, \"upstream\": {\"n\": 123456789012345678901234567890}}",
        )
        .unwrap();
        assert_eq!(body.text("code").unwrap(), None);
        let upstream = body.object("upstream").unwrap().unwrap();
        assert_eq!(upstream, r#"{"n": 123456789012345678901234567890}"#);
        body.finish().unwrap();
    }
}
