//! `/execute`, `/evaluate`, `/execute-file`: a body becomes a [`Request`], its
//! [`Answer`] a body.
//!
//! **Invariant:** whatever the program did is a 200 or a 400 with `outcome`;
//! other statuses are about the request or about us.

use crate::answer::Answer;
use crate::api::body::Body;
use crate::api::outcome::Bounds;
use crate::api::render::{self, Shape};
use crate::api::routes::Endpoint;
use crate::api::{Api, Call, Door, Execute, Reply, attestations, limits};
use crate::caller::Caller;
use crate::config::Config;
use crate::error::{Rejected, RunError};
use crate::packages::Progress;
use crate::profile;
use crate::request::{Request, Source};
use bytes::Bytes;
use proto::Limits;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Above this much output a body is written off the async threads.
const LARGE: usize = 256 << 10;
/// Longest name of a session.
const MAX_SESSION: usize = 128;

impl<E: Execute, A: attestations::Find> Api<E, A> {
    pub(super) async fn execute(
        &self,
        endpoint: Endpoint,
        call: &Call,
        progress: &Progress,
    ) -> Result<Reply, RunError> {
        let config = self.settings.config();
        let (mut request, named) = request(endpoint, &call.body, &config)?;
        if call.door == Door::Core && !request.glyph_id.is_empty() {
            request.caller = Caller::glyph(&request.glyph_id);
        }
        let choice = self.choose(&mut request, named.as_deref(), progress).await?;
        let bounds = Bounds { limits: request.limits.clone(), ceiling: config.ceiling.clone() };
        let mut answer = self.run.execute(request).await?;
        choice.explain(&mut answer);
        let status = if answer.outcome.success() { 200 } else { 400 };
        let cap = match call.door {
            Door::Core => render::MESSAGE_CAP,
            Door::Tcp => usize::MAX,
        };
        let body = rendered(answer, bounds, Shape { variables: false, cap }).await;
        Ok(Reply::json(status, body))
    }
}

/// Writes the body, elsewhere when it is large.
pub async fn rendered(answer: Answer, bounds: Bounds, shape: Shape) -> Bytes {
    let size = answer.stdout.bytes.len()
        + answer.stderr.bytes.len()
        + answer.result.as_ref().map_or(0, Bytes::len);
    if size < LARGE {
        return render::answer(&answer, &bounds, shape);
    }
    let task = tokio::task::spawn_blocking(move || render::answer(&answer, &bounds, shape));
    // It fails only when the runtime is going down, and then nobody listens.
    task.await.unwrap_or_default()
}

/// Reads the body of one of the three routes; and which environment it names.
pub fn request(
    endpoint: Endpoint,
    bytes: &[u8],
    config: &Config,
) -> Result<(Request, Option<String>), Rejected> {
    let mut body = Body::parse(bytes)?;
    // A misspelt field is named before the one that is missing for it.
    let source = source(endpoint, &mut body, config);
    let profile = body.text("profile")?.unwrap_or_default();
    let defaults = defaults_of(&profile, config)?;
    let limits = limits::take(&mut body, config, defaults)?;
    let mut request = Request::new(Source::Expression(String::new()), limits);
    if profile != profile::DEFAULT {
        request.profile = profile;
    }
    request.capture_variables =
        body.take("capture_variables", "true or false")?.unwrap_or_default();
    if let Some(paths) = body.take::<Vec<String>>("python_paths", "a list of strings")? {
        for path in &paths {
            within(Path::new(path), config, "python_paths")?;
        }
        request.python_paths = paths;
    }
    request.glyph_id = body.text("glyph_id")?.unwrap_or_default();
    request.upstream = body.object("upstream_attestation")?;
    request.stdin = body.take::<String>("stdin", "a string")?.map(Bytes::from).unwrap_or_default();
    request.session = session(&mut body)?;
    let environment = body.text("environment")?;
    if let Some(secs) = body.take("queue_timeout_secs", "a number of seconds")? {
        let most = Duration::from_secs(3600);
        request.queue_timeout =
            Some(limits::seconds("queue_timeout_secs", secs, most, "the plugin")?);
    }
    body.finish()?;
    request.source = source?;
    Ok((request, environment))
}

/// The limits of requests that name this profile; empty is the default one.
fn defaults_of(profile: &str, config: &Config) -> Result<Limits, Rejected> {
    let mut limits = config.defaults.clone();
    let profile = match profile {
        "" => &config.profiles.default,
        name => config
            .profiles
            .requested(name)
            .map_err(|reason| Rejected::field("profile", format!("`profile`: {reason}")))?,
    };
    profile.limits.apply(&mut limits);
    Ok(limits)
}

fn source(endpoint: Endpoint, body: &mut Body<'_>, config: &Config) -> Result<Source, Rejected> {
    match endpoint {
        Endpoint::Evaluate => expression(body).map(Source::Expression),
        Endpoint::ExecuteFile => file(body, config).map(Source::File),
        Endpoint::Execute
        | Endpoint::Index
        | Endpoint::Version
        | Endpoint::Modules
        | Endpoint::Health
        | Endpoint::Handlers
        | Endpoint::Sessions
        | Endpoint::EndSession
        | Endpoint::Interrupt
        | Endpoint::Attestations
        | Endpoint::Install
        | Endpoint::Check
        | Endpoint::Environment
        | Endpoint::Rollback => code(body).map(|text| Source::Code { text, function: None }),
    }
}

fn code(body: &mut Body<'_>) -> Result<String, Rejected> {
    match (body.text("code")?, body.text("content")?) {
        (Some(_), Some(_)) => Err(Rejected::field(
            "content",
            "`code` and `content` are two names of the same field: give one of them",
        )),
        (Some(text), None) | (None, Some(text)) => Ok(text),
        (None, None) => Err(Rejected::field("code", "missing field `code` (or `content`)")),
    }
}

fn expression(body: &mut Body<'_>) -> Result<String, Rejected> {
    let Some(expr) = body.text("expr")? else {
        return Err(Rejected::field("expr", "missing field `expr`"));
    };
    if expr.trim().is_empty() {
        return Err(Rejected::field("expr", "`expr` is empty: an expression has a value"));
    }
    Ok(expr)
}

fn file(body: &mut Body<'_>, config: &Config) -> Result<PathBuf, Rejected> {
    let path = match body.text("path")? {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        Some(_) => return Err(Rejected::field("path", "`path` is empty")),
        None => return Err(Rejected::field("path", "missing field `path`")),
    };
    let path = match config.file_roots.first() {
        _ if path.is_absolute() => path,
        Some(root) => root.join(path),
        None => {
            return Err(Rejected::field(
                "path",
                "`path` is relative and there is no file root to start from; --file-root DIR \
                 names one",
            ));
        }
    };
    within(&path, config, "path")?;
    Ok(path)
}

fn session(body: &mut Body<'_>) -> Result<Option<String>, Rejected> {
    let session = body.text("session")?;
    match &session {
        Some(name) if name.is_empty() || name.len() > MAX_SESSION => Err(Rejected::field(
            "session",
            format!("`session` has to have 1 to {MAX_SESSION} bytes, not {}", name.len()),
        )),
        Some(_) | None => Ok(session),
    }
}

/// Refuses a path outside the configured roots. Only words are compared first;
/// the file system is asked when they don't fit. What is really readable, the
/// sandbox decides.
fn within(path: &Path, config: &Config, field: &str) -> Result<(), Rejected> {
    let refused = |reason: String| Err(Rejected::field(field, format!("`{field}`: {reason}")));
    let shown = path.display();
    if path.to_string_lossy().contains('\0') {
        return refused("a path with a NUL character".to_owned());
    }
    if !path.is_absolute() {
        return refused(format!("{shown} is not an absolute path"));
    }
    let mut roots = config.file_roots.iter().chain(&config.python_paths);
    let plain = path.components().all(|part| part != Component::ParentDir);
    if plain && roots.clone().any(|root| path.starts_with(root)) {
        return Ok(());
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let target = real(path);
    let plain = target.components().all(|part| part != Component::ParentDir);
    if plain && roots.any(|root| target.starts_with(real(root))) {
        return Ok(());
    }
    let all = config.file_roots.iter().chain(&config.python_paths);
    let all: Vec<_> = all.map(|root| root.display().to_string()).collect();
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    refused(format!(
        "{shown} is outside of what executions may read (roots: {all}); --file-root DIR or \
         --python-path DIR adds a root"
    ))
}
