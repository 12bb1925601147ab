//! Attributes: JSON objects that a `google.protobuf.Struct` can hold.
//!
//! Numbers over the wire are doubles, so 42 reads back as 42.0. What a double
//! or the wire's nesting can't hold is refused with the path to the value
//! (`attributes.items[3].id`).
//!
//! **Invariant:** nothing is bent. A value either survives the way to a store
//! and back, or is refused.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as WireValue};
use serde_json::{Map, Number, Value};

/// A JSON object.
pub type Attributes = Map<String, Value>;

/// Beyond this, neighbouring integers share one double.
const EXACT: u64 = 1 << 53;

/// Deepest nesting taken. A level costs up to three messages on the wire, and
/// protobuf readers (ours included) stop at 100 of them.
pub const MAX_DEPTH: usize = 30;

/// A value that can't go into attributes.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AttributeError {
    /// An integer that no double holds exactly.
    #[error(
        "`{path}` is {value}: integers beyond 2^53 lose digits on the wire, send it as a string"
    )]
    Integer { path: String, value: String },
    /// NaN or an infinity.
    #[error("`{path}` is {value}, which JSON can't hold")]
    NotFinite { path: String, value: f64 },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("`{path}` is nested deeper than {MAX_DEPTH} levels")]
    TooDeep { path: String },
    /// A protobuf value with no kind set.
    #[error("`{path}` has no value")]
    Unset { path: String },
}

/// Checks `map` and turns its integers into the doubles a store would return.
pub fn normalise(map: &Attributes) -> Result<Attributes, AttributeError> {
    let mut path = Path::default();
    object(map, &mut path)
}

/// The protobuf form of attributes. Only for what [`normalise`] let through.
#[must_use]
pub fn to_struct(map: &Attributes) -> Struct {
    Struct { fields: map.iter().map(|(key, value)| (key.clone(), to_wire(value))).collect() }
}

/// The attributes in a protobuf Struct. Any depth: prost's own limit on
/// nesting has bounded it.
pub fn from_struct(value: Struct) -> Result<Attributes, AttributeError> {
    from_fields(value, &mut Path::default())
}

/// Finds integers beyond 2^53 in JSON text that parsed: `serde_json` turns
/// those beyond 64 bits into doubles without a word, so the text is looked at.
pub fn check_integers(json: &[u8]) -> Result<(), AttributeError> {
    let mut scan = Scan { json, at: 0, stack: Vec::new() };
    scan.run()
}

/// Where we are: `attributes.items[3].id`.
#[derive(Debug, Default)]
struct Path(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    fn within<T>(
        &mut self,
        step: Step,
        then: impl FnOnce(&mut Self) -> Result<T, AttributeError>,
    ) -> Result<T, AttributeError> {
        self.0.push(step);
        if self.0.len() > MAX_DEPTH {
            return Err(AttributeError::TooDeep { path: self.name() });
        }
        let done = then(self)?;
        self.0.pop();
        Ok(done)
    }

    fn name(&self) -> String {
        render("attributes", &self.0)
    }
}

fn render(root: &str, steps: &[Step]) -> String {
    let mut text = root.to_owned();
    for step in steps {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key)
                if !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_') =>
            {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Step::Key(key) => text.push_str(&format!("[{key:?}]")),
        }
    }
    text
}

fn object(map: &Attributes, path: &mut Path) -> Result<Attributes, AttributeError> {
    map.iter()
        .map(|(key, value)| {
            path.within(Step::Key(key.clone()), |path| Ok((key.clone(), any(value, path)?)))
        })
        .collect()
}

fn any(value: &Value, path: &mut Path) -> Result<Value, AttributeError> {
    Ok(match value {
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
        Value::Number(number) => Value::Number(double(number, path)?),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| path.within(Step::Index(index), |path| any(item, path)))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => Value::Object(object(map, path)?),
    })
}

fn double(number: &Number, path: &Path) -> Result<Number, AttributeError> {
    let magnitude = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
    if magnitude.is_some_and(|magnitude| magnitude > EXACT) {
        return Err(AttributeError::Integer { path: path.name(), value: number.to_string() });
    }
    let value = number.as_f64().unwrap_or(f64::NAN);
    Number::from_f64(value).ok_or_else(|| AttributeError::NotFinite { path: path.name(), value })
}

fn to_wire(value: &Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        // every serde_json number is finite, and `normalise` made it exact
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(to_wire).collect() })
        }
        Value::Object(map) => Kind::StructValue(to_struct(map)),
    };
    WireValue { kind: Some(kind) }
}

fn from_fields(value: Struct, path: &mut Path) -> Result<Attributes, AttributeError> {
    value
        .fields
        .into_iter()
        .map(|(key, value)| {
            path.0.push(Step::Key(key.clone()));
            let value = from_wire(value, path)?;
            path.0.pop();
            Ok((key, value))
        })
        .collect()
}

fn from_wire(value: WireValue, path: &mut Path) -> Result<Value, AttributeError> {
    Ok(match value.kind {
        None => return Err(AttributeError::Unset { path: path.name() }),
        Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(value)) => Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| AttributeError::NotFinite { path: path.name(), value })?,
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => {
            let mut items = Vec::with_capacity(list.values.len());
            for (index, item) in list.values.into_iter().enumerate() {
                path.0.push(Step::Index(index));
                items.push(from_wire(item, path)?);
                path.0.pop();
            }
            Value::Array(items)
        }
        Some(Kind::StructValue(inner)) => Value::Object(from_fields(inner, path)?),
    })
}

/// A walk over the tokens of valid JSON, in one pass and without recursion.
struct Scan<'a> {
    json: &'a [u8],
    at: usize,
    stack: Vec<Level>,
}

#[derive(Debug)]
enum Level {
    /// The raw text of the key we are below, quotes included.
    Object {
        key: std::ops::Range<usize>,
        before_colon: bool,
    },
    Array {
        index: usize,
    },
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), AttributeError> {
        while let Some(byte) = self.json.get(self.at).copied() {
            let start = self.at;
            self.at += 1;
            match byte {
                b'{' => self.stack.push(Level::Object { key: 0..0, before_colon: true }),
                b'[' => self.stack.push(Level::Array { index: 0 }),
                b'}' | b']' => {
                    self.stack.pop();
                }
                b',' => match self.stack.last_mut() {
                    Some(Level::Object { before_colon, .. }) => *before_colon = true,
                    Some(Level::Array { index }) => *index += 1,
                    None => {}
                },
                b':' => {
                    if let Some(Level::Object { before_colon, .. }) = self.stack.last_mut() {
                        *before_colon = false;
                    }
                }
                b'"' => {
                    self.skip_string();
                    let end = self.at;
                    if let Some(Level::Object { key, before_colon: true }) = self.stack.last_mut() {
                        *key = start..end;
                    }
                }
                b'-' | b'0'..=b'9' => self.number(start)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn skip_string(&mut self) {
        while let Some(byte) = self.json.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return,
                _ => {}
            }
        }
    }

    fn number(&mut self, start: usize) -> Result<(), AttributeError> {
        let in_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        self.at += self.json[self.at..].iter().take_while(in_number).count();
        let token = &self.json[start..self.at];
        if token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(token);
        match text.trim_start_matches('-').parse::<u64>() {
            Ok(magnitude) if magnitude <= EXACT => Ok(()),
            _ => Err(AttributeError::Integer { path: self.path(), value: text.into_owned() }),
        }
    }

    fn path(&self) -> String {
        let steps: Vec<Step> = self
            .stack
            .iter()
            .map(|level| match level {
                Level::Array { index } => Step::Index(*index),
                Level::Object { key, .. } => {
                    let raw = &self.json[key.clone()];
                    let name = serde_json::from_slice(raw)
                        .unwrap_or_else(|_| String::from_utf8_lossy(raw).into_owned());
                    Step::Key(name)
                }
            })
            .collect();
        render("", &steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use serde_json::json;

    fn attributes(value: Value) -> Attributes {
        value.as_object().expect("an object").clone()
    }

    fn over_the_wire(map: &Attributes) -> Attributes {
        let bytes = to_struct(map).encode_to_vec();
        from_struct(Struct::decode(bytes.as_slice()).unwrap()).unwrap()
    }

    #[test]
    fn integers_come_back_as_doubles_and_the_rest_as_it_was() {
        let sent = attributes(json!({
            "n": 42, "neg": -7, "f": 1.5, "t": true, "nil": null, "s": "ü\u{0}",
            "list": [1, "a", [], {}], "edge": 9_007_199_254_740_992_u64
        }));
        let normal = normalise(&sent).unwrap();
        assert_eq!(normal["n"].to_string(), "42.0");
        assert_eq!(normal["edge"].as_f64(), Some(9_007_199_254_740_992.0));
        assert_eq!(over_the_wire(&normal), normal);
    }

    #[test]
    fn what_a_double_cannot_hold_is_refused_with_its_path() {
        let error = normalise(&attributes(json!({
            "items": [0, 1, 2, {"id": 9_007_199_254_740_993_u64}]
        })))
        .unwrap_err();
        assert_eq!(
            error,
            AttributeError::Integer {
                path: "attributes.items[3].id".into(),
                value: "9007199254740993".into()
            }
        );
        assert!(normalise(&attributes(json!({"n": i64::MIN}))).is_err());
        assert!(normalise(&attributes(json!({"n": -(1_i64 << 53)}))).is_ok());
    }

    #[test]
    fn keys_that_are_no_names_are_quoted_in_the_path() {
        let error = normalise(&attributes(json!({"a b": {"": u64::MAX}}))).unwrap_err();
        assert!(error.to_string().starts_with(r#"`attributes["a b"][""]` is"#), "{error}");
    }

    #[test]
    fn text_with_integers_beyond_64_bits_is_refused_with_its_path() {
        let json = br#"{"a":"9007199254740993 \" 1","items":[{"k\u0065y":[1.5,1e300,-1180591620717411303424]}]}"#;
        let error = check_integers(json).unwrap_err();
        assert_eq!(
            error,
            AttributeError::Integer {
                path: "items[0].key[2]".into(),
                value: "-1180591620717411303424".into()
            }
        );
        assert_eq!(check_integers(br#"{"a":[9007199254740992,-1,0,"x"],"b":{"c":1e99}}"#), Ok(()));
    }

    #[test]
    fn not_a_number_from_the_wire_is_refused() {
        let value = WireValue { kind: Some(Kind::NumberValue(f64::NAN)) };
        let fields = [("x".to_owned(), value)].into();
        let error = from_struct(Struct { fields }).unwrap_err();
        assert!(error.to_string().starts_with("`attributes.x` is NaN"), "{error}");
    }

    #[test]
    fn the_deepest_nesting_taken_survives_the_wire() {
        let nested = |levels: usize| {
            let mut value = json!("bottom");
            for _ in 1..levels {
                value = json!({"k": value});
            }
            attributes(json!({"k": value}))
        };
        let deepest = nested(MAX_DEPTH);
        assert_eq!(over_the_wire(&normalise(&deepest).unwrap()), deepest);
        let error = normalise(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert!(matches!(error, AttributeError::TooDeep { .. }), "{error}");
    }
}
