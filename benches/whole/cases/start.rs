//! From exec to the port line and to the first answer, Python cold.

use crate::Options;
use crate::report::{Budget, Row};
use crate::server::{self, Server};
use crate::stats::Sample;
use anyhow::Result;

const GROUP: &str = "Start";

pub(crate) async fn run(options: &Options) -> Result<Vec<Row>> {
    if !options.wants(GROUP, "") {
        return Ok(Vec::new());
    }
    let (mut line, mut first) = (Sample::default(), Sample::default());
    for _ in 0..options.calls(20) {
        let server = Server::plugin(&options.plugin(), &[])?;
        line.add(server.to_port_line);
        let mut client = server.connect().await?;
        server::post(&mut client, "/evaluate", "{\"expr\":\"1\"}".into()).await?;
        first.add(server.began.elapsed());
    }
    let row = |name, sample: &Sample, bound| {
        Row::figure(GROUP, name, sample.p50() / 1000.0, "ms", Some(Budget::ValueAtMost(bound)))
    };
    Ok(vec![row("exec to port line", &line, 15.0), row("exec to first /evaluate", &first, 60.0)])
}
