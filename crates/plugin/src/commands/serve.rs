//! `serve`: the life of the plugin, from its port to its end.
//!
//! **Invariant:** the port is announced before anything slow begins, and once
//! the end has begun it comes within the time its reason allows.

use super::{floor, host, logs, runtime};
use crate::api::attestations::{Find, FindError};
use crate::api::{Api, chain};
use crate::cli::{Exit, Failure, Invocation};
use crate::config::Config;
use crate::grpc::{self, InitializeRequest, Rewire};
use crate::handlers::Handlers;
use crate::host::{CallContext, Endpoints, Host};
use crate::http::{Face, Guard};
use crate::lifecycle::{Life, Stop};
use crate::packages::Packages;
use crate::settings::Settings;
use crate::store::{Attestation, Filter};
use crate::supervisor::Supervisor;
use crate::telemetry::Levels;
use crate::tls::Tls;
use crate::{VERSION, serve};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// How often we look whether our parent is still there.
const PARENT: Duration = Duration::from_millis(250);
/// How long reading attestations may take.
const READ: Duration = Duration::from_secs(10);

/// Serves until it is told to stop.
pub fn serve(invocation: &Invocation) -> Result<Exit, Failure> {
    let levels = logs(invocation)?;
    let (config, fixed) = invocation.config()?;
    floor(&config)?;
    let token = invocation.cli.options.token_file.as_deref().map(serve::token).transpose();
    let (address, port) = invocation.listen()?;
    let tls = tls(invocation)?;
    secrets(invocation, &config);
    let bound = token.and_then(|token| serve::bind(&address, port, token, tls.as_ref()));
    let (listener, guard) = bound.map_err(|e| {
        let hint = e.remedy();
        Failure::new(Exit::CannotStart, e).hint(hint)
    })?;
    let local = listener.local_addr().map_err(cannot)?;

    let life = Arc::new(Life::default());
    let runtime = runtime()?;
    // From the announcement on, a signal finds somebody.
    runtime.block_on(async { signals(Arc::clone(&life)) }).map_err(cannot)?;
    serve::announce(local.port());
    tracing::info!(
        address = %local,
        tls = config.tls.word(),
        name = %config.name,
        version = VERSION,
        "listening"
    );

    for (profile, _) in config.profiles.granting().filter(|(_, p)| p.ports.contains(&local.port()))
    {
        tracing::warn!(
            profile,
            port = local.port(),
            "executions may connect to the plugin's own port"
        );
    }
    let settings = Arc::new(Settings::new(config, fixed, invocation.by_core));
    let parts = Parts { settings, life, listener, guard, tls, levels };
    let ended = runtime.block_on(live(invocation, parts));
    // What still blocks a thread then is lost with the process.
    runtime.shutdown_background();
    ended
}

/// What is there before anything slow begins.
struct Parts {
    settings: Arc<Settings>,
    life: Arc<Life>,
    listener: std::net::TcpListener,
    guard: Guard,
    tls: Option<Tls>,
    levels: Levels,
}

/// What the port speaks, tried before it is bound.
fn tls(invocation: &Invocation) -> Result<Option<Tls>, Failure> {
    let Some(files) = invocation.tls()? else { return Ok(None) };
    let tls = Tls::read(&files).map_err(|e| {
        let hint = e.remedy();
        Failure::new(Exit::CannotStart, e).hint(hint)
    })?;
    if invocation.follows_parent() {
        tracing::warn!("a core speaks plain text to its plugins and can't reach a port with TLS");
    }
    Ok(Some(tls))
}

/// Says which secrets of the port executions could read where they are.
fn secrets(invocation: &Invocation, config: &Config) {
    let options = &invocation.cli.options;
    let granted = config.profiles.granting().flat_map(|(_, profile)| &profile.read_paths);
    let mut reach = Vec::new();
    let roots = [&config.python_paths, &config.site_dirs, &config.file_roots, &config.read_paths];
    for root in roots.into_iter().flatten().chain(granted) {
        reach.extend(root.canonicalize());
    }
    for file in [&options.token_file, &options.tls.tls_key].into_iter().flatten() {
        let Ok(file) = file.canonicalize() else { continue };
        if let Some(root) = reach.iter().find(|root| file.starts_with(root)) {
            tracing::warn!(
                file = %file.display(),
                root = %root.display(),
                "executions can read this secret of the port: keep it somewhere else, or name \
                 other directories (--file-root)"
            );
        }
    }
}

async fn live(invocation: &Invocation, parts: Parts) -> Result<Exit, Failure> {
    let Parts { settings, life, listener, guard, tls, levels } = parts;
    let host = host(invocation).await?;
    let config = settings.config();
    let packages = Arc::new(Packages::start().map_err(cannot)?);
    let equipped = packages.open(Config::clone(&config));
    let supervisor = Supervisor::start(equipped, Arc::clone(&host)).await.map_err(cannot)?;
    let store = Reader { host: Arc::clone(&host), settings: Arc::clone(&settings) };
    let handlers = Arc::new(Handlers::new(Arc::clone(&host)));
    let api = Api::new(supervisor.clone(), store, settings, Arc::clone(&life));
    let api = Arc::new(api.with_packages(Arc::clone(&packages)).with_handlers(handlers));
    let wires = Wires { host: Arc::clone(&host), levels, supervisor: supervisor.clone(), packages };
    let (routes, reporter) = grpc::routes(Arc::clone(&api), Arc::new(wires)).map_err(cannot)?;
    tokio::spawn(grpc::report_health(Arc::clone(&api), reporter));
    if invocation.follows_parent() {
        tokio::spawn(follow_parent(Arc::clone(&life)));
    }
    listener.set_nonblocking(true).map_err(cannot)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot)?;
    let face = Face::new(routes.into_axum_router(), api, guard);

    let stopping = async {
        life.stopped().await;
    };
    let connections = serve::accept(listener, face, tls, stopping).await;

    let reason = life.stopped().await;
    tracing::info!(?reason, "stopping");
    let began = Instant::now();
    // Of these, half a second is for the processes to be gone.
    let grace = match reason {
        Stop::Asked | Stop::Orphaned => Duration::from_millis(200),
        Stop::Signal => Duration::from_millis(1400),
    };
    let connections = tokio::spawn(connections.shutdown());
    supervisor.drain(grace).await;
    // What was cut off still has to be answered.
    let _ = tokio::time::timeout(Duration::from_millis(100), connections).await;
    if let Some(store) = host.embedded()
        && let Ok(Err(e)) = tokio::time::timeout(Duration::from_millis(100), store.close()).await
    {
        tracing::warn!(reason = %chain(&e), "the attestation store was not closed well");
    }
    tracing::info!(ms = began.elapsed().as_secs_f64() * 1000.0, "stopped");
    Ok(Exit::Success)
}

fn cannot(error: impl Into<anyhow::Error>) -> Failure {
    Failure::new(Exit::CannotStart, error)
}

/// The first SIGINT or SIGTERM begins the end, the second is the end.
fn signals(life: Arc<Life>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                life.stop(Stop::Signal);
            }
        }
        leave();
    });
    Ok(())
}

#[expect(clippy::exit, reason = "a second signal means now; every process of ours dies with us")]
fn leave() -> ! {
    std::process::exit(130)
}

/// Ends when the core that started us does; a core that crashes sends nothing.
async fn follow_parent(life: Arc<Life>) {
    let parent = rustix::process::getppid();
    while rustix::process::getppid() == parent {
        tokio::time::sleep(PARENT).await;
    }
    life.stop(Stop::Orphaned);
}

/// Reads attestations where the host has them.
#[derive(Debug)]
struct Reader {
    host: Arc<Host>,
    settings: Arc<Settings>,
}

impl Find for Reader {
    async fn find(&self, filter: Filter) -> Result<Vec<Attestation>, FindError> {
        let name = self.settings.config().name.clone();
        let context = CallContext::new(name, VERSION, Instant::now() + READ);
        let found = self.host.attestations(&context, filter).await;
        found.map_err(|e| FindError { reason: e.to_string() })
    }
}

/// What `Initialize` changes.
struct Wires {
    host: Arc<Host>,
    levels: Levels,
    supervisor: Supervisor,
    packages: Arc<Packages>,
}

impl Rewire for Wires {
    async fn rewire(&self, request: &InitializeRequest) -> Vec<String> {
        self.host.connect(&Endpoints {
            ats_store: request.ats_store_endpoint.clone(),
            queue: request.queue_endpoint.clone(),
            schedule: request.schedule_endpoint.clone(),
            file: request.file_service_endpoint.clone(),
            llm: request.llm_endpoint.clone(),
            embedding: request.embedding_endpoint.clone(),
            vector_search: request.vector_search_endpoint.clone(),
            search: request.search_endpoint.clone(),
            ground: request.ground_endpoint.clone(),
            fetch: request.fetch_endpoint.clone(),
            auth_token: request.auth_token.clone(),
        });
        if !request.ats_store_endpoint.is_empty() {
            return Vec::new();
        }
        let what = match self.host.embedded() {
            None => "there is no attestation store",
            Some(_) => "the core offers no attestation store; attestations go to the plugin's own",
        };
        vec![what.to_owned()]
    }

    async fn reconfigure(&self, config: Arc<Config>) {
        self.levels.set_debug(config.debug);
        let equipped = self.packages.open(Config::clone(&config));
        if !self.supervisor.reconfigure(equipped).await {
            tracing::warn!("some executions still see the earlier configuration");
        }
    }
}
