//! One client: paced, back to back, and with arrivals that wait for nobody.

use super::Bed;
use crate::load::{Call, alternate, open as open_loop};
use crate::report::{Budget, Row};
use crate::stats::Sample;
use crate::work::Work;
use anyhow::{Context, Result};
use std::time::Duration;

const PACED: &str = "Latency, one client, paced";
const OPEN: &str = "Latency, open loop";

/// Every case between the empty RPC and the same work in-process, call by call.
pub(crate) async fn paced(bed: &Bed) -> Result<Vec<Row>> {
    let hello = Work::execute("print('Hello, World!')");
    let one = Work::evaluate();
    let json = Work::execute("import json, re, decimal\njson.dumps({'a': 1})");
    let at_most = |bound| Some(Budget::RatioAtMost(bound));
    let cases = [
        ("/evaluate", &one, 10, 300, at_most(1.5)),
        ("/evaluate", &one, 5, 400, at_most(1.8)),
        ("/execute hello", &hello, 10, 300, at_most(1.6)),
        ("/execute with imports of the standard library", &json, 10, 200, None),
        ("/evaluate", &one, 0, 1000, at_most(4.0)),
    ];
    let mut rows = Vec::new();
    for (what, work, gap, calls, budget) in cases {
        let pace = if gap == 0 { "back to back".to_owned() } else { format!("every {gap} ms") };
        let name = format!("{what} {pace}");
        if !bed.wants(PACED, &name) {
            continue;
        }
        let gap = Duration::from_millis(gap);
        let calls = bed.options.calls(calls);
        let (ours, theirs) = (bed.client().await?, bed.in_process.connect().await?);
        let samples = if gap.is_zero() {
            // Each kind in a row of its own, or it would not be back to back.
            back_to_back(&ours, work, calls).await?
        } else {
            let mut probes = [
                (ours.clone(), Call::Empty),
                (ours, Call::Work(work.clone())),
                (theirs, Call::Work(work.anywhere())),
            ];
            alternate(&mut probes, calls, gap).await?
        };
        let [empty, ours, theirs @ ..] = samples.as_slice() else { continue };
        rows.push(Row::figure(PACED, format!("empty RPC {pace}"), empty.p50(), "µs", None));
        if let Some(row) = rows.last_mut() {
            row.sample = Some(empty.clone());
        }
        rows.push(Row::ratio(PACED, name, ours, (empty, "empty RPC"), budget));
        if let [theirs] = theirs {
            let name = format!("{what} {pace}, in-process, no sandbox");
            rows.push(Row::ratio(PACED, name, theirs, (empty, "empty RPC"), None));
        }
    }
    rows.dedup_by(|later, earlier| later.name == earlier.name);
    Ok(rows)
}

/// Rounds of calls without a pause, of the empty RPC and of `work` in turn.
async fn back_to_back(
    client: &crate::server::Client,
    work: &Work,
    calls: usize,
) -> Result<Vec<Sample>> {
    let (mut empty, mut ours) = (Sample::default(), Sample::default());
    for _ in 0..5 {
        for (call, sample) in [(Call::Empty, &mut empty), (Call::Work(work.clone()), &mut ours)] {
            let mut probes = [(client.clone(), call)];
            let run = alternate(&mut probes, calls.div_ceil(5), Duration::ZERO).await?;
            sample.merge(run.first().context("one sample")?);
            super::settle().await;
        }
    }
    Ok(vec![empty, ours])
}

#[expect(clippy::print_stderr, reason = "why a figure is missing belongs to the run's log")]
/// Arrivals at a rate, whether or not the ones before are answered.
pub(crate) async fn open(bed: &Bed) -> Result<Vec<Row>> {
    let cases: [(u32, usize); 9] =
        [(100, 1), (25, 1), (50, 1), (200, 1), (400, 1), (800, 1), (200, 4), (200, 16), (200, 64)];
    let work = Call::Work(Work::evaluate());
    let mut rows = Vec::new();
    for (rate, connections) in cases {
        let promised = rate == 100;
        let on =
            if connections == 1 { String::new() } else { format!(", {connections} connections") };
        let name = format!("/evaluate at {rate}/s{on}");
        if !bed.wants(OPEN, &name) {
            continue;
        }
        let clients = bed.plugin.connections(connections).await?;
        let gap = Duration::from_secs(1) / rate;
        let secs = if promised { 8.0 } else { 4.0 };
        let count = |secs: f64| {
            let span = bed.options.span(secs).as_micros();
            usize::try_from(span / gap.as_micros()).unwrap_or(usize::MAX)
        };
        let mut empty = open_loop(&clients, &Call::Empty, gap, count(secs / 4.0)).await?;
        let ours = match open_loop(&clients, &work, gap, count(secs)).await {
            // Arrivals that the machine can't keep up with fill the queue.
            Err(error) if error.to_string().contains(": 503 ") => {
                eprintln!("{name}: left out, more than this machine can do: {error}");
                tokio::time::sleep(Duration::from_secs(2)).await;
                continue;
            }
            ours => ours?,
        };
        super::settle().await;
        empty.merge(&open_loop(&clients, &Call::Empty, gap, count(secs / 4.0)).await?);
        if promised {
            rows.push(Row {
                ratio: Some(ours.p99() / empty.p50()),
                against: "its p99 ÷ p50 of the empty RPC".to_owned(),
                ..Row::ratio(
                    OPEN,
                    "/evaluate at 100/s, p99",
                    &ours,
                    (&empty, ""),
                    Some(Budget::RatioAtMost(5.0)),
                )
            });
        }
        rows.push(Row::ratio(OPEN, name, &ours, (&empty, "empty RPC at this rate"), None));
    }
    Ok(rows)
}
