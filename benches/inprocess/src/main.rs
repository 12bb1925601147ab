//! A yardstick for the bench: the plugin's gRPC door with Python behind it in
//! the server's own process, on one long-lived thread.
//!
//! It is what "running it in-process" means when the bench compares: no
//! sandbox, no limits, no deadline, one execution at a time, and every
//! execution sees what the ones before left in `sys.modules`.
//!
//! **Invariant:** not part of what is shipped; serves loopback only.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the port line is this program's output")]

use anyhow::{Context, Result};
use proto::protocol::domain_plugin_service_server::{
    DomainPluginService, DomainPluginServiceServer,
};
use proto::protocol::{
    ConfigSchemaResponse, Empty, ExecuteJobRequest, ExecuteJobResponse, GlyphDefResponse,
    HealthResponse, HttpHeader, HttpRequest, HttpResponse, InitializeRequest, InitializeResponse,
    MetadataResponse, ParseAxQueryRequest, ParseAxQueryResponse, WebSocketMessage,
};
use pyo3::prelude::*;
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

/// What a user would write: fresh globals, stdout captured, the answer as JSON.
const RUNNER: &std::ffi::CStr = cr#"
import contextlib, io, json, sys, traceback

def run(kind, text):
    scope = {"__name__": "__main__", "__builtins__": __builtins__}
    out = io.StringIO()
    result = error = None
    with contextlib.redirect_stdout(out):
        try:
            if kind == "eval":
                result = eval(compile(text, "<execution>", "eval"), scope)
            else:
                exec(compile(text, "<execution>", "exec"), scope)
        except BaseException:
            error = traceback.format_exc()
    return json.dumps({"success": error is None, "stdout": out.getvalue(), "stderr": "",
                       "result": result, "error": error})

def search(directory):
    sys.path.insert(0, directory)
"#;

/// One execution for the Python thread.
struct Job {
    kind: &'static str,
    text: String,
    answer: oneshot::Sender<Result<String, String>>,
}

struct InProcess {
    jobs: std::sync::mpsc::Sender<Job>,
}

/// The Python thread: one interpreter, one thread state, one job at a time.
fn interpret(jobs: &Mutex<Receiver<Job>>, directory: Option<String>) {
    Python::initialize();
    Python::attach(|py| {
        let module = PyModule::from_code(py, RUNNER, c"runner.py", c"runner");
        let run = module.and_then(|module| {
            if let Some(directory) = directory {
                module.getattr("search")?.call1((directory,))?;
            }
            module.getattr("run")
        });
        let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(job) = py.detach(next) {
            let answer = match &run {
                Ok(run) => run
                    .call1((job.kind, job.text))
                    .and_then(|answer| answer.extract())
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            // A caller that has gone wants no answer.
            let _ = job.answer.send(answer);
        }
    });
}

#[tonic::async_trait]
impl DomainPluginService for InProcess {
    async fn metadata(&self, _: Request<Empty>) -> Result<Response<MetadataResponse>, Status> {
        Ok(Response::new(MetadataResponse {
            name: "inprocess".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..MetadataResponse::default()
        }))
    }

    async fn handle_http(
        &self,
        request: Request<HttpRequest>,
    ) -> Result<Response<HttpResponse>, Status> {
        let request = request.into_inner();
        let (kind, field) = match request.path.as_str() {
            "/evaluate" => ("eval", "expr"),
            "/execute" => ("exec", "code"),
            other => return Err(Status::not_found(other.to_owned())),
        };
        let body: serde_json::Value = serde_json::from_slice(&request.body)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let text = body[field].as_str().ok_or_else(|| Status::invalid_argument(field))?.to_owned();
        let (answer, answered) = oneshot::channel();
        self.jobs
            .send(Job { kind, text, answer })
            .map_err(|_| Status::unavailable("the Python thread has ended"))?;
        let answer = answered.await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(HttpResponse {
            status_code: 200,
            headers: vec![HttpHeader {
                name: "Content-Type".to_owned(),
                values: vec!["application/json".to_owned()],
            }],
            body: answer.map_err(Status::internal)?.into_bytes().into(),
        }))
    }

    async fn initialize(
        &self,
        _: Request<InitializeRequest>,
    ) -> Result<Response<InitializeResponse>, Status> {
        Ok(Response::new(InitializeResponse::default()))
    }

    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    type HandleWebSocketStream = tokio_stream::Empty<Result<WebSocketMessage, Status>>;

    async fn handle_web_socket(
        &self,
        _: Request<Streaming<WebSocketMessage>>,
    ) -> Result<Response<Self::HandleWebSocketStream>, Status> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn health(&self, _: Request<Empty>) -> Result<Response<HealthResponse>, Status> {
        Ok(Response::new(HealthResponse { healthy: true, ..HealthResponse::default() }))
    }

    async fn config_schema(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<ConfigSchemaResponse>, Status> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn register_glyphs(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<GlyphDefResponse>, Status> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn execute_job(
        &self,
        _: Request<ExecuteJobRequest>,
    ) -> Result<Response<ExecuteJobResponse>, Status> {
        Err(Status::unimplemented("a yardstick"))
    }

    async fn parse_ax_query(
        &self,
        _: Request<ParseAxQueryRequest>,
    ) -> Result<Response<ParseAxQueryResponse>, Status> {
        Err(Status::unimplemented("a yardstick"))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let directory = std::env::args().nth(1);
    let (jobs, waiting) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("python".to_owned())
        .spawn(move || interpret(&Mutex::new(waiting), directory))
        .context("no thread for Python")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("QNTX_PLUGIN_PORT={}", listener.local_addr()?.port());
    let server = DomainPluginServiceServer::new(InProcess { jobs });
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(server.max_decoding_message_size(128 << 20))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}
