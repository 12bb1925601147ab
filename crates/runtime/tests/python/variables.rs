//! Captured variables are the script's own, short, and never an error.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use runtime::variables::capture_variables;

use crate::{host, run, with_python};

fn captured(code: &str) -> Vec<(String, String)> {
    with_python(|py| capture_variables(&run(py, code), &PyDict::new(py)))
}

fn one(code: &str) -> String {
    captured(code).into_iter().find(|(name, _)| name == "v").expect("v").1
}

#[test]
fn only_the_scripts_own_public_names_count() {
    let names: Vec<_> = with_python(|py| {
        let given = host::qntx(py).begin(py, None, "", "").expect("begin");
        let globals = run(py, "import os\nx = 1\n_y = 2\nquery = 3\nglobals()[5] = 6");
        let attest = given.get_item("attest").expect("attest").expect("attest");
        globals.set_item("attest", attest).expect("set");
        globals.set_item("upstream", py.None()).expect("set");
        capture_variables(&globals, &given).into_iter().collect()
    });
    assert_eq!(names, [("x".into(), "1".into()), ("query".into(), "3".into())]);
}

#[test]
fn short_reprs_are_pythons_own() {
    for code in [
        "[1, 'a', None, (1,), (), {}, set(), {1: {2}}, frozenset(), frozenset({3}), b'x', 1.5]",
        "{'a': [1, {'b': ()}], 2: \"it's\"}",
        "'x' * 998",
        "10**4000",
        "object",
    ] {
        let repr = with_python(|py| {
            crate::value(py, &format!("v = repr({code})")).extract::<String>().expect("str")
        });
        let expect = if repr.len() > 1000 { format!("{}...", &repr[..1000]) } else { repr };
        assert_eq!(one(&format!("v = {code}")), expect);
    }
    assert_eq!(one("v = [1]; v.append(v); v.append((v,))"), "[1, [...], ([...],)]");
    assert_eq!(one("v = {}; v[1] = v"), "{1: {...}}");
}

#[test]
fn long_reprs_are_cut_at_a_character() {
    assert_eq!(one("v = 'x' * 999"), format!("'{}...", "x".repeat(999)));
    assert_eq!(one("v = 'é' * 600"), format!("'{}...", "é".repeat(499)));
    assert_eq!(one("v = 'x' * 2000 + \"'\""), format!("\"{}...", "x".repeat(999)));
    assert_eq!(one("v = b'x' * 2000 + b\"'\\\"\""), format!("b'{}...", "x".repeat(998)));
    assert_eq!(one("v = '\\ud800' * 2"), "'\\ud800\\ud800'");
    assert_eq!(one("v = 1 << (1 << 21)"), "<int of 2097153 bits>");
}

#[test]
fn huge_and_deep_containers_cost_no_more_than_what_is_shown() {
    let began = std::time::Instant::now();
    let big = one("v = [list(range(100))] * 10**7");
    assert_eq!(big.len(), 1003);
    let deep = one("v = []\nfor _ in range(10**5): v = [v]");
    assert_eq!(deep, format!("{}...{}", "[".repeat(100), "]".repeat(100)));
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[test]
fn a_repr_that_raises_is_an_entry() {
    assert_eq!(
        one("class V:\n    def __repr__(self): raise SystemExit\nv = [V()]"),
        "<repr failed: SystemExit>"
    );
    assert_eq!(
        one("class V:\n    def __repr__(self): return 5\nv = V()"),
        "<repr failed: TypeError>"
    );
    assert_eq!(
        one("class V:\n    def __repr__(self): globals().clear(); return 'gone'\nv = V()\nw = 1"),
        "gone"
    );
}

#[test]
fn many_variables_are_counted() {
    let captured = captured("globals().update((f'n{i}', i) for i in range(20_000))");
    assert_eq!(captured.len(), 10_000);
    assert_eq!(captured.last().expect("one"), &("...".into(), "<10001 more variables>".into()));
}

#[test]
fn slow_reprs_do_not_add_up() {
    let began = std::time::Instant::now();
    let captured = captured(
        "import time\nclass V:\n    def __repr__(self): time.sleep(0.3); return 'slow'\n\
         globals().update((f'v{i}', V()) for i in range(50))",
    );
    assert_eq!(captured.len(), 51);
    assert!(captured.iter().any(|(_, repr)| repr.contains("took too long")));
    assert!(began.elapsed().as_secs() < 5);
}
