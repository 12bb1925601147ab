//! `DomainPluginService`: identity, lifecycle, HTTP, jobs.
//!
//! **Invariant:** nothing here but `ExecuteJob` and `HandleHTTP` waits for
//! Python, and `HandleHTTP` answers every error with an HTTP status.

use super::{Plugin, Rewire, job, schema};
use crate::VERSION;
use crate::api::attestations::Find;
use crate::api::{Call, Door, Execute, state};
use crate::declarations;
use crate::lifecycle::Stop;
use proto::protocol::domain_plugin_service_server::DomainPluginService;
use proto::protocol::{
    ConfigSchemaResponse, Empty, ExecuteJobRequest, ExecuteJobResponse, GlyphDefResponse,
    HealthResponse, HttpHeader, HttpRequest, HttpResponse, InitializeRequest, InitializeResponse,
    MetadataResponse, ParseAxQueryRequest, ParseAxQueryResponse, WebSocketMessage,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tonic::{Request, Response, Status, Streaming};

/// The most that `Initialize` waits for what it rewires.
const INITIALIZE: Duration = Duration::from_secs(10);

#[tonic::async_trait]
impl<E: Execute, A: Find, R: Rewire> DomainPluginService for Plugin<E, A, R> {
    async fn metadata(&self, _: Request<Empty>) -> Result<Response<MetadataResponse>, Status> {
        Ok(Response::new(MetadataResponse {
            name: self.api.settings().config().name.clone(),
            version: VERSION.to_owned(),
            // A constraint would fail against pre-release cores.
            qntx_version: String::new(),
            description: "Runs Python: every execution in a fresh sandboxed process".to_owned(),
            author: env!("CARGO_PKG_AUTHORS").to_owned(),
            license: env!("CARGO_PKG_LICENSE").to_owned(),
        }))
    }

    async fn initialize(
        &self,
        request: Request<InitializeRequest>,
    ) -> Result<Response<InitializeResponse>, Status> {
        // Dropped with this future when the caller goes away: then it failed.
        let attempt = self.api.life().attempt();
        let plugin = self.clone();
        // Detached: a caller that goes away half-way leaves whole state behind.
        let work = tokio::spawn(async move { plugin.initialise(request.into_inner()).await });
        match work.await {
            Ok(response) => {
                attempt.delivered();
                Ok(Response::new(response))
            }
            Err(e) => Err(Status::internal(format!("Initialize failed: {e}"))),
        }
    }

    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        tracing::info!("shutdown asked for");
        self.api.life().stop(Stop::Asked);
        Ok(Response::new(Empty {}))
    }

    async fn handle_http(
        &self,
        request: Request<HttpRequest>,
    ) -> Result<Response<HttpResponse>, Status> {
        let request = request.into_inner();
        let call = Call {
            method: request.method,
            path: request.path,
            body: request.body,
            door: Door::Core,
        };
        let reply = self.api.call(call).await;
        let headers = reply.headers.into_iter();
        Ok(Response::new(HttpResponse {
            status_code: i32::from(reply.status),
            headers: headers
                .map(|(name, value)| HttpHeader { name: name.to_owned(), values: vec![value] })
                .collect(),
            body: reply.body,
        }))
    }

    type HandleWebSocketStream = tokio_stream::Empty<Result<WebSocketMessage, Status>>;

    async fn handle_web_socket(
        &self,
        _: Request<Streaming<WebSocketMessage>>,
    ) -> Result<Response<Self::HandleWebSocketStream>, Status> {
        Err(Status::unimplemented("this plugin has no WebSocket"))
    }

    async fn health(&self, _: Request<Empty>) -> Result<Response<HealthResponse>, Status> {
        Ok(Response::new(self.health_now()))
    }

    async fn config_schema(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<ConfigSchemaResponse>, Status> {
        Ok(Response::new(schema::schema()))
    }

    async fn register_glyphs(
        &self,
        _: Request<Empty>,
    ) -> Result<Response<GlyphDefResponse>, Status> {
        Ok(Response::new(GlyphDefResponse { glyphs: Vec::new() }))
    }

    async fn execute_job(
        &self,
        request: Request<ExecuteJobRequest>,
    ) -> Result<Response<ExecuteJobResponse>, Status> {
        Ok(Response::new(job::run(&self.api, request.into_inner()).await))
    }

    async fn parse_ax_query(
        &self,
        _: Request<ParseAxQueryRequest>,
    ) -> Result<Response<ParseAxQueryResponse>, Status> {
        Err(Status::unimplemented("this plugin parses no Ax queries"))
    }
}

impl<E: Execute, A: Find, R: Rewire> Plugin<E, A, R> {
    /// The work of `Initialize`; succeeds also when something is degraded.
    async fn initialise(&self, request: InitializeRequest) -> InitializeResponse {
        let (config, mut degraded) = self.api.settings().apply(&request.config);
        let rewire = async {
            let words = self.rewire.rewire(&request).await;
            self.rewire.reconfigure(Arc::clone(&config)).await;
            words
        };
        match tokio::time::timeout(INITIALIZE, rewire).await {
            Ok(words) => degraded.extend(words),
            Err(_) => degraded.push(format!("no answer within {} s", INITIALIZE.as_secs())),
        }
        for reason in &degraded {
            tracing::warn!(%reason, "initialised with less than asked for");
        }
        *self.degraded.write().unwrap_or_else(PoisonError::into_inner) = degraded;
        let declared = declarations::permanent(&config.name);
        tracing::info!(
            handlers = declared.handler_names.len(),
            schedules = declared.schedules.len(),
            watchers = declared.watchers.len(),
            "initialised"
        );
        InitializeResponse {
            handler_names: declared.handler_names,
            schedules: declared.schedules,
            watchers: declared.watchers,
            http_routes: declarations::routes(),
            python_provider: true,
            llm_provider: false,
            vector_search_provider: false,
            search_provider: false,
            embedding_provider: false,
        }
    }

    fn health_now(&self) -> HealthResponse {
        let life = self.api.life();
        let snapshot = self.api.runner().snapshot();
        let degraded = self.degraded.read().unwrap_or_else(PoisonError::into_inner);
        let mut message = life.words().to_owned();
        let weakened = snapshot.weakened.iter().map(|w| format!("sandbox weakened: {w}"));
        for note in snapshot.reason.iter().chain(&*degraded).cloned().chain(weakened) {
            message.push_str("; ");
            message.push_str(&note);
        }
        let mut details = HashMap::from([
            ("initialized".to_owned(), life.initialised().to_string()),
            ("sandbox".to_owned(), state::level(&snapshot).to_owned()),
            ("running".to_owned(), snapshot.running.to_string()),
            ("queued".to_owned(), snapshot.queued.to_string()),
        ]);
        if !snapshot.python_version.is_empty() {
            details.insert("python_version".to_owned(), snapshot.python_version);
        }
        if !snapshot.landlock.is_empty() {
            details.insert("landlock".to_owned(), snapshot.landlock);
        }
        HealthResponse { healthy: life.healthy(), message, details }
    }
}
