//! Schedules and jobs made at run time.
//!
//! **Invariant:** handlers go over as registry keys, intervals are at least a
//! second, and a job never goes out without its progress: the core dies of it.

use super::args::Args;
use super::error::{Call, HostError, HostErrorKind};
use super::known::Known;
use super::link::{Link, client, unary};
use super::made::{Made, MadeSchedule};
use proto::protocol as wire;
use proto::protocol::queue_service_client::QueueServiceClient;
use proto::protocol::schedule_service_client::ScheduleServiceClient;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::transport::Channel;

/// A schedule as it is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// The registry key: `plugin/handler`.
    pub(super) key: String,
    pub(super) every: i32,
    pub(super) payload: Vec<u8>,
    pub(super) metadata: HashMap<String, String>,
}

/// `create_schedule(handler, every, payload=None, metadata=None)` → `{"id"}`.
/// The core answers an existing active schedule of the handler unchanged.
pub(super) async fn create(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    (made, known): (&Arc<Made>, &Known),
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let handler = args.required_text("handler")?;
    let every = args.bounded("every", 1..=i32::MAX)?;
    let mut payload = args.json("payload");
    let mut metadata = HashMap::new();
    for (key, value) in args.object("metadata")? {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        metadata.insert(key, text);
    }
    args.finish()?;
    let every = every.ok_or_else(|| call.invalid("`every` is missing"))?;
    let key = call.context.handler_key(&handler);
    let own = call.context.own_handler(&key).map(str::to_owned);
    if let Some(raw) = &own {
        link.channel(call)?;
        known.check(call, raw)?;
        // The mark by which the core knows whose schedule it is. On another plugin's handler it
        // would have the schedule dropped: that handler is not ours to declare.
        metadata.insert("plugin".to_owned(), call.context.plugin_name.clone());
        // Tells a call by name from the tick of an `@schedule`, which brings nothing along.
        if payload.is_empty() {
            payload = b"null".to_vec();
        }
    }
    let description = metadata.get("description").cloned().unwrap_or_default();
    let id = place(link, token, call, Wish { key, every, payload, metadata }).await?;
    if let Some(handler) = own {
        made.add(MadeSchedule { id: id.clone(), handler, every, description }).await;
    }
    Ok(json!({ "id": id }))
}

/// Has the core run a handler every so many seconds; the schedule's id.
pub(super) async fn place(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    wish: Wish,
) -> Result<String, HostError> {
    let message = wire::CreateScheduleRequest {
        auth_token: token.to_owned(),
        handler_name: wish.key,
        interval_seconds: wish.every,
        payload: wish.payload,
        metadata: wish.metadata,
    };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.create_schedule(r).await }).await?;
    if !answer.success {
        return Err(call.refused(answer.error));
    }
    if answer.schedule_id.is_empty() {
        return Err(call.garbage("a schedule without an id"));
    }
    Ok(answer.schedule_id)
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
    made: &Arc<Made>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    let id = id(args)?;
    remove(link, token, call, &id).await?;
    made.remove(&id).await;
    Ok(Value::Null)
}

/// Ends a schedule.
pub(super) async fn remove(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    id: &str,
) -> Result<(), HostError> {
    let (auth_token, schedule_id) = (token.to_owned(), id.to_owned());
    let message = wire::DeleteScheduleRequest { auth_token, schedule_id };
    let mut client = schedules(link, call)?;
    let answer = unary(call, message, |r| async move { client.delete_schedule(r).await }).await?;
    done(call, answer.success, answer.error).map(|_| ())
}

/// `get_schedule(id)` → the schedule as a dict.
pub(super) async fn get(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    look_up(link, token, call, &id(args)?).await
}

/// `list_schedules()`: what scripts of this plugin made, as the core has it now.
pub(super) async fn list(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    made: &Arc<Made>,
    args: Args<'_>,
) -> Result<Value, HostError> {
    args.finish()?;
    let mut found = Vec::new();
    for row in made.list() {
        match look_up(link, token, call, &row.id).await {
            Ok(schedule) if schedule["state"] == "deleted" => made.remove(&row.id).await,
            Ok(schedule) => found.push(schedule),
            Err(error) if is_gone(&error) => made.remove(&row.id).await,
            Err(error) => return Err(error),
        }
    }
    Ok(Value::Array(found))
}

/// Whether the core knows no such schedule, rather than being unable to say.
pub(super) fn is_gone(error: &HostError) -> bool {
    let reason = error.reason.to_lowercase();
    let words = ["not found", "no rows", "no such", "unknown schedule"];
    error.kind == HostErrorKind::Refused && words.iter().any(|word| reason.contains(word))
}

/// One schedule as the core has it.
pub(super) async fn look_up(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    id: &str,
) -> Result<Value, HostError> {
    let (auth_token, schedule_id) = (token.to_owned(), id.to_owned());
    let message = wire::GetScheduleRequest { auth_token, schedule_id };
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
    known: &Known,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let handler = args.required_text("handler")?;
    let mut payload = args.json("payload");
    args.finish()?;
    let key = call.context.handler_key(&handler);
    if let Some(raw) = call.context.own_handler(&key) {
        link.channel(call)?;
        known.check(call, raw)?;
        if payload.is_empty() {
            payload = b"null".to_vec();
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let job = wire::Job {
        id: job_id(call)?,
        handler_name: key,
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
    getrandom::fill(&mut bytes)
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
