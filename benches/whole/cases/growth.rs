//! Whether supervisor and zygotes grow with the number of executions.

use super::memory::{descendants, kib};
use crate::Options;
use crate::load::Call;
use crate::report::{Budget, Row};
use crate::server::Server;
use crate::stats::slope;
use crate::work::Work;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const GROUP: &str = "Growth";
/// Looks at the memory during a run.
const LOOKS: usize = 20;
/// What counts as none: 1 MiB over 100,000 executions, the noise of an allocator.
const NONE: f64 = 10.0;

pub(crate) async fn run(options: &Options, executions: usize) -> Result<Vec<Row>> {
    if !options.wants(GROUP, "") {
        return Ok(Vec::new());
    }
    let server = Server::plugin(&options.plugin(), &[])?;
    let clients = server.connections(8).await?;
    let mut looks: BTreeMap<(String, u32), Vec<(f64, f64)>> = BTreeMap::new();
    let works = [Work::evaluate(), Work::execute("import json\nprint(json.dumps([1]))")];
    let step = executions / LOOKS;
    for look in 0..=LOOKS {
        let begun = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = clients
            .iter()
            .cloned()
            .enumerate()
            .map(|(i, mut client)| {
                let begun = Arc::clone(&begun);
                let call = Call::Work(works[i % works.len()].clone());
                tokio::spawn(async move {
                    while begun.fetch_add(1, Ordering::Relaxed) < step {
                        call.time(&mut client).await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        super::settle().await;
        let done = (step * (look + 1)) as f64;
        let mut see = |name: &str, pid: u32| {
            if let Some(kib) = kib(pid, "smaps_rollup", "Anonymous:") {
                looks.entry((name.to_owned(), pid)).or_default().push((done, kib * 1024.0));
            }
        };
        see("supervisor", server.pid());
        for process in descendants(server.pid())? {
            if process.name == "qntx:zygote" {
                see("zygote", process.pid);
            }
        }
    }
    let mut rows = Vec::new();
    for ((name, _), points) in looks {
        // The first fifth fills pools and caches.
        let settled = points.get(LOOKS / 5..).context("it was restarted on the way")?;
        let number = rows.len();
        rows.push(Row::figure(
            GROUP,
            format!("{name} {number}, over {executions} executions (none is below {NONE})"),
            slope(settled),
            "B each",
            Some(Budget::ValueAtMost(NONE)),
        ));
    }
    Ok(rows)
}
