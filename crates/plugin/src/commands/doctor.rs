//! `doctor`: what this machine grants, and what that means.
//!
//! **Invariant:** it says what was found, not what was asked for: Python is
//! started, a child is sealed, an expression is evaluated.

use super::{logs, runtime};
use crate::api::{chain, state};
use crate::cli::{Exit, Failure, Invocation};
use crate::host::Host;
use crate::request::{Request, Source};
use crate::supervisor::{Snapshot, Supervisor};
use sandbox::kernel::KernelFeatures;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Looks at the machine and says what it sees.
pub fn doctor(invocation: &Invocation) -> Result<Exit, Failure> {
    drop(logs(invocation)?);
    let (config, _) = invocation.config()?;
    let kernel = sandbox::kernel::probe();
    let mut report = Report::default();
    describe(&mut report, &kernel);
    let runtime = runtime()?;
    let weakened = config.no_sandbox || config.allow_weak_sandbox;
    let limits = config.defaults.clone();
    let (snapshot, tried) = runtime.block_on(async {
        let host = Arc::new(Host::new(None));
        let supervisor = match Supervisor::start(config, host).await {
            Ok(supervisor) => supervisor,
            Err(e) => return (Snapshot::default(), Err(chain(&e))),
        };
        let began = Instant::now();
        let request = Request::new(Source::Expression("6 * 7".to_owned()), limits);
        let tried = match supervisor.execute(request).await {
            Ok(answer) if answer.result.as_deref() == Some(b"42") => Ok(began.elapsed()),
            Ok(answer) => Err(format!("6 * 7 came to {:?}", answer.outcome)),
            Err(e) => Err(chain(&e)),
        };
        let snapshot = supervisor.snapshot();
        supervisor.drain(Duration::ZERO).await;
        (snapshot, tried)
    });
    runtime.shutdown_background();
    python(&mut report, &snapshot, &tried);
    readable(&mut report, &snapshot);
    let floor = weakened || kernel.missing().iter().all(|missing| !missing.required);
    let fine = floor && tried.is_ok();
    report.line("verdict", if fine { "executions can be run" } else { "executions can't be run" });
    // A reader that went away is no reason to fail.
    let _ = std::io::stdout().lock().write_all(report.text.as_bytes());
    Ok(if fine { Exit::Success } else { Exit::CannotStart })
}

#[derive(Debug, Default)]
struct Report {
    text: String,
}

impl Report {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{name:<22} {value}");
    }
}

fn describe(report: &mut Report, kernel: &KernelFeatures) {
    let yes = |there: bool| if there { "yes" } else { "no" };
    report.line("kernel", &kernel.release);
    let floor = sandbox::LANDLOCK_FLOOR;
    report.line("landlock ABI", format!("{} (at least {floor} is needed)", kernel.landlock_abi));
    report.line("seccomp filters", yes(kernel.seccomp));
    report.line("pidfd", yes(kernel.pidfd));
    report.line("user namespaces", yes(kernel.userns));
    report.line("PID namespaces", yes(kernel.pidns));
    match &kernel.cgroup2 {
        Some(path) => report.line("delegated cgroup", path.display()),
        None => report.line("delegated cgroup", "no"),
    }
    for missing in kernel.missing() {
        let weight = if missing.required { "REQUIRED" } else { "optional" };
        report.line("missing", format!("{} ({weight}): {}", missing.feature, missing.cost));
    }
}

fn python(report: &mut Report, snapshot: &Snapshot, tried: &Result<Duration, String>) {
    if !snapshot.python_version.is_empty() {
        report.line("python", &snapshot.python_version);
        report.line("python prefix", &snapshot.python_prefix);
    }
    match tried {
        Ok(took) => {
            report.line("first evaluation", format!("{:.0} ms", took.as_secs_f64() * 1000.0));
            report.line("sandbox", state::level(snapshot));
            report.line("landlock", &snapshot.landlock);
            report.line("seccomp layers", snapshot.seccomp_filters);
        }
        Err(reason) => report.line("python", format!("FAILED: {reason}")),
    }
    for weakened in &snapshot.weakened {
        report.line("weakened", weakened);
    }
    for (module, reason) in &snapshot.set_aside {
        report.line("set aside", format!("{module}: {reason}"));
    }
}

/// What an unprivileged user needs to start the plugin.
fn readable(report: &mut Report, snapshot: &Snapshot) {
    let mut needed: Vec<(&str, PathBuf)> = Vec::new();
    if let Ok(binary) = std::env::current_exe() {
        needed.push(("the binary", binary));
    }
    if let Some(library) = libpython() {
        needed.push(("libpython", library));
    }
    if let Some(library) = standard_library(snapshot) {
        needed.push(("the standard library", library));
    }
    for (what, path) in needed {
        let shown = path.display();
        match closed(&path) {
            None => report.line("readable for all", format!("{what}: {shown}")),
            Some(at) => report.line(
                "NOT readable for all",
                format!("{what}: {shown} (closed at {}); other users can't run it", at.display()),
            ),
        }
    }
}

/// The libpython in this process.
fn libpython() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths.find(|path| path.contains("libpython")).map(PathBuf::from)
}

fn standard_library(snapshot: &Snapshot) -> Option<PathBuf> {
    let mut parts = snapshot.python_version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let prefix = Path::new(&snapshot.python_prefix);
    Some(prefix.join("lib").join(format!("python{major}.{minor}")).join("os.py"))
}

/// The first part of `path` that others can't enter or read.
fn closed(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let lacks = |path: &Path, bits: u32| match path.metadata() {
        Ok(meta) => meta.permissions().mode() & bits != bits,
        Err(_) => true,
    };
    let mut folders: Vec<_> = path.ancestors().skip(1).collect();
    folders.reverse();
    let folder = folders.into_iter().find(|folder| lacks(folder, 0o001));
    match folder {
        Some(folder) => Some(folder.to_owned()),
        None => lacks(&path, 0o004).then_some(path),
    }
}
