//! Healthy executions while others crash, hang and exhaust memory.

use super::Bed;
use crate::load::Call;
use crate::report::{Budget, Row};
use crate::server;
use crate::work::Work;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const GROUP: &str = "Survival";

/// Programs that end badly, each in a way of its own.
const HOSTILE: [&str; 4] = [
    r#"{"code":"import os\nos.abort()"}"#,
    r#"{"code":"while True: pass","timeout_secs":0.1}"#,
    r#"{"code":"x = b'x' * (256 << 20)","limits":{"memory_bytes":67108864}}"#,
    r#"{"code":"import ctypes\nctypes.string_at(0)"}"#,
];

#[expect(clippy::print_stderr, reason = "why one was lost belongs to the run's log")]
pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let name = "healthy executions lost while others crash, hang, exhaust memory";
    if !bed.wants(GROUP, name) {
        return Ok(Vec::new());
    }
    let wanted = bed.options.calls(10_000);
    let hostile: Vec<_> = (0..4)
        .zip(bed.plugin.connections(4).await?)
        .map(|(first, mut client)| {
            tokio::spawn(async move {
                for body in HOSTILE.into_iter().cycle().skip(first) {
                    let (_, status, _) = server::call(&mut client, "/execute", body.into()).await?;
                    anyhow::ensure!(status == 400, "a hostile program was answered {status}");
                }
                anyhow::Ok(())
            })
        })
        .collect();
    let begun = Arc::new(AtomicUsize::new(0));
    let healthy: Vec<_> = bed
        .plugin
        .connections(12)
        .await?
        .into_iter()
        .map(|mut client| {
            let begun = Arc::clone(&begun);
            tokio::spawn(async move {
                let (call, mut lost) = (Call::Work(Work::evaluate()), 0usize);
                while begun.fetch_add(1, Ordering::Relaxed) < wanted {
                    if let Err(error) = call.time(&mut client).await {
                        eprintln!("a healthy execution was lost: {error:#}");
                        lost += 1;
                    }
                }
                lost
            })
        })
        .collect();
    let mut lost = 0;
    for client in healthy {
        lost += client.await?;
    }
    for client in hostile {
        if client.is_finished() {
            client.await??;
        } else {
            client.abort();
        }
    }
    super::settle().await;
    let name = format!("{name}, of {wanted}");
    let none = Some(Budget::ValueAtMost(0.0));
    Ok(vec![Row::figure(GROUP, name, lost as f64, "executions", none)])
}
