//! The supervisor: owns zygotes, spares, slots and the fate of every execution.
//!
//! **Invariant:** never initialises Python, never forks without exec, never
//! trusts a byte a child sent.

use crate::admission::Admission;
use crate::answer::{Answer, Grant};
use crate::config::Config;
use crate::error::{Fault, Rejected, RunError};
use crate::execution::{self, After, Conditions};
use crate::haste::Haste;
use crate::host::{CallContext, Host};
use crate::killing;
use crate::nursery::Nursery;
use crate::profile::{DEFAULT, Profile};
use crate::reaper::Census;
use crate::request::Request;
use crate::routing;
use crate::scratch::ScratchRoot;
use crate::sessions::{Held, Sessions};
use crate::spawner::Spawner;
use crate::tier::State;
use crate::tiers::{Key, Lease, Preload, Tiers};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Longest a change of configuration is waited for.
const RENEWAL: Duration = Duration::from_secs(5);

/// Whether a zygote of `new` would be another than one of `old`.
fn zygotes_differ(old: &Config, new: &Config) -> bool {
    old.python_home != new.python_home
        || old.python_paths != new.python_paths
        || old.site_dirs != new.site_dirs
        || old.file_roots != new.file_roots
        || old.read_paths != new.read_paths
        || old.preload != new.preload
        || old.profiles != new.profiles
        || old.defaults != new.defaults
}

/// Handle to the running supervisor; cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    nursery: Arc<Nursery>,
    host: Arc<Host>,
    admission: Admission,
    tiers: Arc<Tiers>,
    sessions: Sessions,
    census: Arc<Census>,
    executions: AtomicU64,
    haste: Arc<Haste>,
    draining: AtomicBool,
    /// Cancels what still runs when the grace of a drain is over.
    cut: Notify,
    cut_off: AtomicBool,
}

/// What health and `/version` show; read from atomics, never blocking.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// A child can be had: Python started and sealed.
    pub ready: bool,
    /// Why not, when not.
    pub reason: Option<String>,
    pub python_version: String,
    pub python_prefix: String,
    pub landlock_abi: u32,
    pub landlock: String,
    pub seccomp_filters: u32,
    pub weakened: Vec<String>,
    /// What each profile grants beyond the strict policy.
    pub granted: Vec<(String, Vec<String>)>,
    /// Some executions have namespaces of their own.
    pub namespaces: bool,
    /// Each execution has a cgroup of its own, with these controllers.
    pub cgroup: Option<Vec<&'static str>>,
    pub zygotes: usize,
    pub generation: u32,
    pub spares: usize,
    pub running: usize,
    pub queued: usize,
    /// Modules that could not be preloaded, with the reason.
    pub set_aside: Vec<(String, String)>,
    pub preloaded: Vec<String>,
}

impl Supervisor {
    /// Starts the zygotes in the background; returns at once.
    pub async fn start(config: Config, host: Arc<Host>) -> Result<Self, Fault> {
        let config = Arc::new(held(config).await);
        let spawner = Spawner::start()
            .map_err(|source| Fault::System { what: "no thread can be started", source })?;
        let scratch = ScratchRoot::open(config.scratch_root.as_deref())?;
        let nursery = Arc::new(Nursery::new(Arc::clone(&config), spawner, scratch));
        let census = Arc::clone(&nursery.census);
        // Before there is a child to be put into one.
        census.enclose_in(groups().await);
        let tiers = Tiers::start(Arc::clone(&nursery));
        let admission = Admission::new(
            config.max_concurrency,
            config.interactive_reserve,
            config.max_queue,
            Arc::clone(&nursery.running),
        );
        let supervisor = Self {
            inner: Arc::new(Inner {
                nursery,
                host,
                admission,
                tiers,
                sessions: Sessions::default(),
                census,
                executions: AtomicU64::new(0),
                haste: Arc::default(),
                draining: AtomicBool::new(false),
                cut: Notify::new(),
                cut_off: AtomicBool::new(false),
            }),
        };
        tokio::spawn(sweep(Arc::downgrade(&supervisor.inner)));
        Ok(supervisor)
    }

    /// Runs `request` to its end. Dropping the future stops the execution.
    pub async fn execute(&self, request: Request) -> Result<Answer, RunError> {
        let inner = &self.inner;
        if inner.draining.load(Ordering::Acquire) {
            return Err(Rejected::ShuttingDown.into());
        }
        let arrived = Instant::now();
        let config = self.config();
        let (profile, grant) = granted(&config, &request.profile)?;
        let patience = request.queue_timeout.unwrap_or(config.queue_timeout);
        let _slot = inner.admission.enter(&request.caller, request.class, patience).await?;
        let kind = (request.profile.clone(), request.environment.clone());
        let mut held = match &request.session {
            // What one profile granted is not another's: neither is its session.
            Some(name) if !request.profile.is_empty() => {
                let name = format!("{name} ({})", request.profile);
                Some(inner.sessions.enter(&name, kind, patience, &config).await?)
            }
            Some(name) => Some(inner.sessions.enter(name, kind, patience, &config).await?),
            None => None,
        };
        let (spare, lease) = match held.as_mut().and_then(Held::take) {
            Some(spare) => (spare, None),
            None => {
                let lease = inner.tiers.lease(&routing::key_for(&inner.tiers, &request));
                (lease.take(patience).await?, Some(lease))
            }
        };
        let id = inner.executions.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(held) = &held {
            held.begin(id, spare.process.pid());
        }
        let conditions = Conditions {
            id,
            host: Arc::clone(&inner.host),
            context: Arc::new(call_context(&request, &config, profile)),
            queued: arrived.elapsed(),
            weakened: spare.sealed.weakened.clone(),
            grant,
            running: inner.admission.running(),
            haste: Arc::clone(&inner.haste),
        };
        let answer = tokio::select! {
            ended = execution::run(spare, request, conditions) => match (ended, held) {
                (Ok((answer, after)), held) => {
                    self.settle(lease, after, held, &answer);
                    answer
                }
                (Err(fault), held) => {
                    if let Some(held) = held {
                        inner.sessions.lost(held, fault.to_string());
                    }
                    return Err(fault.into());
                }
            },
            () = self.cut_off() => return Err(Rejected::ShuttingDown.into()),
        };
        tracing::debug!(
            execution = id,
            outcome = answer.outcome.word(),
            ms = answer.duration.as_secs_f64() * 1000.0,
            "execution ended"
        );
        Ok(answer)
    }

    /// What becomes of a child once its run is over.
    fn settle(&self, lease: Option<Lease>, after: After, held: Option<Held>, answer: &Answer) {
        let refill = move || lease.iter().for_each(|lease| lease.refill());
        match (after, held) {
            (After::Finished(spare), Some(held)) if answer.limit.is_none() => {
                self.inner.sessions.keep(held, *spare, &self.config());
            }
            (After::Finished(spare), None) => {
                return spare.let_go(Arc::clone(&self.inner.nursery.running), refill);
            }
            (After::Finished(_) | After::Gone, Some(held)) => {
                let how = answer.outcome.word();
                self.inner.sessions.lost(held, format!("an execution in it ended as `{how}`"));
            }
            (After::Gone, None) => {}
        }
        refill();
    }

    /// The state of things now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = &self.inner;
        let mut snapshot = Snapshot {
            running: inner.admission.running(),
            queued: inner.admission.queued(),
            granted: self
                .config()
                .profiles
                .granting()
                .map(|(name, profile)| (name.to_owned(), profile.granted()))
                .collect(),
            namespaces: self.config().profiles.granting().any(|(_, p)| p.processes),
            cgroup: inner.census.groups().map(|groups| groups.controllers().to_vec()),
            ..Snapshot::default()
        };
        let mut set_aside: BTreeMap<_, _> = inner.nursery.learning.aside().into_iter().collect();
        for tier in inner.tiers.all() {
            let state = tier.state();
            snapshot.spares += tier.ready();
            snapshot.zygotes += usize::from(matches!(state, State::Up { .. }));
            if !tier.key().is_plain() {
                continue;
            }
            match state {
                State::Up { generation, ready, .. } => {
                    snapshot.ready = true;
                    snapshot.generation = snapshot.generation.max(generation);
                    snapshot.python_version.clone_from(&ready.python_version);
                    snapshot.python_prefix.clone_from(&ready.python_prefix);
                    let new = |module: &&String| !snapshot.preloaded.contains(module);
                    let new: Vec<String> = ready.preloaded.iter().filter(new).cloned().collect();
                    snapshot.preloaded.extend(new);
                    let faults = ready.set_aside.iter();
                    set_aside.extend(faults.map(|f| (f.module.clone(), f.reason.clone())));
                    if let Some(sealed) = &ready.sealed {
                        snapshot.landlock_abi = sealed.landlock_abi;
                        snapshot.landlock.clone_from(&sealed.landlock);
                        snapshot.seccomp_filters = sealed.seccomp_filters;
                        snapshot.weakened.clone_from(&sealed.weakened);
                    }
                }
                State::Down { reason, .. } => snapshot.reason = Some(reason),
                State::Starting => {
                    snapshot.reason.get_or_insert_with(|| "Python is starting".to_owned());
                }
                State::Stopped => snapshot.reason = Some("the plugin is shutting down".to_owned()),
            }
        }
        snapshot.set_aside = set_aside.into_iter().collect();
        if snapshot.ready {
            snapshot.reason = None;
        }
        snapshot
    }

    /// Waits until children can be had, or cannot: the reason.
    pub async fn settled(&self) -> Result<(), String> {
        let bare = self.inner.tiers.lease(&Key::of(Preload::Bare));
        let mut state = bare.watch();
        let state = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match state.as_deref() {
            Ok(State::Up { .. }) => Ok(()),
            Ok(State::Down { reason, .. }) => Err(reason.clone()),
            Ok(State::Starting | State::Stopped) | Err(_) => Err("stopped".to_owned()),
        }
    }

    /// The sessions there are.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.inner.nursery.config()
    }

    /// Puts `config` in force for executions that begin from now on; those that
    /// run keep theirs, and none fails for it. False: the old one is still in
    /// force for some.
    pub async fn reconfigure(&self, config: Config) -> bool {
        let inner = &self.inner;
        let config = held(config).await;
        let old = inner.nursery.config();
        let renew = zygotes_differ(&old, &config);
        inner.admission.resize(
            config.max_concurrency,
            config.interactive_reserve,
            config.max_queue,
        );
        inner.nursery.configure(Arc::new(config));
        if !renew {
            return true;
        }
        inner.tiers.renew(RENEWAL).await
    }

    /// Resolves when the grace of a drain is over: what still runs is dropped.
    async fn cut_off(&self) {
        loop {
            let cut = self.inner.cut.notified();
            if self.inner.cut_off.load(Ordering::Acquire) {
                return;
            }
            cut.await;
        }
    }

    /// Refuses new work, lets what runs go on for at most `grace`, then kills
    /// it, the spares and the zygotes, and removes the scratch directories.
    pub async fn drain(&self, grace: Duration) {
        let inner = &self.inner;
        inner.draining.store(true, Ordering::Release);
        inner.admission.close();
        let until = Instant::now() + grace;
        while inner.admission.running() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        inner.cut_off.store(true, Ordering::Release);
        inner.cut.notify_waiters();
        inner.sessions.clear();
        inner.tiers.stop();
        let reaped = tokio::time::timeout(Duration::from_millis(500), inner.census.empty()).await;
        inner.census.enclose_in(None);
        if reaped.is_err() {
            tracing::warn!(alive = inner.census.alive(), "children were left to the kernel");
        }
        let scratch = Arc::clone(&inner.nursery.scratch);
        // Some task may still hold the root; the process ends all the same.
        let _ = tokio::task::spawn_blocking(move || scratch.remove()).await;
    }
}

/// Where each execution gets a cgroup of its own; `None`, and the reason in the log, without.
async fn groups() -> Option<Arc<sandbox::cgroup::Delegation>> {
    let claimed = tokio::task::spawn_blocking(sandbox::cgroup::Delegation::claim).await;
    match claimed {
        Ok(Ok(groups)) => {
            let controllers = groups.controllers().join(", ");
            let place = groups.place().display().to_string();
            tracing::info!(place, controllers, "each execution has a cgroup of its own");
            Some(Arc::new(groups))
        }
        Ok(Err(error)) => {
            let reason = crate::api::chain(&error);
            tracing::info!(%reason, "no delegated cgroup: memory and threads are watched instead");
            None
        }
        Err(error) => {
            tracing::error!(%error, "no cgroup");
            None
        }
    }
}

/// The configuration with what can be held of it; what it grants is said.
async fn held(mut config: Config) -> Config {
    let unsettled = config.clone();
    let holding = tokio::task::spawn_blocking(move || {
        let complaints = killing::hold(&mut config);
        (config, complaints)
    });
    let (config, complaints) = match holding.await {
        Ok(held) => held,
        // Nothing is granted rather than too much.
        Err(error) => {
            let profiles = crate::profile::Profiles::default();
            (Config { profiles, ..unsettled }, vec![error.to_string()])
        }
    };
    for complaint in complaints {
        tracing::error!(%complaint, "a profile is not granted");
    }
    for (profile, grant) in config.profiles.granting() {
        for granted in grant.granted() {
            tracing::warn!(target: "audit", profile, %granted, "the sandbox grants more than usual");
        }
    }
    config
}

/// The profile a request runs under, and what it is told about it; empty is the default one.
fn granted<'c>(config: &'c Config, name: &str) -> Result<(&'c Profile, Grant), Rejected> {
    let name = if name.is_empty() { DEFAULT } else { name };
    let profile = config.profiles.get(name).ok_or_else(|| {
        let reason = format!("`profile`: the profile `{name}` is not in force; the log says why");
        Rejected::field("profile", reason)
    })?;
    let granted = profile.granted();
    let profile_name = if granted.is_empty() { String::new() } else { name.to_owned() };
    Ok((profile, Grant { profile: profile_name, granted }))
}

fn call_context(request: &Request, config: &Config, profile: &Profile) -> CallContext {
    let deadline = Instant::now() + request.limits.wall;
    let mut context = CallContext::new(config.name.clone(), crate::VERSION, deadline);
    context.handler.clone_from(&request.handler);
    context.glyph_id = (!request.glyph_id.is_empty()).then(|| request.glyph_id.clone());
    context.connects = !profile.ports.is_empty();
    context
}

/// Ends idle sessions and tiers for as long as the supervisor lives.
async fn sweep(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.sessions.sweep(inner.nursery.config().session_idle);
        inner.tiers.sweep();
    }
}
