//! The whole way, measured: the real binary, real gRPC.
//!
//! Every figure is interleaved with, or stands between, two runs of the empty
//! RPC (`Metadata`) of the same minute and is shown as a ratio to it: the
//! machines are noisy. `cargo xtask bench whole -- --help` has the options.

mod cases;
mod load;
mod report;
mod server;
mod stats;
mod work;

use anyhow::Result;
use clap::Parser;
use std::path::PathBuf;

/// Measure the plugin as a QNTX core would see it
#[derive(Debug, Clone, Parser)]
#[command(max_term_width = 100)]
pub(crate) struct Options {
    /// A tenth of the calls: to see that it works, not to quote
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only what has WORD in its group or name; its rows replace those in the results
    #[arg(long, value_name = "WORD")]
    pub(crate) only: Option<String>,
    /// Show the figures of an earlier run beside those of this one
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Where the results go [default: bench/results/whole.json, quick.json with --quick]
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Measure this binary instead of the one built with the bench
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// A directory with numpy in it, for the in-process yardstick (xtask makes one)
    #[arg(long, value_name = "DIR", env = "QNTX_BENCH_SITE")]
    pub(crate) site: Option<PathBuf>,
    /// The uv that gives the plugin its numpy (xtask finds one)
    #[arg(long, value_name = "PATH", env = "QNTX_BENCH_UV")]
    pub(crate) uv: Option<PathBuf>,
    /// Also watch the memory over this many executions
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100000")]
    pub(crate) growth: Option<usize>,
    /// Also run what a user would otherwise take
    #[arg(long)]
    pub(crate) yardsticks: bool,
    /// Cargo adds this to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// `count`, or a tenth of it.
    pub(crate) fn calls(&self, count: usize) -> usize {
        if self.quick { (count / 10).max(5) } else { count }
    }

    /// Seconds, or a fifth of them.
    pub(crate) fn span(&self, secs: f64) -> std::time::Duration {
        std::time::Duration::from_secs_f64(if self.quick { secs / 5.0 } else { secs })
    }

    /// Whether a case of this group and name is to run.
    pub(crate) fn wants(&self, group: &str, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| group.contains(only) || name.contains(only))
    }

    /// Where the results go.
    pub(crate) fn results(&self) -> PathBuf {
        let usual = report::usual();
        let usual = if self.quick { usual.with_file_name("quick.json") } else { usual };
        self.results.clone().unwrap_or(usual)
    }

    /// The binary to measure.
    pub(crate) fn plugin(&self) -> PathBuf {
        self.plugin.clone().unwrap_or_else(server::built)
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    // One thread that also runs the cases: a client that has to wake a thread
    // of its own for each answer would measure itself.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = runtime.block_on(cases::run(&options))?;
    report::finish(&rows, &options)
}
