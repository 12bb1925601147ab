//! The main job: `attest()` from Python, standalone, and what survives.

use crate::support::Plugin;
use serde_json::{Value, json};

#[test]
fn attest_answers_the_attestation_as_stored_and_last_finds_it() {
    let plugin = Plugin::start();
    let answer = plugin
        .execute(
            "a = attest(['order-1'], 'placed', contexts='shop', attributes={'total': 12.5, 'items': [1, 'two']})\n\
             [a, last(subjects='ORDER-1'), last(subjects='nothing')]",
        )
        .expect(200, "value");
    let [attested, found, nothing] = &answer.result().as_array().unwrap()[..] else { panic!() };
    assert_eq!(attested["subjects"], json!(["order-1"]));
    assert_eq!(attested["predicates"], json!(["placed"]));
    assert_eq!(attested["contexts"], json!(["shop"]));
    assert_eq!(attested["actors"], json!([attested["id"]]));
    assert_eq!(attested["source"], "python");
    assert!(attested.get("attributes").is_none());
    assert!(attested["timestamp"].as_i64().unwrap() > 1_600_000_000_000);
    assert_eq!(found["id"], attested["id"]);
    assert_eq!(found["attributes"]["total"], 12.5);
    assert_eq!(nothing, &Value::Null);
    let listed = plugin.get("/attestations?subject=order-1&limit=5").body;
    assert_eq!(listed["attestations"][0]["id"], attested["id"]);
    assert_eq!(plugin.get("/attestations?subject=other").body["attestations"], json!([]));
}

#[test]
fn what_json_can_t_hold_is_refused_with_its_path() {
    let plugin = Plugin::start();
    for (attributes, path) in [
        ("{'items': [{}, {'id': 2**60}]}", "items[1].id"),
        ("{'x': float('nan')}", "x"),
        ("{'when': __import__('datetime').date(2026, 1, 1)}", "when"),
    ] {
        let answer = plugin.execute(&format!("attest('a', 'b', 'c', attributes={attributes})"));
        let answer = answer.expect(400, "raised");
        assert!(answer.text("error").contains(path), "{}", answer.text("error"));
    }
}

#[test]
fn a_thousand_attestations_survive_a_kill_right_after_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("nested/store.db");
    let flags = ["--store", store.to_str().unwrap()];
    let plugin = Plugin::start_with(&flags);
    let code = "for i in range(1000): attest(f's{i}', 'counted', 'test', attributes={'i': i})";
    plugin.execute(code).expect(200, "value");
    drop(plugin);
    let plugin = Plugin::start_with(&flags);
    let listed = plugin.get("/attestations?predicate=counted&limit=5000").body;
    assert_eq!(listed["attestations"].as_array().unwrap().len(), 1000);
    let many = plugin.execute("import qntx\nqntx.attest_many([{'subjects': f'm{i}', 'predicates': 'p', 'contexts': 'c'} for i in range(1000)])");
    let many = many.expect(200, "value");
    assert_eq!((many.result(), &many.body["usage"]["host_calls"]), (&json!(1000), &json!(1)));
}

#[test]
fn threads_of_a_script_may_attest() {
    let plugin = Plugin::start();
    let code = "from concurrent.futures import ThreadPoolExecutor\n\
                with ThreadPoolExecutor(8) as pool:\n  ids = list(pool.map(lambda i: attest(f't{i}', 'is', 'c')['id'], range(64)))\n\
                len(set(ids))";
    assert_eq!(plugin.execute(code).expect(200, "value").result(), &json!(64));
}

#[test]
fn a_store_that_can_t_be_opened_is_said_with_its_path() {
    let output = std::process::Command::new(crate::support::BINARY)
        .args(["--address", "127.0.0.1:0", "--store", "/proc/nowhere/store.db"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/proc/nowhere"), "{said}");
}
