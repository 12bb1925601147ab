//! Calls at a pace, two kinds interleaved, so that both see the same minute.

use crate::server::{self, Client};
use crate::stats::Sample;
use anyhow::Result;
use std::time::Duration;

/// One call to be timed.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) path: &'static str,
    pub(crate) body: String,
}

impl Work {
    /// `/evaluate` of an expression.
    pub(crate) fn evaluate(expr: &str) -> Self {
        Self { path: "/evaluate", body: format!("{{\"expr\":{}}}", serde_json::json!(expr)) }
    }

    /// `/execute` of code.
    pub(crate) fn execute(code: &str) -> Self {
        Self { path: "/execute", body: format!("{{\"code\":{}}}", serde_json::json!(code)) }
    }
}

/// `calls` of the empty RPC and of `work`, alternately, `gap` between calls.
pub(crate) async fn alternate(
    client: &mut Client,
    work: &Work,
    calls: usize,
    gap: Duration,
) -> Result<(Sample, Sample)> {
    let (mut empty, mut measured) = (Sample::default(), Sample::default());
    for _ in 0..5 {
        server::empty(client).await?;
        server::post(client, work.path, work.body.clone()).await?;
        tokio::time::sleep(gap).await;
    }
    for _ in 0..calls {
        tokio::time::sleep(gap).await;
        empty.add(server::empty(client).await?);
        tokio::time::sleep(gap).await;
        measured.add(server::post(client, work.path, work.body.clone()).await?.0);
    }
    Ok((empty, measured))
}

/// Closed loop: `clients` at once for `span`; calls per second and their timings.
pub(crate) async fn closed(
    clients: Vec<Client>,
    work: Option<Work>,
    span: Duration,
) -> Result<(f64, Sample)> {
    let until = std::time::Instant::now() + span;
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut sample = Sample::default();
                while std::time::Instant::now() < until {
                    sample.add(match &work {
                        Some(work) => {
                            server::post(&mut client, work.path, work.body.clone()).await?.0
                        }
                        None => server::empty(&mut client).await?,
                    });
                }
                anyhow::Ok(sample)
            })
        })
        .collect();
    let mut all = Sample::default();
    for task in tasks {
        all.merge(&task.await??);
    }
    Ok((all.len() as f64 / span.as_secs_f64(), all))
}
