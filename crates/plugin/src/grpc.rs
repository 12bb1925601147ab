//! The gRPC face: what the core calls, and health and reflection beside it.
//!
//! **Invariant:** a failing program is an answer, never a gRPC error; a gRPC
//! error is a fault of the plugin, a full queue, or a call it doesn't serve.

mod domain;
mod job;
mod python;
mod schema;

use crate::api::attestations::Find;
use crate::api::{Api, Execute, render};
use crate::config::Config;
use crate::error::{Rejected, RunError};
use proto::protocol::domain_plugin_service_server::DomainPluginServiceServer;
use proto::protocol::python_service_server::PythonServiceServer;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::MetadataValue;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_health::server::HealthReporter;

/// What the core sends at most in one message, and some room for its fields.
const MAX_MESSAGE: usize = (100 << 20) + (1 << 20);

/// The names under which `grpc.health.v1` knows us.
const SERVICES: [&str; 3] = ["", "protocol.DomainPluginService", "protocol.PythonService"];

/// Where the core's services are, from `Initialize`.
pub use proto::protocol::InitializeRequest;

/// What `Initialize` rewires: the host services, and the supervisor.
pub trait Rewire: Send + Sync + 'static {
    /// Takes the core's endpoints into use; answers what is degraded, in words.
    fn rewire(&self, request: &InitializeRequest) -> impl Future<Output = Vec<String>> + Send;

    /// Puts a changed configuration into force.
    fn reconfigure(&self, config: Arc<Config>) -> impl Future<Output = ()> + Send;
}

/// The services' common state.
#[derive(Debug)]
pub struct Plugin<E, A, R> {
    api: Arc<Api<E, A>>,
    rewire: Arc<R>,
    /// What the last `Initialize` could not do, for health.
    degraded: Arc<std::sync::RwLock<Vec<String>>>,
}

// Derived, it would ask for clonable parts.
impl<E, A, R> Clone for Plugin<E, A, R> {
    fn clone(&self) -> Self {
        Self {
            api: Arc::clone(&self.api),
            rewire: Arc::clone(&self.rewire),
            degraded: Arc::clone(&self.degraded),
        }
    }
}

/// Every gRPC service of the plugin, ready to be served.
pub fn routes<E: Execute, A: Find, R: Rewire>(
    api: Arc<Api<E, A>>,
    rewire: Arc<R>,
) -> Result<(Routes, HealthReporter), tonic_reflection::server::Error> {
    let plugin = Plugin { api, rewire, degraded: Arc::default() };
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::protocol::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let routes = Routes::new(
        DomainPluginServiceServer::new(plugin.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
    )
    .add_service(
        PythonServiceServer::new(plugin)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE),
    )
    .add_service(health)
    .add_service(reflection)
    .prepare();
    Ok((routes, reporter))
}

/// Keeps `grpc.health.v1` at what the plugin's state is, until it stops.
pub async fn report_health<E: Execute, A: Find>(api: Arc<Api<E, A>>, reporter: HealthReporter) {
    use tonic_health::ServingStatus;
    let mut shown = None;
    loop {
        let stopping = api.life().stopping();
        let serving = api.runner().snapshot().ready && !stopping;
        if shown != Some(serving) {
            let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
            for service in SERVICES {
                reporter.set_service_status(service, status).await;
            }
            shown = Some(serving);
        }
        if stopping {
            return;
        }
        // Python comes up within tens of milliseconds; after that little changes.
        let pause = Duration::from_millis(if serving { 250 } else { 10 });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = api.life().stopped() => {}
        }
    }
}

/// The gRPC status of an error of ours or of the caller's.
fn status(error: &RunError) -> Status {
    match error {
        RunError::Rejected(rejected) => {
            let message = rejected.to_string();
            match rejected {
                Rejected::Invalid { .. } => Status::invalid_argument(message),
                Rejected::SessionGone { .. } => Status::failed_precondition(message),
                Rejected::Preparing { .. } | Rejected::ShuttingDown => Status::unavailable(message),
                Rejected::TooLarge { .. } => Status::out_of_range(message),
                Rejected::Busy { retry_after, .. } => {
                    let mut status = Status::new(Code::ResourceExhausted, message);
                    let seconds = MetadataValue::from(render::retry_after(*retry_after));
                    status.metadata_mut().insert("retry-after", seconds);
                    status
                }
            }
        }
        RunError::Fault(fault) => {
            let reason = crate::api::chain(fault);
            tracing::error!(%reason, "an execution could not be run");
            match error.status() {
                503 => Status::unavailable(reason),
                _ => Status::internal(reason),
            }
        }
    }
}

#[cfg(test)]
mod tests;
