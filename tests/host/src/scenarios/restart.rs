//! The core's restarts: health-driven, by hand, after a cancelled `Initialize`
//! (CONTRACT 2.6, 2.8, 4.2).
//!
//! **Invariant:** the process is killed first and asked nothing.

use super::handlers::{attest, handlers, job};
use super::until;
use crate::bed::Bed;
use crate::core::{Core, lock};
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
            plugin = bed.restart(plugin).await?;
            (strikes, restarts) = (0, restarts + 1);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((plugin, restarts))
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
        plugin = bed.restart(plugin).await?;
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
    let plugin = bed.restart(bed.boot().await?).await?;
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

pub(super) async fn a_settings_change_brings_watchers_and_the_rest_waits(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    let plugin = bed.boot().await?;
    tokio::time::sleep(Duration::from_millis(3)).await;
    attest(&bed, "tick", "@schedule(every=30)\ndef f(): pass\n@watch('w')\ndef g(): print('g')");
    attest(&bed, "fresh", "@schedule(every=5)\ndef f(): pass");
    ensure!(plugin.job(job("__reload", "{}")).await?.success);
    let waiting = async || -> anyhow::Result<String> {
        Ok(handlers(&plugin).await?["waiting_for_restart"].to_string())
    };
    ensure!(waiting().await?.contains("tick-g"), "{}", waiting().await?);
    // the page is saved: the core takes the watchers of the answer, and only them
    let answer = bed.reconfigure(&plugin, &[("timeout_secs", "20")]).await?;
    ensure!(answer.handler_names.contains(&"fresh".to_owned()), "not the complete set");
    ensure!(lock(&bed.core.watchers).contains_key("python-tick-g"));
    let left = waiting().await?;
    ensure!(!left.contains("tick-g"), "{left}");
    ensure!(
        left.contains("`fresh` can be called") && left.contains("schedule of `fresh`"),
        "{left}"
    );
    let live = bed.core.schedules();
    ensure!(!live.contains_key("python/fresh") && live["python/tick"].0 == 30, "{live:?}");
    let health = plugin.health().await?;
    ensure!(health.healthy && health.message.contains("waits for a restart"), "{}", health.message);
    let plugin = bed.restart(plugin).await?;
    ensure!(bed.core.schedules().contains_key("python/fresh"));
    ensure!(handlers(&plugin).await?["waiting_for_restart"] == serde_json::json!([]));
    Ok(())
}

pub(super) async fn a_schedule_read_by_a_settings_change_comes_into_force(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    let plugin = bed.boot().await?;
    tokio::time::sleep(Duration::from_millis(3)).await;
    attest(&bed, "tick", "@schedule(every=30)\ndef f(): pass");
    // no reload came before it: the core reconciles no schedules here
    bed.reconfigure(&plugin, &[]).await?;
    ensure!(bed.core.schedules()["python/tick"].0 == 60);
    until("it is put into force through the service", Duration::from_secs(6), async || {
        Ok(bed.core.schedules().get("python/tick").is_some_and(|(every, _)| *every == 30))
    })
    .await
}

pub(super) async fn other_endpoints_are_used_from_then_on(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let other = Core::start("python").await?;
    let code = "import time\nattest('a', 'before')\ntime.sleep(1)\nattest('a', 'after')";
    let run = bed.runs(&plugin, code);
    let again = async {
        until("it has begun", Duration::from_secs(10), async || {
            Ok(lock(&bed.core.services.seen).iter().any(|path| path.ends_with("CreateAttestation")))
        })
        .await?;
        let limit = Duration::from_secs(10);
        let answer = plugin.initialize(other.request(&[]), limit).await?;
        other.accept(&answer)
    };
    let (ran, again) = tokio::join!(run, again);
    again?;
    ran?;
    let count = |core: &Core, predicate: &str| {
        let predicates = vec![predicate.to_owned()];
        let filter = AttestationFilter { predicates, ..AttestationFilter::default() };
        core.services.store.query(&filter).len()
    };
    ensure!((count(&bed.core, "before"), count(&other, "before")) == (1, 0));
    ensure!((count(&bed.core, "after"), count(&other, "after")) == (0, 1));
    ensure!(lock(&bed.core.services.deaths).is_empty());
    Ok(())
}
