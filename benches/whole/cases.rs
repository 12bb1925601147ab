//! What is measured, and what was promised: one file per kind of promise.

mod attest;
mod bursts;
mod deadline;
mod growth;
mod imports;
mod interference;
mod latency;
mod memory;
mod output;
mod preloads;
mod start;
mod survival;
mod throughput;
mod yardsticks;

use crate::Options;
use crate::report::Row;
use crate::server::{self, Client, Server};
use anyhow::Result;
use std::time::Duration;

/// What the cases share: one plugin that has settled, and one in-process server.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) options: Options,
    pub(crate) plugin: Server,
    pub(crate) in_process: Server,
}

impl Bed {
    async fn new(options: &Options) -> Result<Self> {
        let plugin = Server::plugin(&options.plugin(), &[])?;
        let in_process = Server::in_process(None)?;
        let bed = Self { options: options.clone(), plugin, in_process };
        let mut client = bed.plugin.connect().await?;
        for code in ["1", "import json", "import json"] {
            let body = serde_json::json!({ "code": code }).to_string();
            server::post(&mut client, "/execute", body.into()).await?;
        }
        settle().await;
        Ok(bed)
    }

    /// A connection to the plugin.
    pub(crate) async fn client(&self) -> Result<Client> {
        self.plugin.connect().await
    }

    fn wants(&self, group: &str, name: &str) -> bool {
        self.options.wants(group, name)
    }
}

/// Long enough for the pool to be full and the machine quiet again.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(800)).await;
}

/// Runs every case that is wanted.
pub(crate) async fn run(options: &Options) -> Result<Vec<Row>> {
    let mut rows = start::run(options).await?;
    let bed = Bed::new(options).await?;
    rows.extend(latency::paced(&bed).await?);
    rows.extend(latency::open(&bed).await?);
    rows.extend(throughput::run(&bed).await?);
    rows.extend(bursts::run(&bed).await?);
    rows.extend(attest::run(&bed).await?);
    rows.extend(deadline::run(&bed).await?);
    rows.extend(interference::run(&bed).await?);
    rows.extend(output::run(&bed).await?);
    rows.extend(memory::run(&bed).await?);
    rows.extend(imports::run(&bed).await?);
    rows.extend(preloads::run(&bed).await?);
    rows.extend(survival::run(&bed).await?);
    rows.extend(yardsticks::run(&bed).await?);
    if let Some(executions) = options.growth {
        rows.extend(growth::run(options, executions).await?);
    }
    Ok(rows)
}
