//! The tiers there are: each made when the first request asks for it, kept
//! while it is used, let go when it is not.
//!
//! A request belongs to the tier of its [`Key`]: the sandbox profile it runs
//! under, the package environment it sees, the preloads its imports ask for.
//! Whatever must be decided before a fork is part of the key, and
//! [`Key::start_frame`] turns it into what a zygote is told. Each tier has a
//! zygote and spares of its own.
//!
//! The two tiers of the default profile and environment start with the plugin
//! and stay. The tier `learned` is made when programs ask for the same modules
//! often. Of all but the two at most `max_tiers` stay, those used last, and none
//! that was idle for `tier_idle`. A tier in use is never let go, so there can
//! be more of them for as long as so many different ones are in use at once.
//!
//! **Invariant:** a tier is stopped only while nobody has a [`Lease`] on it,
//! and who asks for its key afterwards gets a new one.

mod key;

pub use key::{Environment, Key, Preload};

use crate::nursery::Nursery;
use crate::tier::{State, Tier};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for a generation that learned something.
const LESSON: Duration = Duration::from_secs(30);

/// All tiers.
#[derive(Debug)]
pub struct Tiers {
    nursery: Arc<Nursery>,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<Key, Entry>,
    stopped: bool,
}

#[derive(Debug)]
struct Entry {
    tier: Arc<Tier>,
    leases: usize,
    used: Instant,
    /// It is there from start to end.
    stays: bool,
}

/// The use of a tier; while it lasts, the tier is kept.
#[derive(Debug)]
pub struct Lease {
    tiers: Arc<Tiers>,
    key: Key,
    tier: Arc<Tier>,
}

impl Tiers {
    /// Starts the two that stay, in the background: the first answer needs the
    /// bare one alone, so the other starts behind it.
    #[must_use]
    pub fn start(nursery: Arc<Nursery>) -> Arc<Self> {
        let keys = [Key::of(Preload::Bare), Key::of(Preload::Common)];
        let entries = keys.map(|key| (Tier::new(key.clone(), Arc::clone(&nursery)), key));
        let [first, second] = entries.each_ref().map(|(tier, _)| Arc::clone(tier));
        tokio::spawn(Arc::clone(&first).keep());
        tokio::spawn(async move {
            let mut state = first.watch();
            let begun = |state: &State| match state {
                State::Starting => false,
                State::Up { settled, .. } => *settled,
                State::Down { .. } | State::Stopped => true,
            };
            let _ = state.wait_for(begun).await;
            second.keep().await;
        });
        let entries = entries.map(|(tier, key)| (key, Entry::new(tier, true)));
        let shelf = Shelf { entries: HashMap::from(entries), stopped: false };
        Arc::new(Self { nursery, shelf: Mutex::new(shelf) })
    }

    /// The tier of `key`, made and started when there is none.
    #[must_use]
    pub fn lease(self: &Arc<Self>, key: &Key) -> Lease {
        let mut shelf = self.shelf();
        let entry = shelf.entry(key, &self.nursery);
        entry.leases += 1;
        Lease { tiers: Arc::clone(self), key: key.clone(), tier: Arc::clone(&entry.tier) }
    }

    /// Whether the tier of `key` has a zygote now.
    #[must_use]
    pub fn is_up(&self, key: &Key) -> bool {
        self.shelf().entries.get(key).is_some_and(|entry| entry.tier.is_up())
    }

    /// Whether the tier of `key` has a zygote with `module` in it.
    #[must_use]
    pub fn has(&self, key: &Key, module: &str) -> bool {
        self.shelf().entries.get(key).is_some_and(|entry| entry.tier.has(module))
    }

    /// Counts what a program asks for that the common tier has not; what is
    /// asked for often, the tier `learned` gets in the background.
    pub fn note(self: &Arc<Self>, learned: &Key, modules: &[&str]) {
        let learning = &self.nursery.learning;
        let environment = learned.environment.as_ref();
        let Some(pause) = learning.note(environment, modules) else {
            // It was let go meanwhile, or is of another profile.
            if learning.knows(environment, modules) && self.nursery.memory.is_plenty() {
                self.shelf().entry(learned, &self.nursery);
            }
            return;
        };
        let (tiers, key) = (Arc::clone(self), learned.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if tiers.nursery.memory.is_plenty() {
                tiers.teach(&key).await;
            }
        });
    }

    /// Makes the tier, and lets those that learned less before learn the rest.
    async fn teach(&self, key: &Key) {
        let outdated: Vec<Arc<Tier>> = {
            let mut shelf = self.shelf();
            if shelf.stopped {
                return;
            }
            let known = shelf.entries.contains_key(key);
            shelf.entry(key, &self.nursery);
            let same = |other: &&Arc<Tier>| {
                let other = other.key();
                other.environment == key.environment
                    && other.preload == Preload::Learned
                    && (known || other != key)
            };
            shelf.entries.values().map(|entry| &entry.tier).filter(same).cloned().collect()
        };
        for tier in outdated {
            // The old generation goes on if there is no new one.
            tier.renew(LESSON).await;
        }
    }

    /// All there are; those that stay come first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Tier>> {
        let mut all: Vec<_> = {
            let shelf = self.shelf();
            shelf.entries.values().map(|entry| (!entry.stays, Arc::clone(&entry.tier))).collect()
        };
        all.sort_by_cached_key(|(made, tier)| (*made, tier.name.clone()));
        all.into_iter().map(|(_, tier)| tier).collect()
    }

    /// Takes up the nursery's configuration: tiers nobody uses are let go, the
    /// others get a zygote of a new generation. False when that was not done
    /// within `patience`.
    pub async fn renew(&self, patience: Duration) -> bool {
        self.nursery.learning.forget();
        self.let_go(|entry| !entry.stays);
        let renewals = self.all();
        let renewals = renewals.iter().map(|tier| tier.renew(patience));
        futures_util::future::join_all(renewals).await.into_iter().all(|done| done)
    }

    /// Lets go of what was idle too long and of what is above the cap.
    pub fn sweep(&self) {
        let config = self.nursery.config();
        let now = Instant::now();
        self.let_go(|entry| {
            !entry.stays && now.saturating_duration_since(entry.used) >= config.tier_idle
        });
        let beyond = {
            let shelf = self.shelf();
            let mut made: Vec<_> = shelf.entries.iter().filter(|(_, e)| !e.stays).collect();
            let over = made.len().saturating_sub(config.max_tiers);
            made.retain(|(_, entry)| entry.leases == 0);
            made.sort_by_key(|(_, entry)| entry.used);
            made.into_iter().take(over).map(|(key, _)| key.clone()).collect::<Vec<_>>()
        };
        for key in beyond {
            self.let_go(|entry| *entry.tier.key() == key);
        }
    }

    /// Stops the tiers in no use that are `unwanted`.
    fn let_go(&self, unwanted: impl Fn(&Entry) -> bool) {
        let mut gone = Vec::new();
        self.shelf().entries.retain(|_, entry| {
            let goes = entry.leases == 0 && unwanted(entry);
            if goes {
                gone.push(Arc::clone(&entry.tier));
            }
            !goes
        });
        for tier in gone {
            tracing::debug!(tier = tier.name, "a tier is let go");
            tier.stop();
        }
    }

    /// Ends all zygotes and spares, for good.
    pub fn stop(&self) {
        let all = {
            let mut shelf = self.shelf();
            shelf.stopped = true;
            shelf.entries.values().map(|entry| Arc::clone(&entry.tier)).collect::<Vec<_>>()
        };
        all.iter().for_each(|tier| tier.stop());
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The entry of `key`, made and started when there is none.
    fn entry(&mut self, key: &Key, nursery: &Arc<Nursery>) -> &mut Entry {
        let stopped = self.stopped;
        self.entries.entry(key.clone()).or_insert_with(|| {
            let tier = Tier::new(key.clone(), Arc::clone(nursery));
            if stopped {
                tier.stop();
            } else {
                tokio::spawn(Arc::clone(&tier).keep());
            }
            Entry::new(tier, false)
        })
    }
}

impl Entry {
    fn new(tier: Arc<Tier>, stays: bool) -> Self {
        Self { tier, leases: 0, used: Instant::now(), stays }
    }
}

impl Lease {
    /// The tier, which may be stopped once the lease is gone.
    #[must_use]
    pub fn tier(&self) -> &Arc<Tier> {
        &self.tier
    }
}

impl Deref for Lease {
    type Target = Tier;

    fn deref(&self) -> &Tier {
        &self.tier
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let over = {
            let mut shelf = self.tiers.shelf();
            if let Some(entry) = shelf.entries.get_mut(&self.key) {
                entry.leases = entry.leases.saturating_sub(1);
                entry.used = Instant::now();
            }
            shelf.entries.values().filter(|entry| !entry.stays).count()
                > self.tiers.nursery.config().max_tiers
        };
        if over {
            self.tiers.sweep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::scratch::ScratchRoot;
    use crate::spawner::Spawner;

    /// Tiers without those that stay, which would start processes.
    fn tiers(config: Config) -> Arc<Tiers> {
        let scratch = ScratchRoot::open(None).expect("a scratch root");
        let spawner = Spawner::start().expect("a thread");
        let nursery = Arc::new(Nursery::new(Arc::new(config), spawner, scratch));
        Arc::new(Tiers { nursery, shelf: Mutex::default() })
    }

    /// Puts a tier there that is not started.
    fn put(tiers: &Tiers, profile: &str, used: Instant) -> Key {
        let key = Key { profile: profile.to_owned(), ..Key::default() };
        let tier = Tier::new(key.clone(), Arc::clone(&tiers.nursery));
        let entry = Entry { used, ..Entry::new(tier, false) };
        tiers.shelf().entries.insert(key.clone(), entry);
        key
    }

    fn names(tiers: &Tiers) -> Vec<String> {
        tiers.all().iter().map(|tier| tier.key().profile.clone()).collect()
    }

    #[test]
    fn above_the_cap_those_used_longest_ago_go_but_none_in_use() {
        let tiers = tiers(Config { max_tiers: 2, ..Config::default() });
        let ago = |secs| Instant::now().checked_sub(Duration::from_secs(secs)).expect("an instant");
        let oldest = put(&tiers, "a", ago(9));
        let lease = tiers.lease(&oldest);
        for (secs, name) in [(8, "b"), (7, "c"), (6, "d")] {
            put(&tiers, name, ago(secs));
        }
        tiers.sweep();
        assert_eq!(names(&tiers), ["a", "d"]);
        assert!(!matches!(lease.state(), State::Stopped));
        // Used last, it now outlives the other.
        drop(lease);
        put(&tiers, "e", Instant::now());
        tiers.sweep();
        assert_eq!(names(&tiers), ["a", "e"]);
    }

    #[test]
    fn idle_ones_go_and_come_back_as_new_ones() {
        let tiers = tiers(Config { tier_idle: Duration::ZERO, ..Config::default() });
        let key = put(&tiers, "a", Instant::now());
        let first = Arc::clone(tiers.lease(&key).tier());
        tiers.sweep();
        assert!(matches!(first.state(), State::Stopped));
        assert!(tiers.all().is_empty());
        tiers.stop();
        let second = tiers.lease(&key);
        assert!(!Arc::ptr_eq(&first, second.tier()));
        assert!(matches!(second.state(), State::Stopped), "after the end nothing is started");
    }

    #[test]
    fn an_environment_replaces_the_site_directories_of_the_configuration() {
        let config = Config { site_dirs: vec!["/global".into()], ..Config::default() };
        let scratch = ScratchRoot::open(None).expect("a scratch root");
        let environment =
            Environment { name: "ml".to_owned(), generation: 3, site_dirs: vec!["/ml/3".into()] };
        let key = Key { environment: Some(environment), ..Key::of(Preload::Common) };
        assert_eq!(key.start_frame(&config, &scratch).site_dirs, ["/ml/3"]);
        assert_eq!(Key::default().start_frame(&config, &scratch).site_dirs, ["/global"]);
        assert_eq!(key.to_string(), "common with ml@3");
    }
}
