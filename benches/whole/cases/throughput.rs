//! Closed loop: how many executions a second, from 1 to 64 clients.

use super::Bed;
use crate::load::{Call, closed};
use crate::report::{Budget, Row};
use crate::work::Work;
use anyhow::Result;

const GROUP: &str = "Executions per second, closed loop";

/// What every client asks for, its promise at 16 clients.
struct Kind {
    name: &'static str,
    call: fn(usize) -> Call,
    promise: Option<Budget>,
}

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let kinds = [
        Kind {
            name: "fresh, bare",
            call: |_| Call::Work(Work::evaluate()),
            promise: Some(Budget::ValueAtLeast(1400.0)),
        },
        Kind {
            name: "fresh, standard library",
            call: |_| Call::Work(Work::execute("import json\njson.dumps([1])")),
            promise: Some(Budget::ValueAtLeast(900.0)),
        },
        Kind {
            name: "in sessions",
            call: |client| Call::Work(Work::session(&format!("bench-{client}"))),
            promise: Some(Budget::RatioAtLeast(0.33)),
        },
    ];
    let mut rows = Vec::new();
    for kind in kinds {
        for clients in [1usize, 4, 16, 64] {
            let plural = if clients == 1 { "client" } else { "clients" };
            let name = format!("{}, {clients} {plural}", kind.name);
            if !bed.wants(GROUP, &name) {
                continue;
            }
            let promised = clients == 16;
            let span = bed.options.span(if promised { 4.0 } else { 2.0 });
            let connections = bed.plugin.connections(clients).await?;
            let all = |call: &dyn Fn(usize) -> Call| {
                connections.iter().cloned().enumerate().map(|(i, c)| (c, call(i))).collect()
            };
            let (before, _) = closed(all(&|_| Call::Empty), span / 4).await?;
            // The first executions of a session fork it.
            closed(all(&kind.call), span / 8).await?;
            let (rate, sample) = closed(all(&kind.call), span).await?;
            let (after, _) = closed(all(&|_| Call::Empty), span / 4).await?;
            let empty = f64::midpoint(before, after);
            rows.push(Row {
                sample: Some(sample),
                ratio: Some(rate / empty),
                against: format!("{empty:.0} empty RPCs/s"),
                ..Row::figure(GROUP, name, rate, "/s", kind.promise.filter(|_| promised))
            });
            super::settle().await;
        }
    }
    Ok(rows)
}
