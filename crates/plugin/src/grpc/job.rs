//! `ExecuteJob`: what Pulse and the watcher engine ask for.
//!
//! **Invariant:** every job is answered, never refused with a gRPC error, and
//! what it printed is in its log entries also when it failed.

use crate::VERSION;
use crate::answer::{Answer, Captured, Note};
use crate::api::attestations::Find;
use crate::api::outcome::{Bounds, sentence};
use crate::api::render::{self, Shape};
use crate::api::{Api, Execute, chain, execute as rendering};
use crate::config::Config;
use crate::declarations::{RELOAD, script};
use crate::error::RunError;
use crate::handlers::{Caller, Ran, Run};
use crate::packages::Progress;
use crate::request::{Class, Request, Source};
use bytes::Bytes;
use proto::protocol::{ExecuteJobRequest, ExecuteJobResponse, JobLogEntry};
use std::time::{Duration, Instant, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Most lines of a stream that become log entries of their own.
const MAX_LINES: usize = 1000;
/// Most bytes of a log entry.
const MAX_LINE: usize = 16 << 10;

/// Runs one job to its end.
pub(super) async fn run<E: Execute, A: Find>(
    api: &Api<E, A>,
    job: ExecuteJobRequest,
) -> ExecuteJobResponse {
    let config = api.settings().config();
    let name = config.name.as_str();
    // Old schedules and jobs carry the dotted spelling, the core's keys a slash.
    let prefixed = |separator| job.handler_name.strip_prefix(name)?.strip_prefix(separator);
    let bare = prefixed('.').or_else(|| prefixed('/')).unwrap_or(&job.handler_name);
    tracing::debug!(job = %job.job_id, handler = %job.handler_name, "job");
    let bare = bare.strip_prefix(&format!("{name}.")).unwrap_or(bare);
    if bare == RELOAD {
        return reload(api).await;
    }
    if bare == "script" {
        return match text(&job.payload, &script(name)) {
            Ok(text) => {
                let source = Source::Code { text, function: None };
                execute(api, &config, &job, Request::new(source, config.defaults.clone())).await
            }
            Err(reason) => failed(reason, Vec::new()),
        };
    }
    let now = api.handlers().now();
    match now.book.find(name, &job.handler_name, caller(&job)) {
        Some(found) => handler(api, &config, &job, found).await,
        None => {
            let reason = if now.stale {
                format!("no handler called `{bare}` is known, and {}", now.notes.join("; "))
            } else {
                format!("no handler is called `{bare}`")
            };
            failed(reason, Vec::new())
        }
    }
}

/// Who sends it. The watcher engine marks its jobs; a declared schedule brings
/// nothing along.
fn caller(job: &ExecuteJobRequest) -> Caller {
    if job.job_id.starts_with("watcher-") {
        Caller::Watcher
    } else if job.payload.trim_ascii().is_empty() {
        Caller::Clock
    } else {
        Caller::Queue
    }
}

async fn reload<E: Execute, A: Find>(api: &Api<E, A>) -> ExecuteJobResponse {
    match api.handlers().reload(api.runner(), api.settings()).await {
        Ok(done) => {
            let at = stamp(SystemTime::now());
            let waits =
                |line| entry(&at, "warn", &format!("waits for a restart: {line}"), "reload");
            ExecuteJobResponse {
                success: true,
                log_entries: done.waiting.iter().map(waits).collect(),
                result: serde_json::json!({
                    "reloaded": done.count,
                    "waiting_for_restart": done.waiting,
                })
                .to_string()
                .into_bytes(),
                plugin_version: VERSION.to_owned(),
                ..ExecuteJobResponse::default()
            }
        }
        Err(reason) => failed(reason, Vec::new()),
    }
}

/// One run of a handler, on the trigger that fired.
async fn handler<E: Execute, A: Find>(
    api: &Api<E, A>,
    config: &Config,
    job: &ExecuteJobRequest,
    found: Run,
) -> ExecuteJobResponse {
    let Run { handler, function } = found;
    let began = Instant::now();
    let at = stamp(SystemTime::now());
    let answer = match (handler.why_not(), upstream(&job.payload)) {
        (Some(reason), _) => {
            failed(format!("handler `{}` can't run: {reason}", handler.name), Vec::new())
        }
        (None, Err(reason)) => failed(reason, Vec::new()),
        (None, Ok(_)) if function.is_none() && !handler.triggers.is_empty() => failed(
            format!(
                "handler `{}` has nothing that runs without an attestation: its functions are \
                 all @watch; add one with @schedule or @handler",
                handler.name
            ),
            Vec::new(),
        ),
        (None, Ok(upstream)) => {
            let source = Source::Code { text: handler.code.clone(), function: function.clone() };
            let mut request = Request::new(source, config.defaults.clone());
            request.upstream = upstream;
            request.handler = Some(handler.name.clone());
            if let Some((name, profile)) = config.profiles.of_handler(&handler.name) {
                profile.limits.apply(&mut request.limits);
                if name != crate::profile::DEFAULT {
                    name.clone_into(&mut request.profile);
                }
            }
            execute(api, config, job, request).await
        }
    };
    api.handlers().ledger().note(
        &handler.name,
        Ran {
            at,
            job: job.handler_name.clone(),
            job_id: job.job_id.clone(),
            function,
            success: answer.success,
            error: (!answer.success).then(|| answer.error.clone()),
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        },
    );
    answer
}

/// What the handler is given: the attestation, or whatever was enqueued.
fn upstream(payload: &[u8]) -> Result<Option<Bytes>, String> {
    if payload.trim_ascii().is_empty() {
        return Ok(None);
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(payload) {
        Ok(_) => Ok(Some(Bytes::copy_from_slice(payload))),
        Err(error) => Err(format!("the payload is not JSON: {error}")),
    }
}

async fn execute<E: Execute, A: Find>(
    api: &Api<E, A>,
    config: &Config,
    job: &ExecuteJobRequest,
    mut request: Request,
) -> ExecuteJobResponse {
    request.limits.wall = timeout(config, job);
    request.class = Class::Job;
    request.caller = crate::caller::Caller::handler(&job.handler_name);
    let bounds = Bounds { limits: request.limits.clone(), ceiling: config.ceiling.clone() };
    let run = async {
        let choice = api.choose(&mut request, None, &Progress::default()).await?;
        let mut answer = api.runner().execute(request).await?;
        choice.explain(&mut answer);
        Ok(answer)
    };
    match run.await {
        Ok(answer) => finished(answer, bounds).await,
        Err(RunError::Rejected(rejected)) => failed(rejected.to_string(), Vec::new()),
        Err(RunError::Fault(fault)) => {
            let reason = chain(&fault);
            tracing::error!(%reason, job = %job.job_id, "a job could not be run");
            failed(reason, Vec::new())
        }
    }
}

/// The job's time limit: its own up to the maximum, else the configured one.
fn timeout(config: &Config, job: &ExecuteJobRequest) -> Duration {
    let asked = match job.timeout_secs {
        Some(secs) if secs > 0 => Duration::from_secs(secs.unsigned_abs()),
        Some(_) | None => config.job_timeout,
    };
    let most = config.ceiling.wall.max(config.defaults.wall);
    if asked > most {
        let (asked, most) = (asked.as_secs_f64(), most.as_secs_f64());
        tracing::warn!(job = %job.job_id, asked, most, "the job's time limit is above the maximum");
    }
    asked.min(most)
}

/// The script in a payload, under any of the names it has had.
fn text(payload: &[u8], handler: &str) -> Result<String, String> {
    let missing = || format!("`{handler}` needs a payload like {{\"content\": \"print(1)\"}}");
    if payload.trim_ascii().is_empty() {
        return Err(missing());
    }
    let value: serde_json::Value =
        serde_json::from_slice(payload).map_err(|e| format!("the payload is not JSON: {e}"))?;
    let text = ["content", "code", "script_code"].iter().find_map(|key| value.get(key));
    match text {
        Some(serde_json::Value::String(text)) if text.contains('\0') => {
            Err("the script contains a NUL character".to_owned())
        }
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(_) => Err("the script in the payload is not a string".to_owned()),
        None => Err(missing()),
    }
}

async fn finished(answer: Answer, bounds: Bounds) -> ExecuteJobResponse {
    let mut log_entries: Vec<_> = answer.notes.iter().map(note).collect();
    let at = stamp(SystemTime::now());
    lines(&mut log_entries, &answer.stdout, "info", "stdout", &at);
    lines(&mut log_entries, &answer.stderr, "warn", "stderr", &at);
    let progress = answer.notes.iter().rev().find_map(|note| note.progress);
    let success = answer.outcome.success();
    let error = sentence(&answer, &bounds).map(std::borrow::Cow::into_owned).unwrap_or_default();
    let shape = Shape { variables: false, cap: render::MESSAGE_CAP / 4 };
    let result = rendering::rendered(answer, bounds, shape).await.to_vec();
    let mut response = if success {
        ExecuteJobResponse { success: true, log_entries, ..ExecuteJobResponse::default() }
    } else {
        failed(error, log_entries)
    };
    response.result = result;
    response.plugin_version = VERSION.to_owned();
    if let Some((current, total)) = progress {
        response.progress_current = whole(current);
        response.progress_total = total.map_or(0, whole);
    }
    response
}

fn failed(reason: String, mut log_entries: Vec<JobLogEntry>) -> ExecuteJobResponse {
    log_entries.push(entry(&stamp(SystemTime::now()), "error", &reason, ""));
    ExecuteJobResponse {
        success: false,
        error: reason,
        log_entries,
        plugin_version: VERSION.to_owned(),
        ..ExecuteJobResponse::default()
    }
}

fn note(note: &Note) -> JobLogEntry {
    let mut entry = entry(&stamp(note.at), level(&note.level), &note.message, &note.stage);
    entry.metadata = match (note.fields.is_empty(), note.progress) {
        (false, _) => String::from_utf8_lossy(&note.fields).into_owned(),
        (true, Some((current, total))) => {
            serde_json::json!({ "current": current, "total": total }).to_string()
        }
        (true, None) => String::new(),
    };
    if entry.message.is_empty() && note.progress.is_some() {
        "progress".clone_into(&mut entry.message);
    }
    entry
}

/// One entry per line, up to a number of them; the rest is counted.
fn lines(entries: &mut Vec<JobLogEntry>, stream: &Captured, level: &str, stage: &str, at: &str) {
    let text = stream.text();
    let mut rest = text.lines().filter(|line| !line.trim().is_empty());
    for line in rest.by_ref().take(MAX_LINES) {
        entries.push(entry(at, level, line, stage));
    }
    let left = rest.count();
    if left > 0 || stream.truncated {
        let cut = if stream.truncated { ", and what was beyond the output limit" } else { "" };
        let message = format!("{stage}: {left} further lines are left out{cut}");
        entries.push(entry(at, "warn", &message, stage));
    }
}

fn entry(at: &str, level: &str, message: &str, stage: &str) -> JobLogEntry {
    let mut end = message.len().min(MAX_LINE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    JobLogEntry {
        timestamp: at.to_owned(),
        level: level.to_owned(),
        message: message[..end].to_owned(),
        stage: stage.to_owned(),
        metadata: String::new(),
    }
}

/// The core's four words.
fn level(level: &str) -> &'static str {
    match level.to_ascii_lowercase().as_str() {
        "debug" | "trace" => "debug",
        "warn" | "warning" => "warn",
        "error" | "critical" | "fatal" => "error",
        _ => "info",
    }
}

fn stamp(at: SystemTime) -> String {
    // Empty is the core's own "now".
    OffsetDateTime::from(at).format(&Rfc3339).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from f64 saturates")]
fn whole(number: f64) -> i32 {
    number.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(timeout_secs: Option<i64>) -> ExecuteJobRequest {
        ExecuteJobRequest { timeout_secs, ..ExecuteJobRequest::default() }
    }

    #[test]
    fn the_time_limit_is_the_jobs_own_or_the_default_and_never_above_the_maximum() {
        let mut config = Config::default();
        assert_eq!(timeout(&config, &job(None)).as_secs(), 300);
        assert_eq!(timeout(&config, &job(Some(7))).as_secs(), 7);
        assert_eq!(timeout(&config, &job(Some(0))).as_secs(), 300);
        assert_eq!(timeout(&config, &job(Some(-5))).as_secs(), 300);
        assert_eq!(timeout(&config, &job(Some(i64::MAX))).as_secs(), 3600);
        config.ceiling.wall = Duration::from_secs(60);
        assert_eq!(timeout(&config, &job(None)).as_secs(), 60);
    }

    #[test]
    fn a_script_is_found_under_any_of_its_names() {
        for payload in [r#"{"content":"x"}"#, r#"{"script_code":"x"}"#, r#"{"code":"x","n":1}"#] {
            assert_eq!(text(payload.as_bytes(), "python.script").unwrap(), "x");
        }
        for payload in ["", " ", "{}", "[]", "null", "x", r#"{"code":1}"#, r#"{"code":"\u0000"}"#] {
            assert!(text(payload.as_bytes(), "python.script").is_err(), "{payload}");
        }
    }

    #[test]
    fn lines_become_entries_and_the_rest_is_counted() {
        let mut entries = Vec::new();
        let bytes = "a\n\nb\n".repeat(600).into_bytes();
        lines(&mut entries, &Captured { bytes, truncated: true }, "info", "stdout", "t");
        assert_eq!(entries.len(), MAX_LINES + 1);
        assert!(entries[MAX_LINES].message.contains("200 further lines"));
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let long = entry("", "info", &"é".repeat(MAX_LINE), "");
        assert_eq!(long.message.len(), MAX_LINE);
        let odd = entry("", "info", &format!("a{}", "é".repeat(MAX_LINE)), "");
        assert_eq!(odd.message.len(), MAX_LINE - 1);
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(stamp(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
