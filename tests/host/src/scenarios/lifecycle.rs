//! Launch, `Health`, `Initialize`, and the ways to end (CONTRACT 2 and 4).
//!
//! **Invariant:** each limit is the core's own.

use super::until;
use crate::bed::Bed;
use crate::fault::Fault;
use crate::plugin::{Launch, free_port};
use anyhow::{Context as _, ensure};
use std::time::{Duration, Instant};
use tokio::io::AsyncBufReadExt as _;

pub(super) async fn it_announces_its_port_before_any_python(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.launch().await?;
    ensure!(plugin.port == plugin.asked, "asked for {}, got {}", plugin.asked, plugin.port);
    ensure!(plugin.announced < Duration::from_secs(2), "{:?}", plugin.announced);
    ensure!(plugin.ready < Duration::from_secs(5), "{:?}", plugin.ready);
    ensure!(plugin.metadata.name == "python");
    let version: Vec<&str> = plugin.metadata.version.split('.').collect();
    ensure!(version.len() == 3, "no semver: {}", plugin.metadata.version);
    ensure!(plugin.metadata.qntx_version.is_empty(), "a constraint fails against odd core tags");
    Ok(())
}

pub(super) async fn a_busy_port_is_passed_over(bed: Bed) -> anyhow::Result<()> {
    let port = free_port()?;
    let _held = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let plugin = bed.launch_with(Launch { port, ..Launch::default() }).await?;
    ensure!(plugin.port != port, "announced the port that is taken");
    Ok(())
}

pub(super) async fn unknown_arguments_do_not_stop_it(bed: Bed) -> anyhow::Result<()> {
    let args = ["--made-up", "value", "--log-level", "debug"].map(str::to_owned).to_vec();
    let plugin = bed.launch_with(Launch { args, ..Launch::default() }).await?;
    bed.initialize(&plugin, &[("args", r#"["--made-up"]"#), ("unheard_of", "1.500000")]).await?;
    Ok(())
}

pub(super) async fn health_follows_the_state_table(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.launch().await?;
    ensure!(!plugin.health().await?.healthy, "healthy before the first Initialize: limbo for ever");
    bed.initialize(&plugin, &[]).await?;
    let health = plugin.health().await?;
    ensure!(health.healthy, "unhealthy after Initialize: {}", health.message);
    plugin.shutdown().await?;
    if let Ok(health) = plugin.health().await {
        ensure!(!health.healthy, "healthy after Shutdown");
    }
    Ok(())
}

pub(super) async fn health_answers_while_fifty_executions_run(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let busy = "import time\nend = time.time() + 2\nwhile time.time() < end: pass";
    let runs = futures_util::future::join_all((0..50).map(|_| bed.run(&plugin, busy)));
    let polls = async {
        let mut worst = Duration::ZERO;
        for _ in 0..20 {
            let started = Instant::now();
            ensure!(plugin.health().await?.healthy, "unhealthy under load");
            worst = worst.max(started.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(worst)
    };
    let worst = tokio::select! {
        worst = polls => worst?,
        _ = runs => anyhow::bail!("fifty seconds of work done in one"),
    };
    // the budget is 100 ms; two noisy cores share it with fifty loops
    ensure!(worst < Duration::from_millis(500), "Health took {worst:?}");
    Ok(())
}

pub(super) async fn initialize_declares_a_set_the_core_survives(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.launch().await?;
    let first = bed.initialize(&plugin, &[]).await?;
    ensure!(!first.watchers.is_empty(), "no permanent watcher: stale ones would stay");
    let again = bed.initialize(&plugin, &[("timeout_secs", "60.000000")]).await?;
    ensure!(first == again, "another config declares other things: {first:?} {again:?}");
    let schema = plugin.config_schema().await?;
    ensure!(!schema.fields.is_empty(), "no settings");
    for (name, field) in schema.fields {
        let kind = field.r#type.as_str();
        ensure!(
            ["string", "number", "integer", "boolean"].contains(&kind),
            "{name} is of type {kind}, which the core refuses"
        );
    }
    Ok(())
}

pub(super) async fn initialize_succeeds_with_every_service_hanging(bed: Bed) -> anyhow::Result<()> {
    bed.core.services.faults.set(Fault::Hang);
    let plugin = bed.launch().await?;
    let started = Instant::now();
    bed.initialize(&plugin, &[]).await?;
    ensure!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    ensure!(plugin.health().await?.healthy, "a slow store must not end in a restart");
    Ok(())
}

pub(super) async fn initialize_again_leaves_running_executions_alone(
    bed: Bed,
) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = "import time\ntime.sleep(1)\nprint(attest('a', 'survived')['id'])";
    let run = bed.runs(&plugin, code);
    let again = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        bed.initialize(&plugin, &[("timeout_secs", "45"), ("max_workers", "2")]).await
    };
    let (printed, again) = tokio::join!(run, again);
    again?;
    let printed = printed?;
    ensure!(printed.starts_with("AS-A-SURVIVED"), "{printed}");
    Ok(())
}

pub(super) async fn a_cancelled_initialize_counts_as_failed(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.launch().await?;
    bed.core.services.faults.set(Fault::Hang);
    let request = bed.core.request(&[]);
    // a browser that navigates away while the store is waited for; a plugin
    // that waits for nothing has answered long before, and is healthy
    let cancelled = plugin.initialize(request, Duration::from_millis(500)).await.is_err();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let health = plugin.health().await?;
    ensure!(
        health.healthy != cancelled,
        "cancelled: {cancelled}, healthy: {} ({})",
        health.healthy,
        health.message
    );
    Ok(())
}

pub(super) async fn the_shutdown_rpc_alone_ends_it(bed: Bed) -> anyhow::Result<()> {
    let mut plugin = bed.boot().await?;
    let family = family(plugin.pid)?;
    ensure!(!family.is_empty(), "no zygote to be seen");
    plugin.shutdown().await?;
    let status = plugin.gone_within(Duration::from_secs(1)).await?;
    ensure!(status.success(), "{status}");
    all_gone(&family).await
}

pub(super) async fn an_interrupt_ends_it_within_three_seconds(bed: Bed) -> anyhow::Result<()> {
    let mut plugin = bed.boot().await?;
    let family = family(plugin.pid)?;
    plugin.interrupt().await?;
    all_gone(&family).await
}

pub(super) async fn the_death_of_the_core_ends_it(bed: Bed) -> anyhow::Result<()> {
    // a shell plays the core that dies: nothing is sent, nobody says goodbye
    let port = free_port()?;
    let mut shell = tokio::process::Command::new("/bin/sh")
        .args(["-c", "\"$0\" --port $1 2>/dev/null & echo pid $!; wait"])
        .arg(&bed.binary)
        .arg(port.to_string())
        .current_dir(bed.directory())
        .env("XDG_STATE_HOME", bed.directory())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // stdout stays open: only the change of parents tells
    let stdout = shell.stdout.take().context("no stdout")?;
    let mut lines = tokio::io::BufReader::new(stdout).lines();
    let pid: u32 = loop {
        let line = lines.next_line().await?.context("the shell says nothing")?;
        if let Some(pid) = line.strip_prefix("pid ") {
            break pid.parse()?;
        }
    };
    until("the zygote is up", Duration::from_secs(10), async || Ok(!family(pid)?.is_empty()))
        .await?;
    let mut all = family(pid)?;
    all.push(pid);
    shell.kill().await?;
    all_gone(&all).await
}

/// The descendants of `pid`.
fn family(pid: u32) -> anyhow::Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // it may have ended since
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let after = stat.rsplit(')').next().unwrap_or_default();
        let mut fields = after.split_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        if state != Some("Z")
            && let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok())
        {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.remove(0);
    Ok(found)
}

async fn all_gone(pids: &[u32]) -> anyhow::Result<()> {
    until("every process is gone", Duration::from_secs(3), async || {
        Ok(pids.iter().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
        }))
    })
    .await
}
