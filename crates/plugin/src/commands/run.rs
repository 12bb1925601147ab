//! `run` and `eval`: one execution, in and out like `python`.
//!
//! **Invariant:** stdout holds what the program wrote there (and, for `eval`,
//! the value), stderr the rest; the exit code is the program's.

use super::{floor, host, logs, runtime};
use crate::answer::Answer;
use crate::api::chain;
use crate::api::outcome::{self, Bounds};
use crate::cli::{Command, Exit, Failure, Invocation};
use crate::config::Config;
use crate::error::RunError;
use crate::packages::{Packages, Progress, choose};
use crate::request::{Request, Source};
use crate::settings::Settings;
use crate::supervisor::Supervisor;
use bytes::Bytes;
use proto::Outcome;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// The largest program or input that is read.
const MAX_INPUT: u64 = 100 << 20;

/// Runs the file, the standard input or the expression of the command.
pub fn run(invocation: &Invocation, command: &Command) -> Result<Exit, Failure> {
    drop(logs(invocation)?);
    let (mut config, _) = invocation.config()?;
    floor(&config)?;
    let mut request = match command {
        Command::Eval { expr, .. } if expr.trim().is_empty() => {
            return Err(Failure::usage("the expression is empty"));
        }
        Command::Eval { expr, .. } => {
            text_fits(expr)?;
            Request::new(Source::Expression(expr.clone()), config.defaults.clone())
        }
        Command::Run { file, stdin, .. } if file.as_os_str() == "-" => {
            if *stdin {
                return Err(Failure::usage(
                    "standard input is the program; it can't also be its input",
                ));
            }
            let text = String::from_utf8(input()?)
                .map_err(|_| Failure::usage("the program on standard input is not UTF-8"))?;
            text_fits(&text)?;
            let source = Source::Code { text, function: None };
            Request::new(source, config.defaults.clone())
        }
        Command::Run { file, stdin, .. } => {
            let mut request = file_request(file, &mut config)?;
            if *stdin {
                request.stdin = Bytes::from(input()?);
            }
            request
        }
        Command::Serve | Command::Doctor => return Err(Failure::usage("nothing to run")),
    };
    let profile = match command {
        Command::Run { profile, .. } | Command::Eval { profile, .. } => profile.as_deref(),
        Command::Serve | Command::Doctor => None,
    };
    if let Some(name) = profile.filter(|name| *name != crate::profile::DEFAULT) {
        let profile = config.profiles.get(name).ok_or_else(|| {
            let known: Vec<&str> = config.profiles.named.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Failure::usage(format!("--profile: there is no profile `{name}` (known: {known})"))
                .hint("--sandbox-profiles defines profiles; docs/sandbox.md has examples")
        })?;
        profile.limits.apply(&mut request.limits);
        name.clone_into(&mut request.profile);
    }
    // One program, one spare: the rest would be forked for nothing.
    config.min_spares = 1;
    config.max_spares = 1;
    let bounds = Bounds { limits: request.limits.clone(), ceiling: config.ceiling.clone() };
    let shows_value = matches!(command, Command::Eval { .. });
    let runtime = runtime()?;
    let ended = runtime.block_on(execute(invocation, config, request));
    runtime.shutdown_background();
    Ok(match ended? {
        Some(answer) => print(&answer, &bounds, shows_value),
        None => Exit::Interrupted,
    })
}

fn file_request(file: &Path, config: &mut Config) -> Result<Request, Failure> {
    let named = |e: std::io::Error| {
        let error = anyhow::Error::from(e).context(format!("can't run {}", file.display()));
        Failure::new(Exit::Usage, error)
    };
    let path = file.canonicalize().map_err(named)?;
    if !path.is_file() {
        return Err(Failure::usage(format!("{} is not a file", file.display())));
    }
    if let Some(folder) = path.parent()
        && !config.file_roots.iter().any(|root| folder.starts_with(root))
    {
        config.file_roots.push(folder.to_owned());
    }
    Ok(Request::new(Source::File(path), config.defaults.clone()))
}

fn text_fits(text: &str) -> Result<(), Failure> {
    let wrong = text.contains('\0');
    if wrong { Err(Failure::usage("the program contains a NUL character")) } else { Ok(()) }
}

fn input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(|e| {
        Failure::new(Exit::CannotRun, anyhow::Error::from(e).context("can't read standard input"))
    })?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Failure::usage("standard input has more than 100 MiB"));
    }
    Ok(bytes)
}

/// The answer; `None` when it was interrupted.
async fn execute(
    invocation: &Invocation,
    config: Config,
    request: Request,
) -> Result<Option<Answer>, Failure> {
    let cannot = |e: anyhow::Error| Failure::new(Exit::CannotRun, e);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| cannot(e.into()))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| cannot(e.into()))?;
    let host = host(invocation).await?;
    let packages = Arc::new(Packages::start().map_err(|e| cannot(e.into()))?);
    let settings = Arc::new(Settings::new(config.clone(), BTreeSet::new(), false));
    let supervisor = Supervisor::start(packages.equip(config), host.clone())
        .await
        .map_err(|e| cannot(e.into()))?;
    let run = Arc::new(supervisor.clone());
    let work = async {
        let mut request = request;
        let quiet = Progress::default();
        let choice = choose(Some(&packages), &run, &settings, &mut request, None, &quiet).await?;
        let mut answer = run.execute(request).await?;
        choice.explain(&mut answer);
        Ok(answer)
    };
    let ended = tokio::select! {
        ended = work => Some(ended),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    supervisor.drain(Duration::ZERO).await;
    if let Some(store) = host.embedded()
        && let Err(e) = store.close().await
    {
        tracing::warn!(reason = %chain(&e), "the attestation store was not closed well");
    }
    match ended {
        None => Ok(None),
        Some(Ok(answer)) => Ok(Some(answer)),
        Some(Err(e)) => Err(refused(e)),
    }
}

fn refused(error: RunError) -> Failure {
    match error {
        RunError::Rejected(rejected) => Failure::new(Exit::Usage, rejected),
        RunError::Fault(fault) => Failure::new(Exit::CannotRun, fault)
            .hint("`qntx-python-plugin doctor` shows what this machine grants"),
    }
}

fn print(answer: &Answer, bounds: &Bounds, shows_value: bool) -> Exit {
    let mut out = std::io::stdout().lock();
    let mut err = std::io::stderr().lock();
    // A reader that went away is no reason to fail; the program has run.
    let _ = out.write_all(&answer.stdout.bytes);
    if shows_value && answer.outcome.success() {
        let _ = out.write_all(answer.result.as_deref().unwrap_or(b"null"));
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
    let _ = err.write_all(&answer.stderr.bytes);
    for (stream, captured) in [("stdout", &answer.stdout), ("stderr", &answer.stderr)] {
        if captured.truncated {
            let limit = outcome::bytes(bounds.limits.output_bytes as u64);
            let _ = writeln!(err, "qntx-python-plugin: {stream} was cut after {limit}");
        }
    }
    if let Some(sentence) = outcome::sentence(answer, bounds) {
        if matches!(answer.outcome, Outcome::Raised(_)) {
            let _ = writeln!(err, "{}", sentence.trim_end_matches('\n'));
        } else if !matches!(answer.outcome, Outcome::Exited { .. }) {
            // Who exits has printed what there was to say, as with `python`.
            let _ = writeln!(err, "qntx-python-plugin: {sentence}");
        }
    }
    Exit::Program(outcome::exit_code(&answer.outcome))
}
