//! One run: a spare and a request in, frames and output observed, an
//! [`Answer`] out.
//!
//! **Invariant:** the supervisor decides what happened. The child's frames are
//! claims; the pidfd, the deadline and the byte counts are ours. However a run
//! is left, its child is killed and reaped.

use crate::answer::{Answer, Grant, Note, Usage};
use crate::capture::{Capture, IDLE};
use crate::error::Fault;
use crate::haste::Haste;
use crate::host::{CallContext, Host, HostError, HostErrorKind};
use crate::reaper::Ended;
use crate::request::{Request, Source};
use crate::spare::Spare;
use crate::stream::StreamError;
use crate::verdict;
use crate::watchdog::{Excess, TICK, Watchdog};
use proto::Claimed;
use proto::Outcome;
use proto::claimed::{Checked, ClaimError};
use proto::frame::{
    Done, HostCall, HostRefusal, HostReply, Job, ToChild, host_reply, job, note, to_child,
};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinHandle;

/// Longest wait for a child that closed its channel to end.
const END_PATIENCE: Duration = Duration::from_millis(200);
/// Most notes kept of one run.
const MAX_NOTES: usize = 10_000;

/// What a run needs besides its request.
#[derive(Debug)]
pub struct Conditions {
    pub id: u64,
    pub host: Arc<Host>,
    pub context: Arc<CallContext>,
    pub queued: Duration,
    pub weakened: Vec<String>,
    pub grant: Grant,
    /// How many executions are under way, this one included.
    pub running: usize,
    pub haste: Arc<Haste>,
}

/// Where the child's process goes once the run is over.
#[derive(Debug)]
pub enum After {
    /// It may be let go.
    Finished(Box<Spare>),
    /// It is dead already.
    Gone,
}

/// Why the frames stopped coming.
enum Stop {
    Done(Box<Done>),
    TimedOut,
    Excess(Excess),
    Ended,
    Protocol(String),
}

struct Run {
    spare: Spare,
    stdout: Capture,
    stderr: Capture,
    request: Request,
    conditions: Conditions,
    call: Option<Call>,
    calls: u64,
    notes: Vec<Note>,
    note_bytes: usize,
    trapped: Option<u32>,
    closing: Option<Box<Done>>,
    watchdog: Watchdog,
    deadline: tokio::time::Instant,
}

/// A host call under way; aborted when the run is left.
struct Call {
    number: u64,
    name: String,
    task: JoinHandle<Result<Vec<u8>, HostError>>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs `request` in `spare`.
pub async fn run(
    mut spare: Spare,
    request: Request,
    conditions: Conditions,
) -> Result<(Answer, After), Fault> {
    let watchdog = Watchdog::start(&mut spare, &request.limits)?;
    let (Some(stdout), Some(stderr)) = (spare.stdout.take(), spare.stderr.take()) else {
        let source = std::io::Error::other("its streams ended in an earlier run");
        return Err(Fault::System { what: "the child can't be captured from", source });
    };
    let cap = request.limits.output_bytes;
    let mut run = Run {
        spare,
        stdout: Capture::new(stdout, cap),
        stderr: Capture::new(stderr, cap),
        request,
        conditions,
        call: None,
        calls: 0,
        notes: Vec::new(),
        note_bytes: 0,
        trapped: None,
        closing: None,
        watchdog,
        deadline: tokio::time::Instant::now(),
    };
    let began = Instant::now();
    run.deadline = tokio::time::Instant::from_std(began + run.request.limits.wall);
    let stop = run.until_it_stops().await;
    Ok(run.answer(stop, began).await)
}

impl Run {
    async fn until_it_stops(&mut self) -> Stop {
        let deadline = self.deadline;
        let patience = self.conditions.haste.patience(self.conditions.running);
        let here = !patience.is_zero() && sandbox::affinity::bring_here(self.spare.process.pid());
        let job = ToChild {
            generation: self.spare.generation,
            execution: self.conditions.id,
            kind: Some(to_child::Kind::Job(Job { bound: here, ..self.job() })),
        };
        match tokio::time::timeout_at(deadline, self.spare.stream.send(&job)).await {
            Ok(Ok(())) => {}
            Ok(Err(StreamError::Closed)) => return Stop::Ended,
            Ok(Err(error)) => return Stop::Protocol(error.to_string()),
            Err(_) => return Stop::TimedOut,
        }
        drop(job);
        if here && let Some(stop) = self.at_once(patience).await {
            return stop;
        }
        let mut tick = Box::pin(tokio::time::sleep(IDLE));
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => return Stop::TimedOut,
                frame = self.spare.stream.receive() => match frame {
                    Ok(frame) => if let Some(stop) = self.frame(Claimed::new(frame)).await {
                        return stop;
                    },
                    Err(StreamError::Closed) => return Stop::Ended,
                    Err(error) => return Stop::Protocol(error.to_string()),
                },
                reply = answered(&mut self.call) => if let Some(stop) = self.reply(reply).await {
                    return stop;
                },
                filled = self.stdout.fill() => if let Err(error) = filled {
                    return Stop::Protocol(format!("stdout: {error}"));
                },
                filled = self.stderr.fill() => if let Err(error) = filled {
                    return Stop::Protocol(format!("stderr: {error}"));
                },
                () = &mut tick => {
                    if let Err(error) = self.stdout.watch().and_then(|()| self.stderr.watch()) {
                        return Stop::Protocol(format!("output: {error}"));
                    }
                    if let Some(excess) = self.watchdog.look(&self.spare.process).await {
                        return Stop::Excess(excess);
                    }
                    tick.set(tokio::time::sleep(TICK));
                }
            }
        }
    }

    /// Gives this thread's core to the program, for `patience` at most: a short one is done
    /// before another core would have woken up.
    async fn at_once(&mut self, patience: Duration) -> Option<Stop> {
        let bound = sandbox::affinity::Bound::here();
        let received = self.spare.stream.receive_soon(patience);
        drop(bound);
        self.conditions.haste.learn(matches!(received, Ok(Some(_))));
        match received {
            Ok(Some(frame)) => self.frame(Claimed::new(frame)).await,
            Ok(None) => None,
            Err(StreamError::Closed) => Some(Stop::Ended),
            Err(error) => Some(Stop::Protocol(error.to_string())),
        }
    }

    async fn frame(&mut self, frame: Claimed<proto::frame::FromChild>) -> Option<Stop> {
        let checked = frame.check(self.spare.generation, self.conditions.id, &self.request.limits);
        match checked {
            Ok(Checked::Done(done)) if !has_json(&done) => {
                Some(Stop::Protocol("a result that is not JSON".to_owned()))
            }
            Ok(Checked::Done(done)) if done.closing => {
                self.closing = Some(done);
                None
            }
            Ok(Checked::Done(done)) => Some(Stop::Done(done)),
            Ok(Checked::Call(call)) => self.call(call).await,
            Ok(Checked::Note(note)) => {
                self.note(note);
                None
            }
            Ok(Checked::Trapped(number)) => {
                self.trapped = Some(number);
                None
            }
            Ok(Checked::Warm(_)) => Some(Stop::Protocol("a second greeting".to_owned())),
            Err(
                error @ (ClaimError::Stale { .. }
                | ClaimError::Unknown
                | ClaimError::TooLarge { .. }),
            ) => Some(Stop::Protocol(error.to_string())),
        }
    }

    async fn call(&mut self, call: HostCall) -> Option<Stop> {
        if self.call.is_some() {
            return Some(Stop::Protocol("a host call during another".to_owned()));
        }
        self.calls += 1;
        if self.calls > self.request.limits.host_calls {
            let limit = self.request.limits.host_calls;
            let refusal = HostRefusal {
                kind: "LimitExceeded".to_owned(),
                call: call.name,
                reason: format!("this execution made its {limit} host calls (limits.host_calls)"),
                retryable: false,
                created: 0,
            };
            return self.send_reply(call.call, host_reply::Kind::Refusal(refusal)).await;
        }
        let host = Arc::clone(&self.conditions.host);
        let context = Arc::clone(&self.conditions.context);
        let name = call.name.clone();
        let task = tokio::spawn(async move { host.call(&context, &call.name, &call.args).await });
        self.call = Some(Call { number: call.call, name, task });
        None
    }

    async fn reply(&mut self, reply: Result<Vec<u8>, HostError>) -> Option<Stop> {
        let call = self.call.take()?;
        let kind = match reply {
            Ok(value) => host_reply::Kind::Value(value),
            Err(error) => host_reply::Kind::Refusal(refusal(&call.name, &error)),
        };
        self.send_reply(call.number, kind).await
    }

    async fn send_reply(&mut self, call: u64, kind: host_reply::Kind) -> Option<Stop> {
        let frame = ToChild {
            generation: self.spare.generation,
            execution: self.conditions.id,
            kind: Some(to_child::Kind::Reply(HostReply { call, kind: Some(kind) })),
        };
        // A child that makes calls and never reads the replies fills its channel: its limits
        // hold while this waits.
        let send = self.spare.stream.send(&frame);
        tokio::pin!(send);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.deadline) => return Some(Stop::TimedOut),
                sent = &mut send => return match sent {
                    Ok(()) => None,
                    Err(StreamError::Closed) => Some(Stop::Ended),
                    Err(error) => Some(Stop::Protocol(error.to_string())),
                },
                () = tokio::time::sleep(TICK) => {
                    if let Some(excess) = self.watchdog.look(&self.spare.process).await {
                        return Some(Stop::Excess(excess));
                    }
                }
            }
        }
    }

    fn note(&mut self, note: proto::frame::Note) {
        let size = match &note.kind {
            Some(note::Kind::Log(log)) => log.message.len() + log.fields.len(),
            Some(note::Kind::Progress(progress)) => progress.message.len(),
            None => 0,
        };
        self.note_bytes = self.note_bytes.saturating_add(size);
        if self.notes.len() >= MAX_NOTES || self.note_bytes > self.request.limits.output_bytes {
            return;
        }
        let at = SystemTime::now();
        self.notes.extend(match note.kind {
            Some(note::Kind::Log(log)) => Some(Note {
                at,
                level: log.level,
                message: log.message,
                stage: log.stage,
                fields: log.fields.into(),
                progress: None,
            }),
            Some(note::Kind::Progress(progress)) => Some(Note {
                at,
                level: "info".to_owned(),
                message: progress.message,
                stage: "progress".to_owned(),
                fields: bytes::Bytes::new(),
                progress: Some((progress.current, progress.total)),
            }),
            None => None,
        });
    }

    fn job(&mut self) -> Job {
        let request = &mut self.request;
        let (kind, source, filename, function) = match &mut request.source {
            Source::Code { text, function } => (
                job::Kind::Code,
                std::mem::take(text),
                String::new(),
                function.take().unwrap_or_default(),
            ),
            Source::Expression(text) => {
                (job::Kind::Expression, std::mem::take(text), String::new(), String::new())
            }
            Source::File(path) => {
                (job::Kind::File, String::new(), path.to_string_lossy().into_owned(), String::new())
            }
            Source::Declarations(text) => {
                (job::Kind::Declare, std::mem::take(text), String::new(), String::new())
            }
        };
        Job {
            kind: kind.into(),
            source: source.into_bytes(),
            filename,
            function,
            upstream: request.upstream.take().map(Vec::from).unwrap_or_default(),
            capture_variables: request.capture_variables,
            python_paths: std::mem::take(&mut request.python_paths),
            stdin: std::mem::take(&mut request.stdin).into(),
            max_result_bytes: request.limits.result_bytes as u64,
            max_result_depth: request.limits.result_depth,
            session: request.session.is_some(),
            handler: request.handler.clone().unwrap_or_default(),
            glyph_id: request.glyph_id.clone(),
            bound: false,
        }
    }

    async fn answer(mut self, stop: Stop, began: Instant) -> (Answer, After) {
        let mut duration = began.elapsed();
        let mut limit = None;
        let mut gone = false;
        let mut claimed = Done::default();
        let outcome = match stop {
            Stop::Done(done) => {
                claimed = *done;
                verdict::of_claim(&claimed, &self.spare.process, &self.watchdog)
            }
            Stop::TimedOut => {
                self.spare.process.kill();
                match self.closing.take() {
                    Some(done) => {
                        limit = Some("shutdown");
                        claimed = *done;
                        verdict::of_claim(&claimed, &self.spare.process, &self.watchdog)
                    }
                    None => Outcome::TimedOut { limit: self.request.limits.wall },
                }
            }
            Stop::Excess(excess) => {
                self.spare.process.kill();
                verdict::of_excess(excess)
            }
            Stop::Protocol(reason) => {
                self.spare.process.kill();
                tracing::warn!(target: "audit", execution = self.conditions.id, %reason, "frame protocol broken");
                Outcome::Protocol { reason }
            }
            Stop::Ended => {
                gone = true;
                Outcome::Cancelled
            }
        };
        let cpu = self.watchdog.cpu_used(&self.spare.process);
        let (stdout, stdout_bytes, stdout_fd) = self.stdout.finish();
        let (stderr, stderr_bytes, stderr_fd) = self.stderr.finish();
        self.spare.stdout = stdout_fd;
        self.spare.stderr = stderr_fd;
        let mut usage = Usage {
            queued: self.conditions.queued,
            cpu,
            max_rss_bytes: claimed.max_rss_bytes.max(self.watchdog.peak_resident()),
            stdout_bytes,
            stderr_bytes,
            host_calls: self.calls,
        };
        tracing::debug!(
            execution = self.conditions.id,
            total_us = duration.as_secs_f64() * 1e6,
            child_us = claimed.run_us,
            "run ended"
        );
        let session = self.request.session.is_some();
        let (outcome, after) = if gone {
            // Asked while the group is there; a child that closed its channel is as good as dead.
            let oom_killed = self.spare.process.oom_killed();
            let ended = self.spare.process.ended(END_PATIENCE).await;
            duration = began.elapsed();
            if let Some(Ended { reaped, .. }) = &ended {
                usage.cpu = self.watchdog.since_start(reaped.usage.user + reaped.usage.system);
                usage.max_rss_bytes = usage.max_rss_bytes.max(reaped.usage.max_rss_bytes);
            }
            let outcome = if oom_killed {
                Outcome::OverMemory
            } else {
                verdict::of_end(ended, self.trapped, &usage, &self.watchdog)
            };
            (outcome, After::Gone)
        } else {
            let keeps = session
                && matches!(outcome, Outcome::Value | Outcome::Raised(_) | Outcome::Exited { .. });
            (
                outcome,
                if keeps || claimed.run_us > 0 {
                    After::Finished(Box::new(self.spare))
                } else {
                    After::Gone
                },
            )
        };
        let answer = Answer {
            execution_id: self.conditions.id,
            outcome,
            stdout,
            stderr,
            result: claimed.result.map(bytes::Bytes::from),
            variables: claimed.variables.into_iter().map(|v| (v.name, v.repr)).collect(),
            declarations: (!claimed.declarations.is_empty())
                .then(|| bytes::Bytes::from(claimed.declarations)),
            duration,
            usage,
            notes: self.notes,
            limit,
            weakened: self.conditions.weakened,
            grant: self.conditions.grant,
        };
        (answer, after)
    }
}

/// Whether the result may be put into an answer as it is: anything but one whole JSON value could
/// add members of its own to it.
fn has_json(done: &Done) -> bool {
    let whole =
        |bytes: &[u8]| serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok();
    done.result.as_deref().is_none_or(whole)
}

/// The reply of the host call under way; pends for ever without one.
async fn answered(call: &mut Option<Call>) -> Result<Vec<u8>, HostError> {
    match call {
        Some(call) => match (&mut call.task).await {
            Ok(reply) => reply,
            Err(error) => Err(HostError {
                kind: HostErrorKind::NotAvailable,
                call: call.name.clone(),
                reason: format!("the call broke inside the plugin: {error}"),
                retryable: false,
                created: 0,
            }),
        },
        None => std::future::pending().await,
    }
}

fn refusal(call: &str, error: &HostError) -> HostRefusal {
    HostRefusal {
        kind: error.kind.name().to_owned(),
        call: call.to_owned(),
        reason: error.reason.clone(),
        retryable: error.retryable,
        created: u64::from(error.created),
    }
}
