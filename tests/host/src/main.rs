//! The core in a box, by hand: runs the scenarios against a binary, or keeps
//! a plugin running and polls its health.
//!
//! **Invariant:** the exit code is the number of scenarios that failed, at most 100.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool speaks to the terminal")]

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use testhost::bed::Bed;
use testhost::core::Core;
use testhost::scenarios;

/// Behaves like a QNTX core towards a plugin binary
#[derive(Debug, Parser)]
struct Cli {
    /// The plugin
    #[arg(long, default_value = "target/debug/qntx-python-plugin")]
    binary: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the scenarios whose name contains WORD; all without one
    Run { word: Option<String> },
    /// Lists the scenarios
    List,
    /// Launches and initialises the plugin, then polls Health until Ctrl-C
    Hold,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    match cli.verb {
        Verb::List => {
            for scenario in scenarios::ALL {
                println!("{}", scenario.name);
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Run { word } => {
            let word = word.unwrap_or_default();
            let mut failed = 0_u8;
            for scenario in scenarios::ALL.iter().filter(|one| one.name.contains(&word)) {
                let outcome = scenarios::run(*scenario, &cli.binary).await;
                let secs = outcome.took.as_secs_f64();
                match outcome.result {
                    Ok(()) => println!("ok      {:>6.2} s  {}", secs, outcome.name),
                    Err(error) => {
                        failed = failed.saturating_add(1).min(100);
                        println!("FAILED  {:>6.2} s  {}\n        {error:#}", secs, outcome.name);
                    }
                }
            }
            Ok(ExitCode::from(failed))
        }
        Verb::Hold => {
            let bed = Bed::new(&cli.binary).await?;
            let mut plugin = bed.boot().await?;
            println!("plugin {} on port {}", plugin.metadata.version, plugin.port);
            let core: &Core = &bed.core;
            println!("handlers: {:?}", core.handlers);
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => break,
                    () = tokio::time::sleep(Duration::from_secs(10)) => {
                        let health = plugin.health().await?;
                        println!("healthy: {} {}", health.healthy, health.message);
                    }
                }
            }
            plugin.shutdown().await?;
            plugin.gone_within(Duration::from_secs(1)).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
