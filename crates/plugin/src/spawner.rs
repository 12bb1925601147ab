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

type Order = (Command, oneshot::Sender<io::Result<Child>>);

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
                if !reply.is_closed()
                    && let Err(Ok(mut child)) = reply.send(command.spawn())
                {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts `command`.
    pub async fn spawn(&self, command: Command) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the spawner thread is gone");
        self.orders.send((command, reply)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
