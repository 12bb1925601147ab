//! The routes, over a stand-in that answers what it is told to.

use super::*;
use crate::answer::Captured;
use crate::request::Source;
use crate::stand_in::{Fake, Nothing, answer, api};
use proto::Outcome;
use proto::outcome::Raised;
use std::time::Duration;

async fn call(api: &Api<Fake, Nothing>, line: &str, body: &str) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let (method, path) = (method.to_owned(), path.to_owned());
    api.call(Call { method, path, body, door: Door::Tcp }).await
}

async fn refused(line: &str, body: &str) -> (u16, serde_json::Value) {
    let reply = call(&api(Outcome::Value), line, body).await;
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

fn text(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn the_seeds_fields_come_first_and_in_its_order() {
    let reply = call(&api(Outcome::Value), "POST /execute", r#"{"code":"x"}"#).await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        text(&reply),
        concat!(
            r#"{"success":true,"stdout":"Hello, \"World\"!\n"#,
            "\u{fffd}",
            r#"","stderr":"","result":{"a":123456789012345678901234567890},"error":null,"#,
            r#""duration_ms":5,"variables":{"x":"'1'"},"outcome":"value","outcome_detail":{},"#,
            r#""execution_id":7,"truncated":{"stdout":true,"stderr":false},"#,
            r#""usage":{"cpu_ms":0,"max_rss_bytes":0,"queued_ms":3,"host_calls":2,"#,
            r#""stdout_bytes":0,"stderr_bytes":0}}"#
        )
    );
}

#[tokio::test]
async fn a_failed_program_is_a_400_with_its_outcome() {
    let raised = Raised {
        kind: "ZeroDivisionError".to_owned(),
        message: "division by zero".to_owned(),
        traceback: "Traceback …\nZeroDivisionError: division by zero\n".to_owned(),
        line: Some(3),
    };
    let reply =
        call(&api(Outcome::Raised(raised)), "POST /api/python/evaluate", r#"{"expr":"1/0"}"#).await;
    assert_eq!(reply.status, 400);
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["outcome"], "raised");
    assert_eq!(
        body["outcome_detail"],
        serde_json::json!({"kind": "exception", "type": "ZeroDivisionError", "line": 3})
    );
    assert!(body["error"].as_str().unwrap().starts_with("Traceback"));
}

#[tokio::test]
async fn every_failed_outcome_has_a_sentence() {
    for outcome in [
        Outcome::Exited { code: 3, message: None },
        Outcome::TimedOut { limit: Duration::from_secs(1) },
        Outcome::OverCpu,
        Outcome::OverMemory,
        Outcome::OverScratch,
        Outcome::OverThreads,
        Outcome::Killed { signal: 11, memory_suspected: false },
        Outcome::Killed { signal: 9, memory_suspected: true },
        Outcome::Denied { syscall: Some("ptrace".to_owned()) },
        Outcome::Denied { syscall: None },
        Outcome::Cancelled,
        Outcome::Protocol { reason: "a frame of unknown kind".to_owned() },
    ] {
        let word = outcome.word();
        let reply = call(&api(outcome), "POST /execute", r#"{"code":"x"}"#).await;
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, body["outcome"].as_str()), (400, Some(word)));
        assert!(body["error"].as_str().is_some_and(|e| e.len() > 20), "{body}");
        assert_eq!(body["success"], false);
    }
    let exited = api(Outcome::Exited { code: 0, message: None });
    let reply = call(&exited, "POST /execute", r#"{"code":"x"}"#).await;
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &body["success"]), (200, &serde_json::json!(true)));
    assert_eq!(body["outcome_detail"], serde_json::json!({"exit_code": 0}));
}

#[tokio::test]
async fn wrong_requests_name_the_field() {
    for (line, body, field, words) in [
        ("POST /execute", "{}", "code", "missing field `code`"),
        ("POST /execute", r#"{"code":"a","content":"b"}"#, "content", "two names"),
        ("POST /execute", r#"{"code":5}"#, "code", "a string, not a number"),
        ("POST /execute", r#"{"code":"","timeout_secs":0}"#, "timeout_secs", "above 0"),
        ("POST /execute", r#"{"code":"","timeout":1}"#, "timeout", "unknown field"),
        ("POST /execute", r#"{"code":"\u0000"}"#, "code", "NUL"),
        ("POST /execute", r#"{"code":"","python_paths":["/etc"]}"#, "python_paths", "outside"),
        ("POST /execute", r#"{"code":"","python_paths":"x"}"#, "python_paths", "list of strings"),
        ("POST /execute", r#"{"code":"","session":""}"#, "session", "1 to 128"),
        ("POST /execute", r#"{"code":"","capture_variables":1}"#, "capture_variables", "true"),
        ("POST /execute", r#"{"code":"","limits":{"threads":0}}"#, "limits.threads", "above 0"),
        ("POST /evaluate", "{}", "expr", "missing field `expr`"),
        ("POST /evaluate", r#"{"expr":"  "}"#, "expr", "empty"),
        ("POST /evaluate", r#"{"code":"1"}"#, "code", "known are expr"),
        ("POST /execute", r#"{"codes":"1"}"#, "codes", "known are code, content"),
        ("POST /execute-file", "{}", "path", "missing"),
        ("POST /execute-file", r#"{"path":"/etc/passwd"}"#, "path", "outside"),
        ("POST /execute-file", r#"{"path":"/srv/scripts/../../etc/passwd"}"#, "path", "outside"),
        ("POST /execute-file", r#"{"path":"../x"}"#, "path", "outside"),
        ("POST /execute-file", r#"{"path":"a\u0000"}"#, "path", "NUL"),
        ("GET /modules?module=a%20b", "", "modules", "no module's name"),
        ("GET /attestations?limit=0", "", "limit", "from 1 to"),
    ] {
        let (status, reply) = refused(line, body).await;
        assert_eq!(status, 400, "{line} {body} {reply}");
        assert_eq!(reply["field"], field, "{line} {body} {reply}");
        assert!(reply["error"].as_str().unwrap().contains(words), "{line} {body} {reply}");
        assert!(reply.get("success").is_none());
    }
}

#[tokio::test]
async fn paths_and_methods_are_told_apart() {
    let fake = api(Outcome::Value);
    let unknown = call(&fake, "GET /glyph-module.js?v=1", "").await;
    assert_eq!(unknown.status, 404);
    assert_eq!(text(&unknown), r#"{"error":"Unknown endpoint: GET /glyph-module.js"}"#);
    let wrong = call(&fake, "GET /execute", "").await;
    assert_eq!((wrong.status, header(&wrong, "allow")), (405, Some("POST")));
    assert!(fake.runner().asked.lock().unwrap().is_empty(), "neither may run anything");
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let reply = call(&api(Outcome::Value), "POST /execute", r#"{"code":"busy"}"#).await;
    assert_eq!((reply.status, header(&reply, "retry-after")), (503, Some("7")));
}

#[tokio::test]
async fn a_panic_is_a_500_and_not_a_broken_connection() {
    let reply = call(&api(Outcome::Value), "POST /execute", r#"{"code":"panic"}"#).await;
    assert_eq!(reply.status, 500);
}

#[tokio::test]
async fn the_fields_of_a_request_arrive() {
    let fake = api(Outcome::Value);
    let body = r#"{"content":"","capture_variables":true,"glyph_id":"g","stdin":"in","session":"s",
        "upstream_attestation":{"id":"A"},"python_paths":["/srv/scripts/lib"],
        "queue_timeout_secs":1.5,"timeout_secs":2}"#;
    assert_eq!(call(&fake, "POST /execute?x=1", body).await.status, 200);
    assert_eq!(call(&fake, "POST /execute-file", r#"{"path":"a.py"}"#).await.status, 200);
    let asked = fake.runner().asked.lock().unwrap();
    let first = &asked[0];
    assert!(matches!(&first.source, Source::Code { text, .. } if text.is_empty()));
    assert!(first.capture_variables);
    assert_eq!((first.glyph_id.as_str(), first.stdin.as_ref()), ("g", b"in".as_slice()));
    assert_eq!(first.session.as_deref(), Some("s"));
    assert_eq!(first.upstream.as_deref(), Some(br#"{"id":"A"}"#.as_slice()));
    assert_eq!(first.queue_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(first.limits.wall.as_secs(), 2);
    assert!(matches!(&asked[1].source, Source::File(path) if path.ends_with("scripts/a.py")));
}

#[tokio::test]
async fn modules_are_looked_up_by_a_program_that_holds_their_names() {
    let fake = api(Outcome::Value);
    let reply = call(&fake, "GET /modules?modules=os,numpy", r#"{"modules":["a.b"]}"#).await;
    assert_eq!(
        text(&reply),
        concat!(
            r#"{"modules":{"os":true,"numpy":false,"a.b":false},"distributions":{"pip":"24.2"},"#,
            r#""preloaded":["json"],"set_aside":{"numpy":"starts threads"}}"#
        )
    );
    let asked = fake.runner().asked.lock().unwrap();
    let Source::Code { text, .. } = &asked[0].source else { panic!("{:?}", asked[0]) };
    assert!(text.starts_with("_names = [\"os\", \"numpy\", \"a.b\"]\n"));
}

#[tokio::test]
async fn the_state_is_told() {
    let fake = api(Outcome::Value);
    let version = call(&fake, "GET /version?x", "").await;
    let expected =
        format!(r#"{{"python_version":"3.13.0","plugin_version":"{}"}}"#, crate::VERSION);
    assert_eq!(text(&version), expected);
    let health: serde_json::Value =
        serde_json::from_slice(&call(&fake, "GET /health", "").await.body).unwrap();
    assert_eq!(health["ready"], true);
    assert!(health.get("healthy").is_none(), "nobody launched us");
    let index: serde_json::Value =
        serde_json::from_slice(&call(&fake, "GET /", "").await.body).unwrap();
    assert_eq!(index["routes"].as_array().unwrap().len(), routes::ROUTES.len());
    fake.life.stop(crate::lifecycle::Stop::Asked);
    assert_eq!(call(&fake, "GET /health", "").await.status, 503);
}

#[tokio::test]
async fn attestations_are_read_or_unavailable() {
    let fake = api(Outcome::Value);
    assert_eq!(text(&call(&fake, "GET /attestations", "").await), r#"{"attestations":[]}"#);
    let down = call(&fake, "GET /attestations?subject=store", "").await;
    assert_eq!((down.status, text(&down)), (503, r#"{"error":"store is down"}"#));
}

#[test]
fn a_body_stays_below_its_cap() {
    let mut answer = answer(Outcome::Value);
    answer.stdout = Captured { bytes: vec![1; 4 << 20], truncated: false };
    let limits = proto::Limits::default();
    let bounds = outcome::Bounds { ceiling: limits.clone(), limits };
    let shape = render::Shape { variables: false, cap: 16 << 20 };
    let body = render::answer(&answer, &bounds, shape);
    assert!(body.len() <= shape.cap, "{}", body.len());
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["truncated"]["stdout"], true);
}

/// A great many requests, each a mutation of one that is in order. `QNTX_FUZZ_REQUESTS=5000000`
/// makes it that many instead of 20,000.
#[tokio::test]
async fn mutated_requests_are_answered_and_never_a_fault_of_ours() {
    const LINES: [&str; 10] = [
        "POST /execute",
        "POST /api/python/execute",
        "POST /evaluate",
        "POST /execute-file",
        "GET /modules?names=json,sqlite3&names=no_such",
        "GET /attestations?subject=a&limit=5&since=2024-01-01T00:00:00Z&actor=x",
        "GET /health",
        "GET /version",
        "POST /pip/install",
        "DELETE /execute",
    ];
    const BODIES: [&str; 5] = [
        r#"{"code":"print('Hello')\n_result = [1, 2]","timeout_secs":1.5,"capture_variables":true}"#,
        r#"{"expr":"1 + 1","limits":{"memory_bytes":1000000,"cpu_secs":2,"threads":4}}"#,
        r#"{"path":"a/b.py","python_paths":["/x"],"stdin":"\u00e9\ud83d\ude00","session":"s"}"#,
        r#"{"content":"x","glyph_id":"g","upstream_attestation":{"id":"a","attributes":{"n":[1,null]}}}"#,
        r#"{"package":"numpy>=2","packages":["a","b[c]==1"]}"#,
    ];
    let full = std::env::var("QNTX_PYTHON_FULL").is_ok_and(|full| full == "1");
    let usual = if full { 10_000_000 } else { 20_000 };
    let wanted = std::env::var("QNTX_FUZZ_REQUESTS").map_or(usual, |text| text.parse().unwrap());
    let api = api(Outcome::Value);
    let (mut state, mut served, mut refused) = (0x9e37_79b9_7f4a_7c15u64, 0u64, 0u64);
    // xorshift64*
    let mut below = |most: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % most.max(1)
    };
    for _ in 0..wanted {
        let mut line = LINES[below(LINES.len())].as_bytes().to_vec();
        let mut body = BODIES[below(BODIES.len())].as_bytes().to_vec();
        for (bytes, changes) in [(&mut line, below(3)), (&mut body, below(4))] {
            for _ in 0..changes {
                let at = below(bytes.len());
                match if bytes.is_empty() { 2 } else { below(5) } {
                    0 => bytes[at] = u8::try_from(below(256)).unwrap(),
                    1 => bytes[at] ^= 1 << below(8),
                    2 => bytes.insert(at, b"[]{}\",:\\0e&=%"[below(13)]),
                    3 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at.max(1)),
                }
            }
        }
        let line = String::from_utf8_lossy(&line);
        let (method, path) = line.split_once(' ').unwrap_or((&line, "/"));
        let (method, path) = (method.to_owned(), path.to_owned());
        let asked = format!("{method} {path} {}", String::from_utf8_lossy(&body));
        let reply = api.call(Call { method, path, body: Bytes::from(body), door: Door::Tcp }).await;
        assert!(
            (200..500).contains(&reply.status) || reply.status == 503,
            "{} {asked}",
            reply.status
        );
        if reply.status == 200 { served += 1 } else { refused += 1 }
    }
    assert!(served > wanted / 20 && refused > wanted / 20, "{served} {refused} of {wanted}");
}

proptest::proptest! {
    #[test]
    fn any_body_is_a_request_or_an_invalid_one(
        keys in proptest::collection::vec("[a-z_]{1,20}|code|content|expr|path|limits|timeout_secs", 0..5),
        values in proptest::collection::vec("[\\[{\"0-9eE.+-]{0,12}|null|true|\"x\"|1|-0|1e999|\\[\\]", 5),
        raw in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64),
    ) {
        let members: Vec<_> = keys.iter().zip(&values).map(|(k, v)| format!("\"{k}\":{v}")).collect();
        let body = format!("{{{}}}", members.join(","));
        for endpoint in [Endpoint::Execute, Endpoint::Evaluate, Endpoint::ExecuteFile] {
            for bytes in [body.as_bytes(), raw.as_slice()] {
                if let Err(refused) = execute::request(endpoint, bytes, &crate::config::Config::default()) {
                    let invalid = matches!(refused, Rejected::Invalid { .. });
                    proptest::prop_assert!(invalid);
                }
            }
        }
    }
}
