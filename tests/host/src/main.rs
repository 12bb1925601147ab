//! The core in a box, by hand: runs the scenarios against a binary, or keeps
//! a plugin running and polls its health.
//!
//! **Invariant:** the exit code is the number of scenarios that failed, at most 100.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool speaks to the terminal")]

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::Duration;
use testhost::bed::Bed;
use testhost::core::Core;
use testhost::scenarios;
use testhost::wire::*;

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
    /// Runs the scenarios whose name contains one of WORDS; all without one
    Run { words: Vec<String> },
    /// Lists the scenarios
    List,
    /// Launches and initialises the plugin with the example handlers, and
    /// fires their watchers until Ctrl-C
    Hold,
}

/// The handlers it begins with.
const EXAMPLES: &[(&str, &str)] = &[
    ("orders", include_str!("../../../examples/watcher.py")),
    ("count", include_str!("../../../examples/schedule.py")),
];

/// Prints the fires beyond the first `shown`; how many there are.
fn show(core: &Core, shown: usize) -> usize {
    let fires = core.fires.lock().unwrap_or_else(PoisonError::into_inner);
    for fire in fires.iter().skip(shown) {
        let end = if fire.error.is_empty() { "ok" } else { fire.error.as_str() };
        println!("{} fired by {}: {end}", fire.watcher, fire.attestation);
    }
    fires.len()
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
        Verb::Run { words } => {
            let wanted = |name: &str| {
                words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
            };
            let chosen: Vec<_> =
                scenarios::ALL.iter().copied().filter(|one| wanted(one.name)).collect();
            anyhow::ensure!(!chosen.is_empty(), "no scenario is called so; `list` has them");
            let show = |outcome: &scenarios::Outcome| {
                let secs = outcome.took.as_secs_f64();
                match &outcome.result {
                    Ok(()) => println!("ok      {:>6.2} s  {}", secs, outcome.name),
                    Err(error) => {
                        println!("FAILED  {:>6.2} s  {}\n        {error:#}", secs, outcome.name);
                    }
                }
            };
            let outcomes = scenarios::run_all(&chosen, &cli.binary, show).await;
            let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
            Ok(ExitCode::from(u8::try_from(failed.min(100))?))
        }
        Verb::Hold => {
            let bed = Bed::new(&cli.binary).await?;
            for (name, code) in EXAMPLES {
                bed.core.services.store.create(AttestationCommand {
                    subjects: vec![(*name).to_owned()],
                    predicates: vec!["handler".to_owned()],
                    contexts: vec!["python".to_owned()],
                    attributes: Some(Struct::from_json(&serde_json::json!({ "code": code }))),
                    ..AttestationCommand::default()
                });
            }
            let mut plugin = bed.boot().await?;
            println!("plugin {} on port {}", plugin.metadata.version, plugin.port);
            println!("schedules: {:?}", bed.core.schedules());
            println!("try: curl -s http://127.0.0.1:{}/handlers", plugin.port);
            println!(r#"     curl -s http://127.0.0.1:{}/execute --json @- <<'.'"#, plugin.port);
            println!(r#"     {{"code": "attest('o1', 'order:placed', 'shop')"}}"#);
            println!("     .");
            let mut shown = 0;
            let for_ever = Duration::from_secs(365 * 24 * 3600);
            let mut watching = Box::pin(bed.core.run_watchers(&plugin, for_ever));
            loop {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => break,
                    done = &mut watching => done?,
                    () = tokio::time::sleep(Duration::from_millis(300)) => {
                        shown = show(&bed.core, shown);
                    }
                }
            }
            drop(watching);
            // the terminal's Ctrl-C reached it as well: it may be on its way already
            if plugin.shutdown().await.is_err() {
                println!("the plugin is stopping by itself");
            }
            plugin.gone_within(Duration::from_secs(3)).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
