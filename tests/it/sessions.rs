//! Sessions: globals that last, limits that hold, ends that are said.

use crate::support::Plugin;
use serde_json::json;

#[test]
fn a_session_keeps_its_globals_and_others_do_not_see_them() {
    let plugin = Plugin::start();
    let session = json!({"session": "a"});
    plugin.execute_with("x = 1\nimport json\nprint('first')", session.clone()).expect(200, "value");
    let second = plugin.execute_with("x += 1\njson.dumps(x)", session.clone()).expect(200, "value");
    assert_eq!((second.result(), second.text("stdout")), (&json!("2"), ""));
    let evaluated = plugin.post("/evaluate", &json!({"expr": "x * 10", "session": "a"}));
    assert_eq!(evaluated.expect(200, "value").result(), &json!(20));
    plugin.execute_with("x", json!({"session": "b"})).expect(400, "raised");
    plugin.execute("x").expect(400, "raised");
    let raised = plugin.execute_with("1/0", session.clone()).expect(400, "raised");
    assert_eq!(raised.body["outcome_detail"]["line"], 1);
    let kept = plugin.execute_with("x", session.clone()).expect(200, "value");
    assert_eq!(kept.result(), &json!(2), "an exception does not end a session");
    let listed = plugin.get("/sessions").body;
    let names: Vec<_> =
        listed["sessions"].as_array().unwrap().iter().map(|s| s["session"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(listed["sessions"][0]["executions"], 5);
    let delete = |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", plugin.port());
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        agent.delete(&url).call().unwrap().status().as_u16()
    };
    assert_eq!((delete("/sessions/a"), delete("/sessions/a")), (200, 404));
    plugin.execute_with("x", session).expect(400, "raised");
}

#[test]
fn a_session_that_timed_out_or_crashed_is_gone_and_says_so_once() {
    let plugin = Plugin::start();
    for (code, outcome) in [
        ("while True: pass", "timed_out"),
        ("import os; os.abort()", "killed"),
        ("import os; os._exit(0)", "exited"),
    ] {
        let fields = json!({"session": "s", "timeout_secs": 1});
        plugin.execute_with("x = 1", fields.clone()).expect(200, "value");
        let ended = plugin.execute_with(code, fields.clone());
        assert_eq!(ended.body["outcome"], outcome, "{:#}", ended.body);
        let gone = plugin.execute_with("x", fields.clone());
        assert_eq!(gone.status, 410, "{:#}", gone.body);
        assert!(gone.text("error").contains(outcome), "{:#}", gone.body);
        plugin.execute_with("x", fields).expect(400, "raised");
        assert_eq!(plugin.get("/sessions").body["sessions"].as_array().unwrap().len(), 1);
        let url = format!("http://127.0.0.1:{}/sessions/s", plugin.port());
        ureq::delete(&url).call().unwrap();
    }
}

#[test]
fn each_execution_of_a_session_has_limits_of_its_own() {
    let plugin = Plugin::start();
    for _ in 0..4 {
        let spin =
            "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.4: pass";
        let fields = json!({"session": "cpu", "limits": {"cpu_secs": 1}});
        plugin.execute_with(spin, fields).expect(200, "value");
    }
    let calls = "for _ in range(4): attest('a', 'b', 'c')";
    for _ in 0..2 {
        let fields = json!({"session": "calls", "limits": {"host_calls": 5}});
        plugin.execute_with(calls, fields).expect(200, "value");
    }
}
