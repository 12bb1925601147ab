//! Any value made of builtins survives; any text is parsed as `json` parses it.

use proptest::prelude::*;
use pyo3::prelude::*;
use runtime::convert::{Mode, from_json, to_json};

use crate::{rules, with_python};

/// Python source of a value.
fn source() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("None".to_owned()),
        any::<bool>().prop_map(|b| if b { "True" } else { "False" }.to_owned()),
        any::<i64>().prop_map(|i| i.to_string()),
        (any::<i64>(), 0_u32..400).prop_map(|(i, shift)| format!("({i} << {shift})")),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:?}")),
        any::<String>().prop_map(|s| literal(&s)),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|v| format!("[{}]", v.join(","))),
            prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|v| {
                let v: Vec<_> = v.iter().map(|(k, v)| format!("{}: {v}", literal(k))).collect();
                format!("{{{}}}", v.join(","))
            }),
        ]
    })
}

fn literal(text: &str) -> String {
    let escapes: String = text.chars().map(|c| format!("\\U{:08x}", u32::from(c))).collect();
    format!("'{escapes}'")
}

/// JSON text, or something near it.
fn near_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ \\[\\]{},:\"0-9eE.+-]{0,4}",
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("\"a\"".to_owned()),
        Just("\"a\":".to_owned()),
        Just("\"\\u00e9\\ud83d\\ude00\\n\"".to_owned()),
        Just("\"\\x\"".to_owned()),
        Just("1.5e3".to_owned()),
        Just("-0".to_owned()),
        Just("[1,2]".to_owned()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_value_of_builtins_reads_back_equal(source in source()) {
        with_python(|py| {
            let value = crate::value(py, &format!("v = {source}"));
            let json = to_json(&value, &rules(Mode::Result)).expect("convertible");
            let text = std::str::from_utf8(&json).expect("UTF-8");
            let theirs = py.import("json").expect("json").call_method1("loads", (text,)).expect("JSON");
            let ours = from_json(py, &json).expect("JSON");
            for read in [theirs, ours] {
                let (read, value) = (read.repr().expect("repr"), value.repr().expect("repr"));
                assert_eq!(read.to_string(), value.to_string());
            }
        });
    }

    #[test]
    fn any_text_is_parsed_or_refused_as_json_does(text in near_json()) {
        with_python(|py| {
            let json = py.import("json").expect("json");
            let theirs = json.call_method1("loads", (&text,));
            let ours = from_json(py, text.as_bytes());
            match (theirs, ours) {
                (Ok(theirs), Ok(ours)) => {
                    assert_eq!(theirs.repr().expect("r").to_string(), ours.repr().expect("r").to_string());
                }
                (Err(_), Err(ours)) => {
                    assert!(ours.is_instance_of::<pyo3::exceptions::PyValueError>(py));
                }
                (theirs, ours) => panic!("{text:?}: json {theirs:?}, ours {ours:?}"),
            }
        });
    }

    #[test]
    fn any_bytes_are_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        with_python(|py| {
            let _ = from_json(py, &bytes);
        });
    }
}

#[test]
fn deep_json_is_refused() {
    with_python(|py| {
        let fits = format!("{}{}", "[".repeat(256), "]".repeat(256));
        assert!(from_json(py, fits.as_bytes()).is_ok());
        let deep = "[".repeat(1 << 20);
        assert!(from_json(py, deep.as_bytes()).is_err());
    });
}

#[test]
fn integers_in_json_may_be_long() {
    with_python(|py| {
        let text = format!("[1{}]", "0".repeat(6000));
        let length = from_json(py, text.as_bytes()).expect("JSON").get_item(0).expect("one");
        assert!(length.eq(crate::value(py, "v = 10**6000")).expect("comparable"));
    });
}
