//! What all tiers share: the configuration in force, the thread that starts
//! processes, the scratch root, the count of children, the next generation.
//!
//! **Invariant:** no generation is given out twice.

use crate::config::Config;
use crate::learning::Learning;
use crate::memory::Memory;
use crate::reaper::Census;
use crate::scratch::ScratchRoot;
use crate::spawner::Spawner;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by all tiers.
#[derive(Debug)]
pub struct Nursery {
    config: RwLock<Arc<Config>>,
    pub spawner: Spawner,
    pub scratch: Arc<ScratchRoot>,
    pub census: Arc<Census>,
    pub learning: Learning,
    pub memory: Memory,
    /// Executions that run now.
    pub running: Arc<AtomicUsize>,
    /// The last generation given out.
    generations: AtomicU32,
}

impl Nursery {
    /// What all tiers share, under `config`.
    #[must_use]
    pub fn new(config: Arc<Config>, spawner: Spawner, scratch: Arc<ScratchRoot>) -> Self {
        Self {
            config: RwLock::new(config),
            spawner,
            scratch,
            census: Arc::default(),
            learning: Learning::default(),
            memory: Memory::default(),
            running: Arc::default(),
            generations: AtomicU32::new(0),
        }
    }

    /// The configuration of zygotes that start from now on.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another configuration in its place.
    pub fn configure(&self, config: Arc<Config>) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// A generation no zygote had before.
    #[must_use]
    pub fn next_generation(&self) -> u32 {
        self.generations.fetch_add(1, Ordering::Relaxed) + 1
    }
}
