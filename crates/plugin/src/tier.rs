//! A tier: zygotes with one set of preloads, and the spares they forked ahead.
//!
//! **Invariant:** a request never waits for a fork while a spare is there, and
//! a dead zygote is replaced under a new generation while requests wait.

use crate::error::Fault;
use crate::nursery::Nursery;
use crate::reaper::{Census, Process};
use crate::scratch::Scratch;
use crate::spare::{Draft, Ours, Spare};
use crate::tiers::Key;
use crate::zygote::Zygote;
use proto::frame::{Fork, ZygoteReady, from_zygote};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Pauses between attempts to start a zygote: first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(5));
/// Pause after the first lost spare; doubled for each further one in a row.
const LOSS_PAUSE: Duration = Duration::from_millis(50);
/// Longest a fork may take from request to warm.
const FORK_PATIENCE: Duration = Duration::from_secs(10);

/// One tier.
#[derive(Debug)]
pub struct Tier {
    /// Its key, for logs.
    pub name: String,
    key: Key,
    nursery: Arc<Nursery>,
    spares: Mutex<VecDeque<Spare>>,
    /// A spare came, or the state changed.
    arrived: Notify,
    /// Somebody wants spares to be forked.
    wanted: Notify,
    waiting: AtomicUsize,
    target: AtomicUsize,
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
}

impl Tier {
    /// The tier of `key`, to have `target` spares; starts nothing yet.
    #[must_use]
    pub fn new(key: Key, target: usize, nursery: Arc<Nursery>) -> Arc<Self> {
        Arc::new(Self {
            name: key.to_string(),
            key,
            nursery,
            spares: Mutex::new(VecDeque::new()),
            arrived: Notify::new(),
            wanted: Notify::new(),
            waiting: AtomicUsize::new(0),
            target: AtomicUsize::new(target.max(1)),
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
            if began.elapsed() > BACKOFF.1 {
                pause = BACKOFF.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    async fn launch(&self) -> Result<Zygote, String> {
        let generation = self.nursery.next_generation();
        let mut start = self.key.start_frame(&self.nursery.config(), &self.nursery.scratch);
        start.generation = generation;
        let began = Instant::now();
        let zygote = Zygote::launch(&self.nursery.spawner, start).await;
        let zygote = zygote.map_err(|error| error.to_string())?;
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
        for reason in &zygote.ready.slow {
            tracing::info!(tier = self.name, %reason, "children start more slowly here");
        }
        for fault in &zygote.ready.set_aside {
            tracing::warn!(module = %fault.module, reason = %fault.reason, "not preloaded");
        }
        Ok(zygote)
    }

    /// From now on spares are this zygote's; those of an earlier one are let go.
    fn enthrone(&self, zygote: &Zygote) {
        self.zygote_pid.store(zygote.pid(), Ordering::Relaxed);
        let ready = Arc::new(zygote.ready.clone());
        self.set(State::Up { generation: zygote.generation, ready });
        self.spares().retain(|spare| spare.generation == zygote.generation);
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
                        if let Some(Pending { scratch, ours }) = pending.remove(&forked.child) {
                            self.raise(forked.pid, scratch, ours, generation, &warming);
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
                    Ok(from_zygote::Kind::Ready(_)) => {}
                    Err(error) => {
                        let how = zygote.end();
                        self.set(State::Starting);
                        return End::Gone(format!("{error}{how}"));
                    }
                },
                () = self.wanted.notified() => {}
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
                            self.settle(&mut zygote, &mut pending).await;
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
    async fn settle(&self, zygote: &mut Zygote, pending: &mut HashMap<u64, Pending>) {
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
        let have = self.spares().len() + coming;
        let want = self.target.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed);
        (have < want && !self.stopped()).then(|| CHILDREN.fetch_add(1, Ordering::Relaxed))
    }

    async fn ask(
        &self,
        zygote: &Zygote,
        child: u64,
        pending: &mut HashMap<u64, Pending>,
    ) -> Result<(), String> {
        let Draft { scratch, theirs, ours } =
            Draft::new(&self.nursery.scratch).map_err(|error| error.to_string())?;
        let fork = Fork { child, scratch: scratch.path().to_string_lossy().into_owned() };
        zygote.fork(fork, &theirs).await.map_err(|error| error.to_string())?;
        pending.insert(child, Pending { scratch, ours });
        Ok(())
    }

    fn raise(
        self: &Arc<Self>,
        pid: i32,
        scratch: Scratch,
        ours: Ours,
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
                    tier.keep_spare(spare);
                    warming.fetch_sub(1, Ordering::Relaxed);
                    tier.arrived.notify_one();
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

    /// A spare: at once when there is one, else as soon as one is forked.
    pub async fn take(&self, patience: Duration) -> Result<Spare, Fault> {
        if let Some(spare) = self.pop() {
            return Ok(spare);
        }
        let began = Instant::now();
        let _waiting = Waiting::join(&self.waiting);
        self.wanted.notify_one();
        let mut state = self.state.subscribe();
        let wait = async {
            loop {
                let arrived = self.arrived.notified();
                if let Some(spare) = self.pop() {
                    return Ok(spare);
                }
                match &*state.borrow_and_update() {
                    State::Stopped => {
                        return Err(Fault::NoInterpreter { reason: "shutting down".to_owned() });
                    }
                    State::Down { reason, fatal: true } => {
                        return Err(Fault::NoInterpreter { reason: reason.clone() });
                    }
                    State::Starting | State::Up { .. } | State::Down { .. } => {}
                }
                tokio::select! {
                    () = arrived => {}
                    _ = state.changed() => {}
                }
            }
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(spare) => spare,
            Err(_) => Err(Fault::NoChild { waited: began.elapsed(), reason: self.reason() }),
        }
    }

    fn pop(&self) -> Option<Spare> {
        let mut spares = self.spares();
        // The youngest: what it and the zygote touched is in the processor's caches still.
        let spare = spares.pop_back();
        let low = spares.len() <= 1;
        drop(spares);
        if low {
            self.wanted.notify_one();
        }
        spare
    }

    fn keep_spare(&self, spare: Spare) {
        let mut spares = self.spares();
        // Looked at under the lock: `stop` and `enthrone` clear after they said so.
        let current = matches!(
            *self.state.borrow(),
            State::Up { generation, .. } if generation == spare.generation
        );
        if current {
            spares.push_back(spare);
        }
    }

    /// A slot became free: time to fork ahead again.
    pub fn refill(&self) {
        self.wanted.notify_one();
    }

    /// Ends the zygote and the spares.
    pub fn stop(&self) {
        self.set(State::Stopped);
        self.spares().clear();
        self.arrived.notify_waiters();
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

    /// Tells of changes of state.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Spares that are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.spares().len()
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

    fn spares(&self) -> MutexGuard<'_, VecDeque<Spare>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Counts one caller that waits for a spare.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
