//! The services behind Python's host calls: the embedded store, or the core's.
//!
//! A child sends a call's name and a JSON object; it gets JSON back, or a
//! [`HostError`]. Who is calling is known here and stamped here.
//!
//! **Invariant:** a child never supplies identity (source, version, token); no
//! call outlives its deadline; new endpoints never disturb a call under way.

mod args;
mod attest;
mod context;
mod cursor;
mod error;
mod fetch;
mod ground;
mod known;
mod link;
mod made;
mod resolve;
mod schedule;
mod search;

#[cfg(test)]
mod tests;

pub use context::CallContext;
pub use error::{HostError, HostErrorKind};
pub use made::{Made, MadeSchedule};

use crate::store::{Attestation, Command, Filter, Store};
use args::Args;
use attest::Attestations;
use error::{Call, Service};
use known::Known;
use link::Link;
use std::sync::{Arc, PoisonError, RwLock};

/// Where the core's services are: `host:port` each, empty = not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    pub ats_store: String,
    pub queue: String,
    pub schedule: String,
    pub file: String,
    pub llm: String,
    pub embedding: String,
    pub vector_search: String,
    pub search: String,
    pub ground: String,
    pub fetch: String,
    /// Returned in every request. Not shown by `Debug` of [`Host`].
    pub auth_token: String,
}

/// The services, replaceable at run time.
pub struct Host {
    embedded: Option<Store>,
    services: RwLock<Arc<Services>>,
    made: Arc<Made>,
    known: Known,
}

/// One state of the world; calls keep the one they began with.
#[derive(Debug)]
struct Services {
    store: Attestations,
    queue: Link,
    schedule: Link,
    file: Link,
    llm: Link,
    embedding: Link,
    vector_search: Link,
    search: Link,
    ground: Link,
    fetch: Link,
    token: String,
}

impl Host {
    /// Without a core: attestations go to `embedded`, everything else is not there.
    #[must_use]
    pub fn new(embedded: Option<Store>) -> Self {
        let store = match &embedded {
            Some(store) => Attestations::Embedded(store.clone()),
            None => Attestations::Core { link: Link::Absent, token: String::new() },
        };
        let services = Services {
            store,
            queue: Link::Absent,
            schedule: Link::Absent,
            file: Link::Absent,
            llm: Link::Absent,
            embedding: Link::Absent,
            vector_search: Link::Absent,
            search: Link::Absent,
            ground: Link::Absent,
            fetch: Link::Absent,
            token: String::new(),
        };
        Self {
            embedded,
            services: RwLock::new(Arc::new(services)),
            made: Arc::default(),
            known: Known::default(),
        }
    }

    /// Uses the core's services from now on. Connects to nothing yet; an
    /// endpoint that is no address fails the calls that need it. Where an
    /// endpoint stays the same, so does its connection. Needs a tokio runtime.
    pub fn connect(&self, endpoints: &Endpoints) {
        let old = self.services();
        let token = endpoints.auth_token.clone();
        let store = match (&self.embedded, &old.store) {
            (Some(store), _) if endpoints.ats_store.is_empty() => {
                Attestations::Embedded(store.clone())
            }
            (_, Attestations::Core { link, .. }) => Attestations::Core {
                link: Link::to(&endpoints.ats_store, Some(link)),
                token: token.clone(),
            },
            (_, Attestations::Embedded(_)) => Attestations::Core {
                link: Link::to(&endpoints.ats_store, None),
                token: token.clone(),
            },
        };
        let new = Services {
            store,
            queue: Link::to(&endpoints.queue, Some(&old.queue)),
            schedule: Link::to(&endpoints.schedule, Some(&old.schedule)),
            file: Link::to(&endpoints.file, Some(&old.file)),
            llm: Link::to(&endpoints.llm, Some(&old.llm)),
            embedding: Link::to(&endpoints.embedding, Some(&old.embedding)),
            vector_search: Link::to(&endpoints.vector_search, Some(&old.vector_search)),
            search: Link::to(&endpoints.search, Some(&old.search)),
            ground: Link::to(&endpoints.ground, Some(&old.ground)),
            fetch: Link::to(&endpoints.fetch, Some(&old.fetch)),
            token,
        };
        *self.services.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    /// The embedded store, when there is one.
    #[must_use]
    pub fn embedded(&self) -> Option<&Store> {
        self.embedded.as_ref()
    }

    /// Whether attestations go to the embedded store.
    #[must_use]
    pub fn is_standalone(&self) -> bool {
        matches!(self.services().store, Attestations::Embedded(_))
    }

    /// One host call of a script: JSON in, JSON out.
    pub async fn call(
        &self,
        context: &CallContext,
        name: &str,
        args: &[u8],
    ) -> Result<Vec<u8>, HostError> {
        let services = self.services();
        let s = services.as_ref();
        let token = s.token.as_str();
        let on = |service| Call { name, service, context };
        let (call, link) = match name {
            "attest" | "attest_many" | "last" | "query" | "exists" => {
                (on(Service::Store), &Link::Absent)
            }
            "fetch" => (on(Service::Fetch), &s.fetch),
            "create_schedule" | "pause_schedule" | "resume_schedule" | "delete_schedule"
            | "get_schedule" | "list_schedules" => (on(Service::Schedule), &s.schedule),
            "enqueue" => (on(Service::Queue), &s.queue),
            "llm.chat" => (on(Service::Llm), &s.llm),
            "embed" => (on(Service::Embedding), &s.embedding),
            "search" => (on(Service::Search), &s.search),
            "vector_search" => (on(Service::VectorSearch), &s.vector_search),
            "read_file" => (on(Service::File), &s.file),
            "ground.write" | "ground.read" => (on(Service::Ground), &s.ground),
            "resolve" => (on(Service::Names), &Link::Absent),
            _ => return Err(on(Service::Store).invalid("there is no such host call")),
        };
        let (call, args) = (&call, Args::parse(call, args)?);
        let value = match name {
            "attest" => attest::attest(&s.store, call, args).await,
            "attest_many" => attest::attest_many(&s.store, call, args).await,
            "last" => attest::last(&s.store, call, args).await,
            "query" => attest::query(&s.store, call, args).await,
            "exists" => attest::exists(&s.store, call, args).await,
            "fetch" => fetch::fetch(link, token, call, args).await,
            "create_schedule" => {
                schedule::create(link, token, call, (&self.made, &self.known), args).await
            }
            "pause_schedule" => schedule::pause(link, token, call, args).await,
            "resume_schedule" => schedule::resume(link, token, call, args).await,
            "delete_schedule" => schedule::delete(link, token, call, &self.made, args).await,
            "get_schedule" => schedule::get(link, token, call, args).await,
            "list_schedules" => schedule::list(link, token, call, &self.made, args).await,
            "enqueue" => schedule::enqueue(link, token, call, &self.known, args).await,
            "llm.chat" => search::chat(link, call, args).await,
            "embed" => search::embed(link, token, call, args).await,
            "search" => search::search(link, call, args).await,
            "vector_search" => search::vector_search(link, token, call, args).await,
            "read_file" => fetch::read_file(link, token, call, args).await,
            "ground.write" => ground::write(link, token, call, args).await,
            "ground.read" => ground::read(link, token, call, args).await,
            "resolve" => resolve::resolve(call, args).await,
            _ => Err(call.invalid("there is no such host call")),
        }?;
        serde_json::to_vec(&value).map_err(|error| call.garbage(error))
    }

    /// Attests on the supervisor's own behalf.
    pub async fn attest(
        &self,
        context: &CallContext,
        command: Command,
    ) -> Result<Attestation, HostError> {
        let call = Call { name: "attest", service: Service::Store, context };
        self.services().store.create(&call, command).await
    }

    /// Asks on the supervisor's own behalf (discovery of handlers, `GET /attestations`).
    pub async fn attestations(
        &self,
        context: &CallContext,
        filter: Filter,
    ) -> Result<Vec<Attestation>, HostError> {
        let call = Call { name: "query", service: Service::Store, context };
        self.services().store.query(&call, filter).await
    }

    /// The schedules that scripts made.
    #[must_use]
    pub fn made(&self) -> &Arc<Made> {
        &self.made
    }

    /// Which of our handlers the core was told of.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Has the core run our handler `raw` every so many seconds, as a
    /// declaration would; the schedule's id. An active one is left as it is.
    pub async fn place_schedule(
        &self,
        context: &CallContext,
        raw: &str,
        every: i32,
        description: &str,
    ) -> Result<String, HostError> {
        let services = self.services();
        let call = Call { name: "create_schedule", service: Service::Schedule, context };
        let metadata = [("plugin", context.plugin_name.as_str()), ("description", description)];
        let wish = schedule::Wish {
            key: format!("{}/{raw}", context.plugin_name),
            every,
            payload: Vec::new(),
            metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        schedule::place(&services.schedule, &services.token, &call, wish).await
    }

    /// The interval and the state of a schedule; `None` when there is none.
    pub async fn schedule(
        &self,
        context: &CallContext,
        id: &str,
    ) -> Result<Option<(i64, String)>, HostError> {
        let services = self.services();
        let call = Call { name: "get_schedule", service: Service::Schedule, context };
        match schedule::look_up(&services.schedule, &services.token, &call, id).await {
            Ok(row) => {
                let every = row["every"].as_i64().unwrap_or_default();
                Ok(Some((every, row["state"].as_str().unwrap_or_default().to_owned())))
            }
            Err(error) if schedule::is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a schedule.
    pub async fn remove_schedule(&self, context: &CallContext, id: &str) -> Result<(), HostError> {
        let services = self.services();
        let call = Call { name: "delete_schedule", service: Service::Schedule, context };
        schedule::remove(&services.schedule, &services.token, &call, id).await
    }

    fn services(&self) -> Arc<Services> {
        Arc::clone(&self.services.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("embedded", &self.embedded).finish_non_exhaustive()
    }
}
