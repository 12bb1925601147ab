//! The plugin under measurement: the release binary cargo built beside us.

use anyhow::{Context, Result};
use proto::protocol::domain_plugin_service_client::DomainPluginServiceClient;
use proto::protocol::{Empty, HttpHeader, HttpRequest};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// A running plugin; killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) to_port_line: Duration,
    pub(crate) began: Instant,
}

/// One client of it.
pub(crate) type Client = DomainPluginServiceClient<Channel>;

impl Server {
    /// Starts the plugin on a free port with an in-memory store.
    pub(crate) fn start(flags: &[&str]) -> Result<Self> {
        let began = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_qntx-python-plugin"))
            .args(["--port", "0", "--store", ":memory:", "--log-level", "error"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the plugin does not start")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let to_port_line = began.elapsed();
        let port =
            line.trim().strip_prefix("QNTX_PLUGIN_PORT=").context("no port line")?.parse()?;
        Ok(Self { child, port, to_port_line, began })
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port))?;
        let channel = endpoint.tcp_nodelay(true).connect().await?;
        Ok(Client::new(channel).max_decoding_message_size(128 << 20))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The empty RPC.
pub(crate) async fn empty(client: &mut Client) -> Result<Duration> {
    let began = Instant::now();
    client.metadata(Empty {}).await?;
    Ok(began.elapsed())
}

/// One HTTP call through the core's door; the answer's body.
pub(crate) async fn post(
    client: &mut Client,
    path: &str,
    body: String,
) -> Result<(Duration, Vec<u8>)> {
    let request = HttpRequest {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![HttpHeader {
            name: "Content-Type".to_owned(),
            values: vec!["application/json".to_owned()],
        }],
        body: body.into(),
    };
    let began = Instant::now();
    let answer = client.handle_http(request).await?.into_inner();
    let elapsed = began.elapsed();
    anyhow::ensure!(
        answer.status_code == 200,
        "{path}: {} {}",
        answer.status_code,
        String::from_utf8_lossy(&answer.body)
    );
    Ok((elapsed, answer.body.to_vec()))
}
