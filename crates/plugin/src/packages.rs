//! Packages: environments of immutable generations, made by uv, put in force
//! by a switch.
//!
//! **Invariant:** no execution writes here and none of a package's code runs in
//! the supervisor; an install that fails, is cut off or is dropped leaves the
//! generation that was in force in force.

pub mod failure;
pub mod generation;
pub mod inline;
pub mod inspect;
pub mod install;
pub mod place;
pub mod policy;
pub mod process;
pub mod requirement;
pub mod role;
pub mod try_out;
pub mod uv;

pub use install::{Installed, Wanted};
pub use policy::Policy;

use crate::api::Execute;
use crate::config::Config;
use crate::error::{Fault, Rejected, RunError};
use crate::settings::Settings;
use crate::spawner::Spawner;
use generation::Manifest;
use place::{Lease, Lock, Place};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a generation is kept from being removed after the last switch away
/// from it, beyond the longest an execution may take.
const AFTERGLOW: Duration = Duration::from_secs(60);

/// Handle to the environments.
#[derive(Debug)]
pub struct Packages {
    spawner: Spawner,
    leases: Mutex<Leases>,
}

/// The generations this process uses: by executions begun before a switch too.
#[derive(Debug, Default)]
struct Leases {
    held: Vec<Held>,
    /// What executions that begin now see.
    in_force: Option<(Place, u64)>,
}

#[derive(Debug)]
struct Held {
    place: Place,
    generation: u64,
    /// When nothing can be left that uses it; `None` = in force, or about to be.
    until: Option<Instant>,
    _lease: Lease,
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
}

impl Packages {
    /// A handle; nothing is read or made yet.
    pub fn start() -> Result<Self, Fault> {
        let spawner = Spawner::start()
            .map_err(|source| Fault::System { what: "no thread can be started", source })?;
        Ok(Self { spawner, leases: Mutex::default() })
    }

    /// `config` with the generation in force on its path, which this process
    /// keeps from being removed from then on.
    #[must_use]
    pub fn equip(&self, config: Config) -> Config {
        let (config, seen) = self.equipped(config);
        self.enforce(seen, config.ceiling.wall);
        config
    }

    /// The configuration, and which generation of which place is on its path.
    fn equipped(&self, mut config: Config) -> (Config, Option<(Place, u64)>) {
        let policy = config.packages.clone();
        let Some(place) = Place::of(&policy, &policy.environment) else { return (config, None) };
        let current = place.current();
        self.hold(&place, current);
        if current > 0 {
            config.site_dirs.push(place.site(current));
        }
        // What older versions of the plugin installed there stays importable.
        config.site_dirs.extend(policy.site_dir.filter(|directory| directory.is_dir()));
        // A generation under way is tried out in a child.
        config.read_paths.extend(place.root().parent().map(Path::to_owned));
        (config, Some((place, current)))
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
        Ok(View { name, current, in_force, history: place.history(), lock, place })
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
        let longest = config.ceiling.wall;
        let done = run.reconfigure(config).await;
        if done {
            self.enforce(seen, longest);
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
        let leases = self.leases();
        let seen = leases.in_force.as_ref().filter(|(seen, _)| seen == place);
        seen.map_or(0, |(_, generation)| *generation)
    }

    /// From now on executions see this; what they saw before is let go of when
    /// the longest of them has to be over.
    fn enforce(&self, seen: Option<(Place, u64)>, longest: Duration) {
        let mut leases = self.leases();
        let now = Instant::now();
        leases.held.retain(|held| held.until.is_none_or(|until| until > now));
        for held in &mut leases.held {
            let current = seen
                .as_ref()
                .is_some_and(|(place, n)| held.place == *place && held.generation == *n);
            held.until = match held.until {
                _ if current => None,
                Some(until) => Some(until),
                None => Some(now + longest + AFTERGLOW),
            };
        }
        leases.in_force = seen;
    }

    /// Keeps a generation from being removed.
    fn hold(&self, place: &Place, generation: u64) {
        let mut leases = self.leases();
        let same = |held: &Held| held.generation == generation && held.place == *place;
        if generation == 0 {
            return;
        }
        if let Some(held) = leases.held.iter_mut().find(|held| same(held)) {
            held.until = None;
            return;
        }
        match place.lease(generation) {
            Ok(lease) => leases.held.push(Held {
                place: place.clone(),
                generation,
                until: None,
                _lease: lease,
            }),
            Err(error) => {
                tracing::warn!(generation, %error, "a package generation can't be held on to");
            }
        }
    }

    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name and the place of `environment`, by default the one executions see.
fn place_of(policy: &Policy, environment: Option<&str>) -> Result<(String, Place), PackageError> {
    let name = environment.unwrap_or(&policy.environment);
    policy::environment_name(name)?;
    let place = Place::of(policy, name).ok_or_else(|| {
        PackageError::failed(
            "there is no home directory to keep packages in; `site_dir` names a place",
        )
    })?;
    Ok((name.to_owned(), place))
}

/// Where uv keeps what it downloaded: beside the environments, so that files
/// are linked instead of copied.
fn cache(place: &Place) -> PathBuf {
    let base = place.root().parent().unwrap_or(place.root());
    base.with_file_name(match base.file_name().and_then(|name| name.to_str()) {
        Some(".environments") => ".uv-cache",
        Some(_) | None => "uv-cache",
    })
}

/// Shared by the parts of an install.
pub type Shared = Arc<Packages>;
