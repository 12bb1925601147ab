//! The handlers: code that lives in the store, and what fires it.
//!
//! **Invariant:** what is declared to the core is always a complete set; what
//! can't be found out now is what was known last. One handler's fault is told
//! and never touches another.

pub mod book;
pub mod discovery;
mod ledger;
mod plan;
mod reading;
mod renewal;

pub use book::{Book, Caller, Handler, Kind, Read, Run, Trigger};
pub use ledger::{Ledger, Page, Ran};

use crate::VERSION;
use crate::api::{Execute, chain};
use crate::config::Config;
use crate::declarations::Declarations;
use crate::host::{CallContext, Host};
use crate::settings::Settings;
use crate::state::{State, StateError};
use crate::store::Command;
use discovery::{ABOUT, FAULTED};
use reading::Reading;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The file in the state directory.
const FILE: &str = "handlers.json";
/// Most that the store is waited for.
const STORE: Duration = Duration::from_secs(10);
/// Most that a reload reads code for.
const READ: Duration = Duration::from_secs(20);
/// For what is asked of the core beside that.
const ASIDE: Duration = Duration::from_secs(2);
/// Attesting a fault is not waited for longer.
const ATTEST: Duration = Duration::from_secs(5);

/// Everything known of the handlers.
#[derive(Debug)]
pub struct Handlers {
    host: Arc<Host>,
    now: RwLock<Arc<Now>>,
    ledger: Ledger,
    /// One `Initialize` or reload at a time.
    turn: tokio::sync::Mutex<Option<Arc<State>>>,
}

/// One state of things; replaced whole.
#[derive(Debug, Clone, Default)]
pub struct Now {
    pub book: Book,
    /// What the core was told and keeps to.
    pub in_force: Declarations,
    /// What begins or ends only with the next `Initialize` after a restart.
    pub waiting: Vec<String>,
    /// What could not be found out, or not kept.
    pub notes: Vec<String>,
    /// The handlers are those of the last time, not the store's.
    pub stale: bool,
    /// Reading again may find out more.
    pub again: bool,
}

/// What a reload came to.
#[derive(Debug)]
pub struct Reloaded {
    pub count: usize,
    pub waiting: Vec<String>,
}

impl Handlers {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(host: Arc<Host>) -> Self {
        Self { host, now: RwLock::default(), ledger: Ledger::default(), turn: Default::default() }
    }

    /// The state of things.
    #[must_use]
    pub fn now(&self) -> Arc<Now> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last runs.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The declarations for `Initialize`, within about `budget`; `again` in a
    /// process that was initialised before.
    pub async fn initialise<E: Execute>(
        &self,
        run: &E,
        settings: &Settings,
        budget: Duration,
        again: bool,
    ) -> Declarations {
        let config = settings.config();
        let within = async {
            let mut turn = self.turn.lock().await;
            let mut notes = Vec::new();
            self.remember(&mut turn, settings, &config, &mut notes).await;
            self.look_after_made(&config).await;
            let store = STORE.min(budget.mul_f64(0.6));
            let found =
                tokio::time::timeout(store, discovery::find(&self.host, &config.name, store));
            let found = match found.await {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err(format!("the store gave no answer within {} s", store.as_secs())),
            };
            match found {
                Ok(found) => {
                    let deadline = Instant::now() + budget.mul_f64(0.25);
                    let handlers = self.read(run, &config, found, deadline, &mut notes).await;
                    let wanted = self.take_over(&config, handlers, notes, (false, again));
                    self.keep(turn.as_ref()).await;
                    wanted
                }
                Err(reason) => {
                    let handlers = self.last_known(&reason, &mut notes);
                    self.take_over(&config, handlers, notes, (true, again))
                }
            }
        };
        match tokio::time::timeout(budget, within).await {
            Ok(wanted) => wanted,
            Err(_) => {
                let mut notes = Vec::new();
                let reason = format!("not done within {} s", budget.as_secs());
                let handlers = self.last_known(&reason, &mut notes);
                self.take_over(&config, handlers, notes, (true, again))
            }
        }
    }

    /// Reads the handlers again, and puts into force what the contract allows.
    pub async fn reload<E: Execute>(
        &self,
        run: &E,
        settings: &Settings,
    ) -> Result<Reloaded, String> {
        let turn = self.turn.lock().await;
        let config = settings.config();
        let found = discovery::find(&self.host, &config.name, STORE).await;
        let found = found.map_err(|error| format!("the handlers can't be read: {error}"))?;
        let mut notes = Vec::new();
        let deadline = Instant::now() + READ;
        let handlers = self.read(run, &config, found, deadline, &mut notes).await;
        let before = self.now();
        let (book, wanted) = plan::plan(&config.name, handlers, &self.host.made().list());
        let count = book.handlers.len();
        let context = self.context(&config, STORE);
        // What scripts made is in force already, in whatever state its user left it.
        let mut decorated = (before.in_force.clone(), wanted.clone());
        decorated.0.schedules.retain(|one| before.book.schedules(&one.handler_name));
        decorated.1.schedules.retain(|one| book.schedules(&one.handler_name));
        let mut renewed = renewal::renew(&self.host, &context, &decorated.0, &decorated.1).await;
        let made = wanted.schedules.into_iter().filter(|one| !book.schedules(&one.handler_name));
        renewed.in_force.schedules.extend(made);
        for line in &renewed.waiting {
            tracing::warn!(what = %line, "waits for a restart of the plugin");
        }
        let waiting = renewed.waiting.clone();
        self.swap(Now {
            book,
            in_force: renewed.in_force,
            waiting: renewed.waiting,
            again: !notes.is_empty(),
            notes,
            stale: false,
        });
        self.keep(turn.as_ref()).await;
        tracing::info!(count, waiting = waiting.len(), "handlers read again");
        Ok(Reloaded { count, waiting })
    }

    /// Opens the state directory, once, and begins with what is in it.
    async fn remember(
        &self,
        held: &mut Option<Arc<State>>,
        settings: &Settings,
        config: &Config,
        notes: &mut Vec<String>,
    ) {
        // Without a core nobody is declared anything to.
        if held.is_some() || !(settings.launched_by_core() || config.state_dir.is_some()) {
            return;
        }
        let (root, name) = (config.state_dir.clone(), config.name.clone());
        let made = Arc::clone(self.host.made());
        let opening = tokio::task::spawn_blocking(move || {
            let state = Arc::new(State::open(root.as_deref(), &name)?);
            let loaded = state.load::<Vec<Handler>>(FILE);
            let attached = made.attach(Arc::clone(&state));
            Ok::<_, StateError>((state, loaded, attached))
        });
        let mut complain = |error: &dyn std::error::Error| {
            notes.push(format!("declarations are not kept: {}", chain(error)));
        };
        match tokio::time::timeout(ASIDE, opening).await {
            Ok(Ok(Ok((state, loaded, attached)))) => {
                *held = Some(state);
                if let Err(error) = attached {
                    complain(&error);
                }
                match loaded {
                    Ok(Some(handlers)) if self.now().book.handlers.is_empty() => {
                        let handlers = handlers.into_iter().map(|one| (one.name.clone(), one));
                        let handlers = handlers.map(|(name, one)| (name, Arc::new(one))).collect();
                        let book = Book { handlers, ..Book::default() };
                        self.swap(Now { book, ..Now::default() });
                    }
                    Ok(Some(_) | None) => {}
                    Err(error) => complain(&error),
                }
            }
            Ok(Ok(Err(error))) => complain(&error),
            Ok(Err(error)) => complain(&error),
            Err(error) => complain(&error),
        }
    }

    /// Schedules that somebody ended in the core are not to come back.
    async fn look_after_made(&self, config: &Config) {
        let context = self.context(config, ASIDE);
        for row in self.host.made().list() {
            match self.host.schedule(&context, &row.id).await {
                Ok(None) => self.host.made().remove(&row.id).await,
                Ok(Some((_, state))) if state == "deleted" => {
                    self.host.made().remove(&row.id).await;
                }
                Ok(Some(_)) => {}
                Err(error) => {
                    tracing::warn!(reason = %error, "a script's schedule can't be looked at; it is declared as known");
                    return;
                }
            }
        }
    }

    /// The handlers of `found`; says what can't be read, to the log and the store.
    async fn read<E: Execute>(
        &self,
        run: &E,
        config: &Config,
        found: Vec<discovery::Found>,
        deadline: Instant,
        notes: &mut Vec<String>,
    ) -> Vec<Handler> {
        let known = self.known();
        let reading = reading::read(run, config, found, &known, deadline).await;
        let Reading { handlers, faulted, unread } = reading;
        for (name, reason) in unread {
            tracing::warn!(handler = %name, %reason, "declarations not read; the last known stand");
            notes.push(format!("handler `{name}` could not be read: {reason}"));
        }
        for handler in handlers.iter().filter(|one| faulted.contains(&one.name)) {
            self.attest_fault(config, handler);
        }
        handlers
    }

    /// Tells the store; whoever waits for declarations does not wait for that.
    fn attest_fault(&self, config: &Config, handler: &Handler) {
        let reason = handler.fault.clone().unwrap_or_default();
        tracing::warn!(handler = %handler.name, attestation = %handler.attestation, %reason, "the handler can't be read");
        let attributes = json!({
            "plugin": config.name,
            "handler": handler.name,
            "reason": reason,
            ABOUT: handler.attestation,
        });
        let command = Command {
            subjects: vec![handler.name.clone()],
            predicates: vec![FAULTED.to_owned()],
            contexts: vec![config.name.clone()],
            attributes: attributes.as_object().cloned().unwrap_or_default(),
            source: config.name.clone(),
            source_version: VERSION.to_owned(),
            ..Command::default()
        };
        let (host, context) = (Arc::clone(&self.host), self.context(config, ATTEST));
        tokio::spawn(async move {
            if let Err(error) = host.attest(&context, command).await {
                tracing::warn!(reason = %error, "a handler's fault could not be attested");
            }
        });
    }

    /// The handlers of the last time.
    fn last_known(&self, reason: &str, notes: &mut Vec<String>) -> Vec<Handler> {
        let known: Vec<Handler> =
            self.known().into_values().map(|one| Handler::clone(&one)).collect();
        notes.push(format!(
            "the handlers can't be read ({reason}); declared are the {} last known",
            known.len()
        ));
        known
    }

    /// By their own names, those that share one left out but for its owner.
    fn known(&self) -> BTreeMap<String, Arc<Handler>> {
        let now = self.now();
        let own = now.book.handlers.iter().filter(|(name, one)| **name == one.name);
        own.map(|(name, one)| (name.clone(), Arc::clone(one))).collect()
    }

    /// What is to be declared of `handlers`, which are the ones known from now on.
    fn take_over(
        &self,
        config: &Config,
        handlers: Vec<Handler>,
        notes: Vec<String>,
        (stale, live): (bool, bool),
    ) -> Declarations {
        let (book, wanted) = plan::plan(&config.name, handlers, &self.host.made().list());
        for handler in book.handlers.values() {
            for (trigger, fault) in
                handler.triggers.iter().filter_map(|t| Some((t, t.fault.as_ref()?)))
            {
                tracing::warn!(handler = %handler.name, function = %trigger.function, reason = %fault, "a trigger is not declared");
            }
            if let Some(reason) = &handler.collision {
                tracing::warn!(handler = %handler.name, %reason, "the handler is not declared");
            }
        }
        let (in_force, waiting) = if live {
            renewal::settings(&self.now().in_force, &wanted)
        } else {
            (wanted.clone(), Vec::new())
        };
        // A reload puts schedules into force that a settings change does not.
        let again = !notes.is_empty() || in_force.schedules != wanted.schedules;
        self.swap(Now { book, in_force, waiting, notes, stale, again });
        wanted
    }

    fn swap(&self, now: Now) {
        let functions = now.book.functions.keys();
        let own = now.book.handlers.iter().filter(|(name, one)| **name == one.name);
        let wanted = own.map(|(name, _)| name).chain(functions).cloned();
        self.host.known().tell(&now.in_force.handler_names, wanted);
        self.ledger.keep(|name| now.book.handlers.contains_key(name));
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
    }

    /// Writes what is known to disk.
    async fn keep(&self, state: Option<&Arc<State>>) {
        let Some(state) = state.map(Arc::clone) else { return };
        let now = self.now();
        if now.stale {
            return;
        }
        let saving = tokio::task::spawn_blocking(move || {
            let handlers: Vec<&Handler> = now.book.handlers.values().map(Arc::as_ref).collect();
            state.save(FILE, &handlers)
        });
        let reason = match saving.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(error) => error.to_string(),
        };
        tracing::error!(%reason, "the declarations are not kept beyond this process");
        let mut now = Now::clone(&self.now());
        now.notes.push(format!("declarations are not kept: {reason}"));
        self.swap(now);
    }

    fn context(&self, config: &Config, limit: Duration) -> CallContext {
        CallContext::new(config.name.clone(), VERSION, Instant::now() + limit)
    }
}
