//! The core's services, each on its own port: the store with all its methods,
//! schedules, queue and fetch. The others are in [`crate::fakes`].
//!
//! **Invariant:** what would kill the real core (an unset filter, command, job
//! or progress) is written down as a [`Services::deaths`] entry, so that a
//! scenario fails of it.

use crate::fault::{Fault, Faults};
use crate::rpc::{answer, stream};
use crate::store::{Store, now_ms};
use crate::wire::*;
use axum::body::Body;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;

const BAD_TOKEN: &str = "invalid authentication token";

/// Everything behind the ports.
#[derive(Debug, Default)]
pub struct Services {
    pub token: String,
    pub store: Store,
    pub faults: Faults,
    /// Rows of the schedule table, by id.
    pub schedules: Mutex<BTreeMap<String, ScheduledJob>>,
    pub jobs: Mutex<Vec<Job>>,
    pub fetches: Mutex<Vec<FetchRequest>>,
    pub ground: Mutex<Vec<WriteToGroundRequest>>,
    /// The actors of every single attestation as they were sent, before the
    /// store replaced them.
    pub actors: Mutex<Vec<Vec<String>>>,
    /// How many more attestations a batch may write; `None` = any number.
    pub room: Mutex<Option<usize>>,
    /// Requests that would have ended the real core.
    pub deaths: Mutex<Vec<String>>,
    /// Paths of all requests, in order.
    pub seen: Mutex<Vec<String>>,
}

/// A service's listener.
#[derive(Debug)]
pub struct Port {
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Port {
    /// Serves all methods at a free port of this machine, or at `address`.
    pub async fn open(services: &Arc<Services>, address: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?.to_string();
        let services = Arc::clone(services);
        let router = axum::Router::new().fallback(move |request: http::Request<Body>| {
            let services = Arc::clone(&services);
            async move { serve(services, request).await }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tonic::transport::Server::builder()
            .add_routes(tonic::service::Routes::from(router))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async move {
                // dropped is stopped as well
                let _ = stopped.await;
            });
        let task = tokio::spawn(async move {
            if let Err(error) = server.await {
                // seen by whoever calls the service: it is gone
                drop(error);
            }
        });
        Ok(Self { address, stop: Some(stop), task: Some(task) })
    }

    /// GOAWAY to every connection, and nobody listens any more.
    pub async fn close(&mut self) {
        self.stop.take();
        if let Some(task) = self.task.take() {
            // requests that hang would hold it for ever
            if tokio::time::timeout(std::time::Duration::from_millis(500), task).await.is_err() {}
        }
    }
}

impl Services {
    pub fn lock<'a, T>(&self, what: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        what.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn died(&self, of: &str) -> Status {
        self.lock(&self.deaths).push(of.to_owned());
        Status::unavailable(format!("the core died of {of}"))
    }

    /// The text of a refusal, if this request is refused.
    fn refusal(&self, token: &str) -> Option<String> {
        if token != self.token {
            return Some(BAD_TOKEN.to_owned());
        }
        match self.faults.get() {
            Fault::Refuse(text) => Some(text),
            Fault::None | Fault::Slow(_) | Fault::Garbage | Fault::Hang => None,
        }
    }
}

async fn serve(
    s: Arc<Services>,
    request: http::Request<Body>,
) -> http::Response<tonic::body::Body> {
    let path = request.uri().path().to_owned();
    s.lock(&s.seen).push(path.clone());
    match s.faults.get() {
        Fault::None | Fault::Refuse(_) => {}
        Fault::Slow(time) => tokio::time::sleep(time).await,
        Fault::Hang => std::future::pending().await,
        Fault::Garbage => return garbage(),
    }
    let (service, method) =
        path.trim_start_matches("/protocol.").split_once('/').unwrap_or_default();
    match service {
        "ATSStoreService" => store(s, method, request).await,
        "ScheduleService" => schedule(s, method, request).await,
        "QueueService" if method == "Enqueue" => {
            answer(request, move |r: EnqueueRequest| std::future::ready(enqueue(&s, r))).await
        }
        "FetchService" if method == "Fetch" => {
            answer(request, move |r: FetchRequest| std::future::ready(Ok(fetch(&s, r)))).await
        }
        _ => crate::fakes::serve(s, service, method, request).await,
    }
}

/// A frame of three bytes that no message can be read from.
fn garbage() -> http::Response<tonic::body::Body> {
    let frame = bytes::Bytes::from_static(b"\0\0\0\0\x03\x1a\x7f\0");
    let body = tonic::body::Body::new(http_body_util::Full::new(frame));
    let mut answer = http::Response::new(body);
    let kind = http::HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    answer
}

async fn store(
    s: Arc<Services>,
    method: &str,
    request: http::Request<Body>,
) -> http::Response<tonic::body::Body> {
    use std::future::ready;
    match method {
        "GenerateAndCreateAttestation" => {
            let method = move |r: GenerateAttestationRequest| {
                let mut done = GenerateAttestationResponse::default();
                match (s.refusal(&r.auth_token), r.command) {
                    (Some(error), _) => done.error = error,
                    (None, None) => done.error = "command is nil".to_owned(),
                    (None, Some(command)) => {
                        done.success = true;
                        s.lock(&s.actors).push(command.actors.clone());
                        done.attestation = Some(s.store.create(command));
                    }
                }
                ready(Ok(done))
            };
            answer(request, method).await
        }
        "BatchGenerateAndCreateAttestations" => {
            let method = move |r: BatchGenerateAttestationRequest| {
                let mut error = s.refusal(&r.auth_token).unwrap_or_default();
                let (mut created, all) = (0, r.commands.len());
                let room = s.lock(&s.room).unwrap_or(usize::MAX);
                if error.is_empty() {
                    for command in r.commands.into_iter().take(room) {
                        s.store.create(command);
                        created += 1;
                    }
                    if room < all {
                        error = format!("batch write failed after {created}/{all}: disk full");
                    }
                }
                ready(Ok(BatchGenerateAttestationResponse {
                    success: error.is_empty(),
                    error,
                    created,
                }))
            };
            answer(request, method).await
        }
        "AttestationExists" => {
            let method = move |r: AttestationExistsRequest| {
                let exists = s.refusal(&r.auth_token).is_none() && s.store.exists(&r.id);
                ready(Ok(AttestationExistsResponse { exists }))
            };
            answer(request, method).await
        }
        "GetAttestations" => {
            let method = move |r: GetAttestationsRequest| {
                let Some(filter) = r.filter else {
                    return ready(Err(s.died("GetAttestations with filter unset")));
                };
                let error = s.refusal(&r.auth_token).unwrap_or_default();
                let attestations =
                    if error.is_empty() { s.store.query(&filter) } else { Vec::new() };
                ready(Ok(GetAttestationsResponse {
                    success: error.is_empty(),
                    error,
                    attestations,
                }))
            };
            answer(request, method).await
        }
        "GetAttestationsStream" => {
            let method = move |r: GetAttestationsRequest| match (s.refusal(&r.auth_token), r.filter)
            {
                (_, None) => Err(s.died("GetAttestationsStream with filter unset")),
                (Some(error), _) => Err(Status::unknown(error)),
                (None, Some(filter)) => Ok(s.store.query(&filter)),
            };
            stream(request, method).await
        }
        other => Status::unimplemented(other).into_http(),
    }
}

fn enqueue(s: &Services, r: EnqueueRequest) -> Result<EnqueueResponse, Status> {
    let Some(job) = r.job else { return Err(s.died("Enqueue with job unset")) };
    if job.progress.is_none() {
        return Err(s.died("Enqueue with job.progress unset"));
    }
    if let Some(error) = s.refusal(&r.auth_token) {
        return Ok(EnqueueResponse { success: false, error, job_id: String::new() });
    }
    let job_id = job.id.clone();
    s.lock(&s.jobs).push(job);
    Ok(EnqueueResponse { success: true, error: String::new(), job_id })
}

fn fetch(s: &Services, r: FetchRequest) -> FetchResponse {
    if let Some(error) = s.refusal(&r.auth_token) {
        return FetchResponse { error, ..FetchResponse::default() };
    }
    let mut answer = FetchResponse {
        success: true,
        body: format!("body of {}", r.url),
        status_code: 200,
        ..FetchResponse::default()
    };
    if !r.subjects.is_empty() && !r.predicate.is_empty() {
        let made = s.store.create(AttestationCommand {
            subjects: r.subjects.clone(),
            predicates: vec!["http:get".to_owned(), r.predicate.clone()],
            contexts: vec![if r.context.is_empty() { r.url.clone() } else { r.context.clone() }],
            source: r.source.clone(),
            ..AttestationCommand::default()
        });
        answer.attestation_id = made.id;
    }
    s.lock(&s.fetches).push(r);
    answer
}

async fn schedule(
    s: Arc<Services>,
    method: &str,
    request: http::Request<Body>,
) -> http::Response<tonic::body::Body> {
    use std::future::ready;
    match method {
        "CreateSchedule" => {
            answer(request, move |r: CreateScheduleRequest| ready(Ok(create_schedule(&s, r)))).await
        }
        "PauseSchedule" => {
            let method = move |r: PauseScheduleRequest| {
                let error = set_state(&s, &r.auth_token, &r.schedule_id, "paused");
                ready(Ok(PauseScheduleResponse { success: error.is_empty(), error }))
            };
            answer(request, method).await
        }
        "ResumeSchedule" => {
            let method = move |r: ResumeScheduleRequest| {
                let error = set_state(&s, &r.auth_token, &r.schedule_id, "active");
                ready(Ok(ResumeScheduleResponse { success: error.is_empty(), error }))
            };
            answer(request, method).await
        }
        "DeleteSchedule" => {
            let method = move |r: DeleteScheduleRequest| {
                let error = set_state(&s, &r.auth_token, &r.schedule_id, "deleted");
                ready(Ok(DeleteScheduleResponse { success: error.is_empty(), error }))
            };
            answer(request, method).await
        }
        "GetSchedule" => {
            let method = move |r: GetScheduleRequest| {
                let job = s.lock(&s.schedules).get(&r.schedule_id).cloned();
                let unknown = || "schedule not found".to_owned();
                let error = s.refusal(&r.auth_token).or_else(|| job.is_none().then(unknown));
                let error = error.unwrap_or_default();
                ready(Ok(GetScheduleResponse { success: error.is_empty(), error, job }))
            };
            answer(request, method).await
        }
        other => Status::unimplemented(other).into_http(),
    }
}

fn create_schedule(s: &Services, r: CreateScheduleRequest) -> CreateScheduleResponse {
    if let Some(error) = s.refusal(&r.auth_token) {
        return CreateScheduleResponse { error, ..CreateScheduleResponse::default() };
    }
    let mut rows = s.lock(&s.schedules);
    let active =
        rows.values().find(|row| row.handler_name == r.handler_name && row.state == "active");
    let schedule_id = match active {
        Some(row) => row.id.clone(),
        None => {
            let id = format!("SCH-{}-{}", now_ms(), rows.len());
            let metadata: serde_json::Map<String, serde_json::Value> =
                r.metadata.into_iter().map(|(key, value)| (key, value.into())).collect();
            rows.insert(
                id.clone(),
                ScheduledJob {
                    id: id.clone(),
                    handler_name: r.handler_name,
                    payload: r.payload,
                    interval_seconds: r.interval_seconds,
                    state: "active".to_owned(),
                    metadata: serde_json::Value::Object(metadata).to_string(),
                    ..ScheduledJob::default()
                },
            );
            id
        }
    };
    CreateScheduleResponse { success: true, error: String::new(), schedule_id }
}

/// Empty, or why not.
fn set_state(s: &Services, token: &str, id: &str, state: &str) -> String {
    if let Some(error) = s.refusal(token) {
        return error;
    }
    match s.lock(&s.schedules).get_mut(id) {
        None => "schedule not found".to_owned(),
        Some(row) => {
            state.clone_into(&mut row.state);
            String::new()
        }
    }
}
