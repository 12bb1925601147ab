//! The plots of docs/performance.md, drawn from a results file of the bench.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bench::svg::{Anchor, COLOURS, INK, PALE, Svg};

/// What the latency plot shows: a row's name, and what a reader calls it.
const LATENCIES: [(&str, &str); 9] = [
    ("empty RPC every 10 ms", "empty RPC"),
    ("/evaluate every 10 ms", "/evaluate: fresh, sandboxed"),
    ("/evaluate every 10 ms, in-process, no sandbox", "the same in-process, no sandbox"),
    ("/execute hello every 10 ms", "/execute hello: fresh, sandboxed"),
    ("multiprocessing.Pool, a process for each task", "multiprocessing.Pool, fresh"),
    ("Jupyter Kernel Gateway, one kernel for all", "Jupyter Kernel Gateway, shared"),
    ("`python3 -I -c` for each request", "python3 -c"),
    ("bwrap around `python3 -I -c`", "python3 -c in bubblewrap"),
    ("nsjail around `python3 -I -c`", "python3 -c in nsjail"),
];

/// The lines of the throughput plot, by the beginning of their rows' names.
const THROUGHPUTS: [&str; 3] = ["fresh, bare", "fresh, standard library", "in sessions"];
const CLIENTS: [u32; 4] = [1, 4, 16, 64];
const RATES: [u32; 6] = [25, 50, 100, 200, 400, 800];

/// Draws every plot into `directory`.
pub(crate) fn all(results: &Path, directory: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(results)
        .with_context(|| format!("{} is missing: `cargo xtask bench whole`", results.display()))?;
    let results: Value = serde_json::from_str(&text)?;
    let rows = results["rows"].as_array().context("no rows in the results")?;
    fs::create_dir_all(directory)?;
    let mut files = Vec::new();
    for (name, plot) in [
        ("latency.svg", latency(rows)),
        ("throughput.svg", throughput(rows)),
        ("open-loop.svg", open_loop(rows)),
        ("budgets.svg", budgets(rows)),
    ] {
        let Some(plot) = plot else {
            eprintln!("!!! {name} is not drawn: its rows are not in the results");
            continue;
        };
        let path = directory.join(name);
        fs::write(&path, plot).with_context(|| format!("cannot write {}", path.display()))?;
        files.push(path);
    }
    Ok(files)
}

fn find<'a>(rows: &'a [Value], name: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row["name"] == name)
}

/// Bars from the median to the 99th percentile, on a logarithmic scale.
fn latency(rows: &[Value]) -> Option<String> {
    let bars: Vec<(&str, f64, f64)> = LATENCIES
        .iter()
        .filter_map(|(name, label)| {
            let row = find(rows, name)?;
            Some((*label, row["value"].as_f64()?, row["p99"].as_f64()?))
        })
        .collect();
    let most = bars.iter().map(|bar| bar.2).fold(f64::NAN, f64::max);
    let (left, width, height) = (240.0, 420.0, 26.0 * bars.len() as f64);
    let decades = (most / 100.0).log10().ceil().max(1.0);
    let x = |micros: f64| left + width * (micros / 100.0).log10().max(0.0) / decades;
    let mut svg = Svg::new(left + width + 60.0, height + 70.0);
    svg.text((left, 18.0), Anchor::Start, INK, "Answer time, one client, a call every 10 ms");
    let mut tick = 100.0;
    while tick <= 100.0 * 10f64.powf(decades) {
        svg.line(&[(x(tick), 28.0), (x(tick), height + 34.0)], PALE, 1.0);
        let label =
            if tick < 1000.0 { format!("{tick} µs") } else { format!("{} ms", tick / 1e3) };
        svg.text((x(tick), height + 50.0), Anchor::Middle, INK, &label);
        tick *= 10.0;
    }
    for (i, (label, p50, p99)) in bars.iter().enumerate() {
        let y = 34.0 + 26.0 * i as f64;
        let colour = COLOURS[usize::from(!label.contains("sandboxed"))];
        svg.text((left - 8.0, y + 13.0), Anchor::End, INK, label);
        svg.rect((left, y), (x(*p50) - left, 16.0), colour);
        svg.line(&[(x(*p50), y + 8.0), (x(*p99), y + 8.0)], INK, 1.5);
        svg.line(&[(x(*p99), y + 3.0), (x(*p99), y + 13.0)], INK, 1.5);
    }
    let legend = "bar: median; whisker: 99th percentile; logarithmic";
    svg.text((left, height + 66.0), Anchor::Start, INK, legend);
    (bars.len() > 1).then(|| svg.finish())
}

/// One line of a chart.
type Line = (String, Vec<(f64, f64)>);

/// Executions per second against clients.
fn throughput(rows: &[Value]) -> Option<String> {
    let lines = THROUGHPUTS.iter().map(|kind| {
        let points = CLIENTS.iter().filter_map(|clients| {
            let plural = if *clients == 1 { "client" } else { "clients" };
            let row = find(rows, &format!("{kind}, {clients} {plural}"))?;
            Some((f64::from(*clients), row["value"].as_f64()?))
        });
        ((*kind).to_owned(), points.collect())
    });
    let title = "Executions per second, closed loop, against clients";
    chart(title, &CLIENTS.map(f64::from), &lines.collect::<Vec<Line>>())
}

/// Answer times against the rate of arrivals.
fn open_loop(rows: &[Value]) -> Option<String> {
    let line = |label: &str, value: fn(&Value) -> Option<f64>| {
        let points = RATES.iter().filter_map(|rate| {
            let row = find(rows, &format!("/evaluate at {rate}/s"))?;
            Some((f64::from(*rate), value(row)?))
        });
        (label.to_owned(), points.collect())
    };
    let lines = [
        line("median, µs", |row| row["value"].as_f64()),
        line("99th percentile, µs", |row| row["p99"].as_f64()),
        line("empty RPC, median, µs", |row| Some(row["value"].as_f64()? / row["ratio"].as_f64()?)),
    ];
    let title = "/evaluate, open loop: answer time in µs against arrivals per second";
    chart(title, &RATES.map(f64::from), &lines)
}

/// Lines over positions that double: the horizontal axis is logarithmic.
fn chart(title: &str, positions: &[f64], lines: &[Line]) -> Option<String> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let most = points().map(|point| point.1).reduce(f64::max)?;
    let step = 10f64.powf(most.log10().floor());
    let step = if most / step < 3.0 { step / 2.0 } else { step };
    let top = (most / step).ceil() * step;
    let (left, width, height) = (70.0, 460.0, 260.0);
    let first = positions.first()?.log2();
    let span = positions.last()?.log2() - first;
    let x = |at: f64| left + width * (at.log2() - first) / span;
    let y = |value: f64| 34.0 + height * (1.0 - value / top);
    let mut svg = Svg::new(left + width + 40.0, height + 130.0);
    svg.text((left, 18.0), Anchor::Start, INK, title);
    let mut tick = 0.0;
    while tick <= top * 1.001 {
        svg.line(&[(left, y(tick)), (left + width, y(tick))], PALE, 1.0);
        svg.text((left - 8.0, y(tick) + 4.0), Anchor::End, INK, &format!("{tick:.0}"));
        tick += step;
    }
    for position in positions {
        let label = format!("{position:.0}");
        svg.text((x(*position), height + 52.0), Anchor::Middle, INK, &label);
    }
    for (i, ((label, points), colour)) in lines.iter().zip(COLOURS).enumerate() {
        let placed: Vec<(f64, f64)> = points.iter().map(|(at, v)| (x(*at), y(*v))).collect();
        svg.line(&placed, colour, 2.0);
        for place in placed {
            svg.dot(place, colour);
        }
        let at = height + 74.0 + 18.0 * i as f64;
        svg.dot((left + 6.0, at - 4.0), colour);
        svg.text((left + 16.0, at), Anchor::Start, INK, label);
    }
    Some(svg.finish())
}

/// How much of each promise is used up; to the right of the line it is missed.
fn budgets(rows: &[Value]) -> Option<String> {
    let promises: Vec<(String, f64, bool)> = rows
        .iter()
        .filter_map(|row| {
            let label = format!("{} ({})", row["name"].as_str()?, row["budget"].as_str()?);
            Some((label, row["used"].as_f64()?, row["met"].as_bool()?))
        })
        .collect();
    let (left, width, height) = (500.0, 300.0, 18.0 * promises.len() as f64);
    let mut svg = Svg::new(left + width + 60.0, height + 60.0);
    svg.text((left, 18.0), Anchor::Start, INK, "Promises: share of the budget that is used");
    let line = left + width / 2.0;
    for (i, (label, used, met)) in promises.iter().enumerate() {
        let y = 30.0 + 18.0 * i as f64;
        let bar = (used.max(0.0) * width / 2.0).min(width);
        svg.text((left - 8.0, y + 11.0), Anchor::End, INK, label);
        svg.rect((left, y), (bar, 12.0), COLOURS[usize::from(!met)]);
        let number = format!("{:.0} %", used * 100.0);
        svg.text((left + bar + 4.0, y + 11.0), Anchor::Start, INK, &number);
    }
    svg.line(&[(line, 24.0), (line, height + 34.0)], INK, 1.5);
    svg.text((line, height + 50.0), Anchor::Middle, INK, "100 %");
    (!promises.is_empty()).then(|| svg.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{budgets, chart, latency};

    #[test]
    fn a_missed_promise_has_another_colour() {
        let row =
            |used: f64, met: bool| json!({"name": "x", "budget": "≤ 1", "used": used, "met": met});
        let (good, bad) = (budgets(&[row(0.5, true)]), budgets(&[row(1.5, false)]));
        assert!(good.expect("drawn").contains("#0072b2"));
        assert!(bad.expect("drawn").contains("#d55e00"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(latency(&[]), None);
        assert_eq!(chart("x", &[1.0, 2.0], &[]), None);
    }
}
