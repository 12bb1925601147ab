//! What one bad execution costs the others: a core burnt, a call that never
//! comes back from C, a sleep, output without end; on the same HTTP/2
//! connection and on one of its own.

use super::Bed;
use crate::load::{Call, alternate};
use crate::report::{Budget, Row};
use crate::server;
use crate::stats::Sample;
use crate::work::Work;
use anyhow::{Context, Result};
use std::time::Duration;

const GROUP: &str = "Beside one bad execution";

/// What it does, and how.
pub(crate) const OFFENDERS: [(&str, &str); 4] = [
    ("spinning in Python", "while True: pass"),
    // Holds the GIL in one call into C, for years.
    ("spinning in C", "pow(3, 10 ** 9)"),
    ("sleeping", "import time\ntime.sleep(3600)"),
    ("printing without end", "while True: print('x' * 100)"),
];

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (connection, shared) in [("same connection", true), ("own connection", false)] {
        let wanted: Vec<_> = OFFENDERS
            .into_iter()
            .filter(|(name, _)| bed.wants(GROUP, &format!("{name}, {connection}")))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let mut busy = vec![(Sample::default(), Sample::default()); wanted.len()];
        let mut idle = (Sample::default(), Sample::default());
        let client = bed.client().await?;
        for _ in 0..3 {
            for ((_, code), busy) in wanted.iter().zip(&mut busy) {
                measure(bed, &client, &mut idle).await?;
                let mut offender = if shared { client.clone() } else { bed.client().await? };
                let body = serde_json::json!({ "code": code, "timeout_secs": 60 }).to_string();
                let running = tokio::spawn(async move {
                    server::call(&mut offender, "/execute", body.into()).await
                });
                tokio::time::sleep(Duration::from_millis(150)).await;
                measure(bed, &client, busy).await?;
                anyhow::ensure!(!running.is_finished(), "the offender ended: {code}");
                // The caller goes away, and its execution with it.
                running.abort();
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        }
        for ((name, _), busy) in wanted.iter().zip(&busy) {
            let row = |what: &str, busy: &Sample, idle: &Sample, bound| Row {
                ratio: Some(busy.p99() / idle.p99()),
                against: "p99 ÷ idle p99".to_owned(),
                ..Row::ratio(
                    GROUP,
                    format!("{what} beside one {name}, {connection}"),
                    busy,
                    (idle, ""),
                    Some(Budget::RatioAtMost(bound)),
                )
            };
            rows.push(row("/evaluate", &busy.1, &idle.1, 3.0));
            rows.push(row("Metadata", &busy.0, &idle.0, 2.0));
        }
    }
    Ok(rows)
}

/// Empty RPCs and evaluations in turn.
async fn measure(bed: &Bed, client: &server::Client, into: &mut (Sample, Sample)) -> Result<()> {
    let mut probes =
        [(client.clone(), Call::Empty), (client.clone(), Call::Work(Work::evaluate()))];
    let calls = bed.options.calls(150);
    let samples = alternate(&mut probes, calls, Duration::from_millis(5)).await?;
    into.0.merge(samples.first().context("two samples")?);
    into.1.merge(samples.get(1).context("two samples")?);
    Ok(())
}
