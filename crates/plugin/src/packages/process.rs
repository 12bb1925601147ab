//! One run of uv: started, listened to, ended.
//!
//! **Invariant:** when the future is dropped or the deadline passes, the whole
//! process group is killed, and reaped; no more than [`KEPT`] bytes of what it
//! says are kept.

use super::cage::Cage;
use super::progress::Progress;
use super::role;
use crate::spawner::Spawner;
use sandbox::process::{Exit, Pidfd};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe::Receiver;

/// Kept of each stream.
const KEPT: usize = 1 << 20;
/// Longest line of progress.
const LINE: u64 = 64 << 10;

/// What is to be run.
#[derive(Debug)]
pub struct Order<'a> {
    pub program: &'a Path,
    pub cage: &'a Cage,
    pub progress: &'a Progress,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    pub directory: &'a Path,
    pub deadline: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    pub success: bool,
    /// `exit code 1`, `signal 9`, `not within 600 s`.
    pub how: String,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `order` to its end.
pub async fn run(spawner: &Spawner, order: Order<'_>) -> io::Result<Ended> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(role::ARG)
        .arg(std::process::id().to_string())
        .args(order.cage.words())
        .arg(order.program)
        .args(&order.arguments)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(order.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawner.spawn(command).await?;
    let stdout =
        child.stdout.take().map(|pipe| Receiver::from_owned_fd(pipe.into())).transpose()?;
    let stderr =
        child.stderr.take().map(|pipe| Receiver::from_owned_fd(pipe.into())).transpose()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let group = Group(Some(Pidfd::open_child(pid)?));
    let mut ended = Ended::default();
    let talk = async {
        tokio::join!(
            keep(stdout, &mut ended.stdout),
            listen(stderr, &mut ended.stderr, order.progress)
        );
    };
    let in_time = tokio::time::timeout(order.deadline, talk).await.is_ok();
    if !in_time {
        ended.how = format!("not within {} s", order.deadline.as_secs());
        return Ok(ended);
    }
    // Both its streams are closed, so it is at its end; one that only closed
    // them is given a moment.
    match tokio::time::timeout(Duration::from_secs(5), group.ended()).await {
        Ok(Ok(Exit::Code(0))) => {
            ended.success = true;
            ended.how = "exit code 0".to_owned();
        }
        Ok(Ok(Exit::Code(code))) => ended.how = format!("exit code {code}"),
        Ok(Ok(Exit::Signal(signal))) => ended.how = format!("signal {signal}"),
        Ok(Err(error)) => return Err(error),
        Err(_) => "it closed its output and went on".clone_into(&mut ended.how),
    }
    Ok(ended)
}

async fn keep(pipe: Option<Receiver>, into: &mut String) {
    let Some(mut pipe) = pipe else { return };
    let mut bytes = Vec::new();
    // What can't be read is not there; the exit code decides.
    let _ = (&mut pipe).take(KEPT as u64).read_to_end(&mut bytes).await;
    *into = String::from_utf8_lossy(&bytes).into_owned();
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
}

/// Keeps the lines, logs each and tells it.
async fn listen(pipe: Option<Receiver>, into: &mut String, progress: &Progress) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        let shown = line.trim_end();
        if !shown.is_empty() {
            tracing::info!(target: "plugin::packages", "uv: {}", shown.trim_start());
            progress.tell(shown);
        }
        if into.len() < KEPT {
            into.push_str(shown);
            into.push('\n');
        }
    }
}

/// The process and everything it started.
#[derive(Debug)]
struct Group(Option<Pidfd>);

impl Group {
    async fn ended(mut self) -> io::Result<Exit> {
        let Some(process) = self.0.take() else { return Err(io::ErrorKind::NotFound.into()) };
        let watched = crate::readiness::watch(process)?;
        let mut held = Watched(Some(watched));
        if let Some(watched) = &held.0 {
            drop(watched.readable().await?);
        }
        let Some(watched) = held.0.take() else { return Err(io::ErrorKind::NotFound.into()) };
        watched.into_inner().wait().map(|reaped| reaped.exit)
    }
}

/// As [`Group`], while it is waited for.
struct Watched(Option<tokio::io::unix::AsyncFd<Pidfd>>);

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(watched) = self.0.take() {
            end(watched.into_inner());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(process) = self.0.take() {
            end(process);
        }
    }
}

/// Kills the group and reaps its leader, which is a child of ours until then,
/// so that the number still means it.
fn end(process: Pidfd) {
    if let Some(pid) = rustix::process::Pid::from_raw(process.pid()) {
        // ESRCH: it has no group of its own yet, or is at its end already.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = process.kill();
    let reap = move || {
        if let Err(error) = process.wait() {
            tracing::warn!(%error, "uv could not be reaped");
        }
    };
    match tokio::runtime::Handle::try_current() {
        Ok(handle) => drop(handle.spawn_blocking(reap)),
        Err(_) => reap(),
    }
}
