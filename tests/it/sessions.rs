//! Sessions: globals that last, limits that hold, ends that are said.

use crate::support::{Answer, Plugin, eventually};
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
    assert_eq!((delete("/sessions/a"), delete("/sessions/a")), (200, 410));
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

/// Runs `code` in session `s` and interrupts it once it has begun.
fn interrupted(plugin: &Plugin, code: &str, grace: f64) -> (Answer, Answer) {
    std::thread::scope(|scope| {
        let fields = json!({"session": "s", "timeout_secs": 60});
        let run = scope.spawn(move || plugin.execute_with(code, fields));
        eventually("it runs", || plugin.get("/sessions").body["sessions"][0]["running"] == true);
        // Into the program, past its compilation.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let answer = plugin.post("/sessions/s/interrupt", &json!({"grace_secs": grace}));
        (run.join().unwrap(), answer)
    })
}

#[test]
fn an_interrupt_ends_the_execution_and_keeps_the_session() {
    let plugin = Plugin::start();
    plugin.execute_with("x = 41", json!({"session": "s"})).expect(200, "value");
    for code in [
        "while True: pass",
        "import time\ntime.sleep(60)",
        "x += 1\nimport threading\nthreading.Event().wait()",
    ] {
        let (run, answer) = interrupted(&plugin, code, 20.0);
        assert_eq!(
            (answer.status, &answer.body),
            (200, &json!({"session": "s", "interrupted": true, "kept": true})),
        );
        let run = run.expect(400, "raised");
        assert_eq!(run.body["outcome_detail"]["type"], "KeyboardInterrupt", "{:#}", run.body);
    }
    let kept = plugin.execute_with("x", json!({"session": "s"})).expect(200, "value");
    assert_eq!(kept.result(), &json!(42));
    let idle = plugin.post("/sessions/s/interrupt", &json!({}));
    assert_eq!(idle.body, json!({"session": "s", "interrupted": false, "kept": true}));
    // What came between two executions disturbs neither.
    plugin.execute_with("x", json!({"session": "s"})).expect(200, "value");
    let unknown = plugin.post("/sessions/nobody/interrupt", &json!({}));
    assert_eq!((unknown.status, unknown.text("field")), (410, "session"));
    assert_eq!(plugin.post("/sessions/s/interrupt", &json!({"grace_secs": 90})).status, 400);
}

#[test]
fn who_does_not_stop_when_interrupted_is_killed() {
    let plugin = Plugin::start();
    let stubborn =
        "while True:\n  try:\n    while True: pass\n  except KeyboardInterrupt: print('no')";
    let (run, answer) = interrupted(&plugin, stubborn, 0.5);
    assert_eq!(answer.body, json!({"session": "s", "interrupted": true, "kept": false}));
    let run = run.expect(400, "killed");
    assert_eq!(run.text("stdout"), "no\n");
    let gone = plugin.execute_with("1", json!({"session": "s"}));
    assert_eq!(gone.status, 410);
    assert!(gone.text("error").contains("did not stop when interrupted"), "{:#}", gone.body);
    plugin.execute_with("1", json!({"session": "s"})).expect(200, "value");
}

#[test]
fn sessions_give_way_by_count_by_memory_and_by_time() {
    let plugin = Plugin::start_with(&[
        "--store",
        ":memory:",
        "--max-sessions",
        "3",
        "--session-memory",
        "100M",
    ]);
    let run = |session: &str, code: &str| plugin.execute_with(code, json!({"session": session}));
    for session in ["a", "b", "c", "a", "d"] {
        run(session, "x = 1").expect(200, "value");
    }
    let gone = run("b", "x");
    assert_eq!(gone.status, 410, "{:#}", gone.body);
    assert!(gone.text("error").contains("3 others were used since"), "{:#}", gone.body);
    run("c", "y = b'1' * (60 << 20)").expect(200, "value");
    let listed = plugin.get("/sessions").body;
    let memory = |name: &str| {
        let all = listed["sessions"].as_array().unwrap();
        all.iter().find(|s| s["session"] == name).unwrap()["memory_bytes"].as_u64().unwrap()
    };
    assert!(memory("c") >= 60 << 20 && memory("a") < 20 << 20, "{listed:#}");
    run("d", "y = b'1' * (60 << 20)").expect(200, "value");
    let names: Vec<_> = plugin.get("/sessions").body["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["session"].as_str().unwrap().to_owned())
        .collect();
    assert!(!names.contains(&"c".to_owned()) && names.contains(&"d".to_owned()), "{names:?}");
    let gone = run("c", "x");
    assert!(gone.text("error").contains("more than 100 MiB"), "{:#}", gone.body);

    let plugin = Plugin::start_with(&["--store", ":memory:", "--session-idle-secs", "0.2"]);
    plugin.execute_with("x = 1", json!({"session": "s"})).expect(200, "value");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while plugin.get("/sessions").body["sessions"] != json!([]) {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let gone = plugin.execute_with("x", json!({"session": "s"}));
    assert_eq!(gone.status, 410);
    assert!(gone.text("error").contains("idle for more than"), "{:#}", gone.body);
}

#[test]
fn glyphs_keep_their_globals_when_configured() {
    use proto::protocol::PythonExecuteRequest;
    use proto::protocol::python_service_client::PythonServiceClient;
    for (flags, second) in [
        (&["--store", ":memory:", "--glyph-sessions"][..], true),
        (&["--store", ":memory:"], false),
    ] {
        let plugin = Plugin::start_with(flags);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let address = format!("http://127.0.0.1:{}", plugin.port());
            let mut client = PythonServiceClient::connect(address).await.unwrap();
            let mut run = async |code: &str, glyph: &str| {
                let request = PythonExecuteRequest {
                    code: code.to_owned(),
                    glyph_id: glyph.to_owned(),
                    ..Default::default()
                };
                client.execute(request).await.unwrap().into_inner().success
            };
            assert!(run("x = 1", "one").await);
            assert_eq!(run("x", "one").await, second);
            assert!(!run("x", "two").await);
            assert!(!run("x", "").await);
        });
    }
}
