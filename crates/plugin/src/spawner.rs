//! The one permanent thread that starts processes.
//!
//! `PR_SET_PDEATHSIG` follows the *thread* that started a process (prctl(2)):
//! were it a worker of the async runtime, its end would kill every zygote.
//!
//! **Invariant:** every process this plugin starts is started here, with exec, but for the one of
//! `killing.rs`, which is waited for at once.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc;
use tokio::sync::oneshot;

type Order = (Command, oneshot::Sender<io::Result<Unclaimed>>);

/// A process that its orderer has not got yet, and may never get: it can go away while the answer
/// is under way.
#[derive(Debug)]
struct Unclaimed(Option<Child>);

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // Both fail only when it has been waited for already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Handle to the thread; it ends with the last handle.
#[derive(Debug, Clone)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
}

impl Spawner {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for (mut command, reply) in inbox {
                // Nobody waits any more: the process is not started at all.
                if !reply.is_closed() {
                    // What can't be sent is dropped, as what is not received.
                    let _ = reply.send(command.spawn().map(|child| Unclaimed(Some(child))));
                }
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts `command`; ends it again when this future is dropped before it answers.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread is gone");
        self.orders.send((command, reply)).map_err(|_| gone())?;
        let mut unclaimed = answer.await.map_err(|_| gone())??;
        unclaimed.0.take().ok_or_else(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_process_nobody_waits_for_any_more_is_ended() {
        let place = tempfile::tempdir().expect("a directory");
        let file = place.path().join("pid");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec sleep 60"]).arg(&file);
        let spawner = Spawner::start().expect("a thread");
        let mut order = Box::pin(spawner.spawn(command));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(order.as_mut().poll(&mut context).is_pending(), "it is ordered, not there yet");
        let until = Instant::now() + Duration::from_secs(10);
        let pid = loop {
            match std::fs::read_to_string(&file) {
                Ok(pid) if pid.ends_with('\n') => break pid,
                _ => assert!(Instant::now() < until, "it was never started"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let alive = || std::path::Path::new("/proc").join(pid.trim()).exists();
        assert!(alive());
        drop(order);
        while alive() {
            assert!(Instant::now() < until, "it lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
