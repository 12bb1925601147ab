//! The commands of the binary.
//!
//! **Invariant:** every command gets its supervisor, host and configuration
//! from here, so that `run` meets the sandbox that `serve` serves.

pub mod doctor;
pub mod run;
pub mod serve;

use crate::cli::{Exit, Failure, Invocation};
use crate::config::Config;
use crate::host::Host;
use crate::store::Store;
use crate::telemetry::{self, Levels};
use std::sync::Arc;
use std::time::Duration;

/// Under a core the first answer may not wait for a slow disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts logging as the flags say.
fn logs(invocation: &Invocation) -> Result<Levels, Failure> {
    let levels = telemetry::start(invocation.log_level(), invocation.log_format())
        .map_err(|e| Failure::new(Exit::Usage, e))?;
    if !invocation.ignored.is_empty() {
        let arguments = invocation.ignored.join(" ");
        tracing::warn!(%arguments, "unknown arguments are ignored");
    }
    Ok(levels)
}

/// Refuses to go on where the kernel can't hold an execution.
fn floor(config: &Config) -> Result<(), Failure> {
    if config.no_sandbox || config.allow_weak_sandbox {
        return Ok(());
    }
    let missing = sandbox::kernel::probe().missing();
    let missing: Vec<_> = missing.iter().filter(|missing| missing.required).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let words: Vec<_> = missing.iter().map(|m| format!("no {} ({})", m.feature, m.cost)).collect();
    let error = anyhow::anyhow!("this machine can't hold the sandbox: {}", words.join("; "));
    Err(Failure::new(Exit::CannotStart, error).hint(
        "`qntx-python-plugin doctor` shows more; --dangerously-allow-weak-sandbox starts with what \
         there is, --dangerously-no-sandbox without any",
    ))
}

/// The host services: the embedded store, until a core offers its own.
async fn host(invocation: &Invocation) -> Result<Arc<Host>, Failure> {
    let opened = match invocation.store() {
        Ok(place) => {
            let opening = tokio::task::spawn_blocking(move || Store::open(&place));
            let patience = if invocation.by_core { PATIENCE } else { PATIENCE * 30 };
            match tokio::time::timeout(patience, opening).await {
                Ok(Ok(Ok(store))) => Ok(store),
                Ok(Ok(Err(e))) => {
                    let hint = e.remedy();
                    Err(Failure::new(Exit::CannotStart, e).hint(hint))
                }
                Ok(Err(e)) => Err(Failure::new(Exit::CannotStart, e)),
                Err(e) => {
                    let error = anyhow::Error::from(e).context("the attestation store is too slow");
                    Err(Failure::new(Exit::CannotStart, error))
                }
            }
        }
        Err(failure) => Err(failure),
    };
    match opened {
        Ok(store) => Ok(Arc::new(Host::new(Some(store)))),
        // A core has a store of its own to offer, and a default nobody asked for must not be in
        // the way; a store that was named has to be there.
        Err(failure) if invocation.by_core || invocation.cli.options.store.is_none() => {
            tracing::warn!(reason = %format!("{:#}", failure.error), "no embedded store");
            Ok(Arc::new(Host::new(None)))
        }
        Err(failure) => Err(failure),
    }
}

/// The async runtime.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("supervisor")
        .build()
        .map_err(|e| Failure::new(Exit::CannotStart, e))
}
