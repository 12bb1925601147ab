//! What every module costs that a zygote imports before it forks, each in an
//! interpreter of its own beside one without it.

use super::Bed;
use crate::report::Row;
use crate::server;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;

const GROUP: &str = "Preloads, each above an interpreter without it";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/whole/python/preloads.py");

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    if !bed.wants(GROUP, "") {
        return Ok(Vec::new());
    }
    let body = server::get(&mut bed.client().await?, "/modules").await?;
    let modules: Value = serde_json::from_slice(&body)?;
    let names: Vec<&str> = modules["preloaded"]
        .as_array()
        .context("/modules does not say what is preloaded")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let python = std::env::var("QNTX_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python).args(["-I", SCRIPT]).args(&names).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let costs: Value = serde_json::from_slice(&output.stdout)?;
    names.iter().map(|name| row(name, &costs[*name])).collect()
}

fn row(name: &str, cost: &Value) -> Result<Row> {
    let number = |key: &str| cost[key].as_f64().with_context(|| format!("{name}: no {key}"));
    let (import, faults, kib) = (number("import_ms")?, number("faults")?, number("kib")?);
    let mut text = format!("saves {import:.1} ms; {faults:.1} page faults, {kib:.0} KiB");
    if let Ok(with) = number("hooked_us") {
        // Writing to a string cannot fail.
        let _ = write!(text, "; {with:.0} µs with its {} at-fork hooks", number("hooks")?);
    }
    let row = Row::figure(GROUP, name, number("fork_us")?, "µs a fork", None);
    Ok(Row { against: text, ..row })
}
