//! After a reload: schedules are put into force at once where the contract
//! lets us; of everything else it is said that it waits.
//!
//! **Invariant:** a schedule that a user paused is never started again, and
//! none is made for a handler the core has not heard of: its jobs would be
//! queued for ever.

use crate::declarations::Declarations;
use crate::host::{CallContext, Host, HostError};
use proto::protocol::ScheduleInfo;
use std::collections::BTreeMap;

/// What is in force afterwards, and what waits.
#[derive(Debug)]
pub(super) struct Renewed {
    pub(super) in_force: Declarations,
    pub(super) waiting: Vec<String>,
}

/// From what is in force to what is wanted, as far as it goes.
pub(super) async fn renew(
    host: &Host,
    context: &CallContext,
    in_force: &Declarations,
    wanted: &Declarations,
) -> Renewed {
    let mut renewed = Renewed { in_force: in_force.clone(), waiting: Vec::new() };
    renewed.names(in_force, wanted);
    renewed.watchers(in_force, wanted);
    let old = by_handler(&in_force.schedules);
    let new = by_handler(&wanted.schedules);
    for (handler, schedule) in &new {
        let known = in_force.handler_names.iter().any(|name| name == handler);
        let was = old.get(handler).map(|old| old.interval_seconds);
        if was == Some(schedule.interval_seconds) {
            continue;
        }
        if !known {
            renewed.waiting.push(format!("the schedule of `{handler}` begins"));
            continue;
        }
        let every = schedule.interval_seconds;
        match put(host, context, schedule, was).await {
            Ok(true) => {
                renewed.in_force.schedules.retain(|one| one.handler_name != *handler);
                renewed.in_force.schedules.push(ScheduleInfo::clone(schedule));
                tracing::info!(handler, every, "schedule in force");
            }
            Ok(false) => renewed
                .waiting
                .push(format!("the paused schedule of `{handler}` changes to every {every} s")),
            Err(error) => {
                renewed
                    .waiting
                    .push(format!("the schedule of `{handler}` (every {every} s): {error}"));
            }
        }
    }
    for (handler, schedule) in old.iter().filter(|(handler, _)| !new.contains_key(*handler)) {
        match end(host, context, schedule).await {
            Ok(()) => {
                renewed.in_force.schedules.retain(|one| one.handler_name != *handler);
                tracing::info!(handler, "schedule ended");
            }
            Err(error) => {
                renewed.waiting.push(format!("the schedule of `{handler}` ends: {error}"));
            }
        }
    }
    renewed
}

/// After an `Initialize` in a process that was initialised before: the settings
/// page's, of which the core takes the watchers and nothing else.
pub(super) fn settings(
    in_force: &Declarations,
    wanted: &Declarations,
) -> (Declarations, Vec<String>) {
    let in_force = Declarations { watchers: wanted.watchers.clone(), ..in_force.clone() };
    let mut renewed = Renewed { in_force: in_force.clone(), waiting: Vec::new() };
    renewed.names(&in_force, wanted);
    let known = |name: &String| in_force.handler_names.contains(name);
    for schedule in wanted.schedules.iter().filter(|one| !known(&one.handler_name)) {
        renewed.waiting.push(format!("the schedule of `{}` begins", schedule.handler_name));
    }
    (renewed.in_force, renewed.waiting)
}

impl Renewed {
    fn names(&mut self, in_force: &Declarations, wanted: &Declarations) {
        for name in
            wanted.handler_names.iter().filter(|name| !in_force.handler_names.contains(name))
        {
            self.waiting.push(format!("`{name}` can be called by schedules and jobs"));
        }
    }

    fn watchers(&mut self, in_force: &Declarations, wanted: &Declarations) {
        let old: BTreeMap<_, _> = in_force.watchers.iter().map(|one| (&one.id, one)).collect();
        let new: BTreeMap<_, _> = wanted.watchers.iter().map(|one| (&one.id, one)).collect();
        for (id, watcher) in &new {
            match old.get(id) {
                None => self.waiting.push(format!("the watcher `{id}` begins")),
                Some(before) if before != watcher => {
                    self.waiting.push(format!("the watcher `{id}` changes"));
                }
                Some(_) => {}
            }
        }
        for id in old.keys().filter(|id| !new.contains_key(*id)) {
            self.waiting.push(format!("the watcher `{id}` ends"));
        }
    }
}

fn by_handler(schedules: &[ScheduleInfo]) -> BTreeMap<&str, &ScheduleInfo> {
    schedules.iter().map(|one| (one.handler_name.as_str(), one)).collect()
}

/// Puts a schedule into force that had another interval, or none; false when it
/// is paused and stays as it is.
async fn put(
    host: &Host,
    context: &CallContext,
    schedule: &ScheduleInfo,
    was: Option<i32>,
) -> Result<bool, HostError> {
    let (handler, every) = (&schedule.handler_name, schedule.interval_seconds);
    let place = || host.place_schedule(context, handler, every, &schedule.description);
    let id = place().await?;
    let now = host.schedule(context, &id).await?.map(|(now, _)| now);
    match was {
        // The answer was the active one, unchanged: it makes room.
        _ if now != Some(i64::from(every)) => {
            host.remove_schedule(context, &id).await?;
            place().await?;
            Ok(true)
        }
        None => Ok(true),
        // There was one, and it was not active: ours is one too many.
        Some(_) => {
            host.remove_schedule(context, &id).await?;
            Ok(false)
        }
    }
}

/// Ends a schedule whose id nobody told: asking for it again finds it, or makes
/// one that ends at once.
async fn end(host: &Host, context: &CallContext, schedule: &ScheduleInfo) -> Result<(), HostError> {
    let (handler, every) = (&schedule.handler_name, schedule.interval_seconds);
    let id = host.place_schedule(context, handler, every, &schedule.description).await?;
    host.remove_schedule(context, &id).await
}
