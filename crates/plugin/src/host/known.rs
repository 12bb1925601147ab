//! Which of our handlers the core was told of.
//!
//! **Invariant:** a job is asked for only under a name the core knows: any other
//! is queued again and again, and nobody is told.

use super::error::{Call, HostError};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Names that a refusal lists.
const LISTED: usize = 20;

/// The names; nothing is refused before the first are known.
#[derive(Debug, Default)]
pub struct Known(RwLock<Option<Arc<Names>>>);

#[derive(Debug)]
struct Names {
    told: BTreeSet<String>,
    waiting: BTreeSet<String>,
}

impl Known {
    /// The core was told of `told`, and will be of `wanted`.
    pub fn tell(&self, told: &[String], wanted: impl Iterator<Item = String>) {
        let told: BTreeSet<String> = told.iter().cloned().collect();
        let waiting = wanted.filter(|name| !told.contains(name)).collect();
        let names = Some(Arc::new(Names { told, waiting }));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Whether the core knows our handler `raw`; the refusal when it does not.
    pub(super) fn check(&self, call: &Call<'_>, raw: &str) -> Result<(), HostError> {
        let names = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(names) = names.filter(|names| !names.told.contains(raw)) else { return Ok(()) };
        let reason = if names.waiting.contains(raw) {
            format!(
                "handler `{raw}` begins with the next restart of the plugin; until then the core \
                 would queue its jobs for ever"
            )
        } else {
            // Our own are no handlers of anybody's.
            let own = |name: &&String| !name.starts_with("__");
            let list: Vec<&str> =
                names.told.iter().filter(own).take(LISTED).map(String::as_str).collect();
            let more = names.told.iter().filter(own).count() - list.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "this plugin has no handler `{raw}`, and the core would queue its jobs for ever; \
                 there are {}{more}",
                list.join(", ")
            )
        };
        Err(call.refused(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::CallContext;
    use super::super::error::{HostErrorKind, Service};
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_job_for_a_handler_the_core_does_not_know_is_refused() {
        let context = CallContext::new("python", "1", Instant::now() + Duration::from_secs(9));
        let call = Call { name: "enqueue", service: Service::Queue, context: &context };
        let known = Known::default();
        assert_eq!(known.check(&call, "anything"), Ok(()));
        let told = ["work", "python.script", "__reload"].map(str::to_owned);
        known.tell(&told, ["work", "fresh"].map(str::to_owned).into_iter());
        assert_eq!(known.check(&call, "work"), Ok(()));
        assert_eq!(known.check(&call, "python.script"), Ok(()));
        for (raw, words) in [
            ("fresh", "begins with the next restart"),
            ("wrok", "there are python.script, work"),
            ("script", "no handler `script`"),
        ] {
            let error = known.check(&call, raw).unwrap_err();
            assert!(error.reason.contains(words), "{error}");
            assert_eq!((error.kind, error.retryable), (HostErrorKind::Refused, false));
        }
    }
}
