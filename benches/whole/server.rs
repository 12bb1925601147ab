//! The servers under measurement: the plugin as cargo built it, and the
//! in-process yardstick beside it.

use anyhow::{Context, Result};
use bytes::Bytes;
use proto::protocol::domain_plugin_service_client::DomainPluginServiceClient;
use proto::protocol::{Empty, HttpHeader, HttpRequest};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};

/// A running server; killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) to_port_line: Duration,
    pub(crate) began: Instant,
}

/// One client of it. Clones share a connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) inner: DomainPluginServiceClient<Channel>,
    /// The server's, which tells servers apart.
    pub(crate) port: u16,
}

/// The plugin that cargo built with this bench.
pub(crate) fn built() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_qntx-python-plugin"))
}

impl Server {
    /// Starts `plugin` on a free port with an in-memory store.
    pub(crate) fn plugin(plugin: &Path, flags: &[&str]) -> Result<Self> {
        let mut command = Command::new(plugin);
        command.args(["--port", "0", "--store", ":memory:", "--log-level", "error"]).args(flags);
        Self::start(command)
    }

    /// Starts the server that runs Python in its own process, with `path` in
    /// front of `sys.path`.
    pub(crate) fn in_process(path: Option<&Path>) -> Result<Self> {
        let program = built().with_file_name("qntx-python-inprocess");
        anyhow::ensure!(
            program.exists(),
            "{} is missing: `cargo xtask bench` builds it, or \
             `cargo build --release -p qntx-python-inprocess`",
            program.display()
        );
        let mut command = Command::new(program);
        command.args(path);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let began = Instant::now();
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{program} does not start"))?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let to_port_line = began.elapsed();
        let port = line.trim().strip_prefix("QNTX_PLUGIN_PORT=");
        let port = port.with_context(|| format!("{program} gave no port line"))?.parse()?;
        Ok(Self { child, port, to_port_line, began })
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Client> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.port))?;
        let channel = endpoint.tcp_nodelay(true).connect().await?;
        let inner = DomainPluginServiceClient::new(channel).max_decoding_message_size(128 << 20);
        Ok(Client { inner, port: self.port })
    }

    /// `count` connections.
    pub(crate) async fn connections(&self, count: usize) -> Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            clients.push(self.connect().await?);
        }
        Ok(clients)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; nothing is lost either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The empty RPC.
pub(crate) async fn empty(client: &mut Client) -> Result<Duration> {
    let began = Instant::now();
    client.inner.metadata(Empty {}).await?;
    Ok(began.elapsed())
}

/// One HTTP call through the core's door; its time, and the answer's body.
pub(crate) async fn post(
    client: &mut Client,
    path: &str,
    body: Bytes,
) -> Result<(Duration, Bytes)> {
    let (elapsed, status, body) = call(client, path, body).await?;
    let text = || String::from_utf8_lossy(&body).into_owned();
    anyhow::ensure!(status == 200, "{path}: {status} {}", text());
    Ok((elapsed, body))
}

/// The same, whatever the status.
pub(crate) async fn call(
    client: &mut Client,
    path: &str,
    body: Bytes,
) -> Result<(Duration, i32, Bytes)> {
    asked(client, "POST", path, body).await
}

/// What is found at `path`.
pub(crate) async fn get(client: &mut Client, path: &str) -> Result<Bytes> {
    let (_, status, body) = asked(client, "GET", path, Bytes::new()).await?;
    anyhow::ensure!(status == 200, "{path}: {status}");
    Ok(body)
}

async fn asked(
    client: &mut Client,
    method: &str,
    path: &str,
    body: Bytes,
) -> Result<(Duration, i32, Bytes)> {
    let request = HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: vec![HttpHeader {
            name: "Content-Type".to_owned(),
            values: vec!["application/json".to_owned()],
        }],
        body,
    };
    let began = Instant::now();
    let answer = client.inner.handle_http(request).await?.into_inner();
    Ok((began.elapsed(), answer.status_code, answer.body))
}
