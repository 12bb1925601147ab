//! Output in bulk: time to the capped answer, and what the supervisor holds meanwhile.

use super::Bed;
use super::memory::{peak, reset_peak};
use crate::report::{Budget, Row};
use crate::server;
use crate::stats::Sample;
use anyhow::{Result, ensure};

const GROUP: &str = "Output";
/// `output_bytes`, the cap of each stream.
const CAP: usize = 8 << 20;

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut client = bed.client().await?;
    for (mb, budget) in [(1usize, None), (50, Some(Budget::ValueAtMost(300.0)))] {
        let name = format!("{mb} MB printed, to the answer");
        if !bed.wants(GROUP, &name) {
            continue;
        }
        let code = format!(
            "import sys\nfor _ in range({mb}): sys.stdout.write('x' * ((1 << 20) - 1) + '\\n')"
        );
        let body = serde_json::json!({ "code": code }).to_string();
        reset_peak(bed.plugin.pid())?;
        let idle = peak(bed.plugin.pid())?;
        let mut sample = Sample::default();
        for _ in 0..bed.options.calls(20) {
            let (elapsed, answer) =
                server::post(&mut client, "/execute", body.clone().into()).await?;
            sample.add(elapsed);
            let answer: serde_json::Value = serde_json::from_slice(&answer)?;
            let printed = answer["stdout"].as_str().map_or(0, str::len);
            let wanted = (mb << 20).min(CAP);
            ensure!(printed == wanted, "{printed} bytes answered, not {wanted}");
            let cut = answer["truncated"]["stdout"].as_bool();
            ensure!(cut == Some(mb << 20 > CAP), "truncated is {cut:?}");
        }
        let held = peak(bed.plugin.pid())?;
        rows.push(Row {
            sample: Some(sample.clone()),
            ..Row::figure(GROUP, name, sample.p50() / 1000.0, "ms", budget)
        });
        if mb << 20 > CAP {
            let cap = CAP as f64 / f64::from(1 << 20);
            let name = format!("{mb} MB printed, the supervisor's peak memory above idle");
            rows.push(Row {
                ratio: Some((held - idle) / cap),
                against: "the cap of 8 MiB".to_owned(),
                budget: Some(Budget::RatioAtMost(3.0)),
                ..Row::figure(GROUP, name, held - idle, "MiB", None)
            });
            let name = format!("{mb} MB printed, the supervisor's peak memory in all");
            rows.push(Row::figure(GROUP, name, held, "MiB", None));
        }
    }
    Ok(rows)
}
