//! Many requests in one moment, after idle.

use super::Bed;
use crate::load::{Call, burst};
use crate::report::{Budget, Row};
use crate::server::Client;
use crate::stats::Sample;
use crate::work::Work;
use anyhow::Result;
use std::time::Duration;

const GROUP: &str = "Bursts after idle";

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for size in [16usize, 64] {
        if !bed.wants(GROUP, &format!("{size} at once")) {
            continue;
        }
        let work = Work::evaluate();
        let ours = bed.plugin.connections(size).await?;
        let theirs = bed.in_process.connections(size).await?;
        let all = |clients: &[Client], call: &Call| {
            clients.iter().cloned().map(|client| (client, call.clone())).collect::<Vec<_>>()
        };
        let (ours_call, theirs_call) = (Call::Work(work.clone()), Call::Work(work.anywhere()));
        let (mut fresh, mut inside) = (Sample::default(), Sample::default());
        let mut each = Sample::default();
        let mut lost = Vec::new();
        for _ in 0..bed.options.calls(20) {
            super::settle().await;
            let (last, _, failed) = burst(all(&theirs, &theirs_call)).await?;
            anyhow::ensure!(failed.is_empty(), "in-process: {failed:?}");
            inside.add(last);
            tokio::time::sleep(Duration::from_millis(200)).await;
            let (last, sample, failed) = burst(all(&ours, &ours_call)).await?;
            fresh.add(last);
            each.merge(&sample);
            lost.extend(failed);
        }
        for error in &lost {
            tracing_line(error);
        }
        let promise = (size == 16).then_some(Budget::RatioAtMost(3.0));
        let against = (&inside, "the same burst in-process");
        let name = format!("{size} at once, to the last answer");
        rows.push(Row::ratio(GROUP, name, &fresh, against, promise));
        let name = format!("{size} at once, each answer");
        rows.push(Row::ratio(GROUP, name, &each, (&inside, "to the last, in-process"), None));
        let (name, failed) = (format!("{size} at once, failed"), lost.len() as f64);
        let none = Some(Budget::ValueAtMost(0.0));
        rows.push(Row::figure(GROUP, name, failed, "requests", none));
    }
    Ok(rows)
}

#[expect(clippy::print_stderr, reason = "why a request failed belongs to the run's log")]
fn tracing_line(error: &anyhow::Error) {
    eprintln!("a request of a burst failed: {error:#}");
}
