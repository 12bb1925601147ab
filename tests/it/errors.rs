//! Errors people can act on: of the program, and of the request.

use crate::support::Plugin;
use serde_json::json;

#[test]
fn a_traceback_has_user_frames_with_their_source_lines() {
    let plugin = Plugin::start();
    let answer = plugin.execute("def f(x):\n    return 1 / x\n\nf(0)").expect(400, "raised");
    let error = answer.text("error");
    assert!(error.starts_with("Traceback (most recent call last):\n"), "{error}");
    assert!(error.contains("line 4, in <module>\n    f(0)"), "{error}");
    assert!(error.contains("line 2, in f\n    return 1 / x"), "{error}");
    assert!(error.trim_end().ends_with("ZeroDivisionError: division by zero"), "{error}");
    assert_eq!(answer.body["outcome_detail"]["type"], "ZeroDivisionError");
    assert_eq!(answer.body["outcome_detail"]["line"], 2);
    assert_eq!(answer.body["success"], false);
}

#[test]
fn a_syntax_error_has_its_caret_and_its_line() {
    let plugin = Plugin::start();
    let answer = plugin.execute("x = 1\ny = = 2").expect(400, "raised");
    let error = answer.text("error");
    assert!(error.contains("y = = 2") && error.contains('^'), "{error}");
    assert_eq!(answer.body["outcome_detail"]["line"], 2);
    assert_eq!(answer.body["outcome_detail"]["type"], "SyntaxError");
}

#[test]
fn causes_notes_and_groups_are_shown() {
    let plugin = Plugin::start();
    let answer = plugin
        .execute(
            "try:\n    {}['k']\nexcept KeyError as e:\n    n = ValueError('outer')\n    \
             n.add_note('look here')\n    raise n from e",
        )
        .expect(400, "raised");
    let error = answer.text("error");
    for part in ["KeyError: 'k'", "direct cause", "ValueError: outer", "look here"] {
        assert!(error.contains(part), "{part} not in {error}");
    }
}

#[test]
fn what_was_printed_before_an_error_is_answered() {
    let plugin = Plugin::start();
    let answer = plugin.execute("print('before')\nraise SystemError('x')").expect(400, "raised");
    assert_eq!(answer.text("stdout"), "before\n");
}

#[test]
fn bodies_that_make_no_sense_are_400_and_name_the_field() {
    let plugin = Plugin::start();
    for (path, body, status, part) in [
        ("/execute", "{", 400, "JSON"),
        ("/execute", "[]", 400, "object"),
        ("/execute", r#"{"code": 5}"#, 400, "code"),
        ("/execute", r#"{"code": "1", "tiemout": 3}"#, 400, "tiemout"),
        ("/execute", "{}", 400, "code"),
        ("/execute", r#"{"code": "1", "timeout_secs": 0}"#, 400, "timeout_secs"),
        ("/execute", r#"{"code": "1", "timeout_secs": -1}"#, 400, "timeout_secs"),
        ("/execute", r#"{"code": "1", "timeout_secs": 1e9}"#, 400, "timeout_secs"),
        ("/execute", r#"{"code": "1", "timeout_secs": "x"}"#, 400, "timeout_secs"),
        ("/execute", r#"{"code": "a\u0000b"}"#, 400, "code"),
        ("/evaluate", "{}", 400, "expr"),
        ("/execute-file", "{}", 400, "path"),
        ("/evaluate", r#"{"expr": "1", "capture": true}"#, 400, "capture"),
        ("/nowhere", "{}", 404, "/nowhere"),
        ("/version", "{}", 405, "POST"),
    ] {
        let answer = plugin.post_raw(path, "application/json", body.as_bytes());
        assert_eq!(answer.status, status, "{path} {body}: {:#}", answer.body);
        assert!(answer.text("error").contains(part), "{path} {body}: {:#}", answer.body);
    }
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = plugin.post_raw("/execute", "application/json", nested.as_bytes());
    assert_eq!(answer.status, 400);
    let text = plugin.post_raw("/execute", "text/plain", br#"{"code": "1"}"#);
    assert_eq!(text.status, 415, "{:#}", text.body);
    // And after all this it still works.
    assert_eq!(plugin.evaluate("1").expect(200, "value").result(), &json!(1));
}

#[test]
fn a_body_above_the_cap_is_413_and_one_of_50_mib_runs() {
    let plugin = Plugin::start();
    let code = format!("x = '{}'\nlen(x)", "a".repeat(50 << 20));
    let answer = plugin.execute_with(&code, json!({"timeout_secs": 60})).expect(200, "value");
    assert_eq!(answer.result(), &json!(50 << 20));
    let body = format!("{{\"code\": \"{}\"}}", "#".repeat((100 << 20) + 1));
    let answer = plugin.post_raw("/execute", "application/json", body.as_bytes());
    assert_eq!(answer.status, 413);
}
