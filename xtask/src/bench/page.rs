//! The table in docs/performance.md, written from a results file of the bench.
//!
//! **Invariant:** only what stands between the two marks is replaced.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

const BEGIN: &str = "<!-- written by `cargo xtask bench`: begin -->\n";
const END: &str = "<!-- end -->\n";

/// Writes the table of `results` into `page`.
pub(crate) fn refresh(results: &Path, page: &Path) -> Result<()> {
    let results: Value = serde_json::from_str(&fs::read_to_string(results)?)?;
    let text =
        fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let text = replaced(&text, &table(&results))
        .with_context(|| format!("{} lacks the marks of its table", page.display()))?;
    fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn table(results: &Value) -> String {
    let machine = &results["machine"];
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut text = format!(
        "\nMeasured {} at {} on {}, {} cores, Linux {}.\n",
        word(&machine["date"]),
        commits(results),
        word(&machine["cpu"]),
        machine["cores"],
        word(&machine["kernel"]),
    );
    let mut group = &Value::Null;
    for row in results["rows"].as_array().into_iter().flatten() {
        if &row["group"] != group {
            group = &row["group"];
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n### {}\n\n| | Figure | p99 | Ratio | to | Promise |\n|---|---|---|---|---|---|\n",
                word(group)
            );
        }
        let number = |value: &Value| value.as_f64().map_or_else(String::new, short);
        let promise = match (row["budget"].as_str(), row["met"].as_bool()) {
            (Some(budget), Some(true)) => format!("{budget}: met"),
            (Some(budget), _) => format!("{budget}: **missed**"),
            (None, _) => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} {} | {} | {} | {} | {promise} |",
            word(&row["name"]),
            number(&row["value"]),
            word(&row["unit"]),
            number(&row["p99"]),
            number(&row["ratio"]),
            row["against"].as_str().unwrap_or_default(),
        );
    }
    text.push('\n');
    text
}

/// Those that rows were measured at, most rows first: a run of some cases leaves the others.
fn commits(results: &Value) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let rows = results["rows"].as_array().into_iter().flatten();
    for commit in rows.filter_map(|row| row["commit"].as_str()) {
        match counts.iter_mut().find(|(known, _)| *known == commit) {
            Some((_, count)) => *count += 1,
            None => counts.push((commit, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told: Vec<String> =
        counts.iter().map(|(commit, count)| format!("{commit} ({count} of the rows)")).collect();
    if told.is_empty() { "no commit".to_owned() } else { told.join(", ") }
}

/// Three figures, or all before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BEGIN, END, replaced, table};

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replaced(&page, "new\n").expect("marked");
        assert_eq!(new, format!("before\n{BEGIN}new\n{END}after\n"));
        assert_eq!(replaced("no marks", "new"), None);
    }

    #[test]
    fn a_missed_promise_says_so() {
        let row = |met| {
            json!({"group": "G", "name": "n", "value": 2.5, "unit": "ms", "p99": null,
                   "ratio": 1.5, "against": "x", "budget": "≤ 2", "met": met})
        };
        let text = table(&json!({"machine": {}, "rows": [row(true), row(false)]}));
        assert!(text.contains("| n | 2.50 ms |  | 1.50 | x | ≤ 2: met |"), "{text}");
        assert!(text.contains("≤ 2: **missed**"), "{text}");
    }

    #[test]
    fn the_commits_of_all_rows_are_named() {
        let row = |commit: &str| json!({"name": "n", "commit": commit});
        let results = json!({"rows": [row("a"), row("b"), row("b")], "machine": {"commit": "c"}});
        let text = table(&results);
        assert!(text.contains(" at b (2 of the rows), a (1 of the rows) on "), "{text}");
    }

    #[test]
    fn the_page_has_the_marks() {
        let page = include_str!("../../../docs/performance.md");
        assert!(replaced(page, "x").is_some());
    }
}
