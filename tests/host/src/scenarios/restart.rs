//! The core's restarts: health-driven, by hand, after a cancelled `Initialize`
//! (CONTRACT 2.6, 2.8, 4.2).
//!
//! **Invariant:** the process is killed first and asked nothing.

use super::handlers::{attest, job};
use crate::bed::Bed;
use crate::core::lock;
use crate::fault::Fault;
use crate::plugin::{Launch, Plugin};
use crate::wire::AttestationFilter;
use anyhow::ensure;
use std::time::{Duration, Instant};

/// Polls Health as the core does, faster; two strikes restart the plugin.
async fn poll(bed: &Bed, mut plugin: Plugin) -> anyhow::Result<(Plugin, u32)> {
    let (mut strikes, mut restarts) = (0, 0);
    for _ in 0..6 {
        let healthy = plugin.health().await.is_ok_and(|health| health.healthy);
        strikes = if healthy { 0 } else { strikes + 1 };
        if strikes == 2 {
            plugin = restart(bed, plugin).await?;
            (strikes, restarts) = (0, restarts + 1);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((plugin, restarts))
}

/// Kill, launch, `Initialize` within 30 s, reconcile.
async fn restart(bed: &Bed, mut plugin: Plugin) -> anyhow::Result<Plugin> {
    plugin.interrupt().await?;
    bed.boot().await
}

pub(super) async fn a_plugin_in_limbo_is_restarted_and_whole(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): print('tick')");
    // launched by the endless retry: neither registered nor initialised
    let limbo = bed.launch().await?;
    ensure!(!limbo.health().await?.healthy, "healthy before the first Initialize: dead for ever");
    let (plugin, restarts) = poll(&bed, limbo).await?;
    ensure!(restarts == 1, "{restarts} restarts");
    ensure!(bed.core.schedules().contains_key("python/tick"));
    ensure!(plugin.job(job("tick", "")).await?.success);
    Ok(())
}

pub(super) async fn a_restart_keeps_schedules_and_what_the_user_paused(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "one", "@schedule(every=60)\ndef f(): pass");
    attest(&bed, "two", "@schedule(every=90)\ndef f(): pass");
    let mut plugin = bed.boot().await?;
    for row in lock(&bed.core.services.schedules).values_mut() {
        if row.handler_name == "python/two" {
            "paused".clone_into(&mut row.state);
        }
    }
    let before = bed.core.schedules();
    for round in 0..3 {
        plugin = restart(&bed, plugin).await?;
        ensure!(bed.core.schedules() == before, "round {round}: {:?}", bed.core.schedules());
    }
    let rows = lock(&bed.core.services.schedules).len();
    ensure!(rows == 2, "{rows} rows: one was made anew");
    Ok(())
}

pub(super) async fn a_cancelled_initialize_ends_in_a_restart_that_loses_nothing(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    let plugin = restart(&bed, bed.boot().await?).await?;
    let before = bed.core.schedules();
    bed.core.services.faults.set(Fault::Slow(Duration::from_secs(2)));
    let request = bed.core.request(&[]);
    // the browser goes away
    let cancelled = plugin.initialize(request, Duration::from_millis(400)).await;
    ensure!(cancelled.is_err(), "it was not waiting for the store");
    bed.core.services.faults.set(Fault::None);
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure!(!plugin.health().await?.healthy, "looks healthy with nothing registered");
    let (plugin, restarts) = poll(&bed, plugin).await?;
    ensure!(restarts == 1 && plugin.health().await?.healthy, "{restarts} restarts");
    ensure!(bed.core.schedules() == before, "{:?}", bed.core.schedules());
    Ok(())
}

pub(super) async fn a_second_core_in_the_same_place_shares_nothing(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    let first = bed.boot().await?;
    let second = bed.launch().await?;
    let answer = second.initialize(bed.core.request(&[]), Duration::from_secs(30)).await?;
    ensure!(answer.schedules.len() == 1, "{answer:?}");
    let health = second.health().await?;
    ensure!(health.healthy && health.message.contains("in use by another process"), "{health:?}");
    ensure!(!first.health().await?.message.contains("in use"));
    Ok(())
}

pub(super) async fn with_python_broken_the_declarations_stand(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    let mut plugin = bed.boot().await?;
    plugin.interrupt().await?;
    tokio::time::sleep(Duration::from_millis(3)).await;
    attest(&bed, "tick", "@schedule(every=30)\ndef f(): pass");
    attest(&bed, "fresh", "@schedule(every=5)\ndef f(): pass");
    let nowhere = bed.directory().join("nowhere").to_string_lossy().into_owned();
    let env = vec![("QNTX_PYTHON_HOME".to_owned(), nowhere)];
    let plugin = bed.launch_with(Launch { env, ..Launch::default() }).await?;
    let started = Instant::now();
    bed.initialize(&plugin, &[]).await?;
    ensure!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let live = bed.core.schedules();
    ensure!(live.get("python/tick").is_some_and(|(every, _)| *every == 60), "{live:?}");
    let health = plugin.health().await?;
    ensure!(health.healthy, "restarted again and again for it: {}", health.message);
    ensure!(health.message.contains("`fresh` could not be read"), "{}", health.message);
    let answer = plugin.job(job("tick", "")).await?;
    ensure!(!answer.success && answer.error.contains("Python can't run"), "{answer:?}");
    let faulted = AttestationFilter {
        predicates: vec!["handler:faulted".to_owned()],
        ..AttestationFilter::default()
    };
    ensure!(bed.core.services.store.query(&faulted).is_empty(), "the code is not at fault");
    Ok(())
}
