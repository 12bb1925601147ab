//! The whole way, measured: the real binary, real gRPC, interleaved rounds.
//!
//! Every figure stands between two runs of the empty RPC (`Metadata`) of the
//! same minute and is shown as a ratio to it: the machines are noisy.
//!
//! `cargo bench --bench whole -- [--quick] [--only NAME] [--baseline FILE]`;
//! `--bench`, which cargo adds, is ignored. Writes `bench/results/whole.json` and
//! prints a Markdown table.

mod cases;
mod paced;
mod report;
mod server;
mod stats;

use anyhow::{Context, Result};
use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// A tenth of the calls: to see that it works, not to quote.
    pub(crate) quick: bool,
    /// Only cases whose name contains this.
    pub(crate) only: Option<String>,
    /// Compare with an earlier `whole.json`.
    pub(crate) baseline: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--quick" => options.quick = true,
                "--only" => options.only = Some(arguments.next().context("--only NAME")?),
                "--baseline" => {
                    options.baseline = Some(arguments.next().context("--baseline FILE")?.into());
                }
                other => anyhow::bail!("unknown argument {other}; see the head of benches/whole"),
            }
        }
        Ok(options)
    }

    /// `count`, or a tenth of it.
    pub(crate) fn calls(&self, count: usize) -> usize {
        if self.quick { (count / 10).max(5) } else { count }
    }

    /// Whether a case of this name is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
    }
}

fn main() -> Result<()> {
    let options = Options::read()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let rows = runtime.block_on(cases::run(&options))?;
    report::print(&rows, options.baseline.as_deref())?;
    report::save(&rows)
}
