//! How late the answer is when an execution runs into its time limit.

use super::Bed;
use super::interference::OFFENDERS;
use crate::report::{Budget, Row};
use crate::server;
use crate::stats::Sample;
use anyhow::{Result, ensure};
use std::time::Duration;

const GROUP: &str = "Deadline to answer";
const LIMIT: Duration = Duration::from_millis(300);

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut client = bed.client().await?;
    for (name, code) in OFFENDERS {
        let name = format!("{name}: lateness, the worst");
        if !bed.wants(GROUP, &name) {
            continue;
        }
        let body = serde_json::json!({ "code": code, "timeout_secs": LIMIT.as_secs_f64() });
        let body = body.to_string();
        let mut late = Sample::default();
        for _ in 0..bed.options.calls(30) {
            let (elapsed, status, answer) =
                server::call(&mut client, "/execute", body.clone().into()).await?;
            let answer: serde_json::Value = serde_json::from_slice(&answer)?;
            let outcome = answer["outcome"].as_str().unwrap_or("none");
            ensure!(status == 400 && outcome == "timed_out", "{name}: {status} {outcome}");
            late.add(elapsed.saturating_sub(LIMIT));
        }
        let worst = late.quantile(1.0) / 1000.0;
        rows.push(Row {
            sample: Some(late),
            ..Row::figure(GROUP, name, worst, "ms", Some(Budget::ValueAtMost(50.0)))
        });
    }
    Ok(rows)
}
