//! Host calls against the core's services, healthy and ill (CONTRACT 5 and 6).
//!
//! **Invariant:** every failure is a typed Python exception that names its call.

use crate::bed::Bed;
use crate::core::lock;
use crate::fault::Fault;
use crate::plugin::Plugin;
use crate::services::Port;
use crate::wire::*;
use anyhow::{Context as _, ensure};
use std::time::{Duration, Instant};

pub(super) async fn attest_reaches_the_core_with_its_identity(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = "made = attest('alice', 'knows', ['work'], attributes={'n': 42, 'deep': [1, {'k': None}]})\n\
                assert 'attributes' not in made, made\n\
                seen = last(subjects='ALICE')\n\
                assert seen['id'] == made['id'] and seen['attributes']['n'] == 42, seen\n\
                assert last(subjects='nobody') is None\n\
                print(made['id'], made['actors'] == [made['id']])";
    let printed = bed.runs(&plugin, code).await?;
    let row = bed.core.services.store.query(&AttestationFilter::default());
    let [row] = row.as_slice() else { anyhow::bail!("{} rows", row.len()) };
    ensure!(printed == format!("{} True\n", row.id), "{printed}");
    ensure!(row.source == "python", "source {}", row.source);
    let attributes = row.attributes.as_ref().context("no attributes")?.to_json();
    ensure!(attributes["source_version"] == plugin.metadata.version.as_str(), "{attributes}");
    ensure!(attributes["deep"] == serde_json::json!([1, {"k": null}]), "{attributes}");
    Ok(())
}

pub(super) async fn eight_scripts_attest_at_once(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let one = |n: usize| {
        let code = format!("for i in range(50): attest('s{n}', 'p', 'c')");
        let (bed, plugin) = (&bed, &plugin);
        async move { bed.runs(plugin, &code).await }
    };
    for done in futures_util::future::join_all((0..8).map(one)).await {
        done?;
    }
    let store = &bed.core.services.store;
    for n in 0..8 {
        let filter =
            AttestationFilter { subjects: vec![format!("s{n}")], ..AttestationFilter::default() };
        let count = store.query(&filter).len();
        ensure!(count == 50, "{count} of s{n}");
    }
    Ok(())
}

pub(super) async fn a_thousand_attestations_go_over_in_one_request(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    lock(&bed.core.services.seen).clear();
    let code =
        "print(attest_many([{'subjects': f's{i}', 'predicates': 'p'} for i in range(1000)]))";
    let printed = bed.runs(&plugin, code).await?;
    ensure!(printed == "1000\n", "{printed}");
    let seen = lock(&bed.core.services.seen).clone();
    ensure!(seen.len() == 1, "{seen:?}");
    Ok(())
}

pub(super) async fn query_reads_more_than_one_page(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = "attest_many([{'subjects': 's', 'predicates': 'p', 'attributes': {'t': 'x' * 20000}} for i in range(200)])\n\
                attest_many([{'subjects': 's', 'predicates': 'p', 'attributes': {'t': 'x' * 20000}} for i in range(200)])\n\
                rows = list(query(subjects='s'))\n\
                print(len(rows), len({r['id'] for r in rows}), len(list(query(limit=7))))";
    let printed = bed.runs(&plugin, code).await?;
    ensure!(printed == "400 400 7\n", "{printed}");
    Ok(())
}

pub(super) async fn the_reload_watcher_fires_on_new_handlers(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let watched = bed.core.run_watchers(&plugin, Duration::from_secs(1));
    let attested = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let store = &bed.core.services.store;
        let code = serde_json::json!({"code": "print('hello')"});
        store.create(AttestationCommand {
            subjects: vec!["greet".to_owned()],
            predicates: vec!["handler".to_owned()],
            contexts: vec!["python".to_owned()],
            attributes: Some(Struct::from_json(&code)),
            ..AttestationCommand::default()
        })
    };
    let (watched, row) = tokio::join!(watched, attested);
    watched?;
    let fires = lock(&bed.core.fires).clone();
    let [fire] = fires.as_slice() else { anyhow::bail!("{fires:?}") };
    ensure!(fire.attestation == row.id, "{fire:?}");
    ensure!(fire.error.is_empty() && fire.attempts == 1, "{fire:?}");
    Ok(())
}

/// Runs `call` and returns what it raised: class, call, reason.
async fn raised(bed: &Bed, plugin: &Plugin, call: &str) -> anyhow::Result<String> {
    let code = format!(
        "import qntx\ntry:\n    {call}\nexcept qntx.Error as e:\n    \
         print(type(e).__name__, e.call, e.reason, sep='|')\nelse:\n    print('nothing')"
    );
    let ran = bed.run(plugin, &format!("import sys\n{code}")).await?;
    ensure!(ran.success, "{}", ran.error);
    Ok(ran.output.trim().to_owned())
}

pub(super) async fn a_store_that_refuses_raises_its_reason(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    bed.core.services.faults.set(Fault::Refuse("disk is on fire".to_owned()));
    for (call, name) in
        [("attest('a', 'p')", "attest"), ("last()", "last"), ("list(query())", "query")]
    {
        let words = raised(&bed, &plugin, call).await?;
        ensure!(words == format!("Refused|{name}|disk is on fire"), "{words}");
    }
    Ok(())
}

pub(super) async fn a_store_that_talks_nonsense_raises(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    bed.core.services.faults.set(Fault::Garbage);
    for call in ["attest('a', 'p')", "last()"] {
        let words = raised(&bed, &plugin, call).await?;
        ensure!(words.starts_with("StoreUnavailable|"), "{words}");
    }
    bed.core.services.faults.set(Fault::None);
    bed.runs(&plugin, "attest('a', 'p')").await?;
    Ok(())
}

pub(super) async fn a_slow_store_never_outlives_the_deadline(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    bed.core.services.faults.set(Fault::Slow(Duration::from_secs(15)));
    let started = Instant::now();
    let body = r#"{"content":"print('before', flush=True)\nattest('a', 'p')","timeout_secs":1}"#;
    let answer = plugin.http("POST", "/execute", body).await?;
    let took = started.elapsed();
    ensure!(took >= Duration::from_millis(900) && took < Duration::from_millis(1500), "{took:?}");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status_code == 400 && text.contains("before"), "{text}");
    Ok(())
}

pub(super) async fn a_store_that_goes_away_and_comes_back_is_used_again(
    mut bed: Bed,
) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    bed.runs(&plugin, "attest('a', 'p')").await?;
    let address = bed.core.ports[0].address.clone();
    bed.core.ports[0].close().await;
    let started = Instant::now();
    let words = raised(&bed, &plugin, "attest('a', 'p')").await?;
    ensure!(words.starts_with("StoreUnavailable|attest|"), "{words}");
    ensure!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    bed.core.ports[0] = Port::open(&bed.core.services, &address).await?;
    bed.runs(&plugin, "attest('a', 'p')").await?;
    Ok(())
}

pub(super) async fn nothing_a_script_sends_kills_the_core(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    for call in [
        "attest([], [])",
        "attest('', '')",
        "attest_many([])",
        "last([], [], [], [])",
        "list(query(limit=0))",
        "qntx.exists('')",
        "qntx.enqueue('h')",
        "qntx.enqueue('')",
        "qntx.create_schedule('h', 5)",
        "qntx.create_schedule('h', 0)",
        "pause_schedule('')",
        "fetch('')",
        "attest('x' * (5 << 20), 'p')",
        "attest('a', 'p', attributes={'n': 2 ** 70})",
        "attest('a', 'p', attributes={'n': float('nan')})",
    ] {
        let code = format!(
            "import qntx\ntry:\n    {call}\nexcept (qntx.Error, TypeError, ValueError) as e:\n    print(e)"
        );
        bed.runs(&plugin, &code).await.with_context(|| call.to_owned())?;
    }
    let deaths = lock(&bed.core.services.deaths).clone();
    ensure!(deaths.is_empty(), "{deaths:?}");
    ensure!(
        bed.core.schedules().values().all(|(every, _)| *every > 0),
        "{:?}",
        bed.core.schedules()
    );
    ensure!(plugin.health().await?.healthy);
    Ok(())
}
