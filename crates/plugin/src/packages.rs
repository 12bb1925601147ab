//! Packages: environments of immutable generations, made by uv, put in force
//! by a switch.
//!
//! **Invariant:** no execution writes here and none of a package's code runs in
//! the supervisor; an install that fails, is cut off or is dropped leaves the
//! generation that was in force in force.

pub mod cage;
pub mod choose;
pub mod failure;
pub mod flights;
pub mod generation;
pub mod inline;
pub mod inspect;
pub mod install;
pub mod leases;
pub mod place;
pub mod policy;
pub mod process;
pub mod progress;
pub mod requirement;
pub mod role;
mod script;
pub mod try_out;
pub mod uv;
pub mod venv;

pub use choose::{Choice, choose};
pub use install::{Installed, Wanted};
pub use policy::Policy;
pub use progress::Progress;

use crate::api::Execute;
use crate::config::Config;
use crate::error::{Fault, Rejected, RunError};
use crate::settings::Settings;
use crate::spawner::Spawner;
use flights::Flights;
use generation::Manifest;
use leases::{Kept, Leases};
use place::{Lock, Place};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a generation is kept from being removed after the last switch away
/// from it, beyond the longest an execution may take.
const AFTERGLOW: Duration = Duration::from_secs(60);

/// Handle to the environments.
#[derive(Debug)]
pub struct Packages {
    spawner: Spawner,
    leases: Arc<Leases>,
    flights: Flights,
    /// What executions that begin now see, when they ask for nothing else.
    in_force: Mutex<Option<Seen>>,
}

/// A generation on the path of executions.
#[derive(Debug)]
struct Seen {
    place: Place,
    generation: u64,
    _kept: Option<Kept>,
}

/// Why an install or a rollback did not happen.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// It was not allowed, or not asked for rightly.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Packages, the index, uv or the disk: the reason, and all that uv said.
    #[error("{reason}")]
    Failed { reason: String, said: String },
    /// No child could be had to try it out.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl PackageError {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), said: String::new() }
    }

    pub(crate) fn disk(what: &str, error: &std::io::Error) -> Self {
        Self::failed(format!("{what}: {error}"))
    }
}

/// What is known of an environment.
#[derive(Debug)]
pub struct View {
    pub name: String,
    pub place: Place,
    /// The number on disk.
    pub current: u64,
    /// The number executions of this process see; `None` = another environment.
    pub in_force: Option<u64>,
    pub history: Vec<Manifest>,
    /// The text of the lock.
    pub lock: String,
    /// The names of all environments.
    pub names: Vec<String>,
    /// How many environments of scripts there are.
    pub scripts: u32,
}

impl Packages {
    /// A handle; nothing is read or made yet.
    pub fn start() -> Result<Self, Fault> {
        let spawner = Spawner::start()
            .map_err(|source| Fault::System { what: "no thread can be started", source })?;
        Ok(Self {
            spawner,
            leases: Arc::default(),
            flights: Flights::default(),
            in_force: Mutex::default(),
        })
    }

    /// `config` with the generation in force on its path, which this process
    /// keeps from being removed from then on.
    #[must_use]
    pub fn equip(&self, config: Config) -> Config {
        let (config, seen) = self.equipped(config);
        self.enforce(seen);
        config
    }

    /// The configuration, and which generation of which place is on its path.
    fn equipped(&self, mut config: Config) -> (Config, Option<Seen>) {
        let policy = config.packages.clone();
        let Some(place) = Place::of(&policy, &policy.environment) else { return (config, None) };
        let generation = place.current();
        let others = std::mem::take(&mut config.site_dirs);
        let mut kept = None;
        if generation > 0 {
            match self.leases.hold(&place, generation, config.ceiling.wall + AFTERGLOW) {
                Ok(held) => kept = Some(held),
                Err(error) => {
                    tracing::warn!(generation, %error, "a package generation can't be held on to");
                }
            }
            config.site_dirs.push(place.site(generation));
        }
        // What older versions of the plugin installed there stays importable.
        config.site_dirs.extend(policy.site_dir.clone().filter(|directory| directory.is_dir()));
        config.site_dirs.extend(others);
        // A generation under way is tried out in a child, and others are chosen by requests.
        config.read_paths.extend(policy.base());
        (config, Some(Seen { place, generation, _kept: kept }))
    }

    /// As [`Packages::equip`], after making the environment's directory, so
    /// that children may read it, and removing what crashed installs left.
    #[must_use]
    pub fn open(&self, config: Config) -> Config {
        let policy = &config.packages;
        if let Some(place) = Place::of(policy, &policy.environment) {
            if policy.installs
                && let Err(error) = place.make()
            {
                let path = place.root().display();
                tracing::warn!(%path, %error, "no package can be installed there");
            }
            place.sweep_if_idle();
        }
        self.equip(config)
    }

    /// What is known of `environment`, by default the one executions see.
    pub fn view(&self, config: &Config, environment: Option<&str>) -> Result<View, PackageError> {
        let policy = &config.packages;
        let (name, place) = place_of(policy, environment)?;
        let current = place.current();
        let lock = match std::fs::read_to_string(place.lock_file(current)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(PackageError::disk("the lock can't be read", &error)),
        };
        let in_force = (name == policy.environment).then(|| self.in_force(&place));
        let mut names = Place::names(policy);
        if in_force.is_none() && !names.contains(&name) {
            names.push(policy.environment.clone());
            names.sort();
            names.dedup();
            let reason =
                format!("there is no environment `{name}`; there are: {}", names.join(", "));
            return Err(Rejected::field("environment", reason).into());
        }
        let scripts = u32::try_from(Place::scripts(policy).len()).unwrap_or(u32::MAX);
        Ok(View { name, current, in_force, history: place.history(), lock, place, names, scripts })
    }

    /// Puts an older generation in force: `generation`, or the one before.
    pub async fn rollback<E: Execute>(
        &self,
        run: &E,
        settings: &Settings,
        environment: Option<&str>,
        generation: Option<u64>,
    ) -> Result<View, PackageError> {
        let config = settings.config();
        config.packages.may_install()?;
        let (name, place) = place_of(&config.packages, environment)?;
        let lock = self.locked(&place, Instant::now() + config.packages.timeout).await?;
        let current = place.current();
        let known: Vec<u64> = place.history().iter().map(|manifest| manifest.generation).collect();
        let target = match generation {
            Some(target) if target == 0 || known.contains(&target) => target,
            Some(target) => {
                let known = known.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                let reason = format!("there is no generation {target}; there are 0, {known}");
                return Err(Rejected::field("generation", reason).into());
            }
            None if current == 0 => {
                return Err(PackageError::failed("there is no generation before this one"));
            }
            // Nothing at all is what was there before the first.
            None => known.iter().copied().filter(|n| *n < current).max().unwrap_or(0),
        };
        place
            .point(&lock, target)
            .map_err(|e| PackageError::disk("it could not be switched", &e))?;
        tracing::info!(environment = %name, from = current, to = target, "packages rolled back");
        if name == config.packages.environment {
            self.switch(run, settings).await;
        }
        drop(lock);
        self.view(&config, environment)
    }

    /// Puts what is current on disk before the next executions; whether they
    /// see it.
    async fn switch<E: Execute>(&self, run: &E, settings: &Settings) -> bool {
        let (config, seen) = self.equipped(Config::clone(&settings.config()));
        let done = run.reconfigure(config).await;
        if done {
            self.enforce(seen);
        } else {
            tracing::warn!("executions see these packages after a restart");
        }
        done
    }

    async fn locked(&self, place: &Place, until: Instant) -> Result<Lock, PackageError> {
        match place.lock(until).await {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(PackageError::failed(
                "another install holds this environment; it was waited for in vain",
            )),
            Err(error) => {
                let root = place.root().display();
                let reason =
                    format!("{root} can't be written to: {error} (`site_dir` names another place)");
                Err(PackageError::failed(reason))
            }
        }
    }

    fn in_force(&self, place: &Place) -> u64 {
        let seen = self.seen();
        seen.as_ref().filter(|seen| seen.place == *place).map_or(0, |seen| seen.generation)
    }

    /// From now on executions see this.
    fn enforce(&self, seen: Option<Seen>) {
        let before = std::mem::replace(&mut *self.seen(), seen);
        drop(before);
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name and the place of `environment`, by default the one executions see.
fn place_of(policy: &Policy, environment: Option<&str>) -> Result<(String, Place), PackageError> {
    let name = environment.unwrap_or(&policy.environment);
    policy::environment_name(name)?;
    let place = Place::of(policy, name).ok_or_else(no_home)?;
    Ok((name.to_owned(), place))
}

fn no_home() -> PackageError {
    PackageError::failed("there is no home directory to keep packages in; `site_dir` names a place")
}

/// Shared by the parts of an install.
pub type Shared = Arc<Packages>;
