//! With a core whose services answer as the contract says, late, or not at all.

use super::{TOKEN, call, connected, refused, soon, within};
use crate::host::{Endpoints, Host, HostErrorKind};
use crate::store::{Store, StorePath, StoreService};
use proto::protocol as wire;
use proto::protocol::ats_store_service_server::AtsStoreService as _;
use proto::protocol::fetch_service_server::{FetchService, FetchServiceServer};
use proto::protocol::queue_service_server::{QueueService, QueueServiceServer};
use proto::protocol::schedule_service_server::{ScheduleService, ScheduleServiceServer};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A core in a box: real store, and services that write down what they get.
#[derive(Clone, Default)]
struct Core {
    schedules: Arc<Mutex<Vec<wire::CreateScheduleRequest>>>,
    jobs: Arc<Mutex<Vec<wire::Job>>>,
    fetches: Arc<Mutex<Vec<wire::FetchRequest>>>,
    /// How long `fetch` takes.
    slow: Duration,
}

impl Core {
    /// Serves everything on one port; the address, and a handle to stop it.
    async fn serve(&self) -> (String, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let store = Store::open(&StorePath::Memory).unwrap();
        let server = Server::builder()
            .add_service(StoreService::new(store, TOKEN).into_server())
            .add_service(FetchServiceServer::new(self.clone()))
            .add_service(QueueServiceServer::new(self.clone()))
            .add_service(ScheduleServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        (address, tokio::spawn(async move { server.await.unwrap() }))
    }
}

fn endpoints(address: &str) -> Endpoints {
    let all = address.to_owned();
    Endpoints {
        ats_store: all.clone(),
        queue: all.clone(),
        schedule: all.clone(),
        fetch: all,
        auth_token: TOKEN.to_owned(),
        ..Endpoints::default()
    }
}

#[tonic::async_trait]
impl FetchService for Core {
    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<wire::FetchResponse>, Status> {
        tokio::time::sleep(self.slow).await;
        let request = request.into_inner();
        let success = request.url != "http://refused";
        let error = if success { String::new() } else { "no such host".to_owned() };
        self.fetches.lock().unwrap().push(request);
        let body = "text".to_owned();
        let attestation_id = String::new();
        Ok(Response::new(wire::FetchResponse {
            success,
            error,
            body,
            status_code: 404,
            attestation_id,
        }))
    }
}

#[tonic::async_trait]
impl QueueService for Core {
    async fn enqueue(
        &self,
        request: Request<wire::EnqueueRequest>,
    ) -> Result<Response<wire::EnqueueResponse>, Status> {
        // the real core dies of either
        let job = request.into_inner().job.expect("job set");
        assert!(job.progress.is_some(), "progress set");
        let job_id = job.id.clone();
        self.jobs.lock().unwrap().push(job);
        Ok(Response::new(wire::EnqueueResponse { success: true, error: String::new(), job_id }))
    }
    async fn get_job(
        &self,
        _: Request<wire::GetJobRequest>,
    ) -> Result<Response<wire::GetJobResponse>, Status> {
        Err(Status::unimplemented("get_job"))
    }
    async fn update_job(
        &self,
        _: Request<wire::UpdateJobRequest>,
    ) -> Result<Response<wire::UpdateJobResponse>, Status> {
        Err(Status::unimplemented("update_job"))
    }
    async fn list_jobs(
        &self,
        _: Request<wire::ListJobsRequest>,
    ) -> Result<Response<wire::ListJobsResponse>, Status> {
        Err(Status::unimplemented("list_jobs"))
    }
}

#[tonic::async_trait]
impl ScheduleService for Core {
    async fn create_schedule(
        &self,
        request: Request<wire::CreateScheduleRequest>,
    ) -> Result<Response<wire::CreateScheduleResponse>, Status> {
        self.schedules.lock().unwrap().push(request.into_inner());
        let schedule_id = "sched-1".to_owned();
        let error = String::new();
        Ok(Response::new(wire::CreateScheduleResponse { success: true, error, schedule_id }))
    }
    async fn pause_schedule(
        &self,
        _: Request<wire::PauseScheduleRequest>,
    ) -> Result<Response<wire::PauseScheduleResponse>, Status> {
        let error = "schedule not found".to_owned();
        Ok(Response::new(wire::PauseScheduleResponse { success: false, error }))
    }
    async fn resume_schedule(
        &self,
        _: Request<wire::ResumeScheduleRequest>,
    ) -> Result<Response<wire::ResumeScheduleResponse>, Status> {
        Ok(Response::new(wire::ResumeScheduleResponse { success: true, error: String::new() }))
    }
    async fn delete_schedule(
        &self,
        _: Request<wire::DeleteScheduleRequest>,
    ) -> Result<Response<wire::DeleteScheduleResponse>, Status> {
        Err(Status::resource_exhausted("queue full"))
    }
    async fn get_schedule(
        &self,
        request: Request<wire::GetScheduleRequest>,
    ) -> Result<Response<wire::GetScheduleResponse>, Status> {
        let id = request.into_inner().schedule_id;
        let job = wire::ScheduledJob {
            id,
            payload: br#"{"a":1}"#.to_vec(),
            state: "paused".to_owned(),
            ..wire::ScheduledJob::default()
        };
        Ok(Response::new(wire::GetScheduleResponse {
            success: true,
            error: String::new(),
            job: Some(job),
        }))
    }
}

#[tokio::test]
async fn the_same_calls_work_over_the_core() {
    let (address, _server) = Core::default().serve().await;
    let host = connected(&address);
    assert!(!host.is_standalone());
    let args = json!({"subjects": "a", "predicates": "p", "attributes": {"n": [1, {"k": null}]}});
    let made = call(&host, &soon(), "attest", args).await.unwrap();
    assert_eq!(made["actors"], json!([made["id"]]));
    let last = call(&host, &soon(), "last", json!({"predicates": "P"})).await.unwrap();
    assert_eq!(last["id"], made["id"]);
    assert_eq!(last["attributes"]["n"], json!([1.0, {"k": null}]));
    let there = call(&host, &soon(), "exists", json!({"id": made["id"]})).await.unwrap();
    assert_eq!(there, json!(true));

    let item = json!({"subjects": "b", "predicates": "p"});
    let many = call(&host, &soon(), "attest_many", json!({"items": vec![item; 600]})).await;
    assert_eq!(many.unwrap(), json!({"created": 600}));
    let context = soon();
    let mut page = call(&host, &context, "query", json!({"limit": 599})).await.unwrap();
    let (mut rows, mut pages) = (0, 1);
    loop {
        rows += page["attestations"].as_array().unwrap().len();
        if page["cursor"].is_null() {
            break;
        }
        page = call(&host, &context, "query", json!({"cursor": page["cursor"]})).await.unwrap();
        pages += 1;
    }
    assert_eq!((rows, pages), (599, 3));
}

#[tokio::test]
async fn a_wrong_token_is_refused_by_name() {
    let (address, _server) = Core::default().serve().await;
    let host = Host::new(None);
    let auth_token = "wrong".to_owned();
    host.connect(&Endpoints { auth_token, ..endpoints(&address) });
    let words = "invalid authentication token";
    let refusal = HostErrorKind::Refused;
    let args = json!({"subjects": "a", "predicates": "p"});
    let error = refused(&host, &soon(), "attest", args.clone(), refusal, words).await;
    assert!(!error.retryable);
    refused(&host, &soon(), "last", json!({}), refusal, words).await;
    refused(&host, &soon(), "query", json!({}), refusal, words).await;
    let many = json!({"items": [args]});
    refused(&host, &soon(), "attest_many", many, refusal, words).await;
}

#[tokio::test]
async fn a_store_that_is_down_is_named_at_once_and_used_again_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let host = connected(&address.to_string());
    let args = json!({"subjects": "a", "predicates": "p"});
    let started = Instant::now();
    let down = HostErrorKind::StoreUnavailable;
    for name in ["attest", "last", "query"] {
        let args = if name == "attest" { args.clone() } else { json!({}) };
        let error = refused(&host, &soon(), name, args, down, "can't be reached").await;
        assert!(error.retryable);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());

    let listener = TcpListener::bind(address).await.unwrap();
    let store = Store::open(&StorePath::Memory).unwrap();
    let service = StoreService::new(store, TOKEN).into_server();
    let incoming = TcpListenerStream::new(listener);
    let server = tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    call(&host, &soon(), "attest", args.clone()).await.unwrap();
    server.abort();
}

#[tokio::test]
async fn a_slow_service_costs_no_more_than_the_deadline() {
    let slow = Core { slow: Duration::from_secs(15), ..Core::default() };
    let (address, _server) = slow.serve().await;
    let host = Host::new(None);
    host.connect(&endpoints(&address));
    let started = Instant::now();
    let context = within(Duration::from_millis(200));
    let args = json!({"url": "http://x"});
    let late = HostErrorKind::Timeout;
    let error = refused(&host, &context, "fetch", args.clone(), late, "deadline").await;
    assert!(error.retryable);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(190) && took < Duration::from_millis(450), "{took:?}");
    // and after the deadline nothing is even sent
    refused(&host, &context, "fetch", args, late, "deadline").await;
    assert!(started.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = connected(&listener.local_addr().unwrap().to_string());
    let late = HostErrorKind::Timeout;
    for (name, args) in [
        ("attest", json!({"subjects": "a", "predicates": "p"})),
        ("query", json!({})),
        ("exists", json!({"id": "x"})),
    ] {
        let context = within(Duration::from_millis(150));
        let started = Instant::now();
        refused(&host, &context, name, args, late, "deadline").await;
        assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn new_endpoints_do_not_disturb_a_call_under_way() {
    let slow = Core { slow: Duration::from_millis(300), ..Core::default() };
    let (first, _server) = slow.serve().await;
    let other = Core::default();
    let (second, _other) = other.serve().await;
    let host = Arc::new(Host::new(None));
    host.connect(&endpoints(&first));
    let under_way = tokio::spawn({
        let host = Arc::clone(&host);
        async move { call(&host, &soon(), "fetch", json!({"url": "http://a"})).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    host.connect(&endpoints(&second));
    call(&host, &soon(), "fetch", json!({"url": "http://b"})).await.unwrap();
    assert_eq!(under_way.await.unwrap().unwrap()["body"], "text");
    let urls = |core: &Core| -> Vec<String> {
        core.fetches.lock().unwrap().iter().map(|fetch| fetch.url.clone()).collect()
    };
    assert_eq!((urls(&slow), urls(&other)), (vec!["http://a".into()], vec!["http://b".into()]));
}

#[tokio::test]
async fn an_empty_store_endpoint_leaves_the_embedded_store_in_use() {
    let host = Host::new(Some(Store::open(&StorePath::Memory).unwrap()));
    host.connect(&Endpoints::default());
    assert!(host.is_standalone());
    let args = json!({"subjects": "a", "predicates": "p"});
    call(&host, &soon(), "attest", args).await.unwrap();
    assert_eq!(host.embedded().unwrap().query(Default::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_no_address_fails_only_what_needs_it() {
    let (address, _server) = Core::default().serve().await;
    let host = Host::new(None);
    host.connect(&Endpoints { fetch: "not an address".to_owned(), ..endpoints(&address) });
    let not = HostErrorKind::NotAvailable;
    refused(&host, &soon(), "fetch", json!({"url": "u"}), not, "`not an address`").await;
    call(&host, &soon(), "attest", json!({"subjects": "a", "predicates": "p"})).await.unwrap();
}

#[tokio::test]
async fn schedules_and_jobs_go_over_complete_and_under_registry_keys() {
    let core = Core::default();
    let (address, _server) = core.serve().await;
    let host = Host::new(None);
    host.connect(&endpoints(&address));
    let args = json!({"handler": "h", "every": 60.0, "payload": {"a": 1}});
    let made = call(&host, &soon(), "create_schedule", args).await.unwrap();
    assert_eq!(made, json!({"id": "sched-1"}));
    let sent = core.schedules.lock().unwrap().pop().unwrap();
    assert_eq!((sent.handler_name.as_str(), sent.interval_seconds), ("python/h", 60));
    assert_eq!(sent.payload, br#"{"a":1}"#);
    assert_eq!(sent.metadata["plugin"], "python");
    let invalid = HostErrorKind::InvalidArgument;
    for every in [json!(0), json!(-1), json!(1.5), json!(4_294_967_296_u64), Value::Null] {
        let args = json!({"handler": "h", "every": every});
        refused(&host, &soon(), "create_schedule", args, invalid, "`every`").await;
    }
    assert!(core.schedules.lock().unwrap().is_empty(), "a bad interval is not sent");

    let made = call(&host, &soon(), "enqueue", json!({"handler": "other/h"})).await.unwrap();
    let job = core.jobs.lock().unwrap().pop().unwrap();
    assert_eq!(made["id"], job.id);
    assert_eq!((job.handler_name.as_str(), job.status.as_str()), ("other/h", "queued"));
    assert_eq!(job.source, "python");
    assert!((1_700_000_000..17_000_000_000).contains(&job.created_at), "seconds");

    let id = json!({"id": "sched-1"});
    let refusal = HostErrorKind::Refused;
    refused(&host, &soon(), "pause_schedule", id.clone(), refusal, "schedule not found").await;
    assert_eq!(call(&host, &soon(), "resume_schedule", id.clone()).await.unwrap(), Value::Null);
    let limit = HostErrorKind::LimitExceeded;
    let full = refused(&host, &soon(), "delete_schedule", id.clone(), limit, "queue full").await;
    assert!(full.retryable);
    let found = call(&host, &soon(), "get_schedule", id).await.unwrap();
    assert_eq!((&found["state"], &found["payload"]), (&json!("paused"), &json!({"a": 1})));
}

#[tokio::test]
async fn fetch_stamps_the_source_and_an_http_error_is_an_answer() {
    let core = Core::default();
    let (address, _server) = core.serve().await;
    let host = Host::new(None);
    host.connect(&endpoints(&address));
    let args = json!({"url": "http://x", "subjects": ["s"], "source": "evil"});
    let got = call(&host, &soon(), "fetch", args).await.unwrap();
    assert_eq!(got, json!({"body": "text", "status_code": 404, "attestation_id": ""}));
    let sent = core.fetches.lock().unwrap().pop().unwrap();
    assert_eq!((sent.source.as_str(), sent.predicate.as_str()), ("python", "http:get"));
    assert_eq!(sent.auth_token, TOKEN);
    let args = json!({"url": "http://refused"});
    refused(&host, &soon(), "fetch", args, HostErrorKind::Refused, "no such host").await;
}

#[tokio::test]
async fn requests_beyond_four_mib_are_never_sent_and_large_batches_are_split() {
    let (address, _server) = Core::default().serve().await;
    let host = connected(&address);
    let limit = HostErrorKind::LimitExceeded;
    let item = |size: usize| json!({"subjects": "a", "predicates": "p", "attributes": {"t": "x".repeat(size)}});
    let words = "the attestation store takes 4194304";
    refused(&host, &soon(), "attest", item(4 << 20), limit, words).await;
    call(&host, &soon(), "attest", item((4 << 20) - 500)).await.unwrap();
    let bad = json!({"items": [item(10), item(5 << 20)]});
    let error = refused(&host, &soon(), "attest_many", bad, limit, "`items[1]`").await;
    assert_eq!(error.created, 0, "looked at before the first is sent");
    let many = json!({"items": vec![item(1 << 20); 9]});
    let made = call(&host, &soon(), "attest_many", many).await.unwrap();
    assert_eq!(made, json!({"created": 9}));
    // 13 MiB come back, in pages of about one
    let context = soon();
    let page = call(&host, &context, "query", json!({})).await.unwrap();
    assert!(page["attestations"].as_array().unwrap().len() <= 2 && !page["cursor"].is_null());
}

#[tokio::test]
async fn an_answer_beyond_four_mib_arrives() {
    let store = Store::open(&StorePath::Memory).unwrap();
    let service = StoreService::new(store.clone(), TOKEN);
    let attributes = json!({"t": "x".repeat(1 << 20)}).as_object().unwrap().clone();
    let big = crate::store::Command { attributes, ..Default::default() };
    assert_eq!(store.create_many(vec![big; 20]).await.unwrap(), 20);
    let filter = Some(wire::AttestationFilter::default());
    let direct = wire::GetAttestationsRequest { auth_token: TOKEN.to_owned(), filter };
    let answer = service.get_attestations(Request::new(direct)).await.unwrap().into_inner();
    assert!(prost::Message::encoded_len(&answer) > 20 << 20);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = connected(&listener.local_addr().unwrap().to_string());
    let server = Server::builder()
        .add_service(service.into_server())
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    let found = host.attestations(&soon(), Default::default()).await.unwrap();
    assert_eq!(found.len(), 20);
}
