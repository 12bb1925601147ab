//! One `attest()`, as the script sees it: into the embedded store, and into a
//! core's store over a pooled gRPC channel.

use super::Bed;
use crate::report::{Budget, Row};
use crate::server::{self, Client, Server};
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use plugin::store::{Store, StorePath, StoreService};
use proto::protocol::ats_store_service_client::AtsStoreServiceClient;
use proto::protocol::{AttestationCommand, GenerateAttestationRequest, InitializeRequest};
use std::time::{Duration, Instant};
use tokio_stream::wrappers::TcpListenerStream;

const GROUP: &str = "Host calls";
/// 64 hexadecimal characters, as a core sends.
const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if bed.wants(GROUP, "attest() into the embedded store") {
        let mut client = bed.client().await?;
        let name = "attest() into the embedded store";
        rows.push(case(bed, &mut client, name).await?);
    }
    if bed.wants(GROUP, "attest() into a core's store") {
        let core = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = core.local_addr()?.to_string();
        let core = core.into_std()?;
        // A thread of its own: a core is another process.
        std::thread::spawn(move || serve(core));
        let plugin = Server::plugin(&bed.options.plugin(), &[])?;
        let mut client = plugin.connect().await?;
        client
            .inner
            .initialize(InitializeRequest {
                ats_store_endpoint: endpoint.clone(),
                auth_token: TOKEN.to_owned(),
                ..InitializeRequest::default()
            })
            .await?;
        super::settle().await;
        let direct = direct(bed, &endpoint).await?;
        let row = case(bed, &mut client, "attest() into a core's store").await?;
        let ratio = Some(row.value / direct.p50());
        let name = "the same RPC of that store, called from Rust";
        let against = (&direct, "");
        rows.push(Row { ratio: None, ..Row::ratio(GROUP, name, &direct, against, None) });
        rows.push(Row {
            ratio,
            against: "the same RPC called from Rust".to_owned(),
            name: "attest() into a core's store, beside that".to_owned(),
            budget: None,
            ..row.clone()
        });
        rows.push(row);
    }
    Ok(rows)
}

/// Each call's time as the script's own clock has it, between two runs of the
/// empty RPC at the same pace: back to back.
async fn case(bed: &Bed, client: &mut Client, name: &str) -> Result<Row> {
    let calls = bed.options.calls(1000);
    let code = format!(
        "import time\nts = []\nfor i in range({calls}):\n    t = time.perf_counter()\n    \
         attest('bench', 'is', 'fast')\n    ts.append(time.perf_counter() - t)\nts"
    );
    let body = serde_json::json!({ "code": code }).to_string();
    let mut empty = Sample::default();
    for _ in 0..calls / 2 {
        empty.add(server::empty(client).await?);
    }
    let (_, answer) = server::post(client, "/execute", body.into()).await?;
    for _ in 0..calls / 2 {
        empty.add(server::empty(client).await?);
    }
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let times = answer["result"].as_array().context("no result")?;
    let mut sample = Sample::default();
    for time in times {
        sample.add(Duration::from_secs_f64(time.as_f64().context("a time")?));
    }
    Ok(Row::ratio(GROUP, name, &sample, (&empty, "empty RPC"), Some(Budget::RatioAtMost(1.5))))
}

/// What the store's RPC takes by itself.
async fn direct(bed: &Bed, endpoint: &str) -> Result<Sample> {
    let mut store = AtsStoreServiceClient::connect(format!("http://{endpoint}")).await?;
    let command = AttestationCommand {
        subjects: vec!["bench".to_owned()],
        predicates: vec!["is".to_owned()],
        contexts: vec!["fast".to_owned()],
        ..AttestationCommand::default()
    };
    let mut sample = Sample::default();
    for _ in 0..bed.options.calls(1000) {
        let request = GenerateAttestationRequest {
            auth_token: TOKEN.to_owned(),
            command: Some(command.clone()),
        };
        let began = Instant::now();
        let answer = store.generate_and_create_attestation(request).await?.into_inner();
        sample.add(began.elapsed());
        ensure!(answer.success, "{}", answer.error);
    }
    Ok(sample)
}

/// A core's attestation store, in memory.
#[expect(clippy::print_stderr, reason = "why the figure is missing belongs to the run's log")]
fn serve(core: std::net::TcpListener) {
    let run = || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let store = Store::open(&StorePath::parse(":memory:"))?;
        let service = StoreService::new(store, TOKEN).into_server();
        runtime.block_on(async {
            let core = TcpListenerStream::new(tokio::net::TcpListener::from_std(core)?);
            let server = tonic::transport::Server::builder().tcp_nodelay(true);
            server.clone().add_service(service).serve_with_incoming(core).await?;
            anyhow::Ok(())
        })
    };
    if let Err(error) = run() {
        eprintln!("the core's store ended: {error:#}");
    }
}
