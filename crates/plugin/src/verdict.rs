//! What became of a run: from claims, exit statuses and measurements to an
//! [`Outcome`] (DESIGN 5 and 12).
//!
//! **Invariant:** every limit named in an outcome was measured by the
//! supervisor; a child's word alone never says `over_…`.

use crate::answer::Usage;
use crate::reaper::{Ended, Process};
use crate::watchdog::{Excess, Watchdog};
use proto::Outcome;
use proto::frame::{Done, done};
use sandbox::process::Exit;

/// From a `Done` frame.
pub fn of_claim(done: &Done, process: &Process, watchdog: &Watchdog) -> Outcome {
    match &done.end {
        None => Outcome::Value,
        Some(done::End::Exited(exited)) => Outcome::Exited {
            code: exited.code,
            message: (!exited.message.is_empty()).then(|| exited.message.clone()),
        },
        Some(done::End::Raised(raised)) => {
            if raised.memory_error && watchdog.near_memory_limit(process) {
                return Outcome::OverMemory;
            }
            Outcome::Raised(proto::outcome::Raised {
                kind: raised.r#type.clone(),
                message: raised.message.clone(),
                traceback: raised.traceback.clone(),
                line: (raised.line > 0).then_some(raised.line),
            })
        }
    }
}

/// From a limit the supervisor saw crossed.
pub fn of_excess(excess: Excess) -> Outcome {
    match excess {
        Excess::Memory => Outcome::OverMemory,
        Excess::Threads => Outcome::OverThreads,
        Excess::Scratch => Outcome::OverScratch,
        Excess::Cpu => Outcome::OverCpu,
    }
}

/// From the way a process ended that said nothing.
pub fn of_end(
    ended: Option<Ended>,
    trapped: Option<u32>,
    usage: &Usage,
    watchdog: &Watchdog,
) -> Outcome {
    let went_on =
        || Outcome::Protocol { reason: "the child closed its channel and went on".to_owned() };
    let Some(Ended { reaped, by_us }) = ended else { return went_on() };
    match reaped.exit {
        // That signal was ours, after it had gone on without its channel for a while.
        Exit::Signal(libc::SIGKILL) if by_us => went_on(),
        Exit::Code(code) => Outcome::Exited { code, message: None },
        Exit::Signal(libc::SIGSYS) => Outcome::Denied {
            syscall: trapped
                .and_then(|number| sandbox::syscalls::syscall_name(i64::from(number)))
                .map(str::to_owned),
        },
        Exit::Signal(libc::SIGXCPU) if watchdog.cpu_spent(usage.cpu) => Outcome::OverCpu,
        Exit::Signal(signal) => Outcome::Killed {
            signal,
            memory_suspected: watchdog.peak_near_limit(usage.max_rss_bytes),
        },
    }
}
