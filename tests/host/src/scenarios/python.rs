//! Programs through `PythonService`, `HandleHTTP` and `ExecuteJob`
//! (CONTRACT 4.6, 4.8, 4.9).
//!
//! **Invariant:** a failing program is an answer; a gRPC error is a fault.

use super::until;
use crate::bed::Bed;
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
