//! A tier: zygotes with one set of preloads, and the spares they forked ahead.
//!
//! How many spares there are follows from what arrives (`demand.rs`), between
//! `min_spares` and `max_spares`; they are forked when an answer is out, or at
//! once when they run low. While as many executions run as there are cores, and
//! while memory is short, only what is wanted now is forked. Above the floor a
//! spare that is not needed is let go every second; at the floor a tier
//! does nothing.
//!
//! **Invariant:** a request never waits for a fork while a spare is there, and
//! a dead zygote is replaced under a new generation while requests wait.

use crate::config::Config;
use crate::error::Fault;
use crate::nursery::Nursery;
use crate::pool::{Pool, Taken};
use crate::reaper::{Census, Process};
use crate::scratch::Scratch;
use crate::spare::{Draft, Ours, Spare, cores};
use crate::tiers::{Key, Preload};
use crate::zygote::{Zygote, ZygoteError};
use proto::frame::{Fork, ZygoteReady, ZygoteSettled, from_zygote};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Pauses between attempts to start a zygote: first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// A life so many times as long as the pause before the next one ends the backing off.
const WORTH: u32 = 20;
/// Pause after the first lost spare; doubled for each further one in a row.
const LOSS_PAUSE: Duration = Duration::from_millis(50);
/// How often one spare too many is let go.
const SHED: Duration = Duration::from_secs(1);
/// How often it is looked whether the cores are free for what lacks to the floor.
const CALM: Duration = Duration::from_millis(100);
/// Spares kept while executions have all cores.
const BUSY_SPARES: usize = 2;
/// Longest a fork may take from request to warm.
const FORK_PATIENCE: Duration = Duration::from_secs(10);

/// One tier.
#[derive(Debug)]
pub struct Tier {
    /// Its key, for logs.
    pub name: String,
    key: Key,
    nursery: Arc<Nursery>,
    pool: Pool<Spare>,
    /// Somebody wants spares to be forked.
    wanted: Notify,
    state: watch::Sender<State>,
    zygote_pid: AtomicU32,
    /// Spares lost in a row.
    losses: AtomicU32,
    /// Another configuration is to be taken up.
    renewal: Notify,
}

/// Whether children can be had.
#[derive(Debug, Clone)]
pub enum State {
    /// The first zygote is coming up.
    Starting,
    Up {
        generation: u32,
        ready: Arc<ZygoteReady>,
        /// Every module that is imported.
        modules: Arc<HashSet<String>>,
        /// Its memory is prepared for children; before that it is still busy starting.
        settled: bool,
    },
    /// The last attempt failed; another follows.
    Down {
        reason: String,
        fatal: bool,
    },
    Stopped,
}

/// Why a zygote is in charge no more.
enum End {
    Replaced(Box<Zygote>),
    Gone(String),
}

/// A fork under way.
struct Pending {
    scratch: Scratch,
    ours: Ours,
    asked: Instant,
}

impl Tier {
    /// The tier of `key`; starts nothing yet.
    #[must_use]
    pub fn new(key: Key, nursery: Arc<Nursery>) -> Arc<Self> {
        Arc::new(Self {
            name: key.to_string(),
            key,
            nursery,
            pool: Pool::default(),
            wanted: Notify::new(),
            state: watch::Sender::new(State::Starting),
            zygote_pid: AtomicU32::new(0),
            losses: AtomicU32::new(0),
            renewal: Notify::new(),
        })
    }

    /// Keeps a zygote alive until [`Tier::stop`].
    pub async fn keep(self: Arc<Self>) {
        let mut pause = BACKOFF.0;
        while !self.stopped() {
            let began = Instant::now();
            let mut next = self.launch().await.inspect(|zygote| self.enthrone(zygote));
            let reason = loop {
                match next {
                    Ok(zygote) => match self.serve(zygote).await {
                        End::Replaced(zygote) => next = Ok(*zygote),
                        End::Gone(reason) => break reason,
                    },
                    Err(reason) => {
                        self.set(State::Down { reason: reason.clone(), fatal: true });
                        break reason;
                    }
                }
            };
            if self.stopped() {
                return;
            }
            tracing::warn!(tier = self.name, %reason, "the zygote is gone, starting another");
            tokio::spawn(sweep(Arc::clone(&self.nursery.census)));
            // One that did its work for a while is missed at once.
            if began.elapsed() > pause * WORTH {
                pause = BACKOFF.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    /// A zygote; a learned module it can't live with is set aside, and it is
    /// tried again without.
    async fn launch(&self) -> Result<Zygote, String> {
        loop {
            match self.try_launch().await {
                Ok(zygote) => return Ok(zygote),
                Err(ZygoteError::Module { module, reason }) => self.set_aside(&module, &reason),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn set_aside(&self, module: &str, reason: &str) {
        tracing::warn!(tier = self.name, module, reason, "not learned");
        self.nursery.learning.set_aside(self.key.environment.as_ref(), module, reason);
    }

    async fn try_launch(&self) -> Result<Zygote, ZygoteError> {
        let generation = self.nursery.next_generation();
        let mut start = self.key.start_frame(&self.nursery.config(), &self.nursery.scratch);
        start.generation = generation;
        if self.key.preload == Preload::Learned {
            start.learned = self.nursery.learning.lesson(self.key.environment.as_ref());
            if may_be_written(&start.site_dirs, &self.nursery.config()) {
                // Whatever an execution may have put there stays out of zygotes.
                start.learned.clear();
            }
        }
        let learned = start.learned.clone();
        let began = Instant::now();
        let zygote = Zygote::launch(&self.nursery.spawner, start).await?;
        tracing::info!(
            tier = self.name,
            generation,
            pid = zygote.pid(),
            python = %zygote.ready.python_version,
            ms = began.elapsed().as_secs_f64() * 1000.0,
            "zygote up"
        );
        for weakness in zygote.ready.sealed.iter().flat_map(|sealed| &sealed.weakened) {
            tracing::warn!(tier = self.name, %weakness, "the sandbox is weakened");
        }
        for fault in &zygote.ready.set_aside {
            if learned.contains(&fault.module) {
                self.set_aside(&fault.module, &fault.reason);
            } else {
                tracing::warn!(module = %fault.module, reason = %fault.reason, "not preloaded");
            }
        }
        Ok(zygote)
    }

    /// From now on spares are this zygote's; those of an earlier one are let go.
    fn enthrone(&self, zygote: &Zygote) {
        self.zygote_pid.store(zygote.pid(), Ordering::Relaxed);
        let modules = Arc::new(zygote.ready.loaded.iter().cloned().collect());
        let ready = Arc::new(zygote.ready.clone());
        self.set(State::Up { generation: zygote.generation, ready, modules, settled: false });
        drop(self.pool.retain(|spare| spare.generation == zygote.generation));
    }

    /// The zygote in charge has prepared its memory.
    fn settled(&self, how: &ZygoteSettled) {
        for reason in &how.slow {
            tracing::info!(tier = self.name, %reason, "children start more slowly here");
        }
        self.state.send_if_modified(|state| match state {
            State::Up { settled, ready, modules, .. } => {
                let ready = Arc::make_mut(ready);
                let new = how.preloaded.iter().filter(|module| !ready.preloaded.contains(module));
                let new: Vec<_> = new.cloned().collect();
                ready.preloaded.extend(new);
                *modules = Arc::new(how.loaded.iter().cloned().collect());
                !std::mem::replace(settled, true)
            }
            State::Starting | State::Down { .. } | State::Stopped => false,
        });
    }

    /// Takes up the nursery's configuration: a zygote of a new generation is
    /// started while the old one goes on, then takes its place.
    ///
    /// False when that was not done within `patience`.
    pub async fn renew(&self, patience: Duration) -> bool {
        let before = self.generation();
        self.renewal.notify_one();
        let mut state = self.state.subscribe();
        let renewed = state.wait_for(|state| match state {
            State::Up { generation, .. } => *generation > before,
            State::Down { .. } | State::Stopped => true,
            State::Starting => false,
        });
        let up = tokio::time::timeout(patience, renewed).await;
        matches!(up, Ok(Ok(state)) if matches!(*state, State::Up { .. }))
    }

    fn generation(&self) -> u32 {
        match *self.state.borrow() {
            State::Up { generation, .. } => generation,
            State::Starting | State::Down { .. } | State::Stopped => 0,
        }
    }

    /// Forks on demand until the zygote ends or another takes its place.
    async fn serve(self: &Arc<Self>, mut zygote: Zygote) -> End {
        let generation = zygote.generation;
        let mut pending: HashMap<u64, Pending> = HashMap::new();
        let warming = Arc::new(AtomicUsize::new(0));
        let mut stop = self.state.subscribe();
        let mut successor: Option<JoinHandle<Result<Zygote, String>>> = None;
        loop {
            while let Some(child) = self.lacks(pending.len() + warming.load(Ordering::Relaxed)) {
                if let Err(error) = self.ask(&zygote, child, &mut pending).await {
                    tracing::error!(tier = self.name, %error, "no fork could be asked for");
                    break;
                }
            }
            tokio::select! {
                answer = zygote.receive() => match answer {
                    Ok(from_zygote::Kind::Forked(forked)) => {
                        if let Some(pending) = pending.remove(&forked.child) {
                            self.raise(forked.pid, pending, generation, &warming);
                        }
                    }
                    Ok(from_zygote::Kind::ForkFailed(failed)) => {
                        pending.remove(&failed.child);
                        tracing::error!(tier = self.name, reason = %failed.reason, "a fork failed");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Ok(from_zygote::Kind::Failed(failed)) => {
                        return End::Gone(format!("{}: {}", failed.stage, failed.reason));
                    }
                    Ok(from_zygote::Kind::Settled(settled)) => self.settled(&settled),
                    Ok(from_zygote::Kind::Ready(_) | from_zygote::Kind::Trying(_)) => {}
                    Err(error) => {
                        let how = zygote.end();
                        self.set(State::Starting);
                        return End::Gone(format!("{error}{how}"));
                    }
                },
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(CALM), if self.pool.ready() < self.floor() => {}
                () = tokio::time::sleep(SHED), if self.pool.ready() > self.floor() => {
                    if self.pool.ready() > self.target() {
                        drop(self.pool.shed());
                    }
                }
                () = self.renewal.notified() => {
                    if let Some(earlier) = successor.take() {
                        earlier.abort();
                    }
                    let tier = Arc::clone(self);
                    successor = Some(tokio::spawn(async move { tier.launch().await }));
                }
                launched = joined(&mut successor) => {
                    successor = None;
                    match launched {
                        Ok(next) => {
                            self.take_over(&mut zygote, &mut pending).await;
                            self.enthrone(&next);
                            return End::Replaced(Box::new(next));
                        }
                        // The old one goes on: better than none.
                        Err(reason) => {
                            tracing::error!(tier = self.name, %reason, "no zygote of the new configuration");
                        }
                    }
                }
                () = stopped(&mut stop) => return End::Gone("stopped".to_owned()),
            }
        }
    }

    /// Takes charge of the children an outgoing zygote was asked for, so that
    /// they are reaped.
    async fn take_over(&self, zygote: &mut Zygote, pending: &mut HashMap<u64, Pending>) {
        let answers = async {
            while !pending.is_empty() {
                match zygote.receive().await {
                    Ok(from_zygote::Kind::Forked(forked)) => {
                        if let Some(Pending { scratch, .. }) = pending.remove(&forked.child) {
                            let census = Arc::clone(&self.nursery.census);
                            drop(Process::adopt(forked.pid, scratch, census));
                        }
                    }
                    Ok(from_zygote::Kind::ForkFailed(failed)) => {
                        pending.remove(&failed.child);
                    }
                    Ok(_) | Err(_) => return,
                }
            }
        };
        // What does not answer by then ends with its channel.
        let _ = tokio::time::timeout(Duration::from_millis(500), answers).await;
    }

    /// The number of a child to be forked, when spares are lacking.
    fn lacks(&self, coming: usize) -> Option<u64> {
        static CHILDREN: AtomicU64 = AtomicU64::new(1);
        let (ready, waiting) = self.pool.counts();
        let lacking = ready + coming < waiting + self.target();
        (lacking && !self.stopped()).then(|| CHILDREN.fetch_add(1, Ordering::Relaxed))
    }

    /// How many spares there should be now.
    fn target(&self) -> usize {
        let target = self.pool.target(self.floor(), self.nursery.config().max_spares.max(1));
        if target > BUSY_SPARES
            && (self.nursery.running.load(Ordering::Relaxed) >= cores() as usize
                || !self.nursery.memory.is_plenty())
        {
            BUSY_SPARES
        } else {
            target
        }
    }

    /// How many there are when nothing happens.
    fn floor(&self) -> usize {
        let config = self.nursery.config();
        config.min_spares.clamp(1, config.max_spares.max(1))
    }

    async fn ask(
        &self,
        zygote: &Zygote,
        child: u64,
        pending: &mut HashMap<u64, Pending>,
    ) -> Result<(), String> {
        let Draft { scratch, theirs, ours } =
            Draft::new(&self.nursery.scratch).map_err(|error| error.to_string())?;
        let awaited = self.pool.counts().1 > 0;
        let fork = Fork { child, scratch: scratch.path().to_string_lossy().into_owned(), awaited };
        zygote.fork(fork, &theirs).await.map_err(|error| error.to_string())?;
        pending.insert(child, Pending { scratch, ours, asked: Instant::now() });
        Ok(())
    }

    fn raise(
        self: &Arc<Self>,
        pid: i32,
        Pending { scratch, ours, asked }: Pending,
        generation: u32,
        warming: &Arc<AtomicUsize>,
    ) {
        warming.fetch_add(1, Ordering::Relaxed);
        let (tier, warming) = (Arc::clone(self), Arc::clone(warming));
        let census = Arc::clone(&self.nursery.census);
        tokio::spawn(async move {
            let defaults = &tier.nursery.config().defaults;
            let warm = Spare::warm(pid, scratch, ours, generation, census, defaults);
            match tokio::time::timeout(FORK_PATIENCE, warm).await {
                Ok(Ok(spare)) => {
                    tier.losses.store(0, Ordering::Relaxed);
                    tier.pool.forked(asked.elapsed());
                    tier.keep_spare(spare);
                    warming.fetch_sub(1, Ordering::Relaxed);
                    if tier.pool.ready() > tier.floor() {
                        // It may be one too many by now, and letting it go is to begin.
                        tier.wanted.notify_one();
                    }
                    return;
                }
                Ok(Err(reason)) => {
                    tracing::error!(tier = tier.name, pid, %reason, "a spare was lost");
                }
                Err(_) => {
                    tracing::error!(tier = tier.name, pid, "a spare did not get warm in time");
                }
            }
            // Counted as coming until the pause is over, so that no storm of forks follows.
            let losses = tier.losses.fetch_add(1, Ordering::Relaxed).min(6);
            tokio::time::sleep(LOSS_PAUSE * (1 << losses)).await;
            warming.fetch_sub(1, Ordering::Relaxed);
            tier.wanted.notify_one();
        });
    }

    /// A spare: at once when there is one, else as soon as one is forked, those
    /// who asked first first.
    pub async fn take(&self, patience: Duration) -> Result<Spare, Fault> {
        let coming = match self.pool.take() {
            Taken::Now(spare, left) => {
                if left <= 1 {
                    self.wanted.notify_one();
                }
                return Ok(spare);
            }
            Taken::Later(coming) => coming,
        };
        let began = Instant::now();
        self.wanted.notify_one();
        let mut state = self.state.subscribe();
        let lost = state
            .wait_for(|state| matches!(state, State::Stopped | State::Down { fatal: true, .. }));
        let gone = |reason| Err(Fault::NoInterpreter { reason });
        tokio::select! {
            biased;
            spare = coming => spare.map_or_else(|_| gone("shutting down".to_owned()), Ok),
            lost = lost => gone(lost.map_or_else(
                |_| "shutting down".to_owned(),
                |state| match &*state {
                    State::Down { reason, .. } => reason.clone(),
                    State::Starting | State::Up { .. } | State::Stopped => {
                        "shutting down".to_owned()
                    }
                },
            )),
            () = tokio::time::sleep(patience) => {
                Err(Fault::NoChild { waited: began.elapsed(), reason: self.reason() })
            }
        }
    }

    fn keep_spare(&self, spare: Spare) {
        let generation = spare.generation;
        // Looked at under the lock: `stop` and `enthrone` clear after they said so.
        let current = || matches!(*self.state.borrow(), State::Up { generation: now, .. } if now == generation);
        drop(self.pool.offer(spare, current));
    }

    /// A slot became free: time to fork ahead again.
    pub fn refill(&self) {
        self.wanted.notify_one();
    }

    /// Ends the zygote and the spares.
    pub fn stop(&self) {
        self.set(State::Stopped);
        drop(self.pool.close());
    }

    /// What tier this is.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Whether it has a zygote now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up { .. })
    }

    /// Whether it has one with `module` in it.
    #[must_use]
    pub fn has(&self, module: &str) -> bool {
        matches!(&*self.state.borrow(), State::Up { modules, .. } if modules.contains(module))
    }

    /// Tells of changes of state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Spares that are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.pool.ready()
    }

    /// Process id of the zygote in charge; 0 = none.
    #[must_use]
    pub fn zygote_pid(&self) -> u32 {
        self.zygote_pid.load(Ordering::Relaxed)
    }

    fn reason(&self) -> String {
        match self.state() {
            State::Starting => "the interpreter is still starting".to_owned(),
            State::Up { .. } => "no child was forked in time".to_owned(),
            State::Down { reason, .. } => reason,
            State::Stopped => "shutting down".to_owned(),
        }
    }

    fn set(&self, state: State) {
        self.state.send_if_modified(|now| {
            let stopped = matches!(now, State::Stopped);
            if !stopped {
                *now = state;
            }
            !stopped
        });
    }

    fn stopped(&self) -> bool {
        matches!(*self.state.borrow(), State::Stopped)
    }
}

/// Whether some profile lets executions write where packages are.
fn may_be_written(site_dirs: &[String], config: &Config) -> bool {
    let written = config.profiles.granting().flat_map(|(_, profile)| &profile.write_paths);
    written.into_iter().any(|path| {
        site_dirs.iter().map(Path::new).any(|dir| dir.starts_with(path) || path.starts_with(dir))
    })
}

/// Looks for children the dead zygote forked last. Unknown twice, a second
/// apart, is unknown: the word on a living zygote's fork takes no second.
async fn sweep(census: Arc<Census>) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let look = tokio::task::spawn_blocking(move || {
        let strangers = census.strangers();
        if !strangers.is_empty() {
            std::thread::sleep(Duration::from_secs(1));
            census.reap_strangers(&strangers);
        }
    });
    // It can't panic, and is not worth waiting for at the end of the process.
    let _ = look.await;
}

/// The successor being started; pends for ever without one.
async fn joined(
    successor: &mut Option<JoinHandle<Result<Zygote, String>>>,
) -> Result<Zygote, String> {
    match successor {
        Some(task) => task.await.unwrap_or_else(|error| Err(error.to_string())),
        None => std::future::pending().await,
    }
}

async fn stopped(state: &mut watch::Receiver<State>) {
    // An error means that the tier itself is gone, which is as good.
    drop(state.wait_for(|state| matches!(state, State::Stopped)).await);
}
