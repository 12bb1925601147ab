//! An environment chosen by a request.

use super::fixture::Bed;
use super::wheel::{Index, module};
use serde_json::json;

#[test]
fn a_request_chooses_among_the_environments_there_are() {
    let bed = Bed::new(Index::of([
        module("one", "1.0", "v = 1"),
        module("one", "2.0", "v = 2"),
        module("two", "1.0", "v = 1"),
    ]));
    bed.installed("one==1.0");
    let other = json!({"packages": ["one==2.0", "two"], "environment": "other"});
    let answer = bed.plugin.post("/uv/install", &other);
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let in_other = json!({"environment": "other"});
    let code = "import one, two\none.v";
    assert_eq!(bed.plugin.execute_with(code, in_other.clone()).expect(200, "value").result(), 2);
    bed.plugin.execute(code).expect(400, "raised");
    assert_eq!(bed.plugin.evaluate("__import__('one').v").result(), &json!(1));
    let expr = json!({"expr": "__import__('one').v", "environment": "other"});
    assert_eq!(bed.plugin.post("/evaluate", &expr).expect(200, "value").result(), &json!(2));
    let own = json!({"environment": "default"});
    assert_eq!(bed.plugin.execute_with("import one\none.v", own).result(), &json!(1));

    let unknown = bed.plugin.execute_with("1", json!({"environment": "nope"}));
    assert_eq!((unknown.status, unknown.text("field")), (400, "environment"));
    assert!(unknown.text("error").contains("default, other"), "{:#}", unknown.body);
    for bad in ["../other", "", ".scripts"] {
        let answer = bed.plugin.execute_with("1", json!({"environment": bad}));
        assert_eq!((answer.status, answer.text("field")), (400, "environment"), "{bad}");
    }
    let shown = bed.plugin.get("/uv/environment?environment=other").body;
    assert_eq!(
        (&shown["generation"], &shown["in_force"], &shown["environments"]),
        (&json!(1), &json!(null), &json!(["default", "other"]))
    );
    assert_eq!(bed.plugin.get("/uv/environment?environment=nope").status, 400);
}

#[test]
fn an_environment_that_changes_is_another_one_for_the_next_execution() {
    let bed = Bed::new(Index::of([module("one", "1.0", "v = 1"), module("one", "2.0", "v = 2")]));
    let install = |version: &str| {
        let body = json!({"package": format!("one=={version}"), "environment": "other"});
        let answer = bed.plugin.post("/uv/install", &body);
        assert_eq!(answer.status, 200, "{:#}", answer.body);
    };
    let fields = json!({"environment": "other"});
    install("1.0");
    let begin = json!({"environment": "other", "session": "s"});
    bed.plugin.execute_with("x = 1", begin).expect(200, "value");
    std::thread::scope(|scope| {
        let slow = "import time\ntime.sleep(3)\nimport one\none.v";
        let running = scope.spawn(|| bed.plugin.execute_with(slow, fields.clone()));
        install("2.0");
        let next = bed.plugin.execute_with("import one\none.v", fields.clone());
        assert_eq!(next.expect(200, "value").result(), &json!(2));
        assert_eq!(running.join().unwrap().expect(200, "value").result(), &json!(1));
    });
    let session = bed.plugin.execute_with("import one\n(x, one.v)", json!({"session": "s"}));
    assert_eq!(session.expect(200, "value").result(), &json!([1, 1]), "as it began");
    let named = json!({"session": "s", "environment": "other"});
    let session = bed.plugin.execute_with("one.v", named);
    assert_eq!(session.expect(200, "value").result(), &json!(1), "also when it is named");
    bed.plugin.execute_with("x = 1", json!({"session": "t"})).expect(200, "value");
    let another = json!({"session": "t", "environment": "other"});
    assert_eq!(bed.plugin.execute_with("1", another).status, 400, "it began elsewhere");
    let back = bed.plugin.post("/uv/rollback", &fields);
    assert_eq!(back.status, 200, "{:#}", back.body);
    let after = bed.plugin.execute_with("import one\none.v", fields);
    assert_eq!(after.expect(200, "value").result(), &json!(1));
}

#[test]
fn a_generation_a_session_began_with_outlives_the_pruning() {
    let bed = Bed::with(
        Index::of(["1.0", "2.0", "3.0"].map(|v| module("one", v, &format!("v = '{v}'")))),
        &["--keep-generations", "0"],
    );
    bed.installed("one==1.0");
    bed.plugin.execute_with("x = 1", json!({"session": "s"})).expect(200, "value");
    bed.installed("one==2.0");
    bed.installed("one==3.0");
    let answer = bed.plugin.execute_with("import one\none.v", json!({"session": "s"}));
    assert_eq!(answer.expect(200, "value").result(), &json!("1.0"));
}
