//! The flags about packages.
//!
//! **Invariant:** what lets code of packages run outside the sandbox, or has
//! packages come from an address that a request names, is a flag, never a key
//! that a core could send.

use super::{Failure, absolute_one, secs};
use crate::config::Config;
use crate::env;
use crate::packages::policy::{Scripts, environment_name, index_address};
use crate::packages::venv;
use clap::Args;
use clap::builder::BoolishValueParser;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Who may install which packages, and where they go.
#[derive(Debug, Clone, Args)]
pub struct PackageOptions {
    /// The uv that installs packages [default: next to this binary, then on PATH]
    #[arg(long, global = true, value_name = "PATH", env = env::UV)]
    pub uv: Option<PathBuf>,
    /// Where installed packages live [default: qntx-python/environments in the user's data directory]
    #[arg(long, global = true, value_name = "DIR", env = env::SITE_DIR)]
    pub site_dir: Option<PathBuf>,
    /// The package environment that executions see [default: default]
    #[arg(long, global = true, value_name = "NAME", env = env::ENVIRONMENT)]
    pub environment: Option<String>,
    /// Refuse to install anything
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::NO_INSTALLS)]
    pub no_installs: bool,
    /// A package that may be asked for; repeatable; its dependencies may come along [default: every]
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',', env = env::ALLOW_PACKAGE)]
    pub allow_package: Vec<String>,
    /// The package index that is used [default: PyPI]
    #[arg(long, global = true, value_name = "URL", env = env::INDEX_URL, hide_env_values = true)]
    pub index_url: Option<String>,
    /// A further index that a request may name; repeatable
    #[arg(long, global = true, value_name = "URL", value_delimiter = ',', env = env::ALLOW_INDEX, hide_env_values = true)]
    pub allow_index: Vec<String>,
    /// Install what scripts declare (PEP 723): off, allow-list (names of --allow-package), on [default: off]
    #[arg(long, global = true, value_name = "WHEN", env = env::SCRIPT_DEPENDENCIES)]
    pub script_dependencies: Option<Scripts>,
    /// The longest an execution waits for that [default: 120]
    #[arg(long, global = true, value_name = "SECS", value_parser = secs, env = env::SCRIPT_WAIT)]
    pub script_wait_secs: Option<Duration>,
    /// Install only packages whose hashes come with the request
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::REQUIRE_HASHES)]
    pub require_hashes: bool,
    /// Let requests name packages by their https address
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::PACKAGE_URLS)]
    pub allow_package_urls: bool,
    /// Let requests build packages from source: their code runs OUTSIDE the sandbox
    #[arg(long, global = true, value_parser = BoolishValueParser::new(), env = env::BUILDS)]
    pub dangerously_allow_builds: bool,
    /// The longest an install takes [default: 600]
    #[arg(long, global = true, value_name = "SECS", value_parser = secs, env = env::INSTALL_TIMEOUT)]
    pub install_timeout_secs: Option<Duration>,
    /// Older package generations kept for a rollback [default: 5]
    #[arg(long, global = true, value_name = "N", env = env::KEEP_GENERATIONS)]
    pub keep_generations: Option<usize>,
}

impl PackageOptions {
    /// Puts what was given into `config`, and its keys among the `fixed`.
    pub(super) fn apply(
        &self,
        config: &mut Config,
        fixed: &mut BTreeSet<&'static str>,
    ) -> Result<(), Failure> {
        let policy = &mut config.packages;
        policy.home = env::data_home();
        if let Some(root) = env::virtual_environment() {
            match venv::site(&root) {
                Ok(site) => config.site_dirs.push(site),
                Err(reason) => tracing::warn!("{reason}"),
            }
        }
        let mut set = |given: bool, key| {
            if given {
                fixed.insert(key);
            }
            given
        };
        if set(self.uv.is_some(), "uv") {
            policy.uv = self.uv.as_deref().map(absolute_one).transpose()?;
        }
        if set(self.site_dir.is_some(), "site_dir") {
            policy.site_dir = self.site_dir.as_deref().map(absolute_one).transpose()?;
        }
        if let Some(name) = &self.environment {
            set(true, "environment");
            environment_name(name).map_err(|e| Failure::usage(format!("--environment: {e}")))?;
            policy.environment.clone_from(name);
        }
        if set(self.no_installs, "installs") {
            policy.installs = false;
        }
        if set(!self.allow_package.is_empty(), "allowed_packages") {
            policy.allowed.clone_from(&self.allow_package);
        }
        if let Some(url) = &self.index_url {
            set(true, "index_url");
            policy.index_url = Some(index("--index-url", url)?);
        }
        if set(!self.allow_index.is_empty(), "allowed_indexes") {
            let all = self.allow_index.iter().map(|url| index("--allow-index", url));
            policy.indexes = all.collect::<Result<_, _>>()?;
        }
        if let Some(scripts) = self.script_dependencies {
            set(true, "script_dependencies");
            policy.scripts = scripts;
        }
        if let Some(wait) = self.script_wait_secs {
            set(true, "script_wait_secs");
            policy.script_wait = wait;
        }
        if set(self.require_hashes, "require_hashes") {
            policy.require_hashes = true;
        }
        policy.urls = self.allow_package_urls;
        policy.builds = self.dangerously_allow_builds;
        if let Some(timeout) = self.install_timeout_secs {
            set(true, "install_timeout_secs");
            policy.timeout = timeout;
        }
        if let Some(keep) = self.keep_generations {
            set(true, "keep_generations");
            policy.keep = keep;
        }
        Ok(())
    }
}

fn index(flag: &str, url: &str) -> Result<String, Failure> {
    index_address(url)
        .ok_or_else(|| Failure::usage(format!("{flag} has to be an http or https address")))
}
