//! Schedules and jobs made at run time.
//!
//! **Invariant:** handlers go over as registry keys, intervals are at least a
//! second, and a job never goes out without its progress: the core dies of it.

use super::args::Args;
use super::error::{Call, HostError};
use super::link::{Link, client, unary};
use proto::protocol as wire;
use proto::protocol::queue_service_client::QueueServiceClient;
use proto::protocol::schedule_service_client::ScheduleServiceClient;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::transport::Channel;

/// `create_schedule(handler, every, payload=None, metadata=None)` → `{"id"}`.
/// The core answers an existing active schedule of the handler unchanged.
pub(super) async fn create(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let handler = args.required_text("handler")?;
    let every = args.bounded("every", 1..=i32::MAX)?;
    let payload = args.json("payload");
    let mut metadata = HashMap::new();
    for (key, value) in args.object("metadata")? {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        metadata.insert(key, text);
    }
    args.finish()?;
    // the mark by which the core knows whose schedule it is
    metadata.insert("plugin".to_owned(), call.context.plugin_name.clone());
    let message = wire::CreateScheduleRequest {
        auth_token: token.to_owned(),
        handler_name: call.context.handler_key(&handler),
        interval_seconds: every.ok_or_else(|| call.invalid("`every` is missing"))?,
        payload,
        metadata,
    };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.create_schedule(r).await }).await?;
    if !answer.success {
        return Err(call.refused(answer.error));
    }
    if answer.schedule_id.is_empty() {
        return Err(call.garbage("a schedule without an id"));
    }
    Ok(json!({ "id": answer.schedule_id }))
}

/// `pause_schedule(id)`
pub(super) async fn pause(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    let message =
        wire::PauseScheduleRequest { auth_token: token.to_owned(), schedule_id: id(args)? };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.pause_schedule(r).await }).await?;
    done(call, answer.success, answer.error)
}

/// `resume_schedule(id)`
pub(super) async fn resume(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    let message =
        wire::ResumeScheduleRequest { auth_token: token.to_owned(), schedule_id: id(args)? };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.resume_schedule(r).await }).await?;
    done(call, answer.success, answer.error)
}

/// `delete_schedule(id)`
pub(super) async fn delete(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    let message =
        wire::DeleteScheduleRequest { auth_token: token.to_owned(), schedule_id: id(args)? };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.delete_schedule(r).await }).await?;
    done(call, answer.success, answer.error)
}

/// `get_schedule(id)` → the schedule as a dict.
pub(super) async fn get(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    let message = wire::GetScheduleRequest { auth_token: token.to_owned(), schedule_id: id(args)? };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.get_schedule(r).await }).await?;
    if !answer.success {
        return Err(call.refused(answer.error));
    }
    let job = answer.job.ok_or_else(|| call.garbage("no schedule in it"))?;
    Ok(json!({
        "id": job.id,
        "handler": job.handler_name,
        "every": job.interval_seconds,
        "state": job.state,
        "payload": json_or_null(&job.payload),
        "metadata": json_or_null(job.metadata.as_bytes()),
        "next_run_at": text_or_null(job.next_run_at),
        "last_run_at": text_or_null(job.last_run_at),
        "last_execution_id": text_or_null(job.last_execution_id),
        "created_at": text_or_null(job.created_at),
        "updated_at": text_or_null(job.updated_at),
    }))
}

/// `enqueue(handler, payload=None)` → `{"id"}`
pub(super) async fn enqueue(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let handler = args.required_text("handler")?;
    let payload = args.json("payload");
    args.finish()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let job = wire::Job {
        id: job_id(call)?,
        handler_name: call.context.handler_key(&handler),
        payload,
        source: call.context.plugin_name.clone(),
        status: "queued".to_owned(),
        progress: Some(wire::Progress { current: 0, total: 0 }),
        created_at: i64::try_from(now).unwrap_or(i64::MAX),
        ..wire::Job::default()
    };
    let message = wire::EnqueueRequest { auth_token: token.to_owned(), job: Some(job) };
    let mut client = client!(QueueServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.enqueue(r).await }).await?;
    if !answer.success {
        return Err(call.refused(answer.error));
    }
    Ok(json!({ "id": answer.job_id }))
}

/// 128 random bits: the queue leaves the choice of ids to its clients.
fn job_id(call: &Call<'_>) -> Result<String, HostError> {
    let mut bytes = [0_u8; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| call.absent(&format!("no random numbers for a job id ({error})")))?;
    Ok(format!("job-{:032x}", u128::from_ne_bytes(bytes)))
}

fn id(mut args: Args<'_>) -> Result<String, HostError> {
    let id = args.required_text("id")?;
    args.finish()?;
    Ok(id)
}

fn done(call: &Call<'_>, success: bool, error: String) -> Result<Value, HostError> {
    if success { Ok(Value::Null) } else { Err(call.refused(error)) }
}

fn schedules(link: &Link, call: &Call<'_>) -> Result<ScheduleServiceClient<Channel>, HostError> {
    Ok(client!(ScheduleServiceClient<Channel>, link.channel(call)?))
}

/// What was stored as JSON, as JSON again; text that is none stays text.
fn json_or_null(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

fn text_or_null(text: String) -> Value {
    if text.is_empty() { Value::Null } else { Value::String(text) }
}
