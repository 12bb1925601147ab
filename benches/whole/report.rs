//! The table a reader gets, and the file a later run is compared with.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// p50 or the figure itself.
    pub(crate) value: f64,
    pub p99: Option<f64>,
    pub(crate) unit: &'static str,
    /// Ratio to the empty RPC of the same minute (or what `against` says).
    pub(crate) ratio: Option<f64>,
    pub(crate) against: &'static str,
    /// The promise, as a bound on `ratio` or `value`.
    pub(crate) budget: Option<Budget>,
}

/// A promise of DESIGN 11.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    RatioAtMost(f64),
    ValueAtMost(f64),
    ValueAtLeast(f64),
}

impl Row {
    fn verdict(&self) -> String {
        let ratio = self.ratio.unwrap_or(f64::NAN);
        let (text, met) = match self.budget {
            None => return String::new(),
            Some(Budget::RatioAtMost(b)) => (format!("ratio ≤ {b}"), ratio <= b),
            Some(Budget::ValueAtMost(b)) => (format!("≤ {b}"), self.value <= b),
            Some(Budget::ValueAtLeast(b)) => (format!("≥ {b}"), self.value >= b),
        };
        format!("{text}: {}", if met { "met" } else { "**missed**" })
    }
}

fn file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/results/whole.json")
}

/// Writes `bench/results/whole.json`.
pub(crate) fn save(rows: &[Row]) -> Result<()> {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({"name": row.name, "value": row.value, "unit": row.unit, "p99": row.p99,
                   "ratio": row.ratio, "against": row.against})
        })
        .collect();
    let path = file();
    std::fs::create_dir_all(path.parent().context("a parent")?)?;
    std::fs::write(&path, serde_json::to_vec_pretty(&rows)?)?;
    Ok(())
}

/// Prints the Markdown table.
#[expect(clippy::print_stdout, reason = "the table is this program's output")]
pub(crate) fn print(rows: &[Row], baseline: Option<&Path>) -> Result<()> {
    let before: Vec<Value> = match baseline {
        Some(path) => serde_json::from_slice(
            &std::fs::read(path).with_context(|| format!("baseline {}", path.display()))?,
        )?,
        None => Vec::new(),
    };
    println!("| what | figure | p99 | ÷ | against | before | budget |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        let p99 = row.p99.map_or_else(String::new, |p99| format!("{p99:.0}"));
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let earlier =
            before.iter().find(|b| b["name"] == row.name.as_str()).map_or_else(String::new, |b| {
                match b["ratio"].as_f64() {
                    Some(ratio) => format!("{ratio:.2}×"),
                    None => format!("{:.0}", b["value"].as_f64().unwrap_or(f64::NAN)),
                }
            });
        println!(
            "| {} | {:.1} {} | {p99} | {ratio} | {} | {earlier} | {} |",
            row.name,
            row.value,
            row.unit,
            row.against,
            row.verdict()
        );
    }
    Ok(())
}
