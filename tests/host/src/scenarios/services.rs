//! Files, models, search, ground; and what is large or many (CONTRACT 6).
//!
//! **Invariant:** what a script gets can be told from what it asked.

use crate::bed::Bed;
use crate::core::lock;
use anyhow::ensure;
use std::time::{Duration, Instant};

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
    let plugin = bed.boot().await?;
    let code = "for part in range(7):
    attest_many([{'subjects': 'big', 'predicates': 'p', 'attributes': {'t': 'x' * 1_000_000}}
                 for _ in range(3)])
size = sum(len(row['attributes']['t']) for row in query(subjects='big'))
print(size)";
    let started = Instant::now();
    let said = bed.runs(&plugin, code).await?;
    ensure!(said == "21000000\n", "{said}");
    ensure!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    Ok(())
}

pub(super) async fn many_queries_left_in_the_middle_are_no_limit(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
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
