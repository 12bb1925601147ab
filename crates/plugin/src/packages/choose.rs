//! Which packages one execution sees: those in force, an environment that the
//! request names, or what its script declares.
//!
//! **Invariant:** what is chosen stays as it is, and is not removed, for as
//! long as the choice is kept.

use super::leases::Kept;
use super::place::Place;
use super::policy::{self, Scripts};
use super::{Packages, Progress, Shared, inline, script};
use crate::answer::Answer;
use crate::api::Execute;
use crate::config::Config;
use crate::error::{Rejected, RunError};
use crate::request::Request;
use crate::settings::Settings;
use crate::tiers::Environment;
use std::sync::Arc;
use std::time::Duration;

/// How often a generation that is removed while it is chosen is looked for again.
const ATTEMPTS: usize = 3;

/// What was chosen; to be kept until the execution is over.
#[derive(Debug, Default)]
pub struct Choice {
    pub(super) environment: Option<Environment>,
    pub(super) kept: Option<Kept>,
    /// What the script declares while that is not acted upon.
    pub(super) declared: Option<inline::Block>,
}

impl Choice {
    /// Tells a script that lacks what it declares how to get it.
    pub fn explain(&self, answer: &mut Answer) {
        if let Some(block) = &self.declared {
            inline::explain(answer, block);
        }
    }
}

/// Chooses for `request`, and puts the choice into it. `named` is the
/// environment the caller asks for; then a script's own wishes are left alone.
pub async fn choose<E: Execute>(
    packages: Option<&Shared>,
    run: &Arc<E>,
    settings: &Arc<Settings>,
    request: &mut Request,
    named: Option<&str>,
    progress: &Progress,
) -> Result<Choice, RunError> {
    let config = settings.config();
    if let Some(name) = named {
        let packages = packages.ok_or_else(|| {
            Rejected::field("environment", "this plugin was started without package management")
        })?;
        let choice = packages.named(&config, name)?;
        request.environment.clone_from(&choice.environment);
        return Ok(choice);
    }
    let roots: Vec<_> = config.file_roots.iter().chain(&config.python_paths).cloned().collect();
    let Some(text) = inline::text(&request.source, &roots).filter(|text| text.contains("# /// "))
    else {
        return Ok(Choice::default());
    };
    let block = inline::block(&text);
    let Some(packages) = packages.filter(|_| config.packages.scripts != Scripts::Off) else {
        return Ok(Choice { declared: block.ok().flatten(), ..Choice::default() });
    };
    let choice = match block {
        Ok(Some(block)) => script::provide(packages, run, settings, &block, progress).await?,
        Ok(None) => Choice::default(),
        Err(reason) => {
            let reason = format!("the script's metadata block (PEP 723) can't be read: {reason}");
            return Err(Rejected::field("code", reason).into());
        }
    };
    request.environment.clone_from(&choice.environment);
    Ok(choice)
}

impl Packages {
    /// The current generation of the environment of this name, which has to be there.
    fn named(&self, config: &Config, name: &str) -> Result<Choice, Rejected> {
        let policy = &config.packages;
        policy::environment_name(name)?;
        if name == policy.environment {
            return Ok(Choice::default());
        }
        let names = Place::names(policy);
        let Some(place) = Place::of(policy, name).filter(|_| names.iter().any(|n| n == name))
        else {
            let mut names = names;
            names.push(policy.environment.clone());
            names.sort();
            names.dedup();
            let reason =
                format!("there is no environment `{name}`; there are: {}", names.join(", "));
            return Err(Rejected::field("environment", reason));
        };
        self.current(config, name, &place, true)
            .map_err(|reason| Rejected::field("environment", reason))
    }

    /// The current generation of `place`, kept; `shared`: with what all
    /// environments share behind it.
    pub(super) fn current(
        &self,
        config: &Config,
        name: &str,
        place: &Place,
        shared: bool,
    ) -> Result<Choice, String> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let generation = place.current();
            let mut site_dirs = Vec::new();
            let mut kept = None;
            if generation > 0 {
                // One that was just removed has a successor.
                match self.leases.hold(place, generation, Duration::ZERO) {
                    Ok(held) => kept = Some(held),
                    Err(error) => {
                        last = format!("generation {generation} can't be held on to: {error}");
                        continue;
                    }
                }
                site_dirs.push(place.site(generation));
            }
            if shared {
                let old = config.packages.site_dir.iter().filter(|dir| dir.is_dir());
                site_dirs.extend(old.chain(&config.site_dirs).cloned());
            }
            let environment = Environment { name: name.to_owned(), generation, site_dirs };
            return Ok(Choice { environment: Some(environment), kept, declared: None });
        }
        Err(last)
    }
}
