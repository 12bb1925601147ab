//! The flags about what executions are granted.
//!
//! **Invariant:** a flag that makes no sense stops the start; none of it is granted in part.

use super::Failure;
use crate::config::Config;
use crate::env;
use crate::profile::Reserved;
use clap::Args;
use std::collections::BTreeSet;

/// What executions are granted beyond the strict policy.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sandbox")]
pub struct SandboxOptions {
    /// A file or directory that executions may read besides; repeatable
    #[arg(long, global = true, value_name = "PATH", value_delimiter = ':', env = env::SANDBOX_READ_PATH)]
    pub sandbox_read_path: Vec<String>,
    /// A file or directory that executions may write; repeatable [default: only their scratch directory]
    #[arg(long, global = true, value_name = "PATH", value_delimiter = ':', env = env::SANDBOX_WRITE_PATH)]
    pub sandbox_write_path: Vec<String>,
    /// none, or TCP connections to these ports of any host, like tcp:443,80 [default: none]
    #[arg(long, global = true, value_name = "NETWORK", env = env::SANDBOX_NETWORK)]
    pub sandbox_network: Option<String>,
    /// none, or allowed: executions may start programs [default: none]
    #[arg(long, global = true, value_name = "PROCESSES", env = env::SANDBOX_PROCESSES)]
    pub sandbox_processes: Option<String>,
    /// What they may start besides the Python interpreter, a file or directory; repeatable
    #[arg(long, global = true, value_name = "PATH", value_delimiter = ':', env = env::SANDBOX_EXECUTABLE)]
    pub sandbox_executable: Vec<String>,
    /// An environment variable that executions see; repeatable
    #[arg(long, global = true, value_name = "NAME", value_delimiter = ',', env = env::SANDBOX_ENVIRONMENT)]
    pub sandbox_environment: Vec<String>,
    /// Named profiles that requests or handlers may have, as a JSON object; docs/sandbox.md
    #[arg(long, global = true, value_name = "JSON", env = env::SANDBOX_PROFILES)]
    pub sandbox_profiles: Option<String>,
    /// Which handler runs under which profile; repeatable
    #[arg(long, global = true, value_name = "HANDLER=PROFILE", value_delimiter = ',', env = env::SANDBOX_HANDLERS)]
    pub sandbox_handlers: Vec<String>,
}

impl SandboxOptions {
    /// Puts what was given into `config`, and its keys among the `fixed`.
    pub(super) fn apply(
        &self,
        config: &mut Config,
        fixed: &mut BTreeSet<&'static str>,
    ) -> Result<(), Failure> {
        let list = |items: &[String]| (!items.is_empty()).then(|| json(items));
        let given = [
            ("sandbox.read_paths", list(&self.sandbox_read_path)),
            ("sandbox.write_paths", list(&self.sandbox_write_path)),
            ("sandbox.network", self.sandbox_network.clone()),
            ("sandbox.processes", self.sandbox_processes.clone()),
            ("sandbox.executables", list(&self.sandbox_executable)),
            ("sandbox.environment", list(&self.sandbox_environment)),
            ("sandbox.profiles", self.sandbox_profiles.clone()),
            ("sandbox.handlers", {
                let pairs = self.sandbox_handlers.join(",");
                (!pairs.is_empty()).then_some(pairs)
            }),
        ];
        let given: Vec<(&'static str, String)> =
            given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let keys = given
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("sandbox.")?, value.as_str())));
        let mut complaints = config.profiles.set_all(keys);
        let reserved = Reserved::of(config);
        complaints.extend(config.profiles.settle(&reserved));
        if !complaints.is_empty() {
            return Err(Failure::usage(complaints.join("; ")).hint(
                "each key `sandbox.x` is a flag `--sandbox-x`; docs/sandbox.md has examples",
            ));
        }
        fixed.extend(given.iter().map(|(key, _)| *key));
        Ok(())
    }
}

/// Paths with commas stay whole.
fn json(items: &[String]) -> String {
    serde_json::Value::from(items).to_string()
}
