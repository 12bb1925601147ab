//! The plugin's process, launched and stopped as the core does it.
//!
//! **Invariant:** nothing of it outlives this value: dropped is killed.

use crate::rpc;
use crate::wire::*;
use anyhow::{Context as _, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Wait for `QNTX_PLUGIN_PORT=`.
const PORT_LINE: Duration = Duration::from_secs(2);
/// First good `Metadata`, in sum and per attempt.
const READY: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(1);

/// How to launch it.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    pub name: String,
    /// The port to ask for; 0 = a free one.
    pub port: u16,
    /// `[python] args`
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Another file than the one under test, such as a link to it.
    pub binary: Option<PathBuf>,
    /// Both pipes are closed once the port is known: every further write of
    /// the plugin fails.
    pub deaf: bool,
}

/// The running process and the channel to it.
#[derive(Debug)]
pub struct Plugin {
    child: Child,
    pub pid: u32,
    /// What it announced.
    pub port: u16,
    /// What was asked for.
    pub asked: u16,
    pub channel: Channel,
    pub metadata: MetadataResponse,
    /// From exec to the port line, and to the first good `Metadata`.
    pub announced: Duration,
    pub ready: Duration,
    log: Arc<Mutex<Vec<String>>>,
    /// They end when nobody holds the other end of the pipes any more.
    readers: Vec<JoinHandle<()>>,
}

impl Plugin {
    /// Launches `binary` in `directory` and waits until it answers.
    pub async fn launch(binary: &Path, directory: &Path, launch: &Launch) -> anyhow::Result<Self> {
        let asked = if launch.port == 0 { free_port()? } else { launch.port };
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args(["--port", &asked.to_string()])
            .args(&launch.args)
            .envs(launch.env.iter().cloned())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't launch {}", binary.display()))?;
        let pid = child.id().context("it ended at once")?;
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (announce, mut announced) = watch::channel(None);
        let stdout = child.stdout.take().context("no stdout")?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut readers = vec![
            tokio::spawn(read(stdout, Arc::clone(&log), Some(announce))),
            tokio::spawn(read(stderr, Arc::clone(&log), None)),
        ];

        let port = tokio::time::timeout(PORT_LINE, announced.wait_for(Option::is_some)).await;
        let port = match port {
            Ok(Ok(port)) => port.unwrap_or(asked),
            // the core then assumes the port it asked for
            Ok(Err(_)) | Err(_) => asked,
        };
        let announced = started.elapsed();
        if launch.deaf {
            // with the tasks go the pipes
            readers.drain(..).for_each(|reader| reader.abort());
        }
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?
            .tcp_nodelay(true)
            .connect_timeout(ATTEMPT)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        let begun = Instant::now();
        let (channel, metadata) = loop {
            let good = async {
                let channel = endpoint.connect().await?;
                let path = "/protocol.DomainPluginService/Metadata";
                let metadata: MetadataResponse =
                    rpc::call(&channel, path, Empty {}, Some(ATTEMPT)).await?;
                ensure!(metadata.name == launch.name, "it calls itself {}", metadata.name);
                Ok((channel, metadata))
            };
            match good.await {
                Ok(good) => break good,
                Err(error) if begun.elapsed() > READY => {
                    let log = log.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
                    bail!("not ready within 5 s: {error:#}\n{log}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let ready = started.elapsed();
        Ok(Self { child, pid, port, asked, channel, metadata, announced, ready, log, readers })
    }

    pub async fn health(&self) -> anyhow::Result<HealthResponse> {
        let path = "/protocol.DomainPluginService/Health";
        let limit = Some(Duration::from_secs(5));
        Ok(rpc::call(&self.channel, path, Empty {}, limit).await?)
    }

    pub async fn initialize(
        &self,
        request: InitializeRequest,
        limit: Duration,
    ) -> anyhow::Result<InitializeResponse> {
        let path = "/protocol.DomainPluginService/Initialize";
        Ok(rpc::call(&self.channel, path, request, Some(limit)).await?)
    }

    pub async fn config_schema(&self) -> anyhow::Result<ConfigSchemaResponse> {
        let path = "/protocol.DomainPluginService/ConfigSchema";
        Ok(rpc::call(&self.channel, path, Empty {}, Some(Duration::from_secs(5))).await?)
    }

    /// One browser request below `/api/{name}`.
    pub async fn http(&self, method: &str, path: &str, body: &str) -> anyhow::Result<HttpResponse> {
        let header = HttpHeader {
            name: "Content-Type".to_owned(),
            values: vec!["application/json".to_owned()],
        };
        let request = HttpRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: vec![header],
            body: body.as_bytes().to_vec(),
        };
        let path = "/protocol.DomainPluginService/HandleHTTP";
        let answer: HttpResponse = rpc::call(&self.channel, path, request, None).await?;
        ensure!((100..=999).contains(&answer.status_code), "status {}", answer.status_code);
        Ok(answer)
    }

    /// `PythonService.Execute`; no deadline, as the core does it.
    pub async fn execute(
        &self,
        request: PythonExecuteRequest,
    ) -> anyhow::Result<PythonExecuteResponse> {
        let path = "/protocol.PythonService/Execute";
        Ok(rpc::call(&self.channel, path, request, None).await?)
    }

    pub async fn job(
        &self,
        request: ExecuteJobRequest,
    ) -> Result<ExecuteJobResponse, tonic::Status> {
        rpc::call(&self.channel, "/protocol.DomainPluginService/ExecuteJob", request, None).await
    }

    pub async fn glyphs(&self) -> anyhow::Result<GlyphDefResponse> {
        let path = "/protocol.DomainPluginService/RegisterGlyphs";
        Ok(rpc::call(&self.channel, path, Empty {}, Some(ATTEMPT)).await?)
    }

    pub async fn metadata(&self) -> anyhow::Result<MetadataResponse> {
        let path = "/protocol.DomainPluginService/Metadata";
        Ok(rpc::call(&self.channel, path, Empty {}, Some(ATTEMPT)).await?)
    }

    /// The Shutdown RPC, and nothing else: a core that stops sends no signal.
    pub async fn shutdown(&self) -> anyhow::Result<()> {
        let path = "/protocol.DomainPluginService/Shutdown";
        let Empty {} = rpc::call(&self.channel, path, Empty {}, None).await?;
        Ok(())
    }

    /// SIGINT, 3 s, SIGKILL: what the core does to a process that is no group
    /// leader. How long it took; an error when it had to be killed.
    pub async fn interrupt(&mut self) -> anyhow::Result<Duration> {
        let pid = i32::try_from(self.pid)?;
        let pid = rustix::process::Pid::from_raw(pid).context("no pid")?;
        let started = Instant::now();
        // it may be gone by itself, and not be reaped yet
        if self.child.try_wait()?.is_none() {
            rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        }
        self.gone_within(Duration::from_secs(3)).await?;
        Ok(started.elapsed())
    }

    /// Disabled by its user: the Shutdown RPC, then SIGINT, then SIGKILL. How
    /// long it took until nobody held its pipes.
    pub async fn disable(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let asked = tokio::time::timeout(Duration::from_secs(5), self.shutdown());
        asked.await.context("Shutdown gave no answer")??;
        self.interrupt().await?;
        Ok(started.elapsed())
    }

    /// Waits for its end, and for the end of its pipes, as the core does; an
    /// error when either lives on.
    pub async fn gone_within(
        &mut self,
        limit: Duration,
    ) -> anyhow::Result<std::process::ExitStatus> {
        let end = async {
            let status = self.child.wait().await?;
            for reader in &mut self.readers {
                reader.await?;
            }
            anyhow::Ok(status)
        };
        match tokio::time::timeout(limit, end).await {
            Ok(status) => status,
            Err(_) => bail!("still there after {limit:?}\n{}", self.log().join("\n")),
        }
    }

    /// Every line of both streams so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A port that was free a moment ago: the same race as the core's.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn read(
    stream: impl tokio::io::AsyncRead + Unpin,
    log: Arc<Mutex<Vec<String>>>,
    announce: Option<watch::Sender<Option<u16>>>,
) {
    let mut lines = BufReader::new(stream).lines();
    // an error here is the end of the pipe
    while let Ok(Some(line)) = lines.next_line().await {
        let port = line.strip_prefix("QNTX_PLUGIN_PORT=").and_then(|port| port.parse().ok());
        if let (Some(announce), Some(port)) = (&announce, port) {
            announce.send_replace(Some(port));
            continue;
        }
        if !line.trim().is_empty() {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim().to_owned());
        }
    }
}
