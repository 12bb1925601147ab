//! Handlers: found in the store, declared, fired, reloaded (CONTRACT 5.6, 7.3).
//!
//! **Invariant:** whatever a scenario puts into the store, the core's answer to
//! `Initialize` is one it survives: [`crate::core::Core::accept`] looks.

use super::until;
use crate::bed::Bed;
use crate::core::lock;
use crate::fault::Fault;
use crate::plugin::Plugin;
use crate::services::Port;
use crate::wire::*;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A handler as scripts and the frontend attest it.
pub(super) fn attest(bed: &Bed, name: &str, code: &str) -> Attestation {
    bed.core.services.store.create(AttestationCommand {
        subjects: vec![name.to_owned()],
        predicates: vec!["handler".to_owned()],
        contexts: vec!["python".to_owned()],
        attributes: Some(Struct::from_json(&json!({ "code": code }))),
        ..AttestationCommand::default()
    })
}

pub(super) fn job(handler: &str, payload: &str) -> ExecuteJobRequest {
    ExecuteJobRequest {
        job_id: "JB-1".to_owned(),
        handler_name: handler.to_owned(),
        payload: payload.as_bytes().to_vec(),
        timeout_secs: Some(300),
    }
}

/// A job that has to succeed; what it printed.
pub(super) async fn printed(plugin: &Plugin, request: ExecuteJobRequest) -> anyhow::Result<String> {
    let answer = plugin.job(request).await?;
    ensure!(answer.success, "{}", answer.error);
    let lines = answer.log_entries.iter().filter(|entry| entry.stage == "stdout");
    Ok(lines.map(|entry| entry.message.as_str()).collect::<Vec<_>>().join("\n"))
}

pub(super) async fn handlers(plugin: &Plugin) -> anyhow::Result<Value> {
    let answer = plugin.http("GET", "/handlers", "").await?;
    ensure!(answer.status_code == 200, "{}", answer.status_code);
    Ok(serde_json::from_slice(&answer.body)?)
}

async fn handler(plugin: &Plugin, name: &str) -> anyhow::Result<Value> {
    let all = handlers(plugin).await?;
    let one = all["handlers"].as_array().and_then(|all| all.iter().find(|h| h["name"] == name));
    one.cloned().with_context(|| format!("no {name} in {all}"))
}

fn names(answer: &InitializeResponse) -> BTreeSet<&str> {
    answer.handler_names.iter().map(String::as_str).collect()
}

fn schedules(answer: &InitializeResponse) -> Vec<(&str, i32)> {
    answer.schedules.iter().map(|s| (s.handler_name.as_str(), s.interval_seconds)).collect()
}

const GREET: &str = "
attest('greet', 'module:ran')

@watch('order:placed', context='shop')
def on_order(order):
    print('order', order['subjects'], upstream is order)

@watch('order:paid')
def on_payment():
    print('payment', upstream['subjects'])

@schedule(every=300)
def poll():
    'Looks for new mail.'
    print('tick', upstream)

@handler
def run(given):
    print('run', given)
";

pub(super) async fn each_function_runs_on_its_own_trigger(bed: Bed) -> anyhow::Result<()> {
    let row = attest(&bed, "greet", GREET);
    let plugin = bed.launch().await?;
    let answer = bed.initialize(&plugin, &[]).await?;
    ensure!(names(&answer).is_superset(&["greet", "greet.on_payment"].into()), "{answer:?}");
    ensure!(schedules(&answer) == [("greet", 300)], "{answer:?}");
    ensure!(answer.schedules[0].description == "Looks for new mail.", "{answer:?}");
    let watchers: Vec<_> =
        answer.watchers.iter().map(|w| (w.id.as_str(), &w.handler_name)).collect();
    ensure!(watchers.contains(&("greet-on_order", &"greet".to_owned())), "{watchers:?}");
    ensure!(watchers.contains(&("greet-on_payment", &"greet.on_payment".to_owned())));
    ensure!(answer.watchers.iter().all(|w| w.max_fires_per_second == 1));

    let ran = AttestationFilter {
        predicates: vec!["module:ran".to_owned()],
        ..AttestationFilter::default()
    };
    ensure!(bed.core.services.store.query(&ran).is_empty(), "it was run to be read");
    let shown = handler(&plugin, "greet").await?;
    ensure!(shown["read"] == "tree" && shown["attestation"] == row.id.as_str(), "{shown}");

    let watched = bed.core.run_watchers(&plugin, Duration::from_secs(1));
    let attested = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        for (subject, predicate) in [("o1", "order:placed"), ("o2", "ORDER:PAID")] {
            bed.core.services.store.create(AttestationCommand {
                subjects: vec![subject.to_owned()],
                predicates: vec![predicate.to_owned()],
                contexts: vec!["shop".to_owned()],
                ..AttestationCommand::default()
            });
        }
    };
    tokio::join!(watched, attested).0?;
    let fires = lock(&bed.core.fires).clone();
    ensure!(fires.len() == 2 && fires.iter().all(|fire| fire.error.is_empty()), "{fires:?}");
    let shown = handler(&plugin, "greet").await?;
    let functions: Vec<_> = shown["runs"].as_array().context("runs")?.iter().collect();
    ensure!(functions[0]["function"] == "on_payment", "{shown}");
    ensure!(functions[1]["function"] == "on_order", "{shown}");

    for (name, payload, words) in [
        ("greet", "", "tick None"),
        ("python.greet", "", "tick None"),
        ("python/greet", "", "tick None"),
        ("greet", r#"{"a":1}"#, "run {'a': 1}"),
        ("greet.on_payment", r#"{"subjects":["x"]}"#, "payment ['x']"),
    ] {
        let said = printed(&plugin, job(name, payload)).await?;
        ensure!(said == words, "{name} {payload}: {said}");
    }
    let mut watcher = job("greet", r#"{"subjects":null,"id":"AS-1"}"#);
    watcher.job_id = "watcher-123".to_owned();
    watcher.timeout_secs = None;
    ensure!(printed(&plugin, watcher).await? == "order None True");
    Ok(())
}

pub(super) async fn of_two_handlers_of_one_name_the_newest_runs(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "twice", "print('old')");
    tokio::time::sleep(Duration::from_millis(3)).await;
    attest(&bed, "twice", "print('new')");
    // the core's own command line gives no time at all: Go's year 1
    let zero = -62_135_596_800_000;
    let code = |text: &str| Some(Struct::from_json(&json!({ "code": text })));
    let cli = |id: &str, subject: &str, text: &str| Attestation {
        id: id.to_owned(),
        subjects: vec![subject.to_owned()],
        predicates: vec!["handler".to_owned()],
        contexts: vec!["python".to_owned()],
        timestamp: zero,
        created_at: zero,
        attributes: code(text),
        ..Attestation::default()
    };
    bed.core.services.store.put(cli("AS-1", "twice", "print('cli')"));
    bed.core.services.store.put(cli("AS-2", "cli", "print('first')"));
    bed.core.services.store.put(cli("AS-3", "cli", "print('second')"));
    let plugin = bed.boot().await?;
    ensure!(printed(&plugin, job("twice", "")).await? == "new");
    ensure!(printed(&plugin, job("cli", "")).await? == "second");
    Ok(())
}

pub(super) async fn a_broken_handler_is_told_and_touches_no_other(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "good", "@schedule(every=60)\ndef tick(): print('good')");
    attest(&bed, "syntax", "def f(:\n");
    attest(&bed, "fraction", "@schedule(every=0.5)\ndef tick(): pass");
    attest(&bed, "zero", "@schedule(0)\ndef tick(): pass");
    attest(&bed, "endless", "P = 'x'\nwhile True: pass\n@watch(P)\ndef f(): pass");
    attest(&bed, "calls", "P = last('x')\n@watch(P)\ndef f(): pass");
    attest(&bed, "computed", "P = 'a:' + 'b'\n@watch(P)\ndef f(): print('computed')");
    attest(&bed, "script", "print('a name of our own')");
    let plugin = bed.launch().await?;
    let answer = bed.initialize(&plugin, &[]).await?;
    ensure!(schedules(&answer) == [("good", 60)], "{answer:?}");
    let watched = answer.watchers.iter().any(|w| w.predicates == ["a:b"]);
    ensure!(watched, "{answer:?}");
    ensure!(handler(&plugin, "computed").await?["read"] == "run");
    ensure!(printed(&plugin, job("good", "")).await? == "good");
    let store = &bed.core.services.store;
    let faulted = AttestationFilter {
        predicates: vec!["handler:faulted".to_owned()],
        contexts: vec!["python".to_owned()],
        ..AttestationFilter::default()
    };
    until("the faults are attested", Duration::from_secs(5), async || {
        Ok(store.query(&faulted).len() == 5)
    })
    .await?;
    for (name, words) in [
        ("syntax", "SyntaxError"),
        ("fraction", "every=0.5"),
        ("zero", "more than 0 seconds"),
        ("endless", "timed out"),
        ("calls", "only being read for its declarations"),
        ("script", "name is taken"),
    ] {
        let shown = handler(&plugin, name).await?;
        let fault = shown["fault"].as_str().unwrap_or_default();
        ensure!(fault.contains(words), "{name}: {shown}");
        if name != "script" {
            let answer = plugin.job(job(name, "")).await?;
            ensure!(!answer.success && answer.error.contains(words), "{name}: {answer:?}");
            let filter = AttestationFilter { subjects: vec![name.to_owned()], ..faulted.clone() };
            let rows = store.query(&filter);
            let attributes = rows[0].attributes.as_ref().context("attributes")?.to_json();
            ensure!(attributes["reason"].as_str().unwrap_or_default().contains(words));
            ensure!(attributes["handler"] == name && attributes["plugin"] == "python");
        }
    }
    // told once, not at every start
    bed.initialize(&plugin, &[]).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure!(store.query(&faulted).len() == 5, "attested again");
    // new code clears it
    attest(&bed, "syntax", "print('mended')");
    bed.initialize(&plugin, &[]).await?;
    ensure!(printed(&plugin, job("syntax", "")).await? == "mended");
    Ok(())
}

pub(super) async fn with_the_store_stopped_the_last_declarations_stand(
    mut bed: Bed,
) -> anyhow::Result<()> {
    // attesting when it runs, it could not run then
    attest(&bed, "greet", &GREET.replace("attest('greet', 'module:ran')", ""));
    let mut plugin = bed.boot().await?;
    bed.runs(&plugin, "create_schedule('greet.on_payment', 7)").await?;
    let before = bed.core.schedules();
    ensure!(before.len() == 2, "{before:?}");
    for row in lock(&bed.core.services.schedules).values_mut() {
        "paused".clone_into(&mut row.state);
    }
    plugin.interrupt().await?;
    let address = bed.core.ports[0].address.clone();
    bed.core.ports[0].close().await;

    let plugin = bed.launch().await?;
    let started = Instant::now();
    let answer = bed.initialize(&plugin, &[]).await?;
    ensure!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    ensure!(names(&answer).contains("greet.on_payment"), "{answer:?}");
    let after = bed.core.schedules();
    ensure!(after.len() == 2 && after.values().all(|(_, state)| state == "paused"), "{after:?}");
    let health = plugin.health().await?;
    ensure!(health.healthy && health.message.contains("last known"), "{}", health.message);
    // and they run
    ensure!(printed(&plugin, job("greet", "")).await? == "tick None");

    bed.core.ports[0] = Port::open(&bed.core.services, &address).await?;
    until("it finds out", Duration::from_secs(10), async || {
        Ok(!plugin.health().await?.message.contains("last known"))
    })
    .await
}

pub(super) async fn a_store_slow_by_fifteen_seconds_loses_no_schedule(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    let plugin = bed.boot().await?;
    bed.core.services.faults.set(Fault::Slow(Duration::from_secs(15)));
    let started = Instant::now();
    let limit = Duration::from_secs(10);
    // the settings page waits 10 s
    let answer = plugin.initialize(bed.core.request(&[("timeout_secs", "9")]), limit).await?;
    ensure!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    ensure!(schedules(&answer) == [("tick", 60)], "{answer:?}");
    Ok(())
}

pub(super) async fn new_handlers_run_at_once_and_the_rest_is_said_to_wait(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): print('one')");
    attest(&bed, "gone", "@schedule(every=90)\ndef f(): pass");
    let plugin = bed.boot().await?;
    // the user pauses the one that is about to go
    tokio::time::sleep(Duration::from_millis(3)).await;
    attest(&bed, "tick", "@schedule(every=30)\ndef f(): print('two')\n@watch('w')\ndef g(): pass");
    attest(&bed, "gone", "print('plain')");
    attest(&bed, "fresh", "@schedule(every=5)\ndef f(): print('fresh')");
    for name in ["__reload", "python.__reload", "python/__reload"] {
        let answer = plugin.job(job(name, "{}")).await?;
        ensure!(answer.success, "{name}: {}", answer.error);
        let result: Value = serde_json::from_slice(&answer.result)?;
        ensure!(result["reloaded"] == 3, "{name}: {result}");
    }
    ensure!(printed(&plugin, job("tick", "")).await? == "two");
    ensure!(printed(&plugin, job("fresh", "")).await? == "fresh");
    let live = bed.core.schedules();
    ensure!(live.get("python/tick").is_some_and(|(every, _)| *every == 30), "{live:?}");
    ensure!(!live.contains_key("python/gone"), "{live:?}");
    // a job of a name the core has not heard of would be queued for ever
    ensure!(!live.contains_key("python/fresh"), "{live:?}");
    let shown = handlers(&plugin).await?;
    let waiting = shown["waiting_for_restart"].to_string();
    for words in ["`fresh`", "tick-g"] {
        ensure!(waiting.contains(words), "{waiting}");
    }
    let health = plugin.health().await?;
    ensure!(health.healthy && health.message.contains("waits for a restart"), "{}", health.message);
    ensure!(plugin.log().iter().any(|line| line.contains("waits for a restart")));
    // which brings it
    let plugin = bed.restart(plugin).await?;
    let live = bed.core.schedules();
    ensure!(live.len() == 2 && live["python/fresh"].0 == 5, "{live:?}");
    ensure!(bed.core.tick(&plugin).await?.iter().all(|(_, answer)| answer.success));
    let shown = handlers(&plugin).await?;
    ensure!(shown["waiting_for_restart"] == json!([]), "{shown}");
    Ok(())
}

pub(super) async fn a_paused_schedule_stays_paused_through_a_reload(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    attest(&bed, "work", "@handler\ndef f(): pass");
    let plugin = bed.boot().await?;
    bed.runs(&plugin, "create_schedule('work', 5)").await?;
    for row in lock(&bed.core.services.schedules).values_mut() {
        "paused".clone_into(&mut row.state);
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
    attest(&bed, "tick", "@schedule(every=30)\ndef f(): pass");
    for _ in 0..2 {
        let answer = plugin.job(job("__reload", "{}")).await?;
        ensure!(answer.success, "{}", answer.error);
        let rows = lock(&bed.core.services.schedules).clone();
        ensure!(rows.values().all(|row| row.state != "active"), "{rows:?}");
    }
    bed.restart(plugin).await?;
    let live = bed.core.schedules();
    ensure!(live["python/tick"] == (30, "paused".to_owned()), "{live:?}");
    ensure!(live["python/work"] == (5, "paused".to_owned()), "{live:?}");
    Ok(())
}

pub(super) async fn schedules_made_by_scripts_survive_a_restart(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "work", "@handler\ndef f(given): print('work', given)");
    let mut plugin = bed.boot().await?;
    let code = "import qntx\n\
                a = create_schedule('work', 5, payload={'n': 1})\n\
                assert create_schedule('python.work', 9) == a\n\
                b = create_schedule('other/thing', 60)\n\
                c = create_schedule('python.script', 30, {'content': ''})\n\
                delete_schedule(c)\n\
                print([(s['handler'], s['every'], s['state']) for s in qntx.list_schedules()])";
    let said = bed.runs(&plugin, code).await?;
    ensure!(said.trim() == "[('python/work', 5, 'active')]", "{said}");
    plugin.interrupt().await?;
    let plugin = bed.boot().await?;
    let live = bed.core.schedules();
    ensure!(live.get("python/work").is_some_and(|(every, _)| *every == 5), "{live:?}");
    ensure!(live.contains_key("other/thing"), "another plugin's is not ours to lose: {live:?}");
    let said = bed.runs(&plugin, "import qntx\nprint(len(qntx.list_schedules()))").await?;
    ensure!(said.trim() == "1", "{said}");
    let ticks = bed.core.tick(&plugin).await?;
    let lines: Vec<_> = ticks.iter().flat_map(|(_, answer)| &answer.log_entries).collect();
    ensure!(lines.iter().any(|line| line.message == "work {'n': 1}"), "{ticks:?}");
    // what a user deletes in the core stays deleted
    for row in lock(&bed.core.services.schedules).values_mut() {
        if row.handler_name == "python/work" {
            "deleted".clone_into(&mut row.state);
        }
    }
    let answer = bed.initialize(&plugin, &[]).await?;
    ensure!(answer.schedules.is_empty(), "{answer:?}");
    Ok(())
}

pub(super) async fn a_job_for_a_handler_the_core_does_not_know_is_refused(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "work", "@handler\ndef f(): pass");
    let plugin = bed.boot().await?;
    let ask = |name: &str| {
        format!(
            "import qntx\nfor call in (lambda: create_schedule('{name}', 5), lambda: enqueue('{name}')):\n    \
             try: call()\n    except qntx.Refused as e: print(e.call, e.retryable, e.reason)\n    \
             else: print('taken')"
        )
    };
    let said = bed.runs(&plugin, &ask("wrok")).await?;
    for call in ["create_schedule", "enqueue"] {
        let words = format!("{call} False this plugin has no handler `wrok`");
        ensure!(said.contains(&words) && said.contains("there are python.script, work"), "{said}");
    }
    // found by a reload, but the core takes names at a start only
    attest(&bed, "fresh", "@handler\ndef f(): pass");
    ensure!(plugin.job(job("__reload", "{}")).await?.success);
    let said = bed.runs(&plugin, &ask("fresh")).await?;
    ensure!(said.matches("begins with the next restart").count() == 2, "{said}");
    ensure!(lock(&bed.core.services.jobs).is_empty() && bed.core.schedules().is_empty());
    let plugin = bed.restart(plugin).await?;
    for name in ["fresh", "python.fresh", "python/work", "other/anything", "python.script"] {
        let said = bed.runs(&plugin, &ask(name)).await?;
        ensure!(said == "taken\ntaken\n", "{name}: {said}");
    }
    Ok(())
}

pub(super) async fn no_name_is_declared_twice_whatever_the_store_holds(
    bed: Bed,
) -> anyhow::Result<()> {
    let two = "@watch('a')\ndef f(): pass\n@watch('b')\ndef g(): pass\n\
               @schedule(60)\ndef s(): pass\n@schedule(90)\ndef t(): pass";
    let names = [
        "h",
        "H",
        "h.g",
        "h.t",
        "h.g.g",
        "h-f",
        "script",
        "python.script",
        "__reload",
        "python.h",
        "python/h",
        " h",
        "h ",
        "h\n",
        "é",
        "𝕙",
        "a/b",
        "",
        "_",
        &"x".repeat(3000),
    ];
    for name in names {
        attest(&bed, name, two);
        attest(&bed, name, two);
    }
    let plugin = bed.launch().await?;
    // the core of this bed dies of a name twice, a watcher without a filter, …
    let answer = bed.initialize(&plugin, &[]).await?;
    ensure!(answer.handler_names.len() > names.len(), "{answer:?}");
    let ids: BTreeSet<_> = answer.watchers.iter().map(|watcher| &watcher.id).collect();
    ensure!(ids.len() == answer.watchers.len(), "an id twice: {ids:?}");
    let jobs: BTreeSet<_> = answer.schedules.iter().map(|one| &one.handler_name).collect();
    ensure!(jobs.len() == answer.schedules.len(), "a handler with two schedules: {jobs:?}");
    // the order of the core's calls, and what it asks, do not change the set
    ensure!(bed.restart(plugin).await?.health().await?.healthy);
    Ok(())
}

pub(super) async fn a_tick_never_runs_a_watch_function(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "only", "@watch('order:placed')\ndef f(order): print('ran', order)");
    let plugin = bed.boot().await?;
    let answer = plugin.job(job("only", "")).await?;
    ensure!(!answer.success && answer.error.contains("all @watch"), "{answer:?}");
    ensure!(printed(&plugin, job("only", r#"{"id":"AS-1"}"#)).await? == "ran {'id': 'AS-1'}");
    Ok(())
}

pub(super) async fn a_days_ticks_drift_nowhere(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "tick", "@schedule(every=60)\ndef f(): pass");
    attest(&bed, "hour", "@schedule(every=3600)\ndef f(): pass");
    let plugin = bed.launch().await?;
    let declared = bed.initialize(&plugin, &[]).await?;
    let before = bed.core.schedules();
    let running = lock(&bed.core.services.schedules).clone();
    let mut ran = BTreeMap::new();
    for quarter in 0..4 {
        for (handler, times) in bed.core.pass(&plugin, 6 * 3600).await? {
            *ran.entry(handler).or_insert(0) += times;
        }
        let again = bed.reconfigure(&plugin, &[]).await?;
        ensure!(again == declared, "quarter {quarter}: {again:?}");
        let health = plugin.health().await?;
        ensure!(health.healthy && !health.message.contains("waits"), "{}", health.message);
    }
    // a tick a minute for a day
    let wanted = [("python/hour".to_owned(), 24), ("python/tick".to_owned(), 1440)];
    ensure!(ran == wanted.into(), "{ran:?}");
    ensure!(bed.core.schedules() == before);
    ensure!(*lock(&bed.core.services.schedules) == running, "rows were touched");
    let shown = handler(&plugin, "tick").await?;
    ensure!(shown["runs"].as_array().is_some_and(|runs| runs.len() == 10), "{shown}");
    Ok(())
}

pub(super) async fn an_endless_handler_ends_at_the_jobs_time_limit(bed: Bed) -> anyhow::Result<()> {
    let code = "log('before', level='warn', stage='start', row=1)\nprogress(1, 3)\n\
                print('out', flush=True)\n@handler\ndef f():\n    while True: pass";
    attest(&bed, "endless", code);
    let plugin = bed.boot().await?;
    let started = Instant::now();
    let mut request = job("endless", "");
    request.timeout_secs = Some(1);
    let answer = plugin.job(request).await?;
    let took = started.elapsed();
    ensure!(took >= Duration::from_secs(1) && took < Duration::from_millis(1600), "{took:?}");
    ensure!(!answer.success && answer.error.contains("timed out"), "{answer:?}");
    let has = |level: &str, stage: &str, words: &str| {
        answer.log_entries.iter().any(|entry| {
            entry.level == level && entry.stage == stage && entry.message.contains(words)
        })
    };
    ensure!(has("warn", "start", "before"), "{:?}", answer.log_entries);
    ensure!(has("info", "progress", "") && has("info", "stdout", "out"));
    ensure!((answer.progress_current, answer.progress_total) == (1, 3), "{answer:?}");
    let shown = handler(&plugin, "endless").await?;
    ensure!(shown["last_error"]["error"].to_string().contains("timed out"), "{shown}");
    Ok(())
}

pub(super) async fn initialize_again_and_again_under_load_declares_the_same(
    bed: Bed,
) -> anyhow::Result<()> {
    attest(&bed, "greet", GREET);
    let plugin = bed.launch().await?;
    let first = bed.initialize(&plugin, &[]).await?;
    let load = async {
        let runs = (0..40).map(|n| {
            let plugin = &plugin;
            async move { printed(plugin, job("greet", &n.to_string())).await }
        });
        futures_util::future::join_all(runs).await
    };
    let again = async {
        for round in 0..8 {
            let config: &[(&str, &str)] =
                if round % 2 == 0 { &[("timeout_secs", "20.000000")] } else { &[] };
            let answer = bed.initialize(&plugin, config).await?;
            ensure!(answer == first, "round {round}: {answer:?}");
        }
        anyhow::Ok(())
    };
    let (ran, again) = tokio::join!(load, again);
    again?;
    for (n, said) in ran.into_iter().enumerate() {
        ensure!(said? == format!("run {n}"));
    }
    Ok(())
}

pub(super) async fn a_cancelled_job_stops_its_handler(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "endless", "@handler\ndef f():\n    while True: pass");
    let plugin = bed.boot().await?;
    let running = async || -> anyhow::Result<u64> {
        let answer = plugin.http("GET", "/health", "").await?;
        let health: Value = serde_json::from_slice(&answer.body)?;
        health["running"].as_u64().with_context(|| format!("no running in {health}"))
    };
    // the core stops: Pulse's call is cancelled
    let gone = tokio::time::timeout(Duration::from_millis(500), plugin.job(job("endless", "")));
    let (gone, meanwhile) = tokio::join!(gone, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        running().await
    });
    ensure!(gone.is_err(), "an endless loop answered");
    ensure!(meanwhile? == 1, "it never ran");
    until("the handler stops", Duration::from_secs(2), async || Ok(running().await? == 0)).await
}
