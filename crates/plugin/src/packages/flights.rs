//! Installs under way that several requests may wait for.
//!
//! **Invariant:** of one key there is one at a time; it ends with its last
//! waiter, unless that one ran out of time: then it goes on for the next.

use super::progress::Progress;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;

/// Lines kept for a waiter that reads slowly.
const LINES: usize = 256;

type Done = Option<Result<(), String>>;
type Map = Arc<Mutex<HashMap<String, Flight>>>;

/// All that are under way.
#[derive(Debug, Default)]
pub struct Flights {
    map: Map,
}

#[derive(Debug)]
struct Flight {
    done: watch::Receiver<Done>,
    lines: broadcast::Sender<String>,
    task: AbortHandle,
    waiters: usize,
    /// A waiter ran out of time: it goes on without one.
    goes_on: bool,
}

/// One waiter.
#[derive(Debug)]
pub struct Waiter {
    map: Map,
    key: String,
    done: watch::Receiver<Done>,
    lines: broadcast::Receiver<String>,
}

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined {
    Done(Result<(), String>),
    /// It is not done yet, and goes on.
    Late,
}

impl Flights {
    /// Waits with the others for `key`; without others, `start` begins it.
    pub fn join<F>(&self, key: &str, start: impl FnOnce(Progress) -> F) -> Waiter
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let mut map = lock(&self.map);
        let flight = map.entry(key.to_owned()).or_insert_with(|| {
            let (progress, mut told) = Progress::channel();
            let (lines, _) = broadcast::channel(LINES);
            let (set, done) = watch::channel(None);
            let work = start(progress);
            let (all, own, to_all) = (Arc::clone(&self.map), key.to_owned(), lines.clone());
            let task = tokio::spawn(async move {
                tokio::pin!(work);
                let ended = loop {
                    tokio::select! {
                        ended = &mut work => break ended,
                        // Nobody may be listening.
                        Some(line) = told.recv() => drop(to_all.send(line)),
                    }
                };
                let same = |flight: &Flight| flight.done.same_channel(&set.subscribe());
                let mut map = lock(&all);
                if map.get(&own).is_some_and(same) {
                    map.remove(&own);
                }
                drop(map);
                set.send_replace(Some(ended));
            });
            Flight { done, lines, task: task.abort_handle(), waiters: 0, goes_on: false }
        });
        flight.waiters += 1;
        Waiter {
            map: Arc::clone(&self.map),
            key: key.to_owned(),
            done: flight.done.clone(),
            lines: flight.lines.subscribe(),
        }
    }
}

impl Waiter {
    /// Waits for at most `most`, telling what is told meanwhile.
    pub async fn wait(mut self, most: Duration, progress: &Progress) -> Joined {
        let until = tokio::time::Instant::now() + most;
        let mut done = self.done.clone();
        loop {
            tokio::select! {
                biased;
                ended = ended(&mut done) => {
                    let broken = || Err("the install broke inside the plugin".to_owned());
                    return Joined::Done(ended.unwrap_or_else(broken));
                }
                line = self.lines.recv() => match line {
                    Ok(line) => progress.tell(&line),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // Its end is near; `done` has it.
                    Err(broadcast::error::RecvError::Closed) => {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                },
                () = tokio::time::sleep_until(until) => {
                    if let Some(flight) = self.flight(&mut lock(&self.map)) {
                        flight.goes_on = true;
                    }
                    return Joined::Late;
                }
            }
        }
    }

    /// The one this waits for, while it is under way.
    fn flight<'m>(&self, map: &'m mut HashMap<String, Flight>) -> Option<&'m mut Flight> {
        map.get_mut(&self.key).filter(|flight| flight.done.same_channel(&self.done))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut map = lock(&self.map);
        let Some(flight) = self.flight(&mut map) else { return };
        flight.waiters -= 1;
        if flight.waiters == 0 && !flight.goes_on {
            flight.task.abort();
            map.remove(&self.key);
        }
    }
}

/// How it ended; `None`: without a word.
async fn ended(done: &mut watch::Receiver<Done>) -> Done {
    done.wait_for(Option::is_some).await.ok()?.clone()
}

fn lock(map: &Map) -> MutexGuard<'_, HashMap<String, Flight>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn many_waiters_share_one_and_hear_how_far_it_is() {
        let (flights, starts) = (Flights::default(), Arc::new(AtomicUsize::new(0)));
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let mut gone = Some(gone);
        let mut waiters = Vec::new();
        for _ in 0..3 {
            let starts = Arc::clone(&starts);
            let gone = gone.take();
            waiters.push(flights.join("k", |progress| async move {
                starts.fetch_add(1, Ordering::Relaxed);
                gone.expect("the first one starts it").await.expect("told to");
                progress.tell("half way");
                Err("no".to_owned())
            }));
        }
        let (progress, mut told) = Progress::channel();
        go.send(()).expect("it waits");
        for waiter in waiters {
            let ended = waiter.wait(Duration::from_secs(5), &progress).await;
            assert_eq!(ended, Joined::Done(Err("no".to_owned())));
        }
        assert_eq!(starts.load(Ordering::Relaxed), 1);
        assert!(lock(&flights.map).is_empty());
        // Whoever was late to listen may have missed it.
        if let Ok(line) = told.try_recv() {
            assert_eq!(line, "half way");
        }
    }

    #[tokio::test]
    async fn it_ends_with_its_last_waiter_unless_that_one_ran_out_of_time() {
        let flights = Flights::default();
        let endless = || flights.join("k", |_| std::future::pending::<Result<(), String>>());
        let (first, second) = (endless(), endless());
        let task = lock(&flights.map)["k"].task.clone();
        drop(first);
        tokio::task::yield_now().await;
        assert!(!task.is_finished());
        drop(second);
        while !task.is_finished() {
            tokio::task::yield_now().await;
        }
        let late = endless().wait(Duration::from_millis(1), &Progress::default()).await;
        assert_eq!(late, Joined::Late);
        assert_eq!(lock(&flights.map).len(), 1, "it goes on");
    }
}
