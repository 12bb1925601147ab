//! Attributes hold what a protobuf `Struct` holds, and nothing is bent to fit.

use crate::check_attributes as check;

#[test]
fn what_a_struct_holds_is_accepted() {
    check(
        "v = {'n': None, 'b': True, 'i': 2**53, 'j': -2**53, 'f': 0.5, 's': 'é', 'l': [1, ('t',)], 'd': {}}",
        r#"{"n":null,"b":true,"i":9007199254740992,"j":-9007199254740992,"f":0.5,"s":"é","l":[1,["t"]],"d":{}}"#,
    );
    check("from collections import Counter\nv = Counter('a')", r#"{"a":1}"#);
}

#[test]
fn integers_a_double_would_bend_are_refused_with_their_path() {
    check(
        "v = {'items': [{}, {}, {}, {'id': 2**53 + 1}]}",
        "error: attributes.items[3].id is 9007199254740993, which attributes can't hold: \
         a double is exact up to 2^53 only; pass it as str()",
    );
    check(
        "v = [-10**30]",
        "error: attributes[0] is an integer of 100 bits, which attributes can't hold: \
         a double is exact up to 2^53 only; pass it as str()",
    );
}

#[test]
fn numbers_that_are_none_are_refused() {
    for (code, word) in [("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")] {
        check(
            &format!("v = {{'x': float('{code}')}}"),
            &format!(
                "error: attributes.x is {word}, which attributes can't hold: \
                 leave it out, or pass None or a string"
            ),
        );
    }
}

#[test]
fn nothing_is_turned_into_text() {
    let cases = [
        ("b'x'", "bytes"),
        ("{1}", "set"),
        ("__import__('datetime').date(2024, 1, 1)", "datetime.date"),
        ("__import__('decimal').Decimal(1)", "decimal.Decimal"),
        ("range(3)", "range"),
        ("object()", "object"),
        ("__import__('enum').Enum('E', 'A').A", "E"),
    ];
    for (code, name) in cases {
        check(
            &format!("v = {{'x': {code}}}"),
            &format!(
                "error: attributes.x is of type {name}, which an attribute can't hold: \
                 use None, bool, int, float, str, list or dict, for instance str() of it"
            ),
        );
    }
    check(
        "v = {'x': {1: 2}}",
        "error: attributes.x has a key of type int: an attribute wants str keys",
    );
    check(
        "v = ['\\ud800']",
        "error: attributes[0] is a string with a lone surrogate, which attributes can't hold: \
         it is not Unicode text; encode it with errors='replace' first",
    );
}
