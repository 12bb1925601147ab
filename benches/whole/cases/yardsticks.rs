//! What a user would otherwise take, in the same minute. Those that are not
//! installed are named, not left out in silence.

use super::Bed;
use crate::report::Row;
use crate::server;
use crate::stats::Sample;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const GROUP: &str = "Yardsticks, one call every 10 ms";
const POOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/whole/python/pool.py");
/// The gateway's one route: code that arrives is evaluated in its one kernel.
const NOTEBOOK: &str = r##"{"cells": [{"cell_type": "code", "execution_count": null, "metadata": {},
  "outputs": [], "source": "# POST /evaluate\nimport json\nprint(eval(json.loads(REQUEST)['body']['expr']))"}],
  "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
  "nbformat": 4, "nbformat_minor": 4}"##;

#[expect(clippy::print_stderr, reason = "what is not installed belongs to the run's log")]
pub(crate) async fn run(bed: &Bed) -> Result<Vec<Row>> {
    if !bed.options.yardsticks || !bed.wants(GROUP, "") {
        return Ok(Vec::new());
    }
    let python = std::env::var("QNTX_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let calls = bed.options.calls(100);
    let mut client = bed.client().await?;
    let mut empty = Sample::default();
    for _ in 0..calls {
        tokio::time::sleep(Duration::from_millis(10)).await;
        empty.add(server::empty(&mut client).await?);
    }
    let mut rows = Vec::new();
    let mut row = |name: &str, sample: &Sample| {
        rows.push(Row::ratio(GROUP, name, sample, (&empty, "empty RPC"), None));
    };

    row("`python3 -I -c` for each request", &spawned(calls, &[], &python)?);
    let pool = Command::new(&python).args(["-I", POOL, &calls.to_string()]).output()?;
    ensure!(pool.status.success(), "{}", String::from_utf8_lossy(&pool.stderr));
    let times: serde_json::Value = serde_json::from_slice(&pool.stdout)?;
    for (name, key) in [
        ("multiprocessing.Pool, a process for each task", "fresh"),
        ("multiprocessing.Pool, two processes for all", "reused"),
        ("eval in a loop, in-process, no RPC", "exec"),
    ] {
        let mut sample = Sample::default();
        for secs in times[key].as_array().context("no times")? {
            sample.add(Duration::from_secs_f64(secs.as_f64().context("a time")?));
        }
        row(name, &sample);
    }
    let jails: [(&str, &[&str]); 2] = [
        (
            "bwrap",
            &[
                "--ro-bind",
                "/",
                "/",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "--unshare-all",
                "--die-with-parent",
                "--new-session",
            ],
        ),
        ("nsjail", &["-Mo", "-Q", "--chroot", "/", "--disable_clone_newuser", "--"]),
    ];
    for (tool, arguments) in jails {
        match which(tool) {
            Some(path) => {
                let mut jail = vec![path.to_str().context("a path")?];
                jail.extend(arguments);
                row(&format!("{tool} around `python3 -I -c`"), &spawned(calls, &jail, &python)?);
            }
            None => eprintln!("!!! {tool} is not installed: NOT compared with"),
        }
    }
    match std::env::var_os("QNTX_BENCH_JUPYTER").map(PathBuf::from) {
        Some(environment) => {
            let sample = tokio::task::spawn_blocking(move || gateway(&environment, calls)).await?;
            row("Jupyter Kernel Gateway, one kernel for all", &sample?);
        }
        None => eprintln!(
            "!!! QNTX_BENCH_JUPYTER names no environment with jupyter_kernel_gateway: \
             NOT compared with"
        ),
    }
    Ok(rows)
}

/// A process for each call, started and waited for.
fn spawned(calls: usize, jail: &[&str], python: &str) -> Result<Sample> {
    let mut sample = Sample::default();
    for _ in 0..calls {
        std::thread::sleep(Duration::from_millis(10));
        let mut words = jail.iter().copied().chain([python, "-I", "-c", "print(1 + 2 * 3)"]);
        let mut command = Command::new(words.next().context("a program")?);
        let began = Instant::now();
        let output = command.args(words).stdin(Stdio::null()).output()?;
        sample.add(began.elapsed());
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.trim() == "7", "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(sample)
}

fn which(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(tool)).find(|file| file.is_file())
}

/// Ends with the scope.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Calls through the gateway's HTTP door.
fn gateway(environment: &Path, calls: usize) -> Result<Sample> {
    let notebook = tempfile::Builder::new().suffix(".ipynb").tempfile()?;
    std::fs::write(notebook.path(), NOTEBOOK)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let process = Command::new(environment.join("bin/jupyter-kernelgateway"))
        .arg(format!("--KernelGatewayApp.port={port}"))
        .arg("--KernelGatewayApp.ip=127.0.0.1")
        .arg("--KernelGatewayApp.api=kernel_gateway.notebook_http")
        .arg(format!("--KernelGatewayApp.seed_uri={}", notebook.path().display()))
        .env("PATH", environment.join("bin"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("jupyter-kernelgateway does not start")?;
    let _process = Killed(process);
    let agent = ureq::Agent::new_with_defaults();
    let url = format!("http://127.0.0.1:{port}/evaluate");
    let call = || -> Result<String> {
        let request = agent.post(&url).header("content-type", "application/json");
        let mut answer = request.send(r#"{"expr": "1 + 2 * 3"}"#)?;
        Ok(answer.body_mut().read_to_string()?)
    };
    let began = Instant::now();
    while let Err(error) = call() {
        ensure!(began.elapsed() < Duration::from_secs(30), "the gateway does not answer: {error}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut sample = Sample::default();
    for _ in 0..calls {
        std::thread::sleep(Duration::from_millis(10));
        let began = Instant::now();
        let said = call()?;
        sample.add(began.elapsed());
        ensure!(said.trim() == "7", "the gateway says {said}");
    }
    Ok(sample)
}
