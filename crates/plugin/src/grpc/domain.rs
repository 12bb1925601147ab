//! `DomainPluginService`: identity, lifecycle, HTTP, jobs.
//!
//! **Invariant:** nothing here but `ExecuteJob` and `HandleHTTP` waits for
//! Python, and `HandleHTTP` answers every error with an HTTP status.

use super::{Plugin, Rewire, job, schema};
use crate::VERSION;
use crate::api::attestations::Find;
use crate::api::{Call, Door, Execute, state};
use crate::declarations;
use crate::handlers::Now;
use crate::lifecycle::Stop;
use proto::protocol::domain_plugin_service_server::DomainPluginService;
use proto::protocol::{
    ConfigSchemaResponse, Empty, ExecuteJobRequest, ExecuteJobResponse, GlyphDefResponse,
    HealthResponse, HttpHeader, HttpRequest, HttpResponse, InitializeRequest, InitializeResponse,
    MetadataResponse, ParseAxQueryRequest, ParseAxQueryResponse, WebSocketMessage,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tonic::{Request, Response, Status, Streaming};

/// The most that `Initialize` takes, however long it may.
const INITIALIZE: Duration = Duration::from_secs(20);
/// The least it gives itself.
const LEAST: Duration = Duration::from_secs(2);
/// Of what waits for a restart, so much stands in Health's one line.
const SHOWN: usize = 5;
/// Pauses between attempts to find out what `Initialize` could not.
const AGAIN: [u64; 5] = [2, 5, 15, 30, 60];

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
        let again = self.api.life().initialised();
        // Dropped with this future when the caller goes away: then it failed.
        let attempt = self.api.life().attempt();
        let plugin = self.clone();
        let budget = budget(request.metadata());
        // Detached: a caller that goes away half-way leaves whole state behind.
        let work =
            tokio::spawn(
                async move { plugin.initialise(request.into_inner(), budget, again).await },
            );
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
    async fn initialise(
        &self,
        request: InitializeRequest,
        budget: Duration,
        again: bool,
    ) -> InitializeResponse {
        let began = Instant::now();
        let (config, mut degraded) = self.api.settings().apply(&request.config);
        let wires = Arc::clone(&self.rewire);
        let sent = Arc::clone(&config);
        // Detached: what takes longer than we wait is done all the same.
        let rewire = tokio::spawn(async move {
            let words = wires.rewire(&request).await;
            wires.reconfigure(sent).await;
            words
        });
        let wait = budget.mul_f64(0.25);
        match tokio::time::timeout(wait, rewire).await {
            Ok(Ok(words)) => degraded.extend(words),
            Ok(Err(error)) => degraded.push(format!("not reconfigured: {error}")),
            Err(_) => degraded.push(format!("not reconfigured within {} s", wait.as_secs_f32())),
        }
        let known = {
            let mut current = self.degraded.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, degraded.clone())
        };
        // Health goes on saying it; the log said it before.
        for reason in degraded.iter().filter(|reason| !known.contains(reason)) {
            tracing::warn!(%reason, "initialised with less than asked for");
        }
        let left = budget.saturating_sub(began.elapsed()).max(LEAST / 2);
        let (handlers, run) = (self.api.handlers(), self.api.runner());
        let declared = handlers.initialise(run, self.api.settings(), left, again).await;
        let now = self.api.handlers().now();
        for note in &now.notes {
            tracing::warn!(reason = %note, "initialised with less than there may be");
        }
        if now.again {
            tokio::spawn(self.clone().find_out(Arc::clone(&now)));
        }
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

    /// Reads the handlers again until everything is known.
    async fn find_out(self, mut seen: Arc<Now>) {
        let mut pauses = AGAIN.into_iter();
        let mut pause = AGAIN[0];
        loop {
            pause = pauses.next().unwrap_or(pause);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(pause)) => {}
                _ = self.api.life().stopped() => return,
            }
            let handlers = self.api.handlers();
            // A later Initialize has a task of its own.
            if !Arc::ptr_eq(&handlers.now(), &seen) {
                return;
            }
            match handlers.reload(self.api.runner(), self.api.settings()).await {
                Ok(_) if !handlers.now().again => return,
                Ok(_) => seen = handlers.now(),
                Err(reason) => tracing::warn!(%reason, "still not known"),
            }
        }
    }

    fn health_now(&self) -> HealthResponse {
        let life = self.api.life();
        let snapshot = self.api.runner().snapshot();
        let degraded = self.degraded.read().unwrap_or_else(PoisonError::into_inner);
        let mut message = life.words().to_owned();
        let weakened = snapshot.weakened.iter().map(|w| format!("sandbox weakened: {w}"));
        let handlers = self.api.handlers().now();
        let waiting = (!handlers.waiting.is_empty()).then(|| {
            let some: Vec<&str> = handlers.waiting.iter().take(SHOWN).map(String::as_str).collect();
            let more = handlers.waiting.len() - some.len();
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("waits for a restart of the plugin: {}{rest}", some.join(", "))
        });
        let faults = handlers.book.handlers.values().filter(|one| one.why_not().is_some()).count();
        let faulted = (faults > 0).then(|| format!("{faults} faulted, see /handlers"));
        let ours = snapshot.reason.iter().chain(&*degraded).chain(&handlers.notes).cloned();
        for note in ours.chain(waiting).chain(faulted).chain(weakened) {
            message.push_str("; ");
            message.push_str(&note);
        }
        let mut details = HashMap::from([
            ("initialized".to_owned(), life.initialised().to_string()),
            ("tls".to_owned(), self.api.settings().config().tls.word().to_owned()),
            ("sandbox".to_owned(), state::level(&snapshot).to_owned()),
            ("running".to_owned(), snapshot.running.to_string()),
            ("queued".to_owned(), snapshot.queued.to_string()),
            ("handlers".to_owned(), handlers.book.handlers.len().to_string()),
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

/// How long this `Initialize` may take: most of what its caller waits, which
/// the settings page makes 10 s.
fn budget(metadata: &tonic::metadata::MetadataMap) -> Duration {
    let given = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse);
    given.map_or(INITIALIZE, |given| given.mul_f64(0.7).clamp(LEAST, INITIALIZE))
}

/// gRPC's spelling of a time: digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let number: u64 = text.get(..text.len().checked_sub(1)?)?.parse().ok()?;
    Some(match text.as_bytes().last()? {
        b'H' => Duration::from_secs(number.checked_mul(3600)?),
        b'M' => Duration::from_secs(number.checked_mul(60)?),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_stays_below_what_the_caller_waits() {
        for (given, secs) in
            [("10S", 7.0), ("30000m", 20.0), ("2M", 20.0), ("1S", 2.0), ("x", 20.0)]
        {
            let mut metadata = tonic::metadata::MetadataMap::new();
            metadata.insert("grpc-timeout", given.parse().unwrap());
            assert_eq!(budget(&metadata).as_secs_f64(), secs, "{given}");
        }
        assert_eq!(budget(&tonic::metadata::MetadataMap::new()), INITIALIZE);
    }
}
