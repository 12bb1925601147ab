//! `import numpy` in a fresh execution, once the plugin has learned it, beside
//! the same import where it is cached in the server's own process.

use super::Bed;
use crate::load::{Call, alternate};
use crate::report::{Budget, Row};
use crate::server::{self, Server};
use crate::stats::Sample;
use crate::work::Work;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::{Duration, Instant};

const GROUP: &str = "Imports";

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    if !bed.wants(GROUP, "import numpy") {
        return Ok(Vec::new());
    }
    let site = bed.options.site.as_deref().context(
        "no directory with numpy for the case of learned imports; \
         `cargo xtask bench` makes one, or --site DIR, or --only another case",
    )?;
    let uv = bed.options.uv.as_deref().and_then(Path::to_str).context(
        "no uv for the case of learned imports; `cargo xtask bench` finds one, or --uv PATH",
    )?;
    // Only what an environment holds is learned: nothing changes it behind the plugin's back.
    let place = tempfile::tempdir()?;
    let directory = place.path().to_str().context("the temporary directory is not UTF-8")?;
    let plugin = Server::plugin(&bed.options.plugin(), &["--uv", uv, "--site-dir", directory])?;
    let beside = Server::in_process(Some(site))?;
    let work = Work::execute("import numpy\nnumpy.arange(3).sum()");
    let (ours, theirs) = (plugin.connect().await?, beside.connect().await?);
    let numpy = br#"{"package":"numpy"}"#.as_slice();
    server::post(&mut ours.clone(), "/uv/install", numpy.into()).await?;
    let mut first = Sample::default();
    first.add(Call::Work(work.clone()).time(&mut ours.clone()).await?);
    learn(&ours, &work, first.p50()).await?;
    super::settle().await;
    let mut probes = [
        (ours.clone(), Call::Empty),
        (ours, Call::Work(work.clone())),
        (theirs, Call::Work(work.anywhere())),
    ];
    let samples = alternate(&mut probes, bed.options.calls(200), Duration::from_millis(10)).await?;
    let [empty, learned, cached] = samples.as_slice() else { return Ok(Vec::new()) };
    let budget = Some(Budget::RatioAtMost(1.5));
    Ok(vec![
        Row::ratio(GROUP, "import numpy, the first", &first, (empty, "empty RPC"), None),
        Row::ratio(
            GROUP,
            "import numpy, learned, every 10 ms",
            learned,
            (cached, "in-process, cached"),
            budget,
        ),
        Row::ratio(GROUP, "import numpy, in-process, cached", cached, (empty, "empty RPC"), None),
    ])
}

/// Imports it again and again until that has become cheap, or for 20 s.
async fn learn(client: &crate::server::Client, work: &Work, first: f64) -> Result<()> {
    let began = Instant::now();
    let mut client = client.clone();
    let mut cheap = 0;
    while cheap < 5 && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let elapsed = Call::Work(work.clone()).time(&mut client).await?;
        cheap = if elapsed.as_secs_f64() * 1e6 < first / 5.0 { cheap + 1 } else { 0 };
    }
    Ok(())
}
