//! What an outcome is called in a response: the sentence in `error`, the
//! members of `outcome_detail`.
//!
//! **Invariant:** every outcome that is not a success has a sentence that says
//! what happened, which limit it was, and how to raise it.

use crate::answer::Answer;
use crate::api::json::Writer;
use proto::{Limits, Outcome};
use std::borrow::Cow;

/// The limits in force, for the sentences.
#[derive(Debug, Clone)]
pub struct Bounds {
    pub limits: Limits,
    pub ceiling: Limits,
}

/// Why it failed; `None` on success.
#[must_use]
pub fn sentence<'a>(answer: &'a Answer, bounds: &Bounds) -> Option<Cow<'a, str>> {
    let (limits, ceiling) = (&bounds.limits, &bounds.ceiling);
    let owned = |text: String| Some(Cow::Owned(text));
    match &answer.outcome {
        Outcome::Value | Outcome::Exited { code: 0, .. } => None,
        Outcome::Raised(raised) if raised.traceback.is_empty() => {
            owned(format!("{}: {}", raised.kind, raised.message))
        }
        Outcome::Raised(raised) => Some(Cow::Borrowed(&raised.traceback)),
        Outcome::Exited { code, message } => owned(match message {
            Some(message) => format!("the program exited with code {code}: {message}"),
            None => format!("the program exited with code {code}"),
        }),
        Outcome::TimedOut { limit } => owned(format!(
            "timed out: the program ran longer than {} s and was killed; `timeout_secs` raises \
             the limit, up to {} s",
            limit.as_secs_f64(),
            ceiling.wall.as_secs_f64()
        )),
        Outcome::OverCpu => owned(format!(
            "over the CPU limit: the program used more than {} s of CPU time and was killed; \
             `limits.cpu_secs` raises it",
            limits.cpu_time(cores()).as_secs_f64()
        )),
        Outcome::OverMemory => owned(format!(
            "over the memory limit: the program used more than {} and was killed; \
             `limits.memory_bytes` raises it, up to {}",
            bytes(limits.memory_bytes),
            bytes(ceiling.memory_bytes)
        )),
        Outcome::OverScratch => owned(format!(
            "over the scratch limit: the program wrote more than {} or {} files and was killed; \
             `limits.scratch_bytes` and `limits.scratch_files` raise it, up to {} and {}",
            bytes(limits.scratch_bytes),
            limits.scratch_files,
            bytes(ceiling.scratch_bytes),
            ceiling.scratch_files
        )),
        Outcome::OverThreads => owned(format!(
            "over the thread limit: the program started more than {} threads and was killed; \
             `limits.threads` raises it, up to {}",
            limits.threads, ceiling.threads
        )),
        Outcome::Killed { signal, memory_suspected } => {
            let name = signal_name(*signal);
            owned(if *memory_suspected {
                format!(
                    "the program was ended by {name} near its memory limit of {}, which may be \
                     the reason; `limits.memory_bytes` raises it",
                    bytes(limits.memory_bytes)
                )
            } else {
                format!("the program was ended by {name}")
            })
        }
        Outcome::Denied { syscall } => owned(match syscall {
            Some(syscall) => format!(
                "denied: the sandbox ended the program because it asked the kernel for \
                 `{syscall}`, which no execution may do"
            ),
            None => "denied: the sandbox ended the program because it asked the kernel for \
                     something no execution may do"
                .to_owned(),
        }),
        Outcome::Cancelled => owned("cancelled: the program was stopped on request".to_owned()),
        Outcome::Protocol { reason } => {
            owned(format!("the program broke the channel to the plugin and was killed: {reason}"))
        }
    }
}

/// Writes `outcome_detail`: only what applies.
pub fn detail(writer: &mut Writer, answer: &Answer) {
    writer.object(|w| {
        let mut limit = answer.limit;
        match &answer.outcome {
            Outcome::Value | Outcome::Cancelled => {}
            Outcome::Raised(raised) => {
                let syntax = ["SyntaxError", "IndentationError", "TabError"];
                let syntax = syntax.contains(&raised.kind.as_str());
                w.key("kind").string(if syntax { "syntax" } else { "exception" });
                w.key("type").string(&raised.kind);
                if let Some(line) = raised.line {
                    w.key("line").number(line);
                }
            }
            Outcome::Exited { code, .. } => w.key("exit_code").signed(i64::from(*code)),
            Outcome::TimedOut { .. } => limit = limit.or(Some("timeout_secs")),
            Outcome::OverCpu => limit = limit.or(Some("cpu_secs")),
            Outcome::OverMemory => limit = limit.or(Some("memory_bytes")),
            Outcome::OverScratch => limit = limit.or(Some("scratch_bytes")),
            Outcome::OverThreads => limit = limit.or(Some("threads")),
            Outcome::Killed { signal, memory_suspected } => {
                if *memory_suspected {
                    w.key("kind").string("memory_suspected");
                }
                w.key("signal").signed(i64::from(*signal));
            }
            Outcome::Denied { syscall } => {
                if let Some(syscall) = syscall {
                    // The name is the child's word, and marked as such.
                    w.key("kind").string("claimed");
                    w.key("syscall").string(syscall);
                }
            }
            Outcome::Protocol { reason } => w.key("kind").string(reason),
        }
        if let Some(limit) = limit {
            w.key("limit").string(limit);
        }
    });
}

/// The exit code of `run` and `eval`: what a shell would see of `python`.
#[must_use]
pub fn exit_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Value => 0,
        Outcome::Raised(_) => 1,
        // The kernel keeps the low byte, as it does for `python`.
        Outcome::Exited { code, .. } => code.to_le_bytes()[0],
        Outcome::TimedOut { .. } => 124,
        Outcome::OverCpu => 128 + 24,
        Outcome::OverMemory | Outcome::OverScratch | Outcome::OverThreads => 128 + 9,
        Outcome::Killed { signal, .. } => u8::try_from(128 + (signal & 0x7f)).unwrap_or(255),
        Outcome::Denied { .. } => 128 + 31,
        Outcome::Cancelled => 130,
        Outcome::Protocol { .. } => 125,
    }
}

/// `SIGSEGV (signal 11, segmentation fault)`.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL (illegal instruction)",
        5 => "SIGTRAP",
        6 => "SIGABRT (abort)",
        7 => "SIGBUS (bus error)",
        8 => "SIGFPE (arithmetic error)",
        9 => "SIGKILL",
        11 => "SIGSEGV (segmentation fault)",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// `512 MiB`; exact where the number is round, bytes otherwise.
#[must_use]
pub fn bytes(count: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if count >> shift > 0 && count.trailing_zeros() >= shift {
            return format!("{} {unit}", count >> shift);
        }
    }
    format!("{count} bytes")
}

fn cores() -> u32 {
    crate::spare::cores()
}
