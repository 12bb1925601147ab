//! The core: what it does with the plugin's answer to `Initialize`, its
//! watchers and its schedules.
//!
//! **Invariant:** what the real core would die of, or lose data by, is an
//! error here.

use crate::plugin::Plugin;
use crate::services::{Port, Services};
use crate::store::{matches, now_ms};
use crate::wire::*;
use anyhow::ensure;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// 64 hexadecimal characters, as the real one.
const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// One fire of a watcher, as often as it was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Fire {
    pub watcher: String,
    pub attestation: String,
    pub attempts: u32,
    /// The last attempt's error; empty = success.
    pub error: String,
}

/// The running core.
#[derive(Debug)]
pub struct Core {
    pub services: Arc<Services>,
    /// ATS store, queue, schedule, fetch, and one for all the others.
    pub ports: [Port; 5],
    name: String,
    /// Registry keys: `plugin/handler`.
    pub handlers: Mutex<BTreeSet<String>>,
    /// By stored id: `plugin-id`.
    pub watchers: Mutex<BTreeMap<String, WatcherRegistration>>,
    pub fires: Mutex<Vec<Fire>>,
}

impl Core {
    /// A core with its services up, for a plugin called `name`.
    pub async fn start(name: &str) -> anyhow::Result<Self> {
        let services = Arc::new(Services { token: TOKEN.to_owned(), ..Services::default() });
        let open = || Port::open(&services, "127.0.0.1:0");
        let ports = [open().await?, open().await?, open().await?, open().await?, open().await?];
        Ok(Self {
            services,
            ports,
            name: name.to_owned(),
            handlers: Mutex::default(),
            watchers: Mutex::default(),
            fires: Mutex::default(),
        })
    }

    /// What the plugin is told, with `config` as its table of am.toml.
    #[must_use]
    pub fn request(&self, config: &[(&str, &str)]) -> InitializeRequest {
        let [store, queue, schedule, fetch, others] = &self.ports;
        InitializeRequest {
            ats_store_endpoint: store.address.clone(),
            queue_endpoint: queue.address.clone(),
            schedule_endpoint: schedule.address.clone(),
            fetch_endpoint: fetch.address.clone(),
            file_service_endpoint: others.address.clone(),
            llm_endpoint: others.address.clone(),
            embedding_endpoint: others.address.clone(),
            vector_search_endpoint: others.address.clone(),
            search_endpoint: others.address.clone(),
            ground_endpoint: others.address.clone(),
            auth_token: TOKEN.to_owned(),
            config: config.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }

    /// Takes the answer as the core does at boot and after a restart.
    pub fn accept(&self, answer: &InitializeResponse) -> anyhow::Result<()> {
        *lock(&self.handlers) = self.keys(answer)?;
        ensure!(answer.python_provider, "python_provider is not set");
        self.reconcile(&answer.schedules)?;
        self.watch(&answer.watchers)?;
        for route in &answer.http_routes {
            ensure!(route.path.starts_with('/'), "route {:?} without a leading slash", route.path);
        }
        Ok(())
    }

    /// Takes the answer as the settings page does.
    pub fn take_settings(&self, answer: &InitializeResponse) -> anyhow::Result<()> {
        self.keys(answer)?;
        self.watch(&answer.watchers)
    }

    fn keys(&self, answer: &InitializeResponse) -> anyhow::Result<BTreeSet<String>> {
        let mut handlers = BTreeSet::new();
        for name in &answer.handler_names {
            ensure!(!name.is_empty(), "an empty handler name");
            let key = format!("{}/{name}", self.name);
            ensure!(handlers.insert(key), "{name} declared twice: the core dies of it");
        }
        Ok(handlers)
    }

    fn reconcile(&self, declared: &[ScheduleInfo]) -> anyhow::Result<()> {
        let mut rows = lock(&self.services.schedules);
        let mut keys = BTreeSet::new();
        for schedule in declared {
            let (name, every) = (&schedule.handler_name, schedule.interval_seconds);
            ensure!(every > 0 || !schedule.enabled_by_default, "{name} would run on every tick");
            if every <= 0 {
                continue;
            }
            let key = format!("{}/{name}", self.name);
            keys.insert(key.clone());
            let live = |row: &&mut ScheduledJob| row.handler_name == key && row.state != "deleted";
            if let Some(row) = rows.values_mut().find(live) {
                row.interval_seconds = every;
                continue;
            }
            let id = format!("SCH-{}-{}", now_ms(), rows.len());
            let state = if schedule.enabled_by_default { "active" } else { "paused" };
            rows.insert(
                id.clone(),
                ScheduledJob {
                    id,
                    handler_name: key,
                    interval_seconds: every,
                    state: state.to_owned(),
                    metadata: format!(r#"{{"plugin":"{}"}}"#, self.name),
                    ..ScheduledJob::default()
                },
            );
        }
        let mark = format!(r#""plugin":"{}""#, self.name);
        let (dot, slash) = (format!("{}.", self.name), format!("{}/", self.name));
        for row in rows.values_mut() {
            let handler = &row.handler_name;
            let ours = row.metadata.contains(&mark)
                || handler.starts_with(&dot)
                || handler.starts_with(&slash);
            if ours && !keys.contains(handler) {
                "deleted".clone_into(&mut row.state);
            }
        }
        Ok(())
    }

    fn watch(&self, declared: &[WatcherRegistration]) -> anyhow::Result<()> {
        if declared.is_empty() {
            return Ok(());
        }
        let mut fresh = BTreeMap::new();
        for watcher in declared {
            let lists =
                [&watcher.subjects, &watcher.predicates, &watcher.contexts, &watcher.actors];
            let id = &watcher.id;
            ensure!(lists.iter().any(|list| !list.is_empty()), "watcher {id} has no filter");
            ensure!(watcher.max_fires_per_second > 0, "watcher {id} never fires");
            fresh.insert(format!("{}-{id}", self.name), watcher.clone());
        }
        *lock(&self.watchers) = fresh;
        Ok(())
    }

    /// Live rows of the schedule table: handler key → (interval, state).
    #[must_use]
    pub fn schedules(&self) -> HashMap<String, (i32, String)> {
        let rows = lock(&self.services.schedules);
        rows.values()
            .filter(|row| row.state != "deleted")
            .map(|row| (row.handler_name.clone(), (row.interval_seconds, row.state.clone())))
            .collect()
    }

    /// Fires every watcher that matches what is attested from now on, until
    /// `quiet` has passed without news. Failures are tried six times; the
    /// pauses (1 to 16 s in the real core) are a hundredth.
    pub async fn run_watchers(&self, plugin: &Plugin, quiet: Duration) -> anyhow::Result<()> {
        let mut news = self.services.store.news();
        while let Ok(Ok(attestation)) = tokio::time::timeout(quiet, news.recv()).await {
            let due: Vec<(String, WatcherRegistration)> = lock(&self.watchers)
                .iter()
                .filter(|(_, watcher)| matches(&filter(watcher), &attestation))
                .map(|(id, watcher)| (id.clone(), watcher.clone()))
                .collect();
            for (id, watcher) in due {
                self.fire(plugin, id, &watcher, &attestation).await;
            }
        }
        Ok(())
    }

    async fn fire(
        &self,
        plugin: &Plugin,
        id: String,
        watcher: &WatcherRegistration,
        attestation: &Attestation,
    ) {
        let payload = payload(attestation).to_string().into_bytes();
        let (mut attempts, mut error) = (0, String::new());
        for pause in [10, 20, 40, 80, 160, 0] {
            attempts += 1;
            let request = ExecuteJobRequest {
                job_id: format!("watcher-{}", now_ms()),
                handler_name: watcher.handler_name.clone(),
                payload: payload.clone(),
                timeout_secs: None,
            };
            error = match plugin.job(request).await {
                Ok(answer) if answer.success => String::new(),
                Ok(answer) => answer.error,
                Err(status) => status.to_string(),
            };
            if error.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let attestation = attestation.id.clone();
        lock(&self.fires).push(Fire { watcher: id, attestation, attempts, error });
    }

    /// One run of every active schedule: handler key → the plugin's answer.
    pub async fn tick(&self, plugin: &Plugin) -> anyhow::Result<Vec<(String, ExecuteJobResponse)>> {
        let mut answers = Vec::new();
        for row in self.active() {
            let answer = self.run(plugin, &row).await?;
            answers.push((row.handler_name, answer));
        }
        Ok(answers)
    }

    /// Lets `secs` seconds of the ticker's time pass in as little as the runs
    /// take: every active schedule as often as it is due, one run at a time.
    /// How often each handler ran; a run that fails is an error.
    pub async fn pass(
        &self,
        plugin: &Plugin,
        secs: i64,
    ) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut ran = BTreeMap::new();
        // the first run of a declared schedule is immediate
        let mut due: BTreeMap<String, i64> = BTreeMap::new();
        loop {
            let active = self.active();
            due.retain(|id, _| active.iter().any(|row| row.id == *id));
            for row in &active {
                due.entry(row.id.clone()).or_insert(0);
            }
            let next = active.iter().min_by_key(|row| due[&row.id]);
            let Some(row) = next.filter(|row| due[&row.id] < secs) else { return Ok(ran) };
            let answer = self.run(plugin, row).await?;
            let (handler, at) = (row.handler_name.clone(), due[&row.id]);
            ensure!(answer.success, "{handler} at second {at}: {}", answer.error);
            *ran.entry(handler).or_insert(0) += 1;
            due.insert(row.id.clone(), at + i64::from(row.interval_seconds));
        }
    }

    fn active(&self) -> Vec<ScheduledJob> {
        // another plugin's handlers are called there
        let prefix = format!("{}/", self.name);
        let due =
            |row: &&ScheduledJob| row.state == "active" && row.handler_name.starts_with(&prefix);
        lock(&self.services.schedules).values().filter(due).cloned().collect()
    }

    async fn run(&self, plugin: &Plugin, row: &ScheduledJob) -> anyhow::Result<ExecuteJobResponse> {
        let key = &row.handler_name;
        ensure!(lock(&self.handlers).contains(key), "{key} is not registered: queued for ever");
        let raw = key.strip_prefix(&format!("{}/", self.name)).unwrap_or(key);
        let request = ExecuteJobRequest {
            job_id: format!("JB-{}", now_ms()),
            handler_name: raw.to_owned(),
            payload: row.payload.clone(),
            timeout_secs: Some(300),
        };
        Ok(plugin.job(request).await?)
    }
}

pub(crate) fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn filter(watcher: &WatcherRegistration) -> AttestationFilter {
    AttestationFilter {
        subjects: watcher.subjects.clone(),
        predicates: watcher.predicates.clone(),
        contexts: watcher.contexts.clone(),
        actors: watcher.actors.clone(),
        ..AttestationFilter::default()
    }
}

/// The JSON of the core's own attestation type (CONTRACT 4.10): times are RFC
/// 3339 text with nanoseconds, an empty list is null.
#[must_use]
pub fn payload(a: &Attestation) -> serde_json::Value {
    let list = |words: &[String]| {
        if words.is_empty() { serde_json::Value::Null } else { words.to_vec().into() }
    };
    let time = |ms: i64| {
        let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
        let format = time::format_description::well_known::Rfc3339;
        at.ok().and_then(|at| at.format(&format).ok()).unwrap_or_default()
    };
    let mut value = serde_json::json!({
        "id": a.id,
        "subjects": list(&a.subjects),
        "predicates": list(&a.predicates),
        "contexts": list(&a.contexts),
        "actors": list(&a.actors),
        "timestamp": time(a.timestamp),
        "source": a.source,
        "created_at": time(a.created_at),
        "signature": "BwcH",
        "signer_did": a.signer_did,
    });
    if let Some(attributes) = a.attributes.as_ref().filter(|map| !map.fields.is_empty()) {
        value["attributes"] = attributes.to_json();
    }
    value
}
