//! An execution's answer as a JSON body.
//!
//! The seed's fields come first, in the seed's order; the body is written once,
//! the program's output and result without a copy in between.
//!
//! **Invariant:** `stdout` and `stderr` are strings whatever was written, and
//! the body stays below [`Shape::cap`].

use crate::answer::{self, Answer, Captured};
use crate::api::json::Writer;
use crate::api::outcome::{self, Bounds};
use bytes::Bytes;
use std::time::Duration;

/// What the core accepts in one message is 100 MiB; some room for the rest of it.
pub const MESSAGE_CAP: usize = 96 << 20;

/// How an answer is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Write `variables` even when there are none.
    pub variables: bool,
    /// Most bytes of the body; the streams are cut where it would be more.
    pub cap: usize,
}

/// The body of `/execute` and its kin, and `PythonExecuteResponse.result`.
#[must_use]
pub fn answer(answer: &Answer, bounds: &Bounds, shape: Shape) -> Bytes {
    let whole = write(answer, bounds, shape, usize::MAX);
    if whole.len() <= shape.cap {
        return whole;
    }
    // Escapes make at most six bytes of one: this fits whatever was printed.
    let rest = answer.result.as_ref().map_or(0, Bytes::len) + (4 << 20);
    write(answer, bounds, shape, shape.cap.saturating_sub(rest) / 12)
}

fn write(answer: &Answer, bounds: &Bounds, shape: Shape, most: usize) -> Bytes {
    let error = outcome::sentence(answer, bounds);
    let (stdout, stderr) = (cut(&answer.stdout, most), cut(&answer.stderr, most));
    let result = answer.result.as_ref().map_or(0, Bytes::len);
    let text = stdout.0.len() + stderr.0.len();
    let capacity = text + text / 16 + result + error.as_ref().map_or(0, |e| e.len() * 2) + 512;
    let mut writer = Writer::with_capacity(capacity);
    writer.object(|w| {
        w.key("success").bool(answer.outcome.success());
        w.key("stdout").string(stdout.0);
        w.key("stderr").string(stderr.0);
        w.key("result").raw(answer.result.as_deref().unwrap_or(b"null"));
        w.key("error").optional(error.as_deref());
        w.key("duration_ms").number(answer.duration.as_millis());
        if shape.variables || !answer.variables.is_empty() {
            w.key("variables").object(|w| {
                for (name, repr) in &answer.variables {
                    w.key(name).string(repr);
                }
            });
        }
        w.key("outcome").string(answer.outcome.word());
        outcome::detail(w.key("outcome_detail"), answer);
        w.key("execution_id").number(answer.execution_id);
        w.key("truncated").object(|w| {
            w.key("stdout").bool(stdout.1);
            w.key("stderr").bool(stderr.1);
        });
        w.key("usage").object(|w| {
            let usage = &answer.usage;
            w.key("cpu_ms").number(usage.cpu.as_millis());
            w.key("max_rss_bytes").number(usage.max_rss_bytes);
            w.key("queued_ms").number(usage.queued.as_millis());
            w.key("host_calls").number(usage.host_calls);
            w.key("stdout_bytes").number(usage.stdout_bytes);
            w.key("stderr_bytes").number(usage.stderr_bytes);
        });
        if !answer.weakened.is_empty() {
            w.key("weakened").strings(&answer.weakened);
        }
        if !answer.grant.granted.is_empty() {
            w.key("profile").string(&answer.grant.profile);
            w.key("granted").strings(&answer.grant.granted);
        }
    });
    writer.finish()
}

/// What the core shows: stdout, and stderr below a line of its own.
#[must_use]
pub fn output(answer: &Answer) -> String {
    let mut text = cut_text(&answer.stdout);
    if !answer.stderr.bytes.is_empty() {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str("--- stderr ---\n");
        text.push_str(&cut_text(&answer.stderr));
    }
    text
}

/// How long to ask a caller to stay away, in whole seconds.
#[must_use]
pub fn retry_after(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}

fn cut_text(stream: &Captured) -> String {
    answer::text(cut(stream, MESSAGE_CAP / 12).0).into_owned()
}

/// At most `most` bytes of a stream, ending at a character's boundary, and
/// whether anything is missing.
fn cut(stream: &Captured, most: usize) -> (&[u8], bool) {
    let mut end = most.min(stream.bytes.len());
    if end == stream.bytes.len() {
        return (&stream.bytes, stream.truncated);
    }
    let boundary = |at: usize| stream.bytes.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let least = end.saturating_sub(3);
    while end > least && !boundary(end) {
        end -= 1;
    }
    (&stream.bytes[..end], true)
}
