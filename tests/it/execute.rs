//! What a run answers: the seed's examples, results, scripts.

use crate::support::Plugin;
use serde_json::{Value, json};

#[test]
fn the_seed_s_examples_work_as_written() {
    let plugin = Plugin::start();
    let hello = plugin.post(
        "/execute",
        &json!({"code": "print('Hello, World!')", "timeout_secs": 30, "capture_variables": false}),
    );
    let hello = hello.expect(200, "value");
    for (field, expected) in [
        ("success", json!(true)),
        ("stdout", json!("Hello, World!\n")),
        ("stderr", json!("")),
        ("result", Value::Null),
        ("error", Value::Null),
    ] {
        assert_eq!(hello.body[field], expected, "{field}");
    }
    assert!(hello.body["duration_ms"].is_u64());
    let seven = plugin.evaluate("1 + 2 * 3").expect(200, "value");
    assert_eq!(seven.result(), &json!(7));
    let version = plugin.get("/version");
    assert_eq!(version.status, 200);
    assert!(version.text("python_version").starts_with("3."));
    assert_eq!(version.text("plugin_version"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn both_names_of_the_code_field_are_taken_but_not_together() {
    let plugin = Plugin::start();
    let content = plugin.post("/execute", &json!({"content": "_result = 5"}));
    assert_eq!(content.expect(200, "value").result(), &json!(5));
    let both = plugin.post("/execute", &json!({"code": "1", "content": "2"}));
    assert_eq!(both.status, 400, "{:#}", both.body);
    assert!(both.text("error").contains("content"));
}

#[test]
fn the_result_is_result_then_a_returned_value_then_the_last_expression() {
    let plugin = Plugin::start();
    for (code, expected) in [
        ("_result = 1\n2", json!(1)),
        ("x = 40\nx + 2", json!(42)),
        ("def main(): return 'from main'\n'body'", json!("from main")),
        ("def main(): return 3\nmain()\n'called once'", json!("called once")),
        ("if __name__ == '__main__':\n    _result = 'guarded'", json!("guarded")),
        ("def main(): return 1\nif __name__ == '__main__': pass", Value::Null),
        ("x = 1", Value::Null),
        ("", Value::Null),
        ("# only a comment", Value::Null),
        ("@handler\ndef run(): return 'handler'", json!("handler")),
        ("@watch('placed')\ndef on(up): return 'never by hand'\n7", json!(7)),
    ] {
        let answer = plugin.execute(code).expect(200, "value");
        assert_eq!(answer.result(), &expected, "{code}");
    }
}

#[test]
fn main_is_not_called_twice_and_side_effects_happen_once() {
    let plugin = Plugin::start();
    let answer =
        plugin.execute("print('body')\ndef main():\n    print('main')").expect(200, "value");
    assert_eq!(answer.text("stdout"), "body\nmain\n");
    let own = plugin.execute("def main():\n    print('main')\nmain()").expect(200, "value");
    assert_eq!(own.text("stdout"), "main\n");
}

#[test]
fn values_arrive_as_documented() {
    let plugin = Plugin::start();
    // Beyond what a JSON parser without big numbers reads: looked at as text.
    let big = plugin.evaluate("10**5000 - 1");
    assert!(big.body.as_str().unwrap().contains(&format!("\"result\":{}", "9".repeat(5000))));
    let word = plugin.evaluate("[2**64 - 1, -2**63]").expect(200, "value");
    assert_eq!(word.result(), &json!([u64::MAX, i64::MIN]));
    for (expr, expected) in [
        ("None", "null"),
        ("[True, 1, 2.5, 'a']", "[true,1,2.5,\"a\"]"),
        ("(1, [2, {'three': 3}])", "[1,[2,{\"three\":3}]]"),
        ("{3, 1, 2}", "[1,2,3]"),
        ("__import__('datetime').date(2026, 1, 2)", "\"2026-01-02\""),
        ("__import__('decimal').Decimal('1.10')", "\"1.10\""),
    ] {
        let answer = plugin.evaluate(expr).expect(200, "value");
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(answer.result(), &expected, "{expr}");
    }
    let surrogate = plugin.evaluate("'a\\ud800b'").expect(200, "value");
    assert_eq!(surrogate.result(), &json!("a\u{FFFD}b"));
    let cycle = plugin.execute("x = []\nx.append(x)\nx").expect(400, "raised");
    assert!(cycle.text("error").contains("cycle") || cycle.text("error").contains("itself"));
    let unknown = plugin.evaluate("object()").expect(400, "raised");
    assert!(unknown.text("error").contains("object"), "{}", unknown.text("error"));
    let deep = plugin.execute("x = 1\nfor _ in range(500): x = [x]\nx").expect(400, "raised");
    assert!(deep.text("error").contains("100"), "{}", deep.text("error"));
}

#[test]
fn variables_are_the_script_s_own_public_globals() {
    let plugin = Plugin::start();
    let answer = plugin
        .execute_with(
            "import json\nx = 1\n_hidden = 2\nname = 'ü' * 2000",
            json!({"capture_variables": true}),
        )
        .expect(200, "value");
    let variables = answer.body["variables"].as_object().unwrap();
    assert_eq!(variables["x"], "1");
    assert!(!variables.contains_key("_hidden") && !variables.contains_key("attest"));
    assert!(variables["name"].as_str().unwrap().ends_with("..."));
}

#[test]
fn files_run_with_their_own_name_and_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("beside.py"), "value = 6").unwrap();
    let script = folder.path().join("script.py");
    std::fs::write(&script, "import beside\n_result = [beside.value, __file__, __name__]").unwrap();
    let plugin = Plugin::start_with(&[
        "--store",
        ":memory:",
        "--file-root",
        folder.path().to_str().unwrap(),
    ]);
    let path = script.to_str().unwrap();
    let answer = plugin.post("/execute-file", &json!({ "path": path })).expect(200, "value");
    assert_eq!(answer.result(), &json!([6, path, "__main__"]));
    let outside = plugin.post("/execute-file", &json!({"path": "/etc/passwd"}));
    assert_eq!(outside.status, 400, "{:#}", outside.body);
    let missing = folder.path().join("none.py");
    let missing = plugin.post("/execute-file", &json!({"path": missing.to_str().unwrap()}));
    assert_eq!(missing.status, 400, "{:#}", missing.body);
    assert!(missing.text("error").contains("none.py"));
}

#[test]
fn stdin_is_empty_unless_given() {
    let plugin = Plugin::start();
    let code = "import sys\nsys.stdin.read()";
    assert_eq!(plugin.execute(code).expect(200, "value").result(), &json!(""));
    let given = plugin.execute_with(code, json!({"stdin": "line\nü"})).expect(200, "value");
    assert_eq!(given.result(), &json!("line\nü"));
    let input = plugin.execute_with("input()", json!({"stdin": "typed\n"})).expect(200, "value");
    assert_eq!(input.result(), &json!("typed"));
}

#[test]
fn output_of_every_layer_is_captured_in_order() {
    let plugin = Plugin::start();
    let answer = plugin
        .execute(
            "import os, sys, ctypes\nprint('python')\nos.write(1, b'descriptor\\n')\n\
             ctypes.CDLL(None).puts(b'libc')\nctypes.CDLL(None).fflush(None)\n\
             sys.stdout.write('bad \\ud800 surrogate\\n')\nos.write(1, b'\\xff\\n')\n\
             print('err', file=sys.stderr)",
        )
        .expect(200, "value");
    let stdout = answer.text("stdout");
    assert!(
        stdout.starts_with("python\ndescriptor\nlibc\nbad ? surrogate\n\u{FFFD}\n"),
        "{stdout:?}"
    );
    assert_eq!(answer.text("stderr"), "err\n");
}

#[test]
fn the_modules_of_a_sandboxed_program_tell_the_truth() {
    let plugin = Plugin::start();
    let answer = plugin
        .execute("import sys, os, multiprocessing\n[sys.executable, os.cpu_count(), multiprocessing.cpu_count()]")
        .expect(200, "value");
    assert!(answer.result()[0].as_str().unwrap().contains("python3"), "{}", answer.body);
    assert!(answer.result()[1].as_u64().unwrap() >= 1);
}
