//! `google.protobuf.Struct`, typed from protobuf's own documentation.
//!
//! **Invariant:** numbers are doubles; a value without a kind is null.

use prost::{Message, Oneof};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    #[prost(int32, tag = "1")]
    Null(i32),
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(string, tag = "3")]
    Text(String),
    #[prost(bool, tag = "4")]
    Bool(bool),
    #[prost(message, tag = "5")]
    Struct(Struct),
    #[prost(message, tag = "6")]
    List(List),
}

#[derive(Clone, PartialEq, Message)]
pub struct List {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

impl Struct {
    /// From a JSON object; anything else is an empty one.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Self {
        let fields = value.as_object().into_iter().flatten();
        Self { fields: fields.map(|(key, value)| (key.clone(), Value::from_json(value))).collect() }
    }

    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.fields.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()
    }
}

impl Value {
    fn from_json(value: &serde_json::Value) -> Self {
        let kind = match value {
            serde_json::Value::Null => Kind::Null(0),
            serde_json::Value::Bool(value) => Kind::Bool(*value),
            serde_json::Value::Number(number) => Kind::Number(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Kind::Text(text.clone()),
            serde_json::Value::Array(items) => {
                Kind::List(List { values: items.iter().map(Self::from_json).collect() })
            }
            serde_json::Value::Object(_) => Kind::Struct(Struct::from_json(value)),
        };
        Self { kind: Some(kind) }
    }

    fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            None | Some(Kind::Null(_)) => serde_json::Value::Null,
            Some(Kind::Bool(value)) => (*value).into(),
            Some(Kind::Number(value)) => number(*value),
            Some(Kind::Text(text)) => text.clone().into(),
            Some(Kind::Struct(inner)) => inner.to_json(),
            Some(Kind::List(list)) => list.values.iter().map(Self::to_json).collect(),
        }
    }
}

/// As Go writes a float64: whole numbers without a fraction.
fn number(value: f64) -> serde_json::Value {
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it came from")]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "only whole numbers below 1e15 take this way")]
    if value.abs() < 1e15 && whole as f64 == value {
        return whole.into();
    }
    value.into()
}
