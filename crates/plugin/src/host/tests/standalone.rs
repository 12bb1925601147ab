//! Without a core: the embedded store, and nothing else.

use super::{call, refused, soon, within};
use crate::host::{CallContext, Host, HostErrorKind};
use crate::store::{Filter, Store, StorePath};
use serde_json::{Value, json};
use std::time::Duration;

fn standalone() -> Host {
    Host::new(Some(Store::open(&StorePath::Memory).unwrap()))
}

#[tokio::test]
async fn attest_stamps_identity_and_answers_without_attributes() {
    let host = standalone();
    let context = CallContext {
        handler: Some("ingest".to_owned()),
        glyph_id: Some("g1".to_owned()),
        ..soon()
    };
    let args = json!({"subjects": "a", "predicates": ["p", "q"], "attributes": {"n": 1}});
    let made = call(&host, &context, "attest", args).await.unwrap();
    let keys: Vec<&String> = made.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "subjects", "predicates", "contexts", "actors", "timestamp", "source"]);
    assert_eq!(made["contexts"], json!(["ingest"]), "the handler's name is added");
    assert_eq!(made["source"], "python");
    assert_eq!(made["actors"], json!([made["id"]]));
    assert!(made["timestamp"].is_i64());

    let last = call(&host, &context, "last", json!({"subjects": "A"})).await.unwrap();
    assert_eq!(last["id"], made["id"]);
    assert_eq!(last["attributes"], json!({"n": 1.0, "source_version": "1.2.3"}));
    let none = call(&host, &context, "last", json!({"subjects": ["nobody"]})).await.unwrap();
    assert_eq!(none, Value::Null);
}

#[tokio::test]
async fn without_handler_and_contexts_the_context_is_blank() {
    let host = standalone();
    let args = json!({"subjects": "a", "predicates": "p", "contexts": null});
    let made = call(&host, &soon(), "attest", args).await.unwrap();
    assert_eq!(made["contexts"], json!(["_"]));
    let context = CallContext { handler: Some("h".to_owned()), ..soon() };
    let args = json!({"subjects": "a", "predicates": "p", "contexts": ["c", "h"]});
    let made = call(&host, &context, "attest", args).await.unwrap();
    assert_eq!(made["contexts"], json!(["c", "h"]), "not added twice");
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let host = standalone();
    let invalid = HostErrorKind::InvalidArgument;
    let good = |more: Value| {
        let mut args = json!({"subjects": "s", "predicates": "p"});
        for (key, value) in more.as_object().unwrap() {
            args[key] = value.clone();
        }
        args
    };
    for (args, words) in [
        (json!({"predicates": "p"}), "`subjects` is missing"),
        (json!({"subjects": 5, "predicates": "p"}), "`subjects` is a number, not a string or"),
        (json!({"subjects": ["a", null], "predicates": "p"}), "`subjects[1]` is None"),
        (good(json!({"attributes": [1]})), "`attributes` is a list, not a dict"),
        (good(json!({"source": "evil"})), "`source` is no argument"),
        (
            good(json!({"attributes": {"items": [{"id": 9_007_199_254_740_993_u64}]}})),
            "`attributes.items[0].id` is 9007199254740993",
        ),
    ] {
        refused(&host, &soon(), "attest", args, invalid, words).await;
    }
    for (args, words) in [
        (
            &br#"{"subjects":"s","predicates":"p","attributes":{"n":99999999999999999999}}"#[..],
            "`attributes.n` is 99999999999999999999",
        ),
        (b"[1]", "no JSON object"),
        (b"{", "no JSON object"),
        (b"\xff", "no JSON object"),
    ] {
        let error = host.call(&soon(), "attest", args).await.unwrap_err();
        assert_eq!(error.kind, invalid);
        assert!(error.reason.contains(words), "{error}");
    }
    refused(&host, &soon(), "os.system", json!({}), invalid, "no such host call").await;
    let all = host.embedded().unwrap().query(Filter::default()).await.unwrap();
    assert!(all.is_empty(), "a refused call leaves nothing behind");
}

#[tokio::test]
async fn attest_many_counts_and_a_bad_item_is_named_before_anything_is_written() {
    let host = standalone();
    let item = json!({"subjects": "s", "predicates": "p"});
    let many = json!({"items": vec![item.clone(); 1000]});
    let made = call(&host, &soon(), "attest_many", many).await.unwrap();
    assert_eq!(made, json!({"created": 1000}));
    let bad = json!({"items": [item, {"subjects": "s", "predicates": "p",
        "attributes": {"x": {"y": u64::MAX}}}]});
    let words = "`items[1].attributes.x.y`";
    let invalid = HostErrorKind::InvalidArgument;
    let error = refused(&host, &soon(), "attest_many", bad, invalid, words).await;
    assert_eq!(error.created, 0);
    let bad = json!({"items": [{"subjects": "s", "predicates": 1}]});
    refused(&host, &soon(), "attest_many", bad, invalid, "`items[0].predicates`").await;
    assert_eq!(host.embedded().unwrap().query(Filter::default()).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn query_is_read_in_pages_and_a_finished_cursor_is_gone() {
    let host = standalone();
    let item = json!({"subjects": "s", "predicates": "p"});
    call(&host, &soon(), "attest_many", json!({"items": vec![item; 600]})).await.unwrap();
    let context = soon();
    let mut page = call(&host, &context, "query", json!({"subjects": "s"})).await.unwrap();
    let first = page["cursor"].clone();
    let mut seen = std::collections::HashSet::new();
    loop {
        for row in page["attestations"].as_array().unwrap() {
            assert!(row["attributes"].is_object());
            assert!(seen.insert(row["id"].clone()), "given twice");
        }
        if page["cursor"].is_null() {
            break;
        }
        let next = json!({"cursor": page["cursor"]});
        page = call(&host, &context, "query", next).await.unwrap();
    }
    assert_eq!(seen.len(), 600);
    let invalid = HostErrorKind::InvalidArgument;
    refused(&host, &context, "query", json!({"cursor": first}), invalid, "not open").await;

    // a cursor of one execution is nothing to another
    let page = call(&host, &context, "query", json!({"subjects": "s"})).await.unwrap();
    let theirs = json!({"cursor": page["cursor"]});
    refused(&host, &soon(), "query", theirs, invalid, "not open").await;

    let one = call(&host, &context, "query", json!({"limit": 1, "since": 0})).await.unwrap();
    assert_eq!(one["attestations"].as_array().unwrap().len(), 1);
    assert_eq!(one["cursor"], Value::Null);
}

#[tokio::test]
async fn of_many_open_queries_the_one_unused_for_longest_gives_way() {
    let host = standalone();
    let item = json!({"subjects": "s", "predicates": "p"});
    call(&host, &soon(), "attest_many", json!({"items": vec![item; 800]})).await.unwrap();
    // two hundred pages, on machines that have much else to do
    let context = within(Duration::from_secs(120));
    let first = call(&host, &context, "query", json!({})).await.unwrap();
    let second = call(&host, &context, "query", json!({})).await.unwrap();
    let read_on = json!({"cursor": first["cursor"]});
    for _ in 0..31 {
        call(&host, &context, "query", json!({})).await.unwrap();
    }
    // the first had to go, or it would be 33; of the rest the second is the oldest
    let invalid = HostErrorKind::InvalidArgument;
    refused(&host, &context, "query", read_on, invalid, "unused for longest").await;
    let page = call(&host, &context, "query", json!({"cursor": second["cursor"]})).await.unwrap();
    assert!(!page["attestations"].as_array().unwrap().is_empty());
    for _ in 0..200 {
        call(&host, &context, "query", json!({})).await.unwrap();
    }
    let theirs = json!({"cursor": second["cursor"]});
    refused(&host, &context, "query", theirs, invalid, "unused for longest").await;
}

#[tokio::test]
async fn what_needs_a_core_says_so() {
    let host = standalone();
    let not = HostErrorKind::NotAvailable;
    for (name, args) in [
        ("fetch", json!({"url": "http://x"})),
        ("create_schedule", json!({"handler": "h", "every": 5})),
        ("pause_schedule", json!({"id": "1"})),
        ("get_schedule", json!({"id": "1"})),
        ("enqueue", json!({"handler": "h"})),
        ("llm.chat", json!({"messages": "hi"})),
        ("embed", json!({"text": "a"})),
        ("search", json!({"query": "a"})),
        ("vector_search", json!({"index": "i", "vector": [1]})),
        ("read_file", json!({"id": "f"})),
        ("ground.write", json!({"subjects": "s", "predicates": "p"})),
        ("ground.read", json!({"predicate": "p"})),
    ] {
        let error = refused(&host, &soon(), name, args, not, "needs a QNTX core").await;
        assert!(!error.retryable);
    }
    let nothing = Host::new(None);
    let args = json!({"subjects": "s", "predicates": "p"});
    refused(&nothing, &soon(), "attest", args, not, "--store").await;
}

#[tokio::test]
async fn exists_knows_what_is_there() {
    let host = standalone();
    let args = json!({"subjects": "s", "predicates": "p"});
    let made = call(&host, &within(Duration::from_secs(5)), "attest", args).await.unwrap();
    let there = call(&host, &soon(), "exists", json!({"id": made["id"]})).await.unwrap();
    assert_eq!(there, json!(true));
    let there = call(&host, &soon(), "exists", json!({"id": "AS-NO"})).await.unwrap();
    assert_eq!(there, json!(false));
}
