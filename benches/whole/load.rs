//! Ways to load a server: paced, closed loop, open loop, all at once.
//!
//! **Invariant:** what is compared is interleaved or bracketed: both see the
//! same minute of a noisy machine.

use crate::server::{self, Client};
use crate::stats::Sample;
use crate::work::Work;
use anyhow::{Context, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// Something to call and to time.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// The empty RPC.
    Empty,
    Work(Work),
}

impl Call {
    /// Calls once; the answer is checked after the clock has stopped.
    pub(crate) async fn time(&self, client: &mut Client) -> Result<Duration> {
        match self {
            Self::Empty => server::empty(client).await,
            Self::Work(work) => {
                let (elapsed, body) =
                    server::post(client, work.path, work.body.clone().into()).await?;
                work.check(client.port, &body)?;
                Ok(elapsed)
            }
        }
    }
}

/// `calls` rounds of everything in `probes`, one after another, `gap` before each.
pub(crate) async fn alternate(
    probes: &mut [(Client, Call)],
    calls: usize,
    gap: Duration,
) -> Result<Vec<Sample>> {
    for _ in 0..5 {
        for (client, call) in probes.iter_mut() {
            call.time(client).await?;
            tokio::time::sleep(gap).await;
        }
    }
    let mut samples = vec![Sample::default(); probes.len()];
    for _ in 0..calls {
        for ((client, call), sample) in probes.iter_mut().zip(&mut samples) {
            if !gap.is_zero() {
                tokio::time::sleep(gap).await;
            }
            sample.add(call.time(client).await?);
        }
    }
    Ok(samples)
}

/// Closed loop: every client calls as soon as it was answered, for `span`.
/// Calls per second, and their timings.
pub(crate) async fn closed(calls: Vec<(Client, Call)>, span: Duration) -> Result<(f64, Sample)> {
    let began = Instant::now();
    let until = began + span;
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|(mut client, call)| {
            tokio::spawn(async move {
                let mut sample = Sample::default();
                while Instant::now() < until {
                    sample.add(call.time(&mut client).await?);
                }
                anyhow::Ok(sample)
            })
        })
        .collect();
    let mut all = Sample::default();
    for task in tasks {
        all.merge(&task.await??);
    }
    Ok((all.len() as f64 / began.elapsed().as_secs_f64(), all))
}

/// Open loop: `count` calls start `gap` apart whether or not the ones before are
/// answered, over `clients` in turn. A call's time counts from the moment at
/// which it was to start, so that a stall is paid by all whom it keeps waiting.
pub(crate) async fn open(
    clients: &[Client],
    call: &Call,
    gap: Duration,
    count: usize,
) -> Result<Sample> {
    let ticks = Ticks::every(gap)?;
    let began = ticks.began;
    let mut tasks = Vec::with_capacity(count);
    let mut due = 0u32;
    while tasks.len() < count {
        // More than one has come due when this task was kept from running.
        for _ in 0..ticks.wait().await? {
            due += 1;
            let intended = began + gap * due;
            let client = clients.get(tasks.len() % clients.len()).context("no client")?;
            let (mut client, call) = (client.clone(), call.clone());
            tasks.push(tokio::spawn(async move {
                let sent = Instant::now();
                let elapsed = call.time(&mut client).await?;
                anyhow::Ok(sent.saturating_duration_since(intended) + elapsed)
            }));
        }
    }
    let mut sample = Sample::default();
    for task in tasks {
        sample.add(task.await??);
    }
    Ok(sample)
}

/// All at once, one call per client; the time to the last answer, and what failed.
pub(crate) async fn burst(
    calls: Vec<(Client, Call)>,
) -> Result<(Duration, Sample, Vec<anyhow::Error>)> {
    let began = Instant::now();
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|(mut client, call)| {
            tokio::spawn(async move {
                let result = call.time(&mut client).await;
                (result.map(|_| began.elapsed()), began.elapsed())
            })
        })
        .collect();
    let (mut last, mut sample, mut failed) = (Duration::ZERO, Sample::default(), Vec::new());
    for task in tasks {
        let (result, ended) = task.await?;
        last = last.max(ended);
        match result {
            Ok(elapsed) => sample.add(elapsed),
            Err(error) => failed.push(error),
        }
    }
    Ok((last, sample, failed))
}

/// The kernel's own timer: tokio's counts in whole milliseconds.
#[derive(Debug)]
struct Ticks {
    timer: AsyncFd<OwnedFd>,
    began: Instant,
}

impl Ticks {
    fn every(gap: Duration) -> Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let every =
            Timespec { tv_sec: gap.as_secs().try_into()?, tv_nsec: gap.subsec_nanos().into() };
        let spec = Itimerspec { it_interval: every, it_value: every };
        let began = Instant::now();
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        Ok(Self { timer: plugin::readiness::watch_reads(timer)?, began })
    }

    /// How many intervals have passed since the last look; waits for one at least.
    async fn wait(&self) -> Result<u64> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut count = [0u8; 8];
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut count)?)) {
                Ok(read) => {
                    read?;
                    return Ok(u64::from_ne_bytes(count));
                }
                Err(_) => continue,
            }
        }
    }
}
