//! Slots and the queue in front of them.
//!
//! Interactive calls and jobs share the slots; some slots are never given to
//! jobs, and when both wait they take turns. Within a class a free slot goes to
//! the caller that holds the fewest, of these to the one that was served longest
//! ago: a caller with a thousand requests and one with a single one get the same
//! share of the slots for as long as both want any. The last eighth of the slots
//! is never given to a single caller, so that a newcomer need not wait for a
//! long execution of another to end. When the queue is full, the newest request
//! of the caller that fills it gives way to one of a caller with fewer.
//!
//! **Invariant:** at most `max_concurrency` slots are out, at most `max_queue`
//! callers wait, nobody waits longer than its queue time-out, and a caller's
//! own requests of one class are served in the order they came.

use crate::caller::Caller;
use crate::error::Rejected;
use crate::request::Class;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Of so many slots one is kept from a caller that has all others.
const SHARE: usize = 8;

/// Gives out slots; cheap to clone.
#[derive(Debug, Clone)]
pub struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    running: Arc<AtomicUsize>,
    queued: AtomicUsize,
}

#[derive(Debug)]
struct Queue {
    sizes: Sizes,
    max_queue: usize,
    closed: bool,
    running: usize,
    jobs: usize,
    /// Those that hold a slot or wait for one.
    lines: HashMap<Caller, Line>,
    /// Counts slots given out: the clock of who was served when.
    turn: u64,
    tickets: u64,
    last_class: Class,
}

/// How many slots there are.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    all: usize,
    jobs: usize,
    /// Most that one caller holds.
    one: usize,
}

/// One caller.
#[derive(Debug, Default)]
struct Line {
    held: usize,
    served: u64,
    interactive: VecDeque<Ticket>,
    jobs: VecDeque<Ticket>,
}

/// A request that waits.
#[derive(Debug)]
struct Ticket {
    number: u64,
    grant: oneshot::Sender<Result<Slot, Rejected>>,
}

/// A slot; given back on drop.
#[derive(Debug)]
pub struct Slot {
    admission: Admission,
    caller: Caller,
    class: Class,
}

impl Sizes {
    fn new(max_concurrency: usize, reserve: usize) -> Self {
        let all = max_concurrency.max(1);
        Self { all, jobs: all.saturating_sub(reserve).max(1), one: all - all / SHARE }
    }
}

impl Line {
    fn of(&mut self, class: Class) -> &mut VecDeque<Ticket> {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Job => &mut self.jobs,
        }
    }

    /// When the request came that waits longest.
    fn first(&self, class: Class) -> u64 {
        let tickets = match class {
            Class::Interactive => &self.interactive,
            Class::Job => &self.jobs,
        };
        tickets.front().map_or(0, |ticket| ticket.number)
    }

    fn waits(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.len(),
            Class::Job => self.jobs.len(),
        }
    }

    fn waiting(&self) -> usize {
        self.interactive.len() + self.jobs.len()
    }
}

impl Admission {
    /// `max_concurrency` slots, of which `reserve` are for interactive calls
    /// alone. `running` is kept at the number of slots that are out.
    #[must_use]
    pub fn new(
        max_concurrency: usize,
        reserve: usize,
        max_queue: usize,
        running: Arc<AtomicUsize>,
    ) -> Self {
        let queue = Queue {
            sizes: Sizes::new(max_concurrency, reserve),
            max_queue,
            closed: false,
            running: 0,
            jobs: 0,
            lines: HashMap::new(),
            turn: 0,
            tickets: 0,
            last_class: Class::Job,
        };
        let queued = AtomicUsize::new(0);
        Self { shared: Arc::new(Shared { queue: Mutex::new(queue), running, queued }) }
    }

    /// A slot for a request of `caller`, at once or after waiting at most
    /// `patience`.
    pub async fn enter(
        &self,
        caller: &Caller,
        class: Class,
        patience: Duration,
    ) -> Result<Slot, Rejected> {
        let (number, granted) = self.line_up(caller, class)?;
        let waiting = Waiting { admission: self, caller, class, number };
        let answer = tokio::time::timeout(patience, granted).await;
        drop(waiting);
        match answer {
            Ok(Ok(answer)) => answer,
            // The sender is dropped with the admission alone.
            Ok(Err(_)) => Err(Rejected::ShuttingDown),
            Err(_) => Err(self.busy()),
        }
    }

    /// Takes a place in the queue; the slot may be there already.
    fn line_up(
        &self,
        caller: &Caller,
        class: Class,
    ) -> Result<(u64, oneshot::Receiver<Result<Slot, Rejected>>), Rejected> {
        let (grant, granted) = oneshot::channel();
        let mut bumped = None;
        let number = {
            let mut queue = self.queue();
            if queue.closed {
                return Err(Rejected::ShuttingDown);
            }
            if !queue.has_room_for(caller, class) {
                let queued = self.queued();
                if queued >= queue.max_queue {
                    bumped = queue.bump(caller);
                    if bumped.is_none() {
                        return Err(self.busy());
                    }
                    self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                }
            }
            self.shared.queued.fetch_add(1, Ordering::Relaxed);
            queue.tickets += 1;
            let number = queue.tickets;
            let line = queue.lines.entry(caller.clone()).or_default();
            line.of(class).push_back(Ticket { number, grant });
            number
        };
        if let Some(ticket) = bumped {
            // Who gave up meanwhile need not be told.
            let _ = ticket.grant.send(Err(self.busy()));
        }
        self.serve();
        Ok((number, granted))
    }

    /// Gives out what is free.
    fn serve(&self) {
        loop {
            let Some((caller, class, ticket)) = self.next() else { return };
            let slot = Slot { admission: self.clone(), caller, class };
            // A caller that gave up just now: dropped here, the slot is given back.
            drop(ticket.grant.send(Ok(slot)));
        }
    }

    /// Whose turn it is, with the slot counted as theirs.
    fn next(&self) -> Option<(Caller, Class, Ticket)> {
        let mut queue = self.queue();
        let (caller, class) = queue.turn_of()?;
        queue.turn += 1;
        let turn = queue.turn;
        let line = queue.lines.get_mut(&caller)?;
        let ticket = line.of(class).pop_front()?;
        line.held += 1;
        line.served = turn;
        queue.running += 1;
        queue.jobs += usize::from(class == Class::Job);
        queue.last_class = class;
        self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        self.shared.running.fetch_add(1, Ordering::Relaxed);
        Some((caller, class, ticket))
    }

    fn give_back(&self, caller: &Caller, class: Class) {
        let mut queue = self.queue();
        queue.running -= 1;
        queue.jobs -= usize::from(class == Class::Job);
        self.shared.running.fetch_sub(1, Ordering::Relaxed);
        if let Some(line) = queue.lines.get_mut(caller) {
            line.held = line.held.saturating_sub(1);
        }
        queue.forget(caller);
    }

    /// Changes the numbers; slots that are taken away are taken as they become
    /// free.
    pub fn resize(&self, max_concurrency: usize, reserve: usize, max_queue: usize) {
        {
            let mut queue = self.queue();
            queue.sizes = Sizes::new(max_concurrency, reserve);
            queue.max_queue = max_queue;
        }
        self.serve();
    }

    /// Nobody gets a slot any more.
    pub fn close(&self) {
        let waiting: Vec<Ticket> = {
            let mut queue = self.queue();
            queue.closed = true;
            let lines = queue.lines.values_mut();
            lines.flat_map(|line| line.interactive.drain(..).chain(line.jobs.drain(..))).collect()
        };
        self.shared.queued.fetch_sub(waiting.len(), Ordering::Relaxed);
        for ticket in waiting {
            let _ = ticket.grant.send(Err(Rejected::ShuttingDown));
        }
    }

    /// Executions that hold a slot.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::Relaxed)
    }

    /// Requests waiting for one.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.queued.load(Ordering::Relaxed)
    }

    fn busy(&self) -> Rejected {
        Rejected::Busy {
            running: self.running(),
            queued: self.queued(),
            retry_after: Duration::from_secs(1),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether a slot of this class is free.
    fn free(&self, class: Class) -> bool {
        self.running < self.sizes.all
            && (class == Class::Interactive || self.jobs < self.sizes.jobs)
    }

    /// Whether a new request would get a slot at once.
    fn has_room_for(&self, caller: &Caller, class: Class) -> bool {
        let line = self.lines.get(caller);
        let others = self.lines.values().any(|line| line.waits(class) > 0);
        self.free(class) && !others && line.is_none_or(|line| line.held < self.sizes.one)
    }

    /// Who gets the next slot, if there is one and somebody may have it.
    fn turn_of(&self) -> Option<(Caller, Class)> {
        let order = match self.last_class {
            Class::Job => [Class::Interactive, Class::Job],
            Class::Interactive => [Class::Job, Class::Interactive],
        };
        order.into_iter().filter(|class| self.free(*class)).find_map(|class| {
            let may = |line: &&Line| line.waits(class) > 0 && line.held < self.sizes.one;
            let waiting = self.lines.iter().filter(|(_, line)| may(line));
            let first = |line: &Line| line.first(class);
            let next = waiting.min_by_key(|(_, line)| (line.held, line.served, first(line)))?;
            Some((next.0.clone(), class))
        })
    }

    /// Takes the newest request of the caller that has the most waiting, if
    /// that is more than `newcomer` would then have.
    fn bump(&mut self, newcomer: &Caller) -> Option<Ticket> {
        let own = self.lines.get(newcomer).map_or(0, Line::waiting);
        let (caller, line) = self.lines.iter_mut().max_by_key(|(_, line)| line.waiting())?;
        if line.waiting() <= own + 1 {
            return None;
        }
        let newest = |tickets: &VecDeque<Ticket>| tickets.back().map_or(0, |t| t.number);
        let ticket = if newest(&line.jobs) > newest(&line.interactive) {
            line.jobs.pop_back()
        } else {
            line.interactive.pop_back()
        };
        let caller = caller.clone();
        self.forget(&caller);
        ticket
    }

    /// Forgets a caller that holds nothing and waits for nothing.
    fn forget(&mut self, caller: &Caller) {
        if self.lines.get(caller).is_some_and(|line| line.held == 0 && line.waiting() == 0) {
            self.lines.remove(caller);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.give_back(&self.caller, self.class);
        self.admission.serve();
    }
}

/// A place in the queue, left on drop.
struct Waiting<'a> {
    admission: &'a Admission,
    caller: &'a Caller,
    class: Class,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut queue = self.admission.queue();
        let Some(line) = queue.lines.get_mut(self.caller) else { return };
        let tickets = line.of(self.class);
        // Served in order, it is most often the first, or not there any more.
        let place = tickets.iter().position(|ticket| ticket.number == self.number);
        if let Some(ticket) = place.and_then(|place| tickets.remove(place)) {
            self.admission.shared.queued.fetch_sub(1, Ordering::Relaxed);
            queue.forget(self.caller);
            drop(queue);
            drop(ticket);
        }
    }
}

#[cfg(test)]
mod tests;
