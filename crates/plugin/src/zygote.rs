//! The supervisor's end of one zygote: launch, handshake, requests, death.
//!
//! **Invariant:** a zygote gets a scrubbed environment and exactly one
//! descriptor, and its generation is never used again.

use crate::error::Fault;
use crate::spawner::Spawner;
use prost::Message as _;
use proto::codec::MAX_ZYGOTE;
use proto::frame::{Fork, FromZygote, ToZygote, ZygoteReady, ZygoteStart, from_zygote, to_zygote};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Longest wait for a zygote to come up: preloads included.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Environment variables a zygote may inherit; everything else is dropped.
const INHERITED: [&str; 5] = ["LANG", "LC_ALL", "LC_CTYPE", "TZ", "TZDIR"];

/// What every zygote's environment has: numeric libraries must not start
/// threads in a process that forks, and one core each is a fair default.
const FIXED: [(&str, &str); 9] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("OPENBLAS_NUM_THREADS", "1"),
    ("OMP_NUM_THREADS", "1"),
    ("MKL_NUM_THREADS", "1"),
    ("NUMEXPR_NUM_THREADS", "1"),
    ("MPLBACKEND", "Agg"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONUNBUFFERED", "1"),
    ("PYTHONIOENCODING", "utf-8"),
];

/// A zygote that answered its handshake.
#[derive(Debug)]
pub struct Zygote {
    control: Control,
    process: Child,
    pub generation: u32,
    pub ready: ZygoteReady,
}

/// The control socket: one message per packet.
#[derive(Debug)]
struct Control {
    socket: AsyncFd<OwnedFd>,
    buffer: Vec<u8>,
}

/// Why a zygote is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ZygoteError {
    /// It could not be started as a process.
    #[error("the zygote process can't be started: {0}")]
    Spawn(String),
    /// It reported why it can't go on.
    #[error("{stage}: {reason}")]
    Failed { stage: String, reason: String },
    /// It ended, or its socket did, without a word.
    #[error("the zygote ended{how}")]
    Gone { how: String },
    /// It ended, or ended itself, over a module it was to learn.
    #[error("{module}: {reason}")]
    Module { module: String, reason: String },
    /// It said nothing in time.
    #[error("the zygote did not come up within {} s", START_PATIENCE.as_secs())]
    Silent,
}

impl Zygote {
    /// Starts a zygote and waits until it can fork.
    pub async fn launch(spawner: &Spawner, start: ZygoteStart) -> Result<Self, ZygoteError> {
        let generation = start.generation;
        let spawn = |error: std::io::Error| ZygoteError::Spawn(error.to_string());
        let (ours, theirs) = sandbox::fds::packet_pair().map_err(spawn)?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|e| spawn(e.into()))?;
        let mut process = spawner.spawn(command(theirs).map_err(spawn)?).await.map_err(spawn)?;
        let socket = crate::readiness::watch(ours).map_err(spawn)?;
        let mut control = Control { socket, buffer: vec![0; MAX_ZYGOTE] };
        let mut trying = None;
        let handshake = async {
            control.send(to_zygote::Kind::Start(start), &[]).await?;
            loop {
                match control.receive().await?.kind {
                    Some(from_zygote::Kind::Trying(module)) => trying = Some(module.module),
                    kind => return Ok::<_, std::io::Error>(kind),
                }
            }
        };
        let answer = tokio::time::timeout(START_PATIENCE, handshake).await;
        let failure = match answer {
            Ok(Ok(Some(from_zygote::Kind::Ready(ready)))) => {
                return Ok(Self { control, process, generation, ready });
            }
            Ok(Ok(Some(from_zygote::Kind::Failed(failed)))) => {
                ZygoteError::Failed { stage: failed.stage, reason: failed.reason }
            }
            Ok(Ok(_)) => ZygoteError::Gone { how: " with an unexpected answer".to_owned() },
            Ok(Err(_)) => ZygoteError::Gone { how: end_of(&mut process) },
            Err(_) => ZygoteError::Silent,
        };
        let failure = match (failure, trying) {
            (ZygoteError::Failed { reason, .. }, Some(module)) => {
                ZygoteError::Module { module, reason }
            }
            (failure, Some(module)) => ZygoteError::Module { module, reason: failure.to_string() },
            (failure, None) => failure,
        };
        kill(&mut process);
        Err(failure)
    }

    /// Asks for a child; its descriptors go along.
    pub async fn fork(&self, fork: Fork, fds: &[OwnedFd; 3]) -> std::io::Result<()> {
        self.control.send(to_zygote::Kind::Fork(fork), fds).await
    }

    /// The next answer; an error means that the zygote is gone.
    pub async fn receive(&mut self) -> std::io::Result<from_zygote::Kind> {
        loop {
            let frame = self.control.receive().await?;
            if frame.generation == self.generation
                && let Some(kind) = frame.kind
            {
                return Ok(kind);
            }
        }
    }

    /// How it ended; kills it when it has not.
    pub fn end(&mut self) -> String {
        end_of(&mut self.process)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        kill(&mut self.process);
    }
}

fn kill(process: &mut Child) {
    // Both fail only when it has been waited for already.
    let _ = process.kill();
    let _ = process.wait();
}

fn end_of(process: &mut Child) -> String {
    std::thread::sleep(Duration::from_millis(1));
    if let Ok(Some(status)) = process.try_wait() {
        return format!(" ({status})");
    }
    kill(process);
    String::new()
}

fn command(control: OwnedFd) -> std::io::Result<Command> {
    let mut command = Command::new(own_binary()?);
    command
        .arg(proto::ZYGOTE_ARG)
        .arg(std::process::id().to_string())
        .env_clear()
        .envs(environment())
        .current_dir("/")
        .stdin(Stdio::from(control))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// This very file, also when it was replaced on disk since (an update).
fn own_binary() -> std::io::Result<OsString> {
    let link = OsString::from("/proc/self/exe");
    if std::fs::metadata(&link).is_ok() {
        // Resolved by the kernel in the child, before its exec.
        return Ok(link);
    }
    Ok(std::env::current_exe()?.into_os_string())
}

fn environment() -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = INHERITED
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
        .collect();
    environment.extend(FIXED.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    environment.extend(sandbox::trial::environment());
    environment
}

impl Control {
    async fn send(&self, kind: to_zygote::Kind, fds: &[OwnedFd]) -> std::io::Result<()> {
        let bytes = ToZygote { kind: Some(kind) }.encode_to_vec();
        loop {
            let mut guard = self.socket.writable().await?;
            let sent = guard.try_io(|socket| {
                sandbox::fds::send_with_fds(socket.get_ref().as_fd(), &bytes, fds)
            });
            match sent {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }

    async fn receive(&mut self) -> std::io::Result<FromZygote> {
        loop {
            let mut guard = self.socket.readable().await?;
            let buffer = &mut self.buffer;
            let received = guard
                .try_io(|socket| sandbox::fds::recv_with_fds(socket.get_ref().as_fd(), buffer));
            match received {
                Ok(Ok(received)) if received.len == 0 => {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                Ok(Ok(received)) => {
                    let bytes = self.buffer.get(..received.len).unwrap_or_default();
                    return FromZygote::decode(bytes).map_err(std::io::Error::other);
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }
}

impl From<ZygoteError> for Fault {
    fn from(error: ZygoteError) -> Self {
        Self::NoInterpreter { reason: error.to_string() }
    }
}
