//! A handler: its code, where that comes from, and what fires it.
//!
//! **Invariant:** a handler is known by one name, and a job's name leads to at
//! most one of its functions.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One handler, as its newest attestation has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handler {
    pub name: String,
    /// The id of the attestation that the code is from.
    pub attestation: String,
    /// Its time, Unix milliseconds; 0 = nobody knows.
    pub time: i64,
    pub code: String,
    /// How the declarations were read; `None` = they were not.
    pub read: Option<Read>,
    /// What fires it. Of a handler that can't be read, what last did.
    pub triggers: Vec<Trigger>,
    /// Why it can't run.
    pub fault: Option<String>,
    /// Why its name is not its own: another handler has it.
    #[serde(skip)]
    pub collision: Option<String>,
}

/// How declarations were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// From the syntax tree; nothing ran.
    Tree,
    /// By one run with host calls refused.
    Run,
}

/// One use of a decorator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    #[serde(flatten)]
    pub kind: Kind,
    pub function: String,
    /// Of the decorator; 0 = unknown.
    pub line: u32,
    /// The job's raw name; given by the plan.
    #[serde(skip)]
    pub job: String,
    /// Why it is not declared to the core.
    #[serde(skip)]
    pub fault: Option<String>,
}

/// What a trigger waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    /// An attestation.
    Watch { predicate: String, context: Option<String> },
    /// Time.
    Schedule { every: i32, description: String },
    /// To be called by name.
    Handler { description: String },
}

impl Kind {
    /// The decorator's name.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Watch { .. } => "watch",
            Self::Schedule { .. } => "schedule",
            Self::Handler { .. } => "handler",
        }
    }
}

impl Handler {
    /// Why a job of this handler fails before it runs.
    #[must_use]
    pub fn why_not(&self) -> Option<&str> {
        self.collision.as_deref().or(self.fault.as_deref())
    }

    fn first(&self, word: &str) -> Option<&str> {
        let found = self.triggers.iter().find(|trigger| trigger.kind.word() == word);
        found.map(|trigger| trigger.function.as_str())
    }
}

/// All handlers, and the way from a job's name to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Book {
    pub handlers: BTreeMap<String, Arc<Handler>>,
    /// Names of single functions, `handler.function`: handler, function.
    pub functions: HashMap<String, (String, String)>,
}

/// Who sends a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The watcher engine, because an attestation matched.
    Watcher,
    /// A schedule: nothing is given along.
    Clock,
    /// Whoever enqueued it, with a payload.
    Queue,
}

/// What a job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub handler: Arc<Handler>,
    /// `None`: the module, then its `@handler` or `main()`.
    pub function: Option<String>,
}

impl Book {
    /// What a job called `job` runs in a plugin called `plugin`. The name comes
    /// bare (`h`), dotted (`python.h`, of old schedules) or as the core's key
    /// (`python/h`).
    #[must_use]
    pub fn find(&self, plugin: &str, job: &str, caller: Caller) -> Option<Run> {
        let prefixed = |separator: char| {
            let rest = job.strip_prefix(plugin).and_then(|rest| rest.strip_prefix(separator));
            rest.and_then(|bare| self.exactly(bare, caller))
        };
        self.exactly(job, caller).or_else(|| prefixed('/')).or_else(|| prefixed('.'))
    }

    /// Whether an `@schedule` is declared under the name `job`.
    #[must_use]
    pub fn schedules(&self, job: &str) -> bool {
        let triggers = self.handlers.values().flat_map(|handler| &handler.triggers);
        let mut named = triggers.filter(|one| one.job == job && one.fault.is_none());
        named.any(|one| matches!(one.kind, Kind::Schedule { .. }))
    }

    fn exactly(&self, job: &str, caller: Caller) -> Option<Run> {
        if let Some(handler) = self.handlers.get(job) {
            // Each trigger's own function first; else what there is.
            let order: &[&str] = match caller {
                Caller::Watcher => &["watch", "handler", "schedule"],
                // A tick brings no attestation to watch.
                Caller::Clock => &["schedule", "handler"],
                Caller::Queue => &["handler", "schedule", "watch"],
            };
            let function = order.iter().find_map(|word| handler.first(word)).map(str::to_owned);
            return Some(Run { handler: Arc::clone(handler), function });
        }
        let (handler, function) = self.functions.get(job)?;
        let handler = Arc::clone(self.handlers.get(handler)?);
        Some(Run { handler, function: Some(function.clone()) })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::handlers) fn trigger(kind: &str, function: &str) -> Trigger {
        let description = String::new();
        let kind = match kind {
            "watch" => Kind::Watch { predicate: "p".to_owned(), context: None },
            "schedule" => Kind::Schedule { every: 60, description },
            _ => Kind::Handler { description },
        };
        Trigger { kind, function: function.to_owned(), line: 1, job: String::new(), fault: None }
    }

    pub(in crate::handlers) fn handler(name: &str, time: i64, triggers: Vec<Trigger>) -> Handler {
        Handler {
            name: name.to_owned(),
            attestation: format!("AS-{name}"),
            time,
            code: "pass".to_owned(),
            read: Some(Read::Tree),
            triggers,
            fault: None,
            collision: None,
        }
    }

    fn book() -> Book {
        let triggers = vec![
            trigger("watch", "w"),
            trigger("schedule", "s"),
            trigger("handler", "h"),
            trigger("watch", "w2"),
        ];
        let handlers = [handler("greet", 1, triggers), handler("plain", 2, Vec::new())];
        let handlers = handlers.map(|one| (one.name.clone(), Arc::new(one)));
        let functions = [("greet.w2".to_owned(), ("greet".to_owned(), "w2".to_owned()))];
        Book { handlers: handlers.into(), functions: functions.into() }
    }

    #[test]
    fn every_spelling_of_a_name_leads_to_the_handler() {
        for job in ["greet", "python.greet", "python/greet"] {
            let run = book().find("python", job, Caller::Watcher).unwrap();
            assert_eq!(run.handler.name, "greet", "{job}");
        }
        for job in ["greets", "other/greet", "python", "python.", ""] {
            assert_eq!(book().find("python", job, Caller::Watcher), None, "{job}");
        }
    }

    #[test]
    fn each_trigger_runs_its_own_function() {
        let function = |job, caller| book().find("python", job, caller).unwrap().function;
        assert_eq!(function("greet", Caller::Watcher).as_deref(), Some("w"));
        assert_eq!(function("greet", Caller::Clock).as_deref(), Some("s"));
        assert_eq!(function("greet", Caller::Queue).as_deref(), Some("h"));
        assert_eq!(function("greet.w2", Caller::Clock).as_deref(), Some("w2"));
        assert_eq!(function("plain", Caller::Clock), None);
        let mut book = book();
        let only = handler("only", 3, vec![trigger("watch", "w")]);
        book.handlers.insert("only".to_owned(), Arc::new(only));
        assert_eq!(book.find("python", "only", Caller::Clock).unwrap().function, None);
    }
}
