//! Programs through `PythonService`, `HandleHTTP` and `ExecuteJob`
//! (CONTRACT 4.6, 4.8, 4.9).
//!
//! **Invariant:** a failing program is an answer; a gRPC error is a fault.

use super::until;
use crate::bed::Bed;
use crate::core::lock;
use crate::wire::*;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(super) async fn a_program_is_answered_as_an_execution_result(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let ran = bed.run(&plugin, "print('hello')\n_result = {'n': 6 * 7}").await?;
    ensure!(ran.success && ran.output == "hello\n", "{ran:?}");
    ensure!(ran.result["result"] == json!({"n": 42}), "{}", ran.result);
    ensure!(ran.result["duration_ms"].is_u64() && ran.result["error"].is_null(), "{}", ran.result);
    let upstream = bed.runs(&plugin, "print(upstream)").await?;
    ensure!(upstream == "None\n", "upstream is {upstream:?} when run by hand");
    Ok(())
}

pub(super) async fn a_failing_program_is_an_answer_not_an_error(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    for (code, words) in [
        ("print('before')\n1/0", "ZeroDivisionError"),
        ("def f(:", "SyntaxError"),
        ("import os\nos._exit(3)", "3"),
        ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
    ] {
        let ran = bed.run(&plugin, code).await?;
        ensure!(!ran.success, "{code:?} succeeded");
        ensure!(ran.error.contains(words), "{code:?}: {}", ran.error);
    }
    let ran = bed.run(&plugin, "import sys\nprint('to stderr', file=sys.stderr)").await?;
    ensure!(ran.success && ran.output.contains("to stderr"), "stderr reaches nobody: {ran:?}");
    Ok(())
}

pub(super) async fn empty_code_and_the_watchers_prelude_succeed(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let prelude = "\nimport json\n_attestation_json = \"{\\\"id\\\":\\\"AS-1\\\"}\"\n\
                   attestation = json.loads(_attestation_json)\n\n# User code below\n\n";
    for code in ["", "\n", "# nothing\n", prelude] {
        let ran = bed.run(&plugin, code).await?;
        ensure!(ran.success && ran.output.is_empty(), "{code:?}: {ran:?}");
    }
    Ok(())
}

pub(super) async fn unknown_paths_are_404_three_times_over(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let mut bodies = Vec::new();
    for path in ["/glyph-module.js", "/api/python/glyph-module.js", "/glyph-module.js?x=1"] {
        let answer = plugin.http("GET", path, "").await?;
        ensure!(answer.status_code == 404, "{path}: {}", answer.status_code);
        bodies.push(answer.body);
    }
    ensure!(bodies[0] == bodies[2], "the third answer differs from the first");
    Ok(())
}

pub(super) async fn http_routes_answer_through_the_core(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    for (method, path, body, status, words) in [
        ("POST", "/execute", r#"{"content":"print(1)"}"#, 200, r#""success":true"#),
        ("POST", "/execute?x=y", r#"{"code":"1/0"}"#, 400, "ZeroDivisionError"),
        ("POST", "/evaluate", r#"{"expr":"1 + 2 * 3"}"#, 200, r#""result":7"#),
        ("POST", "/evaluate", "no json", 400, "error"),
        ("GET", "/version", "", 200, "python_version"),
        ("GET", "/version?a=b", "", 200, "python_version"),
        ("GET", "/execute", "", 405, "error"),
    ] {
        let answer = plugin.http(method, path, body).await?;
        let text = String::from_utf8(answer.body)?;
        ensure!(answer.status_code == status, "{method} {path}: {} {text}", answer.status_code);
        ensure!(text.contains(words), "{method} {path}: {text}");
        serde_json::from_str::<Value>(&text).with_context(|| format!("{path}: {text}"))?;
        let cors = |header: &HttpHeader| header.name.to_lowercase().starts_with("access-control");
        ensure!(!answer.headers.iter().any(cors), "{path}: CORS headers break browsers");
    }
    Ok(())
}

pub(super) async fn a_body_of_fifty_mebibytes_passes(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = format!("x = '{}'\nprint(len(x))", "a".repeat(50 << 20));
    let body = json!({"content": code, "timeout_secs": 60}).to_string();
    let answer = plugin.http("POST", "/execute", &body).await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status_code == 200, "{}: {:.300}", answer.status_code, text);
    ensure!(text.contains("52428800"), "{text:.300}");
    Ok(())
}

fn script(code: &str, timeout_secs: Option<i64>) -> ExecuteJobRequest {
    ExecuteJobRequest {
        job_id: "JB-1".to_owned(),
        handler_name: "python.script".to_owned(),
        payload: json!({"content": code}).to_string().into_bytes(),
        timeout_secs,
    }
}

pub(super) async fn an_endless_job_ends_at_its_time_limit(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let started = Instant::now();
    let answer =
        plugin.job(script("print('before', flush=True)\nwhile True: pass", Some(1))).await?;
    let took = started.elapsed();
    ensure!(!answer.success && !answer.error.is_empty(), "{answer:?}");
    ensure!(took >= Duration::from_secs(1) && took < Duration::from_millis(1500), "{took:?}");
    let printed = answer.log_entries.iter().any(|entry| entry.message.contains("before"));
    ensure!(printed, "what it printed is lost: {:?}", answer.log_entries);
    for entry in &answer.log_entries {
        ensure!(["info", "warn", "error", "debug"].contains(&entry.level.as_str()), "{entry:?}");
        let format = time::format_description::well_known::Rfc3339;
        let stamp = time::OffsetDateTime::parse(&entry.timestamp, &format);
        ensure!(entry.timestamp.is_empty() || stamp.is_ok(), "{entry:?}");
    }
    ensure!(answer.plugin_version == plugin.metadata.version, "{}", answer.plugin_version);
    Ok(())
}

pub(super) async fn an_unknown_handler_is_a_clear_failure(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let request =
        ExecuteJobRequest { handler_name: "nobody".to_owned(), ..ExecuteJobRequest::default() };
    let answer = plugin.job(request).await?;
    ensure!(!answer.success && answer.error.contains("nobody"), "{answer:?}");
    Ok(())
}

pub(super) async fn a_cancelled_call_stops_its_execution(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let running = async || -> anyhow::Result<u64> {
        let answer = plugin.http("GET", "/health", "").await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        health["running"].as_u64().with_context(|| format!("no running in {health}"))
    };
    let gone = tokio::time::timeout(
        Duration::from_millis(500),
        plugin.http("POST", "/execute", r#"{"content":"while True: pass","timeout_secs":50}"#),
    );
    let (gone, while_running) = tokio::join!(gone, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        running().await
    });
    ensure!(gone.is_err(), "an endless loop answered");
    ensure!(while_running? == 1, "it never ran");
    until("the execution stops", Duration::from_secs(2), async || Ok(running().await? == 0)).await
}

pub(super) async fn methods_and_queries_arrive_as_they_were_sent(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    bed.runs(&plugin, "attest('a b', 'é&=', 'c')\nattest('other', 'q')").await?;
    // the core decodes the path and leaves the query as it came
    for (query, found) in [
        ("?subject=a%20b", 1),
        ("?subject=a+b&predicate=%C3%A9%26%3D", 1),
        ("?predicate=q&limit=5", 1),
        ("?subject=nobody", 0),
        ("", 2),
    ] {
        let answer = plugin.http("GET", &format!("/attestations{query}"), "").await?;
        let text = String::from_utf8(answer.body)?;
        let rows: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        let count = rows["attestations"].as_array().map(Vec::len);
        ensure!(answer.status_code == 200 && count == Some(found), "{query}: {text}");
    }
    for (method, path, status) in [
        ("PUT", "/execute", 405),
        ("PATCH", "/execute", 405),
        ("DELETE", "/execute", 405),
        ("HEAD", "/version", 200),
        ("POST", "/exe cute", 404),
        ("GET", "//version", 404),
        ("GET", "/../version", 404),
        ("GET", "/é%", 404),
        ("BREW", "/version", 405),
        ("GET", "", 200),
        ("GET", "/", 200),
    ] {
        let answer = plugin.http(method, path, "").await?;
        ensure!(answer.status_code == status, "{method} {path:?}: {}", answer.status_code);
        let kind =
            answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
        let kind = kind.map(|header| header.values.as_slice());
        ensure!(kind == Some(&["application/json".to_owned()]), "{method} {path:?}: {kind:?}");
    }
    Ok(())
}

pub(super) async fn a_404_costs_nothing_and_changes_nothing(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    lock(&bed.core.services.seen).clear();
    let quiet = plugin.log().len();
    let started = Instant::now();
    for _ in 0..100 {
        for path in ["/glyph-module.js", "/api/python/glyph-module.js"] {
            let answer = plugin.http("GET", path, r#"{"content":"attest('x', 'y')"}"#).await?;
            ensure!(answer.status_code == 404);
            let named: Vec<_> = answer.headers.iter().map(|header| header.name.as_str()).collect();
            ensure!(named.len() <= 2, "headers of three answers pile up: {named:?}");
        }
    }
    let took = started.elapsed();
    ensure!(took < Duration::from_secs(2), "200 of them took {took:?}");
    ensure!(lock(&bed.core.services.seen).is_empty(), "something was called");
    // A zygote may come up meanwhile, and say so.
    let told = plugin.log().iter().skip(quiet).any(|line| line.contains("glyph-module"));
    ensure!(!told, "{:?}", plugin.log().get(quiet..));
    Ok(())
}

pub(super) async fn decorators_and_main_work_in_a_glyph(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = "@watch('order:placed', 'shop')\ndef a(): pass\n@schedule(every=5)\ndef b(): pass\n\
                @handler\ndef c(): pass\nprint('module')\ndef main(): print('main')";
    let said = bed.runs(&plugin, code).await?;
    // with decorators there is no main to be called, as in a handler
    ensure!(said == "module\n", "{said}");
    let said = bed.runs(&plugin, "print('module')\ndef main(): print('main')").await?;
    ensure!(said == "module\nmain\n", "{said}");
    let upstream = PythonExecuteRequest {
        code: "print(upstream['id'])".to_owned(),
        upstream_attestation: b"{\"id\": \"AS-1\", \"subjects\": null}".to_vec(),
        ..PythonExecuteRequest::default()
    };
    let answer = plugin.execute(upstream.clone()).await?;
    ensure!(answer.success && answer.output == "AS-1\n", "{answer:?}");
    // an answer, which the core tries again like any failure; no gRPC error
    let broken = PythonExecuteRequest { upstream_attestation: b"{\"id\":".to_vec(), ..upstream };
    let answer = plugin.execute(broken).await?;
    ensure!(!answer.success && answer.error.contains("upstream_attestation"), "{answer:?}");
    Ok(())
}

pub(super) async fn a_glyphs_attestations_carry_its_actor(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let request = PythonExecuteRequest {
        code: "import qntx\nqntx.ground.write('s', 'p', actors='me')\nprint(qntx.glyph_id)\n\
               attest('s', 'p')"
            .to_owned(),
        glyph_id: "g-7".to_owned(),
        ..PythonExecuteRequest::default()
    };
    let answer = plugin.execute(request).await?;
    ensure!(answer.success && answer.output == "g-7\n", "{answer:?}");
    let sent = lock(&bed.core.services.actors).clone();
    ensure!(sent == [["glyph:g-7"]], "{sent:?}");
    Ok(())
}
