//! Files, models, search, ground; and what is large or many (CONTRACT 6).
//!
//! **Invariant:** what a script gets can be told from what it asked.

use super::handlers::attest;
use crate::bed::Bed;
use crate::core::lock;
use crate::fault::Fault;
use crate::plugin::{Plugin, free_port};
use crate::wire::*;
use anyhow::{Context as _, ensure};
use std::time::{Duration, Instant};

/// Two cores may have much else to do.
const SLOW: &[(&str, &str)] = &[("timeout_secs", "120")];

pub(super) async fn files_models_and_search_answer(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = "import qntx
assert qntx.read_file('hello.txt') == b'hello'
try:
    qntx.read_file('missing')
except qntx.Refused as e:
    assert 'not found' in e.reason, e
else:
    raise AssertionError('a missing file was read')
said = qntx.llm.chat('hi', system='be brief')
assert said['content'] == 'system: be brief; user: hi (priority 0)', said
assert said['total_tokens'] == 5
assert qntx.embed('audio') == [5.0, 4.0, 1.0]
assert qntx.embed(['a', 'bc']) == [[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]]
hits = qntx.search('words', index='docs')
assert hits['hits'][0]['document'] == {'title': 'words', 'index': 'docs'}, hits
assert hits['facet_distribution'] == {'kind': {'a': 1}}
assert [h['id'] for h in qntx.vector_search([1, 2], 'ix', top_k=5)] == ['ix-0', 'ix-1']
print('all')";
    let said = bed.runs(&plugin, code).await?;
    ensure!(said == "all\n", "{said}");
    Ok(())
}

pub(super) async fn ground_keeps_what_is_deferred(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let code = "import qntx
assert qntx.ground.read('note') is None
qntx.ground.write('s', 'deferred:note', 'project:x', actors='me', attributes={'text': 'later'})
print(qntx.ground.read('note'), qntx.ground.read('deferred:note', 'project:x'))";
    let said = bed.runs(&plugin, code).await?;
    ensure!(said == "later later\n", "{said}");
    let rows = lock(&bed.core.services.ground).clone();
    ensure!(rows.len() == 1 && rows[0].actors == ["me"] && rows[0].source == "python", "{rows:?}");
    Ok(())
}

pub(super) async fn an_answer_of_twenty_mebibytes_is_read(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot_with(SLOW).await?;
    let code = "for part in range(7):
    attest_many([{'subjects': 'big', 'predicates': 'p', 'attributes': {'t': 'x' * 1_000_000}}
                 for _ in range(3)])
size = sum(len(row['attributes']['t']) for row in query(subjects='big'))
print(size)";
    let started = Instant::now();
    let said = bed.runs(&plugin, code).await?;
    ensure!(said == "21000000\n", "{said}");
    // bounded by the run's own deadline
    ensure!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
    Ok(())
}

pub(super) async fn many_queries_left_in_the_middle_are_no_limit(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot_with(SLOW).await?;
    let code = "attest_many([{'subjects': 's', 'predicates': 'p'} for _ in range(600)])
kept = []
for _ in range(100):
    rows = query(subjects='s')
    next(rows)
    kept.append(rows)
print(len(list(kept[-1])))";
    let said = bed.runs(&plugin, code).await?;
    ensure!(said == "599\n", "{said}");
    Ok(())
}

/// Every call of module `qntx` that goes to the core.
const CALLS: &[(&str, &str)] = &[
    ("attest", "qntx.attest('s', 'p')"),
    ("attest_many", "qntx.attest_many([{'subjects': 's', 'predicates': 'p'}])"),
    ("last", "qntx.last('s')"),
    ("query", "list(qntx.query('s'))"),
    ("exists", "qntx.exists(MADE)"),
    ("fetch", "qntx.fetch('http://example.org')"),
    ("create_schedule", "qntx.create_schedule('other/h', 5)"),
    ("get_schedule", "qntx.get_schedule(SCHEDULE)"),
    ("pause_schedule", "qntx.pause_schedule(SCHEDULE)"),
    ("resume_schedule", "qntx.resume_schedule(SCHEDULE)"),
    ("delete_schedule", "qntx.delete_schedule(SCHEDULE)"),
    ("list_schedules", "qntx.list_schedules()"),
    ("enqueue", "qntx.enqueue('other/h', {'n': 1})"),
    ("llm.chat", "qntx.llm.chat('hi')"),
    ("embed", "qntx.embed('text')"),
    ("search", "qntx.search('words')"),
    ("vector_search", "qntx.vector_search([1, 2], 'ix')"),
    ("read_file", "qntx.read_file('hello.txt')"),
    ("ground.write", "qntx.ground.write('s', 'p')"),
    ("ground.read", "qntx.ground.read('note')"),
];

/// A script that makes each call by name: `calls`, a dict of functions.
fn calls() -> String {
    let all = CALLS.iter().map(|(name, call)| format!("    '{name}': lambda: {call},"));
    let all = all.collect::<Vec<_>>().join("\n");
    format!("import qntx\nMADE = SCHEDULE = 'x'\ncalls = {{\n{all}\n}}\n")
}

pub(super) async fn every_call_works_from_threads(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "work", "@handler\ndef f(): pass");
    let plugin = bed.boot_with(SLOW).await?;
    let code = calls()
        + "from concurrent.futures import ThreadPoolExecutor
import threading
MADE = qntx.attest('s', 'p')['id']
SCHEDULE = qntx.create_schedule('work', 5)
order = [name for name in calls if name != 'delete_schedule']
def one(number):
    assert threading.current_thread() is not threading.main_thread()
    for name in order[number % len(order):] + order[:number % len(order)]:
        try: calls[name]()
        except Exception as e: return f'{name}: {e!r}'
    log(f'thread {number}'); progress(number, 8)
with ThreadPoolExecutor(8) as pool:
    wrong = [said for said in pool.map(one, range(24)) if said]
assert not wrong, wrong
calls['delete_schedule']()
assert qntx.exists(MADE) and not qntx.exists('AS-NOBODY')
assert qntx.list_schedules() == []
print(len([a for a in query('s') if a['predicates'] == ['p']]))";
    let said = bed.runs(&plugin, &code).await?;
    // one made before, and an attest and an attest_many of each
    ensure!(said == "49\n", "{said}");
    ensure!(lock(&bed.core.services.deaths).is_empty());
    Ok(())
}

/// Each call's exception under an illness, as `name Class retryable`.
async fn raised(plugin: &Plugin, secs: u32) -> anyhow::Result<Vec<String>> {
    let code = calls()
        + "from concurrent.futures import ThreadPoolExecutor
def one(item):
    try: item[1]()
    except qntx.Error as e:
        assert e.call == item[0] and e.reason and isinstance(e, RuntimeError), (item, e)
        return f'{item[0]} {type(e).__name__} {e.retryable}'
    return f'{item[0]} nothing'
with ThreadPoolExecutor(20) as pool:
    for said in pool.map(one, calls.items()): print(said, flush=True)";
    let body = serde_json::json!({ "content": code, "timeout_secs": secs }).to_string();
    let answer = plugin.http("POST", "/execute", &body).await?;
    let result: serde_json::Value = serde_json::from_slice(&answer.body)?;
    ensure!(result["success"] == true || secs < 10, "{result}");
    let said = result["stdout"].as_str().context("stdout")?;
    Ok(said.lines().map(str::to_owned).collect())
}

pub(super) async fn every_call_to_a_sick_service_raises_a_typed_error(
    bed: Bed,
) -> anyhow::Result<()> {
    let plugin = bed.boot_with(SLOW).await?;
    let store = ["attest", "attest_many", "last", "query", "exists"];
    // no schedule of a script: nothing is asked of anybody
    let asks = |line: &String| !line.starts_with("list_schedules ");
    bed.core.services.faults.set(Fault::Garbage);
    for line in raised(&plugin, 120).await?.iter().filter(|line| asks(line)) {
        let name = line.split(' ').next().unwrap_or_default();
        let kind = if store.contains(&name) { "StoreUnavailable" } else { "NotAvailable" };
        ensure!(line.starts_with(&format!("{name} {kind} ")), "garbage: {line}");
    }
    // 15 s late, and the run has 2: it ends by itself, nobody hangs
    bed.core.services.faults.set(Fault::Slow(Duration::from_secs(15)));
    let started = Instant::now();
    let said = raised(&plugin, 2).await?;
    // those that were told before the run itself was killed
    ensure!(said.iter().all(|line| line.contains(" Timeout True") || !asks(line)), "{said:?}");
    ensure!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    bed.core.services.faults.set(Fault::None);
    ensure!(bed.runs(&plugin, "attest('a', 'p')").await?.is_empty());

    // down: nobody listens there any more
    let mut nowhere = bed.core.request(&[]);
    let gone = format!("127.0.0.1:{}", free_port()?);
    for endpoint in endpoints(&mut nowhere) {
        endpoint.clone_from(&gone);
    }
    plugin.initialize(nowhere, Duration::from_secs(10)).await?;
    for line in raised(&plugin, 120).await?.iter().filter(|line| asks(line)) {
        let name = line.split(' ').next().unwrap_or_default();
        let kind = if store.contains(&name) { "StoreUnavailable" } else { "NotAvailable" };
        ensure!(*line == format!("{name} {kind} True"), "down: {line}");
    }
    // and never there: a core may leave any endpoint empty
    let mut empty = bed.core.request(&[]);
    endpoints(&mut empty).into_iter().for_each(String::clear);
    plugin.initialize(empty, Duration::from_secs(10)).await?;
    for line in raised(&plugin, 120).await?.iter().filter(|line| asks(line)) {
        let name = line.split(' ').next().unwrap_or_default();
        // attestations go to the plugin's own store then, and Health says so
        let words = if store.contains(&name) { " nothing" } else { " NotAvailable False" };
        ensure!(line.ends_with(words), "absent: {line}");
    }
    let health = plugin.health().await?;
    ensure!(health.message.contains("attestations go to the plugin's own"), "{}", health.message);
    ensure!(plugin.health().await?.healthy);
    Ok(())
}

fn endpoints(request: &mut InitializeRequest) -> [&mut String; 10] {
    [
        &mut request.ats_store_endpoint,
        &mut request.queue_endpoint,
        &mut request.schedule_endpoint,
        &mut request.file_service_endpoint,
        &mut request.llm_endpoint,
        &mut request.embedding_endpoint,
        &mut request.vector_search_endpoint,
        &mut request.ground_endpoint,
        &mut request.search_endpoint,
        &mut request.fetch_endpoint,
    ]
}

pub(super) async fn a_wrong_token_is_a_refusal(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let mut request = bed.core.request(&[]);
    "0".repeat(64).clone_into(&mut request.auth_token);
    plugin.initialize(request, Duration::from_secs(10)).await?;
    let said = raised(&plugin, 120).await?;
    for name in ["attest", "last", "query", "fetch", "enqueue", "embed", "ground.write"] {
        ensure!(said.contains(&format!("{name} Refused False")), "{said:?}");
    }
    // the core's own answer to it: nothing is there
    ensure!(said.contains(&"exists nothing".to_owned()), "{said:?}");
    Ok(())
}

pub(super) async fn jobs_and_schedules_go_over_whole(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "work", "@handler\ndef f(given): print('given', given)");
    let plugin = bed.boot().await?;
    let code = "import qntx
job = enqueue('work', {'n': [1, 2.5, None]})
other = enqueue('other/thing')
id = create_schedule('work', 60, {'a': 1}, {'description': 'ours', 'n': 3})
pause_schedule(id)
assert qntx.get_schedule(id)['state'] == 'paused'
resume_schedule(id)
row = qntx.get_schedule(id)
assert (row['state'], row['every'], row['handler']) == ('active', 60, 'python/work'), row
assert row['payload'] == {'a': 1} and row['metadata']['plugin'] == 'python', row
for call in (pause_schedule, resume_schedule, delete_schedule, qntx.get_schedule):
    try: call('SCH-NOBODY')
    except qntx.Refused as e: assert 'not found' in e.reason
    else: raise AssertionError(call)
print(job, other)";
    let said = bed.runs(&plugin, code).await?;
    let jobs = lock(&bed.core.services.jobs).clone();
    let [first, second] = jobs.as_slice() else { anyhow::bail!("{jobs:?}") };
    ensure!(said.trim() == format!("{} {}", first.id, second.id) && first.id != second.id);
    ensure!(
        (first.handler_name.as_str(), second.handler_name.as_str())
            == ("python/work", "other/thing")
    );
    ensure!(first.payload == br#"{"n":[1,2.5,null]}"#, "{first:?}");
    ensure!(first.status == "queued" && first.source == "python", "{first:?}");
    // seconds, not milliseconds
    ensure!((1_700_000_000..5_000_000_000).contains(&first.created_at), "{first:?}");
    Ok(())
}

pub(super) async fn a_batch_that_stops_half_way_says_how_far_it_came(
    bed: Bed,
) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    *lock(&bed.core.services.room) = Some(70);
    let code = "import qntx
try:
    attest_many([{'subjects': f's{n}', 'predicates': 'p'} for n in range(100)])
except qntx.Refused as e:
    print(e.created, e.reason)
print(attest_many([]))";
    let said = bed.runs(&plugin, code).await?;
    ensure!(said == "70 batch write failed after 70/100: disk full\n0\n", "{said}");
    let rows = bed.core.services.store.query(&AttestationFilter::default());
    // in their order, none twice
    ensure!(rows.len() == 70 && rows[0].subjects == ["s69"], "{} {:?}", rows.len(), rows[0]);
    Ok(())
}
