//! The table a reader gets, and the file that plots and later runs read.

use crate::Options;
use crate::stats::Sample;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// The group it belongs to, one heading of the table.
    pub(crate) group: &'static str,
    pub(crate) name: String,
    /// p50 or the figure itself.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The timings behind it.
    pub(crate) sample: Option<Sample>,
    /// What `value` was divided by, or was compared with in another way.
    pub(crate) ratio: Option<f64>,
    pub(crate) against: String,
    /// The promise, as a bound on `ratio` or `value`.
    pub(crate) budget: Option<Budget>,
}

/// A promise.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    ValueAtMost(f64),
    ValueAtLeast(f64),
}

impl Budget {
    fn text(self) -> String {
        match self {
            Self::RatioAtMost(bound) => format!("÷ ≤ {bound}"),
            Self::RatioAtLeast(bound) => format!("÷ ≥ {bound}"),
            Self::ValueAtMost(bound) => format!("≤ {bound}"),
            Self::ValueAtLeast(bound) => format!("≥ {bound}"),
        }
    }

    /// How much of the budget is used: at most 1 when it is met.
    fn used(self, value: f64, ratio: f64) -> f64 {
        match self {
            Self::RatioAtMost(bound) if bound > 0.0 => ratio / bound,
            Self::RatioAtLeast(bound) => bound / ratio,
            Self::ValueAtMost(bound) if bound > 0.0 => value / bound,
            Self::ValueAtLeast(bound) => bound / value,
            // A bound of 0 is met by 0 alone.
            Self::RatioAtMost(_) => ratio,
            Self::ValueAtMost(_) => value,
        }
    }

    fn met(self, value: f64, ratio: f64) -> bool {
        match self {
            Self::RatioAtMost(bound) => ratio <= bound,
            Self::RatioAtLeast(bound) => ratio >= bound,
            Self::ValueAtMost(bound) => value <= bound,
            Self::ValueAtLeast(bound) => value >= bound,
        }
    }
}

impl Row {
    /// A row of one sample, as a ratio of medians.
    pub(crate) fn ratio(
        group: &'static str,
        name: impl Into<String>,
        sample: &Sample,
        base: (&Sample, &str),
        budget: Option<Budget>,
    ) -> Self {
        Self {
            group,
            name: name.into(),
            value: sample.p50(),
            unit: "µs",
            sample: Some(sample.clone()),
            ratio: Some(sample.p50() / base.0.p50()),
            against: base.1.to_owned(),
            budget,
        }
    }

    /// A row of one figure.
    pub(crate) fn figure(
        group: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        budget: Option<Budget>,
    ) -> Self {
        Self { group, name: name.into(), value, unit, budget, ..Self::default() }
    }

    fn json(&self, commit: &str) -> Value {
        let ratio = self.ratio.unwrap_or(f64::NAN);
        json!({
            "group": self.group,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "p99": self.sample.as_ref().map(Sample::p99),
            "n": self.sample.as_ref().map(Sample::len),
            "quantiles": self.sample.as_ref().map(Sample::quantiles),
            "ratio": self.ratio,
            "against": self.against,
            "budget": self.budget.map(Budget::text),
            "used": self.budget.map(|budget| budget.used(self.value, ratio)),
            "met": self.budget.map(|budget| budget.met(self.value, ratio)),
            "commit": commit,
        })
    }
}

/// Writes the results, puts rows measured earlier beside those of this run when
/// it measured only some, and prints the table of what this run measured.
#[expect(clippy::print_stdout, reason = "the table is this program's output")]
pub(crate) fn finish(rows: &[Row], options: &Options) -> Result<()> {
    let commit = said("git", &["describe", "--always", "--dirty", "--exclude=*"]);
    let fresh: Vec<Value> = rows.iter().map(|row| row.json(&commit)).collect();
    let before = match &options.baseline {
        Some(path) => read(path).with_context(|| format!("baseline {}", path.display()))?,
        None => Vec::new(),
    };
    println!("{}", table(&fresh, &before));
    let file = options.results();
    let mut all = if options.only.is_some() && file.exists() { read(&file)? } else { Vec::new() };
    let name = |row: &Value| (row["group"].clone(), row["name"].clone());
    for row in fresh {
        match all.iter_mut().find(|old| name(old) == name(&row)) {
            Some(old) => *old = row,
            None => all.push(row),
        }
    }
    let results = json!({ "machine": machine(options), "rows": all });
    std::fs::create_dir_all(file.parent().context("a parent")?)?;
    std::fs::write(&file, serde_json::to_vec_pretty(&results)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Value>> {
    let results: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    results["rows"].as_array().cloned().context("no rows: not a results file of this bench")
}

/// The Markdown table, one part per group.
fn table(rows: &[Value], before: &[Value]) -> String {
    let mut text = String::new();
    let mut group = &Value::Null;
    for row in rows {
        if &row["group"] != group {
            group = &row["group"];
            let head = "| | figure | p99 | ÷ | against | before | budget |";
            let _ = writeln!(
                text,
                "\n**{}**\n\n{head}\n|---|---|---|---|---|---|---|",
                group.as_str().unwrap_or_default()
            );
        }
        let number = |value: &Value| value.as_f64().map_or_else(String::new, short);
        let old = before.iter().find(|b| b["group"] == row["group"] && b["name"] == row["name"]);
        let earlier = old.map_or_else(String::new, |old| match old["ratio"].as_f64() {
            Some(ratio) => format!("÷ {}", short(ratio)),
            None => number(&old["value"]),
        });
        let verdict = match (row["budget"].as_str(), row["met"].as_bool()) {
            (Some(budget), Some(true)) => format!("{budget} met"),
            (Some(budget), _) => format!("{budget} **missed**"),
            (None, _) => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} {} | {} | {} | {} | {earlier} | {verdict} |",
            row["name"].as_str().unwrap_or_default(),
            number(&row["value"]),
            row["unit"].as_str().unwrap_or_default(),
            number(&row["p99"]),
            number(&row["ratio"]),
            row["against"].as_str().unwrap_or_default(),
        );
    }
    text
}

/// Three figures, or all before the point.
fn short(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// What the figures were taken on.
fn machine(options: &Options) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    json!({
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "cpu": cpu.trim_matches([' ', ':', '\t']),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "date": said("date", &["-u", "+%Y-%m-%d"]),
        "commit": said("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        "quick": options.quick,
    })
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(String::new, |text| String::from_utf8_lossy(&text).trim().to_owned())
}

/// Where the results go, unless told otherwise.
pub(crate) fn usual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/results/whole.json")
}
