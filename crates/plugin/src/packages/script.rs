//! An environment for what a script declares: made once for the same wishes,
//! however many ask, and found by their digest from then on.
//!
//! **Invariant:** what a script declares passes the same policy as a request to
//! install; no execution waits longer for it than the configuration says; an
//! install nobody waits for is stopped unless its last waiter ran out of time.

use super::choose::Choice;
use super::flights::Joined;
use super::install::{self, Plan, Wanted};
use super::place::Place;
use super::requirement::Requirement;
use super::{PackageError, Packages, Progress, Shared, inline, uv};
use crate::api::{Execute, chain};
use crate::config::Config;
use crate::error::{Rejected, RunError};
use crate::settings::Settings;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Most environments of scripts that are kept.
const MOST: usize = 64;
/// Those not used for this long are removed.
const UNUSED: Duration = Duration::from_secs(30 * 86_400);

/// The environment for `block`.
pub(super) async fn provide<E: Execute>(
    packages: &Shared,
    run: &Arc<E>,
    settings: &Arc<Settings>,
    block: &inline::Block,
    progress: &Progress,
) -> Result<Choice, RunError> {
    let config = settings.config();
    let refused = |reason: String| {
        RunError::from(Rejected::field("code", format!("the script's dependencies: {reason}")))
    };
    let mut asked = Vec::new();
    for text in &block.dependencies {
        asked.push(config.packages.script_requirement(text)?);
    }
    asked.sort_by_key(Requirement::normal);
    asked.dedup_by_key(|asked| asked.normal());
    let (version, prefix) = install::python(&**run).await.map_err(|error| failed(&error))?;
    if let Some(requires) = &block.requires_python {
        inline::fits(requires, &version).map_err(refused)?;
    }
    if asked.is_empty() {
        return Ok(Choice::default());
    }
    let digest = digest(&asked, &version, &prefix, &config);
    let name = format!("script-{}", &digest[..12]);
    let place = Place::script(&config.packages, &digest).ok_or_else(|| {
        refused("there is no home directory to keep them in; `site_dir` names a place".to_owned())
    })?;
    if let Some(choice) = packages.made(&config, &name, &place) {
        return Ok(choice);
    }
    config.packages.may_install()?;
    let program = uv::find(config.packages.uv.as_deref()).map_err(refused)?;
    let wait = config.packages.script_wait;
    let joined = packages.flights.join(&digest, |progress| {
        let plan =
            Plan::of_script(Arc::clone(&config), name.clone(), place.clone(), asked, program);
        let (packages, run, settings) =
            (Arc::clone(packages), Arc::clone(run), Arc::clone(settings));
        async move {
            let wanted = Wanted::default();
            let done =
                install::carry_out(&packages, &run, &settings, plan, wanted, &progress).await;
            done.map(drop).map_err(|error| match error {
                PackageError::Failed { reason, .. } => reason,
                other @ (PackageError::Rejected(_) | PackageError::Run(_)) => chain(&other),
            })
        }
    });
    progress.tell(&format!("installing what the script declares ({name})"));
    match joined.wait(wait, progress).await {
        Joined::Done(Ok(())) => packages.made(&config, &name, &place).ok_or_else(|| {
            refused("they were installed and removed at once; try again".to_owned())
        }),
        Joined::Done(Err(reason)) => Err(refused(reason)),
        Joined::Late => Err(Rejected::Preparing { waited: wait }.into()),
    }
}

fn failed(error: &PackageError) -> RunError {
    Rejected::field("code", format!("the script's dependencies: {}", chain(error))).into()
}

/// The same wishes for the same Python, from the same index, have the same digest.
fn digest(asked: &[Requirement], version: &str, prefix: &str, config: &Config) -> String {
    let mut hash = Sha256::new();
    let minor = version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let index = config.packages.index_url.clone().unwrap_or_default();
    let asked = asked.iter().map(Requirement::normal);
    for part in [minor, prefix.to_owned(), index].into_iter().chain(asked) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Packages {
    /// The environment of a script when it is there; from now on it counts as used.
    fn made(&self, config: &Config, name: &str, place: &Place) -> Option<Choice> {
        if place.current() == 0 {
            return None;
        }
        let choice = self.current(config, name, place, false).ok()?;
        choice.kept.as_ref()?;
        place.touch();
        Some(choice)
    }

    /// Removes environments of scripts that are too many, too much, or not
    /// used for long; none that is in use. Blocking.
    pub(super) fn prune_scripts(config: &Config) {
        let policy = &config.packages;
        let mut all: Vec<(SystemTime, u64, Place)> = Place::scripts(policy)
            .into_iter()
            .map(|place| {
                let bytes = place.history().iter().map(|manifest| manifest.bytes).sum();
                (place.used(), bytes, place)
            })
            .collect();
        all.sort_by_key(|(used, _, _)| std::cmp::Reverse(*used));
        let (mut kept, mut total) = (0, 0u64);
        for (used, bytes, place) in all {
            total = total.saturating_add(bytes);
            let old = used.elapsed().is_ok_and(|age| age > UNUSED);
            if kept < MOST && total <= policy.keep_bytes && !old {
                kept += 1;
            } else {
                place.discard();
            }
        }
    }
}

impl Plan {
    /// The plan for what a script declares.
    fn of_script(
        config: Arc<Config>,
        name: String,
        place: Place,
        asked: Vec<Requirement>,
        program: std::path::PathBuf,
    ) -> Self {
        let wish = uv::Wish {
            index_url: config.packages.index_url.clone(),
            only_binary: true,
            upgrade: Vec::new(),
        };
        let until = Instant::now() + config.packages.timeout;
        Self { script: true, config, name, place, asked, wish, program, until }
    }
}
