//! Admission under load: order, shares, reserve, and what is turned away.

use super::*;
use futures_util::FutureExt as _;
use std::pin::Pin;

const LONG: Duration = Duration::from_secs(60);

fn admission(slots: usize, reserve: usize, queue: usize) -> Admission {
    Admission::new(slots, reserve, queue, Arc::default())
}

fn caller(name: &str) -> Caller {
    Caller::handler(name)
}

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Slot, Rejected>> + 'a>>;

/// A request in line, polled once.
fn line_up<'a>(admission: &'a Admission, caller: &'a Caller, class: Class) -> Entering<'a> {
    let mut entering: Entering<'a> = Box::pin(admission.enter(caller, class, LONG));
    assert!((&mut entering).now_or_never().is_none(), "it has to wait");
    entering
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_long_wait_gives_up() {
    let admission = admission(1, 0, 1);
    let a = caller("a");
    let held = admission.enter(&a, Class::Interactive, Duration::ZERO).await.expect("a slot");
    let patience = Duration::from_millis(30);
    let (first, second) = tokio::join!(
        admission.enter(&a, Class::Interactive, patience),
        admission.enter(&a, Class::Interactive, patience),
    );
    assert!(matches!(first, Err(Rejected::Busy { .. })));
    assert!(matches!(second, Err(Rejected::Busy { .. })));
    assert_eq!((admission.running(), admission.queued()), (1, 0));
    drop(held);
    assert!(admission.enter(&a, Class::Interactive, Duration::ZERO).await.is_ok());
    assert_eq!((admission.running(), admission.queued()), (0, 0));
    assert!(admission.queue().lines.is_empty(), "nothing is kept of callers that are gone");
}

#[tokio::test]
async fn slots_can_be_taken_away_while_they_are_held() {
    let admission = admission(2, 0, 8);
    let a = caller("a");
    let first = admission.enter(&a, Class::Interactive, Duration::ZERO).await.expect("a slot");
    let second = admission.enter(&a, Class::Interactive, Duration::ZERO).await.expect("a slot");
    admission.resize(1, 0, 8);
    drop(first);
    let patience = Duration::from_millis(20);
    assert!(admission.enter(&a, Class::Interactive, patience).await.is_err());
    drop(second);
    assert!(admission.enter(&a, Class::Interactive, patience).await.is_ok());
}

#[tokio::test]
async fn jobs_leave_slots_for_interactive_calls() {
    let admission = admission(2, 1, 8);
    let a = caller("a");
    let _job = admission.enter(&a, Class::Job, LONG).await.expect("a slot");
    let second = admission.enter(&a, Class::Job, Duration::from_millis(20)).await;
    assert!(matches!(second, Err(Rejected::Busy { .. })));
    assert!(admission.enter(&a, Class::Interactive, Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn one_callers_many_requests_do_not_delay_anothers_one() {
    let admission = admission(2, 0, 2000);
    let (many, one) = (caller("many"), caller("one"));
    let first = admission.enter(&many, Class::Interactive, LONG).await.expect("a slot");
    let second = admission.enter(&many, Class::Interactive, LONG).await.expect("a slot");
    let mut crowd: VecDeque<_> =
        (0..1000).map(|_| line_up(&admission, &many, Class::Interactive)).collect();
    let mut single = line_up(&admission, &one, Class::Interactive);
    drop(first);
    let granted = (&mut single).now_or_never().expect("the next slot").expect("a slot");
    assert!((&mut crowd[0]).now_or_never().is_none());
    drop(second);
    // In the order they came.
    let held = (&mut crowd[0]).now_or_never().expect("its turn").expect("a slot");
    assert!((&mut crowd[1]).now_or_never().is_none());
    drop((granted, held));
    drop(crowd);
    drop(single);
    assert_eq!((admission.running(), admission.queued()), (0, 0));
}

#[tokio::test]
async fn callers_share_the_slots_evenly_for_as_long_as_they_want_them() {
    let admission = admission(4, 0, 100);
    let callers = ["a", "b", "c", "d"].map(caller);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(admission.enter(&callers[0], Class::Interactive, LONG).await.expect("a slot"));
    }
    let mut waiting: Vec<_> = callers
        .iter()
        .flat_map(|caller| std::iter::repeat_n(caller, 10))
        .map(|caller| line_up(&admission, caller, Class::Interactive))
        .collect();
    for round in 0..30 {
        drop(held.remove(0));
        waiting.retain_mut(|entering| match entering.as_mut().now_or_never() {
            Some(slot) => {
                held.push(slot.expect("a slot"));
                false
            }
            None => true,
        });
        assert_eq!(held.len(), 4);
        if round >= 3 {
            // What the first one had above its share is given up by now.
            let shares = callers.each_ref().map(|c| held.iter().filter(|s| s.caller == *c).count());
            assert_eq!(shares, [1; 4], "round {round}");
        }
    }
}

#[tokio::test]
async fn a_full_queue_takes_the_newest_of_whoever_fills_it() {
    let admission = admission(1, 0, 3);
    let (many, one) = (caller("many"), caller("one"));
    let _held = admission.enter(&many, Class::Interactive, LONG).await.expect("a slot");
    let mut crowd: Vec<_> =
        (0..3).map(|_| line_up(&admission, &many, Class::Interactive)).collect();
    let refused = admission.enter(&many, Class::Interactive, LONG).await;
    assert!(matches!(refused, Err(Rejected::Busy { .. })));
    let _single = line_up(&admission, &one, Class::Job);
    let bumped = crowd[2].as_mut().now_or_never().expect("an answer");
    assert!(matches!(bumped, Err(Rejected::Busy { running: 1, .. })));
    assert!(crowd[1].as_mut().now_or_never().is_none());
    assert_eq!(admission.queued(), 3);
}

#[tokio::test]
async fn the_last_eighth_of_the_slots_waits_for_another_caller() {
    let admission = admission(8, 0, 8);
    let (many, one) = (caller("many"), caller("one"));
    let mut held = Vec::new();
    for _ in 0..7 {
        held.push(admission.enter(&many, Class::Interactive, Duration::ZERO).await.expect("one"));
    }
    let mut eighth = line_up(&admission, &many, Class::Interactive);
    let _other = admission.enter(&one, Class::Interactive, Duration::ZERO).await.expect("the last");
    held.pop();
    assert!((&mut eighth).now_or_never().expect("its turn").is_ok());
}

#[tokio::test]
async fn classes_take_turns_and_closing_tells_those_who_wait() {
    let admission = admission(1, 0, 8);
    let (a, b) = (caller("a"), caller("b"));
    let held = admission.enter(&a, Class::Interactive, LONG).await.expect("a slot");
    let mut calls: Vec<_> = (0..2).map(|_| line_up(&admission, &a, Class::Interactive)).collect();
    let mut job = line_up(&admission, &b, Class::Job);
    drop(held);
    let slot = (&mut job).now_or_never().expect("the job's turn").expect("a slot");
    drop(slot);
    let _slot = (&mut calls[0]).now_or_never().expect("the call's turn").expect("a slot");
    admission.close();
    assert!(matches!((&mut calls[1]).now_or_never(), Some(Err(Rejected::ShuttingDown))));
    let late = admission.enter(&b, Class::Job, LONG).await;
    assert!(matches!(late, Err(Rejected::ShuttingDown)));
}
