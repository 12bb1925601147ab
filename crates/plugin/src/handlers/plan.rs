//! From handlers to what is declared: names, watchers, schedules.
//!
//! **Invariant:** no name, no watcher id and no schedule stands twice; of two
//! that want the same, the later handler goes without and says so.

use super::book::{Book, Handler, Kind};
use crate::declarations::{Declarations, RELOAD, permanent, script};
use crate::host::MadeSchedule;
use proto::protocol::{ScheduleInfo, WatcherRegistration};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Characters of a description that the core is given.
const DESCRIPTION: usize = 200;

/// What `handlers` of the plugin `name` declare, together with the schedules
/// that scripts made.
pub(super) fn plan(
    name: &str,
    handlers: Vec<Handler>,
    made: &[MadeSchedule],
) -> (Book, Declarations) {
    let mut plan = Plan {
        declared: permanent(name),
        book: Book::default(),
        taken: HashMap::new(),
        scheduled: BTreeSet::new(),
        watchers: BTreeSet::new(),
    };
    for reserved in [script(name), "script".to_owned(), RELOAD.to_owned()] {
        plan.taken.insert(reserved, "the plugin itself".to_owned());
    }
    plan.watchers.extend(plan.declared.watchers.iter().map(|watcher| watcher.id.clone()));
    let mut handlers = handlers;
    handlers.sort_by(|a, b| (a.time, &a.name).cmp(&(b.time, &b.name)));
    for handler in handlers {
        plan.add(handler);
    }
    let mut newest: BTreeMap<&str, &MadeSchedule> = BTreeMap::new();
    for schedule in made {
        newest.insert(&schedule.handler, schedule);
    }
    for schedule in newest.into_values() {
        plan.made(schedule);
    }
    (plan.book, plan.declared)
}

struct Plan {
    declared: Declarations,
    book: Book,
    /// Who has a name.
    taken: HashMap<String, String>,
    scheduled: BTreeSet<String>,
    watchers: BTreeSet<String>,
}

impl Plan {
    fn add(&mut self, mut handler: Handler) {
        let name = handler.name.clone();
        handler.collision = self.taken.get(&name).map(|owner| {
            format!("its name is taken by {owner}; attest the code under another subject")
        });
        if handler.collision.is_none() {
            self.taken.insert(name.clone(), format!("handler `{name}`"));
            self.declared.handler_names.push(name.clone());
            let mut kinds = BTreeSet::new();
            for index in 0..handler.triggers.len() {
                let first = kinds.insert(handler.triggers[index].kind.word());
                let fault = self.trigger(&mut handler, index, first);
                handler.triggers[index].fault = fault;
            }
            self.book.handlers.insert(name, Arc::new(handler));
        } else {
            // Listed, and never found by its name: that is the other one's.
            let mark = format!("{name} ({})", handler.attestation);
            self.book.handlers.insert(mark, Arc::new(handler));
        }
    }

    /// Declares one trigger; why not, when it can't be.
    fn trigger(&mut self, handler: &mut Handler, index: usize, first: bool) -> Option<String> {
        let name = handler.name.clone();
        let trigger = &mut handler.triggers[index];
        let function = trigger.function.clone();
        if first {
            trigger.job.clone_from(&name);
        } else {
            trigger.job = format!("{name}.{function}");
            let own = (name.clone(), function.clone());
            let ours = self.book.functions.get(&trigger.job) == Some(&own);
            if !ours {
                if let Some(owner) = self.taken.get(&trigger.job) {
                    return Some(format!("the name `{}` is taken by {owner}", trigger.job));
                }
                self.taken.insert(trigger.job.clone(), format!("a function of `{name}`"));
                self.declared.handler_names.push(trigger.job.clone());
                self.book.functions.insert(trigger.job.clone(), own);
            }
        }
        let job = trigger.job.clone();
        match &trigger.kind {
            Kind::Watch { predicate, context } => {
                let id = self.watcher_id(&format!("{name}-{function}"));
                self.declared.watchers.push(WatcherRegistration {
                    id,
                    handler_name: job,
                    predicates: vec![predicate.clone()],
                    contexts: context.iter().cloned().collect(),
                    max_fires_per_second: 1,
                    ..WatcherRegistration::default()
                });
            }
            Kind::Schedule { every, description } => {
                if !self.scheduled.insert(job.clone()) {
                    return Some(format!("`{job}` has a schedule already; the core keeps one"));
                }
                self.declared.schedules.push(ScheduleInfo {
                    handler_name: job,
                    interval_seconds: *every,
                    enabled_by_default: true,
                    description: brief(description),
                    ats_code: String::new(),
                });
            }
            Kind::Handler { .. } => {}
        }
        None
    }

    fn watcher_id(&mut self, wanted: &str) -> String {
        let mut id = wanted.to_owned();
        let mut number = 1;
        while !self.watchers.insert(id.clone()) {
            number += 1;
            id = format!("{wanted}-{number}");
        }
        id
    }

    /// A schedule that a script made; without it here the core would drop it.
    fn made(&mut self, schedule: &MadeSchedule) {
        let job = schedule.handler.clone();
        if !self.scheduled.insert(job.clone()) {
            return;
        }
        // A job whose name nobody declares is queued again for ever.
        if !self.declared.handler_names.contains(&job) {
            self.declared.handler_names.push(job.clone());
        }
        self.declared.schedules.push(ScheduleInfo {
            handler_name: job,
            interval_seconds: schedule.every,
            enabled_by_default: true,
            description: brief(&schedule.description),
            ats_code: String::new(),
        });
    }
}

/// The first line, not too long.
fn brief(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.trim().chars().take(DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::super::book::tests::{handler, trigger};
    use super::*;

    fn names(declared: &Declarations) -> BTreeSet<&str> {
        let names: BTreeSet<_> = declared.handler_names.iter().map(String::as_str).collect();
        assert_eq!(names.len(), declared.handler_names.len(), "a name twice: the core dies");
        names
    }

    #[test]
    fn the_first_trigger_of_a_kind_has_the_bare_name() {
        let triggers = vec![
            trigger("watch", "a"),
            trigger("watch", "b"),
            trigger("schedule", "c"),
            trigger("schedule", "d"),
            trigger("handler", "e"),
        ];
        let (book, declared) = plan("python", vec![handler("h", 1, triggers)], &[]);
        assert!(names(&declared).is_superset(&["h", "h.b", "h.d"].into()));
        let jobs: Vec<_> = book.handlers["h"].triggers.iter().map(|t| t.job.as_str()).collect();
        assert_eq!(jobs, ["h", "h.b", "h", "h.d", "h"]);
        let watchers: Vec<_> =
            declared.watchers.iter().map(|w| (w.id.as_str(), w.handler_name.as_str())).collect();
        let reload = ("python-handler-reload", "__reload");
        assert_eq!(watchers, [reload, ("h-a", "h"), ("h-b", "h.b")]);
        let schedules: Vec<_> = declared.schedules.iter().map(|s| &s.handler_name).collect();
        assert_eq!(schedules, ["h", "h.d"]);
    }

    #[test]
    fn of_two_that_want_a_name_the_later_goes_without() {
        let two = vec![trigger("watch", "a"), trigger("watch", "b")];
        let (book, declared) =
            plan("python", vec![handler("h.b", 5, Vec::new()), handler("h", 1, two.clone())], &[]);
        assert!(names(&declared).contains("h.b"));
        let later = book.handlers.values().find(|one| one.name == "h.b").unwrap();
        assert!(later.collision.is_some());
        assert_eq!(book.functions["h.b"].0, "h");

        let (book, declared) =
            plan("python", vec![handler("h.b", 1, Vec::new()), handler("h", 5, two)], &[]);
        assert_eq!(names(&declared).len(), 4);
        assert!(book.handlers["h"].triggers[1].fault.is_some());
        assert!(book.handlers["h.b"].collision.is_none());
    }

    #[test]
    fn names_of_the_plugins_own_are_not_to_be_had() {
        for name in ["script", "python.script", "__reload"] {
            let (book, declared) = plan("python", vec![handler(name, 1, Vec::new())], &[]);
            assert_eq!(names(&declared).len(), 2, "{name}");
            assert!(book.handlers.values().all(|one| one.collision.is_some()));
        }
    }

    #[test]
    fn watcher_ids_stay_apart() {
        let handlers = vec![
            handler("a", 1, vec![trigger("watch", "b-c")]),
            handler("a-b", 2, vec![trigger("watch", "c"), trigger("watch", "c")]),
        ];
        let (_, declared) = plan("python", handlers, &[]);
        let ids: BTreeSet<_> = declared.watchers.iter().map(|w| &w.id).collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn a_schedule_made_by_a_script_is_declared_once_and_its_handler_with_it() {
        let row = |handler: &str, every| MadeSchedule {
            id: format!("SCH-{handler}-{every}"),
            handler: handler.to_owned(),
            every,
            description: String::new(),
        };
        let handlers = vec![handler("h", 1, vec![trigger("schedule", "s")])];
        let made = [row("h", 5), row("gone", 7), row("gone", 9)];
        let (_, declared) = plan("python", handlers, &made);
        assert!(names(&declared).contains("gone"));
        let schedules: Vec<_> = declared
            .schedules
            .iter()
            .map(|s| (s.handler_name.as_str(), s.interval_seconds))
            .collect();
        assert_eq!(schedules, [("h", 60), ("gone", 9)]);
    }
}
