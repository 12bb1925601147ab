//! What stands in `examples/`, each run the way its text says.
//!
//! **Invariant:** the files themselves are run, not copies.

use super::handlers::{attest, job};
use crate::bed::Bed;
use crate::core::{lock, payload};
use crate::wire::*;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::Duration;

const WATCHER: &str = include_str!("../../../../examples/watcher.py");
const SCHEDULE: &str = include_str!("../../../../examples/schedule.py");
const INGEST: &str = include_str!("../../../../examples/ingest.py");
const GLYPH: &str = include_str!("../../../../examples/glyph.py");

fn order(bed: &Bed, subject: &str, predicate: &str, attributes: &Value) -> Attestation {
    bed.core.services.store.create(AttestationCommand {
        subjects: vec![subject.to_owned()],
        predicates: vec![predicate.to_owned()],
        contexts: vec!["shop".to_owned()],
        attributes: Some(Struct::from_json(attributes)),
        ..AttestationCommand::default()
    })
}

fn found(bed: &Bed, predicate: &str) -> Vec<Attestation> {
    let predicates = vec![predicate.to_owned()];
    bed.core.services.store.query(&AttestationFilter { predicates, ..AttestationFilter::default() })
}

pub(super) async fn the_watcher_answers_orders(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "orders", WATCHER);
    let plugin = bed.boot().await?;
    let watched = bed.core.run_watchers(&plugin, Duration::from_secs(1));
    let attested = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        order(&bed, "o1", "order:placed", &json!({"total": 1200}));
        order(&bed, "o2", "order:placed", &json!({}));
        order(&bed, "o1", "order:cancelled", &json!({}));
    };
    tokio::join!(watched, attested).0?;
    let fires = lock(&bed.core.fires).clone();
    ensure!(fires.len() == 3 && fires.iter().all(|fire| fire.error.is_empty()), "{fires:?}");
    let large = found(&bed, "order:large");
    ensure!(large.len() == 1 && large[0].subjects == ["o1"], "{large:?}");
    ensure!(large[0].contexts == ["shop", "orders"], "{large:?}");
    ensure!(found(&bed, "order:small").len() == 1 && found(&bed, "order:closed").len() == 1);
    Ok(())
}

pub(super) async fn the_schedule_counts(bed: Bed) -> anyhow::Result<()> {
    attest(&bed, "count", SCHEDULE);
    let plugin = bed.boot().await?;
    ensure!(bed.core.schedules()["python/count"].0 == 300);
    for (orders, total) in [(2, 2), (0, 2), (3, 5)] {
        for _ in 0..orders {
            order(&bed, "o", "order:placed", &json!({}));
        }
        let ticks = bed.core.tick(&plugin).await?;
        ensure!(ticks.len() == 1 && ticks[0].1.success, "{ticks:?}");
        let rows = found(&bed, "counted");
        let newest = rows.first().context("no count")?;
        let attributes = newest.attributes.as_ref().context("attributes")?.to_json();
        ensure!(attributes["new"] == orders && attributes["total"] == total, "{attributes}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

pub(super) async fn the_ingest_script_attests_its_rows(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let request = job("python.script", &json!({ "content": INGEST }).to_string());
    let answer = plugin.job(request).await?;
    ensure!(answer.success, "{}", answer.error);
    let has = |words: &str| answer.log_entries.iter().any(|entry| entry.message.contains(words));
    ensure!(has("2 of 3 rows attested") && has("no score"), "{:?}", answer.log_entries);
    ensure!((answer.progress_current, answer.progress_total) == (3, 3));
    ensure!(found(&bed, "scored").len() == 2);
    let result: Value = serde_json::from_slice(&answer.result)?;
    ensure!(result["result"] == 2, "{result}");
    Ok(())
}

pub(super) async fn the_glyph_script_runs_by_hand_and_fired(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let said = bed.runs(&plugin, GLYPH).await?;
    ensure!(said.starts_with("run by hand\nattested AS-"), "{said}");
    let fired = order(&bed, "o1", "order:placed", &json!({"total": 7}));
    let request = PythonExecuteRequest {
        code: GLYPH.to_owned(),
        glyph_id: "glyph-7".to_owned(),
        upstream_attestation: payload(&fired).to_string().into_bytes(),
    };
    let answer = plugin.execute(request).await?;
    ensure!(answer.success, "{}", answer.error);
    let result: Value = serde_json::from_slice(&answer.result)?;
    ensure!(result.is_object() && result["stdout"] == answer.output.as_str(), "{result}");
    ensure!(answer.output.starts_with(&format!("fired by {}", fired.id)), "{}", answer.output);
    let seen = found(&bed, "seen:order:placed");
    ensure!(seen.len() == 1 && seen[0].subjects == ["o1"], "{seen:?}");
    Ok(())
}
