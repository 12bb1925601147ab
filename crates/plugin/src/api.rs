//! The JSON API, whatever carried the call: plain HTTP, or the core's
//! `HandleHTTP`.
//!
//! **Invariant:** every call ends in a [`Reply`] with a status from 200 to 599
//! and a JSON body; dropping the future of a call stops its execution.

pub mod attestations;
pub mod body;
pub mod execute;
pub mod handlers;
pub mod json;
pub mod limits;
pub mod modules;
pub mod outcome;
pub mod packages;
pub mod query;
pub mod render;
pub mod routes;
mod sessions;
pub mod state;

use crate::answer::Answer;
use crate::config::Config;
use crate::error::{Fault, Rejected, RunError};
use crate::handlers::Handlers;
use crate::host::Host;
use crate::lifecycle::Life;
use crate::packages::{Choice, Progress, Shared, choose};
use crate::request::Request;
use crate::sessions::{Interrupted, View};
use crate::settings::Settings;
use crate::supervisor::{Snapshot, Supervisor};
use bytes::Bytes;
use futures_util::FutureExt as _;
use query::Query;
use routes::{Endpoint, Match};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// What runs executions: the supervisor, or a stand-in in tests.
pub trait Execute: Send + Sync + 'static {
    /// Runs `request` to its end. Dropping the future stops the execution.
    fn execute(&self, request: Request) -> impl Future<Output = Result<Answer, RunError>> + Send;

    /// Puts another configuration in force for executions that begin from now
    /// on; those that run keep theirs, and none fails for it. False: it takes a
    /// restart.
    fn reconfigure(&self, config: Config) -> impl Future<Output = bool> + Send;

    /// The state of things now, without waiting.
    fn snapshot(&self) -> Snapshot;

    /// The sessions there are, by name.
    fn sessions(&self) -> Vec<View>;

    /// Ends a session; false when there is none of this name.
    fn end_session(&self, name: &str) -> bool;

    /// Interrupts what runs in a session, and kills it after `grace`.
    fn interrupt_session(
        &self,
        name: &str,
        grace: Duration,
    ) -> impl Future<Output = Result<Interrupted, Rejected>> + Send;
}

impl Execute for Supervisor {
    async fn execute(&self, request: Request) -> Result<Answer, RunError> {
        Self::execute(self, request).await
    }

    async fn reconfigure(&self, config: Config) -> bool {
        Self::reconfigure(self, config).await
    }

    fn snapshot(&self) -> Snapshot {
        Self::snapshot(self)
    }

    fn sessions(&self) -> Vec<View> {
        Self::sessions(self).view()
    }

    fn end_session(&self, name: &str) -> bool {
        Self::sessions(self).end(name)
    }

    async fn interrupt_session(
        &self,
        name: &str,
        grace: Duration,
    ) -> Result<Interrupted, Rejected> {
        Self::sessions(self).interrupt(name, grace).await
    }
}

/// One call, as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// With its query.
    pub path: String,
    pub body: Bytes,
    pub door: Door,
}

/// Who let the call in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Our own port; checked by the HTTP face.
    Tcp,
    /// The core's `HandleHTTP`; checked by the core.
    Core,
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Reply {
    /// A JSON body.
    #[must_use]
    pub fn json(status: u16, body: Bytes) -> Self {
        Self { status, headers: vec![("content-type", "application/json".to_owned())], body }
    }

    /// `{"error": …}`.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, json::error(message, None))
    }

    /// The same reply with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Rejected> for Reply {
    fn from(rejected: Rejected) -> Self {
        let (field, wait) = match &rejected {
            Rejected::Invalid { field, .. } => (field.as_deref(), None),
            Rejected::SessionGone { .. } => (Some("session"), None),
            Rejected::Busy { retry_after, .. } => (None, Some(render::retry_after(*retry_after))),
            Rejected::Preparing { .. } | Rejected::ShuttingDown => (None, Some(5)),
            Rejected::TooLarge { .. } => (None, None),
        };
        let reply = Self::json(rejected.status(), json::error(&rejected.to_string(), field));
        match wait {
            Some(seconds) => reply.with("retry-after", seconds.to_string()),
            None => reply,
        }
    }
}

impl From<RunError> for Reply {
    fn from(error: RunError) -> Self {
        let status = error.status();
        match error {
            RunError::Rejected(rejected) => rejected.into(),
            RunError::Fault(fault) => {
                let reason = chain(&fault);
                match fault {
                    Fault::System { .. } => tracing::error!(%reason, "an execution failed"),
                    Fault::NoInterpreter { .. } | Fault::NoChild { .. } => {
                        tracing::warn!(%reason, "an execution could not be started");
                    }
                }
                let reply = Self::error(status, &reason);
                if status == 503 { reply.with("retry-after", "1".to_owned()) } else { reply }
            }
        }
    }
}

/// An error and its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The routes over what runs executions (`E`) and what holds attestations (`A`).
#[derive(Debug)]
pub struct Api<E, A> {
    run: Arc<E>,
    store: A,
    settings: Arc<Settings>,
    life: Arc<Life>,
    packages: Option<Shared>,
    handlers: Arc<Handlers>,
}

impl<E: Execute, A: attestations::Find> Api<E, A> {
    /// An API over its parts.
    pub fn new(run: E, store: A, settings: Arc<Settings>, life: Arc<Life>) -> Self {
        let handlers = Arc::new(Handlers::new(Arc::new(Host::new(None))));
        Self { run: Arc::new(run), store, settings, life, packages: None, handlers }
    }

    /// With handlers to be found and run.
    #[must_use]
    pub fn with_handlers(mut self, handlers: Arc<Handlers>) -> Self {
        self.handlers = handlers;
        self
    }

    /// With packages to be managed.
    #[must_use]
    pub fn with_packages(mut self, packages: Shared) -> Self {
        self.packages = Some(packages);
        self
    }

    /// What runs executions.
    pub fn runner(&self) -> &E {
        &self.run
    }

    /// Chooses the packages that `request` sees: those of the environment it
    /// names, or what its script declares. To be kept until it is over.
    pub async fn choose(
        &self,
        request: &mut Request,
        named: Option<&str>,
        progress: &Progress,
    ) -> Result<Choice, RunError> {
        let packages = self.packages.as_ref();
        choose(packages, &self.run, &self.settings, request, named, progress).await
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The plugin's life.
    pub fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// The handlers.
    pub fn handlers(&self) -> &Arc<Handlers> {
        &self.handlers
    }

    /// Answers one call.
    pub async fn call(&self, call: Call) -> Reply {
        self.call_with(call, &Progress::default()).await
    }

    /// Answers one call, and tells how far it is while it takes long.
    pub async fn call_with(&self, call: Call, progress: &Progress) -> Reply {
        let (path, query) = query::split(&call.path);
        let config = self.settings.config();
        let mut reply = match routes::find(&config.name, &call.method, &path) {
            Match::Found(endpoint) => self.guarded(endpoint, &call, &query, progress).await,
            Match::WrongMethod(allowed) => {
                let message = format!("{} is not allowed here, only {allowed}", call.method);
                Reply::error(405, &message).with("allow", allowed)
            }
            Match::Unknown => {
                let message = format!("Unknown endpoint: {} {path}", call.method);
                Reply::error(404, &message)
            }
        };
        if call.method == "HEAD" && call.door == Door::Core {
            reply.body = Bytes::new();
        }
        tracing::debug!(method = %call.method, path = %path, status = reply.status, "answered");
        reply
    }

    /// A bug of ours ends this call and nothing else.
    async fn guarded(
        &self,
        endpoint: Endpoint,
        call: &Call,
        query: &Query,
        progress: &Progress,
    ) -> Reply {
        let answer = AssertUnwindSafe(self.answer(endpoint, call, query, progress));
        answer.catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(method = %call.method, ?endpoint, "a call panicked");
            Reply::error(500, "the plugin failed; its log says how")
        })
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        call: &Call,
        query: &Query,
        progress: &Progress,
    ) -> Reply {
        let done = match endpoint {
            Endpoint::Index => Ok(self.index()),
            Endpoint::Execute | Endpoint::Evaluate | Endpoint::ExecuteFile => {
                self.execute(endpoint, call, progress).await
            }
            Endpoint::Version => Ok(self.version().await),
            Endpoint::Modules => self.modules(call, query).await,
            Endpoint::Health => Ok(self.health()),
            Endpoint::Handlers => Ok(self.list_handlers()),
            Endpoint::Sessions => Ok(self.list_sessions()),
            Endpoint::EndSession => Ok(self.end_session(call)),
            Endpoint::Interrupt => self.interrupt_session(call).await,
            Endpoint::Attestations => self.attestations(query).await,
            Endpoint::Install => self.install(call, progress).await,
            Endpoint::Check => self.check(call, query).await,
            Endpoint::Environment => self.environment(query),
            Endpoint::Rollback => self.rollback(call).await,
        };
        done.unwrap_or_else(Reply::from)
    }
}

#[cfg(test)]
mod tests;
