//! What the plugin declares to the core in every `Initialize`: handlers,
//! schedules, watchers.
//!
//! **Invariant:** no handler name stands twice (the core dies of a duplicate),
//! and there is always one watcher (an empty list would leave stale ones).

use proto::protocol::{RouteInfo, ScheduleInfo, WatcherRegistration};

/// The raw name of the handler that reads the handlers again.
pub const RELOAD: &str = "__reload";

/// The complete declaration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declarations {
    pub handler_names: Vec<String>,
    pub schedules: Vec<ScheduleInfo>,
    pub watchers: Vec<WatcherRegistration>,
}

/// The raw name of the handler that runs a script given in the payload.
#[must_use]
pub fn script(name: &str) -> String {
    format!("{name}.script")
}

/// What a plugin called `name` declares whatever its handlers are.
#[must_use]
pub fn permanent(name: &str) -> Declarations {
    Declarations {
        handler_names: vec![script(name), RELOAD.to_owned()],
        schedules: Vec::new(),
        watchers: vec![WatcherRegistration {
            id: format!("{name}-handler-reload"),
            handler_name: RELOAD.to_owned(),
            subjects: Vec::new(),
            predicates: vec!["handler".to_owned()],
            contexts: vec![name.to_owned()],
            actors: Vec::new(),
            max_fires_per_second: 1,
        }],
    }
}

/// The routes, for the core's documentation.
#[must_use]
pub fn routes() -> Vec<RouteInfo> {
    let routes = crate::api::routes::ROUTES.iter();
    routes
        .map(|route| RouteInfo {
            method: route.method.to_owned(),
            path: route.path.to_owned(),
            description: route.about.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn handler_names_are_unique_and_hold_every_watchers_handler() {
        let declared = permanent("python");
        let names: HashSet<_> = declared.handler_names.iter().collect();
        assert_eq!(names.len(), declared.handler_names.len());
        assert!(declared.watchers.iter().all(|watcher| names.contains(&watcher.handler_name)));
        assert_eq!(declared.watchers.len(), 1);
    }

    #[test]
    fn every_watcher_has_a_dimension_and_a_rate() {
        for watcher in permanent("python").watchers {
            assert!(!watcher.predicates.is_empty() && watcher.max_fires_per_second > 0);
        }
    }
}
