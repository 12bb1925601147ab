//! What is measured, and what was promised (DESIGN 11).

use crate::Options;
use crate::paced::{self, Work};
use crate::report::{Budget, Row};
use crate::server::{self, Server};
use crate::stats::Sample;
use anyhow::{Context, Result};
use std::time::Duration;

/// Runs every case that is wanted.
pub(crate) async fn run(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants("start") {
        rows.extend(start(options).await?);
    }
    let server = Server::start(&[])?;
    let mut client = server.connect().await?;
    server::post(&mut client, "/execute", "{\"code\":\"import json\"}".to_owned()).await?;
    tokio::time::sleep(Duration::from_millis(800)).await;
    rows.extend(latency(options, &mut client).await?);
    if options.wants("attest") {
        rows.push(attest(options, &mut client).await?);
    }
    rows.extend(throughput(options, &server).await?);
    if options.wants("beside") {
        rows.extend(interference(options, &server).await?);
    }
    if options.wants("stdout") {
        rows.push(output(&mut client).await?);
    }
    if options.wants("idle spare") {
        rows.push(spare_memory(&server)?);
    }
    Ok(rows)
}

fn ratio_row(name: &str, empty: &Sample, sample: &Sample, budget: Option<Budget>) -> Row {
    Row {
        name: name.to_owned(),
        value: sample.quantile(0.5),
        p99: Some(sample.quantile(0.99)),
        unit: "µs",
        ratio: Some(sample.quantile(0.5) / empty.quantile(0.5)),
        against: "empty RPC p50",
        budget,
    }
}

async fn latency(options: &Options, client: &mut server::Client) -> Result<Vec<Row>> {
    let hello = Work::execute("print('Hello, World!')");
    let one = Work::evaluate("1 + 2 * 3");
    let json = Work::execute("import json, re, decimal\njson.dumps({'a': 1})");
    let at_most = |bound| Some(Budget::RatioAtMost(bound));
    let cases = [
        ("/evaluate every 10 ms", &one, 10, 300, at_most(1.5)),
        ("/evaluate every 5 ms", &one, 5, 400, at_most(1.8)),
        ("/execute hello every 10 ms", &hello, 10, 300, at_most(1.6)),
        ("/execute imports of the standard library every 10 ms", &json, 10, 200, None),
        ("/evaluate back to back", &one, 0, 1000, at_most(4.0)),
    ];
    let mut rows = Vec::new();
    for (name, work, gap, calls, budget) in cases {
        if !options.wants(name) {
            continue;
        }
        let gap = Duration::from_millis(gap);
        let (empty, sample) = paced::alternate(client, work, options.calls(calls), gap).await?;
        if name.contains("every 10 ms") && name.starts_with("/evaluate") {
            rows.push(Row {
                ratio: None,
                against: "",
                ..ratio_row("empty RPC", &empty, &empty, None)
            });
        }
        rows.push(ratio_row(name, &empty, &sample, budget));
    }
    Ok(rows)
}

/// Time of one `attest()`, as the script sees it, over many in one run.
async fn attest(options: &Options, client: &mut server::Client) -> Result<Row> {
    let calls = options.calls(1000);
    let code = format!(
        "import time\nts = []\nfor i in range({calls}):\n    t = time.perf_counter()\n    \
         attest('bench', 'is', 'fast')\n    ts.append(time.perf_counter() - t)\nsorted(ts)"
    );
    let mut empty = Sample::default();
    for _ in 0..calls {
        empty.add(server::empty(client).await?);
    }
    let work = Work::execute(&code);
    let (_, body) = server::post(client, work.path, work.body).await?;
    let answer: serde_json::Value = serde_json::from_slice(&body)?;
    let times = answer["result"].as_array().context("no result")?;
    let mut sample = Sample::default();
    for time in times {
        sample.add(Duration::from_secs_f64(time.as_f64().context("a time")?));
    }
    Ok(ratio_row(
        "attest() into the embedded store",
        &empty,
        &sample,
        Some(Budget::RatioAtMost(1.5)),
    ))
}

async fn throughput(options: &Options, server: &Server) -> Result<Vec<Row>> {
    let span = Duration::from_secs(if options.quick { 1 } else { 4 });
    let cases = [
        ("fresh executions, bare, 16 clients", Some(Work::evaluate("1 + 2 * 3")), Some(1400.0)),
        (
            "fresh executions, standard library, 16 clients",
            Some(Work::execute("import json\njson.dumps([1])")),
            Some(900.0),
        ),
        ("empty RPC, 16 clients", None, None),
    ];
    let mut rows = Vec::new();
    for (name, work, budget) in cases {
        if !options.wants(name) {
            continue;
        }
        let mut clients = Vec::new();
        for _ in 0..16 {
            clients.push(server.connect().await?);
        }
        let (rate, sample) = paced::closed(clients, work, span).await?;
        rows.push(Row {
            name: name.to_owned(),
            value: rate,
            p99: Some(sample.quantile(0.99)),
            unit: "/s",
            ratio: None,
            against: "",
            budget: budget.map(Budget::ValueAtLeast),
        });
    }
    Ok(rows)
}

/// `/evaluate` and `Metadata` while one execution burns a core.
async fn interference(options: &Options, server: &Server) -> Result<Vec<Row>> {
    let gap = Duration::from_millis(10);
    let calls = options.calls(400);
    let work = Work::evaluate("1 + 2 * 3");
    let mut client = server.connect().await?;
    let (idle_empty, idle) = paced::alternate(&mut client, &work, calls, gap).await?;
    let mut burner = server.connect().await?;
    let burning = tokio::spawn(async move {
        let body = "{\"code\":\"while True: pass\",\"timeout_secs\":60}".to_owned();
        server::post(&mut burner, "/execute", body).await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (busy_empty, busy) = paced::alternate(&mut client, &work, calls, gap).await?;
    burning.abort();
    let row = |name: &str, busy: &Sample, idle: &Sample, bound| Row {
        name: name.to_owned(),
        value: busy.quantile(0.5),
        p99: Some(busy.quantile(0.99)),
        unit: "µs",
        ratio: Some(busy.quantile(0.99) / idle.quantile(0.99)),
        against: "p99 ÷ idle p99",
        budget: Some(Budget::RatioAtMost(bound)),
    };
    Ok(vec![
        row("/evaluate beside a burning core", &busy, &idle, 3.0),
        row("Metadata beside a burning core", &busy_empty, &idle_empty, 2.0),
    ])
}

async fn output(client: &mut server::Client) -> Result<Row> {
    let code = "import sys\nfor _ in range(50): sys.stdout.write('x' * (1 << 20))";
    let work = Work::execute(code);
    let mut sample = Sample::default();
    for _ in 0..5 {
        sample.add(server::post(client, work.path, work.body.clone()).await?.0);
    }
    Ok(Row {
        name: "50 MB of stdout, to the capped answer".to_owned(),
        value: sample.quantile(0.5) / 1000.0,
        p99: None,
        unit: "ms",
        ratio: None,
        against: "",
        budget: Some(Budget::ValueAtMost(300.0)),
    })
}

/// From exec to the port line and to the first answer, Python cold.
async fn start(options: &Options) -> Result<Vec<Row>> {
    let (mut line, mut first) = (Sample::default(), Sample::default());
    for _ in 0..options.calls(20) {
        let server = Server::start(&[])?;
        line.add(server.to_port_line);
        let mut client = server.connect().await?;
        server::post(&mut client, "/evaluate", "{\"expr\":\"1\"}".to_owned()).await?;
        first.add(server.began.elapsed());
    }
    let row = |name: &str, sample: &Sample, bound| Row {
        name: name.to_owned(),
        value: sample.quantile(0.5) / 1000.0,
        p99: None,
        unit: "ms",
        ratio: None,
        against: "",
        budget: Some(Budget::ValueAtMost(bound)),
    };
    Ok(vec![row("start to port line", &line, 15.0), row("start to first /evaluate", &first, 60.0)])
}

/// Proportional memory of idle spares, as root reads it.
fn spare_memory(server: &Server) -> Result<Row> {
    let mut pss = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let path = entry.path();
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|s| s.split_whitespace().nth(1));
        if !stat.contains("(qntx:child)") || parent != Some(server.pid().to_string().as_str()) {
            continue;
        }
        let Ok(rollup) = std::fs::read_to_string(path.join("smaps_rollup")) else { continue };
        let kib: Option<f64> = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|kib| kib.parse().ok());
        pss.extend(kib);
    }
    let mean = pss.iter().sum::<f64>() / (pss.len() as f64) / 1024.0;
    Ok(Row {
        name: format!("idle spare, PSS (mean of {}, both tiers)", pss.len()),
        value: mean,
        p99: None,
        unit: "MB",
        ratio: None,
        against: "",
        budget: Some(Budget::ValueAtMost(3.0)),
    })
}
