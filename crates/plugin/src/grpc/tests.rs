//! The real port with a stand-in for the supervisor, driven as the core does it.

use super::*;
use crate::api::routes as http_routes;
use crate::handlers::Handlers;
use crate::host::Host;
use crate::http::{Face, Guard, Token};
use crate::serve;
use crate::stand_in::{Fake, Nothing, api};
use crate::store::{Store, StorePath};
use proto::Outcome;
use proto::protocol::domain_plugin_service_client::DomainPluginServiceClient;
use proto::protocol::python_service_client::PythonServiceClient;
use proto::protocol::{Empty, ExecuteJobRequest, HttpRequest, PythonExecuteRequest};
use std::sync::atomic::Ordering;
use tonic::transport::{Channel, Endpoint};

/// Takes everything; waits as long as the endpoint of the queue says.
struct Slow;

impl Rewire for Slow {
    async fn rewire(&self, request: &InitializeRequest) -> Vec<String> {
        let wait = request.queue_endpoint.parse().unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        Vec::new()
    }

    async fn reconfigure(&self, _: Arc<Config>) {}
}

struct Port {
    address: String,
    channel: Channel,
    api: Arc<Api<Fake, Nothing>>,
}

impl Port {
    async fn open(outcome: Outcome, token: Option<&str>) -> Self {
        let store = Store::open(&StorePath::Memory).unwrap();
        let handlers = Handlers::new(Arc::new(Host::new(Some(store))));
        let api = Arc::new(api(outcome).with_handlers(Arc::new(handlers)));
        let (routes, _) = routes(Arc::clone(&api), Arc::new(Slow)).unwrap();
        let guard = Guard::new("127.0.0.1", token.and_then(|t| Token::parse(t.as_bytes())));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let face = Face::new(routes.into_axum_router(), Arc::clone(&api), guard);
        let life = Arc::clone(api.life());
        tokio::spawn(async move {
            let stop = async {
                life.stopped().await;
            };
            serve::accept(listener, face, None, stop).await.shutdown().await;
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self { channel: endpoint.connect_lazy(), address, api }
    }

    fn domain(&self) -> DomainPluginServiceClient<Channel> {
        DomainPluginServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE)
    }

    fn python(&self) -> PythonServiceClient<Channel> {
        PythonServiceClient::new(self.channel.clone())
    }

    async fn healthy(&self) -> bool {
        self.domain().health(Empty {}).await.unwrap().into_inner().healthy
    }

    /// Waits until `wanted` executions hang.
    async fn running(&self, wanted: usize) {
        let now = || self.api.runner().running.load(Ordering::SeqCst);
        let reached = async {
            while now() != wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), reached).await.unwrap();
    }
}

#[tokio::test]
async fn initialize_declares_once_and_again() {
    let port = Port::open(Outcome::Value, None).await;
    assert!(!port.healthy().await, "never initialised");
    for _ in 0..2 {
        let answer =
            port.domain().initialize(InitializeRequest::default()).await.unwrap().into_inner();
        assert!(answer.python_provider && !answer.llm_provider);
        assert_eq!(answer.handler_names, ["python.script", "__reload"]);
        assert_eq!(answer.watchers[0].id, "python-handler-reload");
        assert_eq!(answer.http_routes.len(), http_routes::ROUTES.len());
        assert!(port.healthy().await);
    }
    let metadata = port.domain().metadata(Empty {}).await.unwrap().into_inner();
    assert_eq!((metadata.name.as_str(), metadata.qntx_version.as_str()), ("python", ""));
}

#[tokio::test]
async fn a_cancelled_initialize_counts_as_failed_and_the_next_one_heals() {
    let port = Port::open(Outcome::Value, None).await;
    let slow =
        InitializeRequest { queue_endpoint: "60000".to_owned(), ..InitializeRequest::default() };
    let mut client = port.domain();
    let call = tokio::spawn(async move { client.initialize(slow).await.map(drop) });
    while !port.healthy().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    call.abort();
    while port.healthy().await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    port.domain().initialize(InitializeRequest::default()).await.unwrap();
    assert!(port.healthy().await);
}

#[tokio::test]
async fn configuration_sent_by_the_core_is_in_force() {
    let port = Port::open(Outcome::Value, None).await;
    let config = [("timeout_secs".to_owned(), "7.000000".to_owned())].into();
    let request = InitializeRequest { config, ..InitializeRequest::default() };
    port.domain().initialize(request).await.unwrap();
    port.python().execute(PythonExecuteRequest::default()).await.unwrap();
    assert_eq!(port.api.runner().asked.lock().unwrap()[0].limits.wall.as_secs(), 7);
}

#[tokio::test]
async fn handle_http_answers_every_error_with_a_status() {
    let port = Port::open(Outcome::Value, None).await;
    let call = |method: &str, path: &str, body: &'static [u8]| HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: body.into(),
    };
    for (request, status) in [
        (call("POST", "/evaluate?a=b", b"{\"expr\":\"1\"}"), 200),
        (call("POST", "/api/python/evaluate", b"{\"expr\":\"1\"}"), 200),
        (call("POST", "/evaluate", b"nonsense"), 400),
        (call("POST", "/execute", b"{\"code\":\"busy\"}"), 503),
        (call("GET", "/glyph-module.js", b""), 404),
        (call("DELETE", "/execute", b""), 405),
        (call("", "", b""), 405),
    ] {
        let answer = port.domain().handle_http(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.status_code, status, "{request:?}");
        assert_eq!(answer.headers[0].name, "content-type");
    }
}

#[tokio::test]
async fn a_browser_that_goes_away_stops_its_execution() {
    let port = Port::open(Outcome::Value, None).await;
    let mut client = port.domain();
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: "/execute".to_owned(),
        headers: Vec::new(),
        body: b"{\"code\":\"hang\"}".as_slice().into(),
    };
    let call = tokio::spawn(async move { client.handle_http(request).await.map(drop) });
    port.running(1).await;
    call.abort();
    port.running(0).await;
}

#[tokio::test]
async fn a_plain_connection_that_closes_stops_its_execution() {
    use tokio::io::AsyncWriteExt as _;
    let port = Port::open(Outcome::Value, None).await;
    let mut stream = tokio::net::TcpStream::connect(&port.address).await.unwrap();
    let head = "POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: 15\r\n\r\n{{\"code\":\"hang\"}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    port.running(1).await;
    drop(stream);
    port.running(0).await;
}

#[tokio::test]
async fn health_answers_while_hundreds_of_executions_wait() {
    let port = Port::open(Outcome::Value, None).await;
    let calls: Vec<_> = (0..500)
        .map(|_| {
            let mut client = port.python();
            let request =
                PythonExecuteRequest { code: "hang".to_owned(), ..PythonExecuteRequest::default() };
            tokio::spawn(async move { client.execute(request).await.map(drop) })
        })
        .collect();
    port.running(500).await;
    tokio::time::timeout(Duration::from_secs(1), port.healthy()).await.unwrap();
    for call in calls {
        call.abort();
    }
    port.running(0).await;
    // Five hundred streams reset at once did not cost the connection.
    port.healthy().await;
}

#[tokio::test]
async fn python_service_answers_an_execution_result() {
    let port = Port::open(Outcome::Exited { code: 2, message: None }, None).await;
    let answer = port.python().execute(PythonExecuteRequest::default()).await.unwrap().into_inner();
    assert!(!answer.success && !answer.error.is_empty());
    assert_eq!(answer.output, "Hello, \"World\"!\n\u{fffd}");
    let result: serde_json::Value = serde_json::from_slice(&answer.result).unwrap();
    assert!(result["stdout"].is_string() && result["stderr"].is_string());
    assert!(result["variables"].is_object());
    let busy = PythonExecuteRequest { code: "busy".into(), ..Default::default() };
    let status = port.python().execute(busy).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let odd = PythonExecuteRequest { upstream_attestation: b"[1]".to_vec(), ..Default::default() };
    let nul = PythonExecuteRequest { code: "a\0b".to_owned(), ..Default::default() };
    for (request, words) in [(odd, "`upstream_attestation` has to be an object"), (nul, "NUL")] {
        let answer = port.python().execute(request).await.unwrap().into_inner();
        assert!(!answer.success && answer.error.contains(words), "{}", answer.error);
        let result: serde_json::Value = serde_json::from_slice(&answer.result).unwrap();
        assert_eq!(result["error"], answer.error);
    }
}

#[tokio::test]
async fn large_messages_pass() {
    let port = Port::open(Outcome::Value, None).await;
    let body = format!("{{\"code\":\"{}\"}}", "x".repeat(20 << 20));
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: "/execute".to_owned(),
        headers: Vec::new(),
        body: body.into(),
    };
    assert_eq!(port.domain().handle_http(request).await.unwrap().into_inner().status_code, 200);
}

#[tokio::test]
async fn jobs_are_answered_whatever_they_are() {
    let port = Port::open(Outcome::Value, None).await;
    let job = |handler: &str, payload: &[u8]| ExecuteJobRequest {
        job_id: "j".to_owned(),
        handler_name: handler.to_owned(),
        payload: payload.to_vec(),
        timeout_secs: Some(5),
    };
    let content = br#"{"content":"x"}"#;
    for (request, success) in [
        (job("python.script", content), true),
        (job("script", content), true),
        (job("__reload", b""), true),
        (job("python.__reload", b""), true),
        (job("nobody", b""), false),
        (job("python.script", b""), false),
        (job("python.script", br#"{"content":"busy"}"#), false),
    ] {
        let answer = port.domain().execute_job(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.success, success, "{request:?} {answer:?}");
        assert_eq!(answer.error.is_empty(), success);
        assert_eq!(answer.plugin_version, crate::VERSION);
    }
    let script = port.domain().execute_job(job("python.script", content)).await.unwrap();
    let entries = script.into_inner().log_entries;
    assert!(entries.iter().any(|entry| entry.message == "Hello, \"World\"!"), "{entries:?}");
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    let port = Port::open(Outcome::Value, None).await;
    let empty = tokio_stream::empty();
    let socket = port.domain().handle_web_socket(empty).await.unwrap_err();
    assert_eq!(socket.code(), Code::Unimplemented);
    let query = port
        .domain()
        .parse_ax_query(proto::protocol::ParseAxQueryRequest::default())
        .await
        .unwrap_err();
    assert_eq!(query.code(), Code::Unimplemented);
    let mut other =
        proto::protocol::llm_service_client::LlmServiceClient::new(port.channel.clone());
    assert_eq!(
        other.chat(proto::protocol::LlmChatRequest::default()).await.unwrap_err().code(),
        Code::Unimplemented
    );
}

#[tokio::test]
async fn the_token_guards_both_faces() {
    let port = Port::open(Outcome::Value, Some("0123456789abcdef")).await;
    let refused = port.domain().metadata(Empty {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut request = tonic::Request::new(Empty {});
    let bearer = MetadataValue::from_static("Bearer 0123456789abcdef");
    request.metadata_mut().insert("authorization", bearer);
    assert!(port.domain().metadata(request).await.is_ok());
}

#[tokio::test]
async fn shutdown_is_answered_and_ends_the_port() {
    let port = Port::open(Outcome::Value, None).await;
    port.domain().initialize(InitializeRequest::default()).await.unwrap();
    port.domain().shutdown(Empty {}).await.unwrap();
    assert!(port.api.life().stopping() && !port.api.life().healthy());
    tokio::time::timeout(Duration::from_secs(1), async {
        while tokio::net::TcpStream::connect(&port.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert!(port.api.runner().snapshot().ready);
}

#[tokio::test]
async fn pings_without_a_stream_are_answered() {
    let port = Port::open(Outcome::Value, None).await;
    // The core pings after 30 s; this is the same, faster.
    let endpoint = Endpoint::from_shared(format!("http://{}", port.address)).unwrap();
    let channel = endpoint
        .http2_keep_alive_interval(Duration::from_millis(5))
        .keep_alive_timeout(Duration::from_millis(500))
        .keep_alive_while_idle(true)
        .connect()
        .await
        .unwrap();
    let mut client = DomainPluginServiceClient::new(channel);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        client.metadata(Empty {}).await.unwrap();
    }
}

#[tokio::test]
async fn a_health_checker_needs_no_file_of_ours() {
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
    let api = Arc::new(api(Outcome::Value));
    let (routes, reporter) = routes(Arc::clone(&api), Arc::new(Slow)).unwrap();
    let reported = tokio::spawn(report_health(Arc::clone(&api), reporter));
    let mut client = HealthClient::new(routes.prepare());
    for stopping in [false, true] {
        let wanted = if stopping { ServingStatus::NotServing } else { ServingStatus::Serving };
        if stopping {
            api.life().stop(crate::lifecycle::Stop::Asked);
        }
        for service in SERVICES {
            let mut status = -1;
            while status != wanted as i32 {
                tokio::task::yield_now().await;
                let request = HealthCheckRequest { service: service.to_owned() };
                status = client.check(request).await.unwrap().into_inner().status;
            }
        }
    }
    reported.await.unwrap();
}
