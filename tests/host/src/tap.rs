//! A wire that is listened to: passes everything on, and counts.
//!
//! **Invariant:** nothing is changed, held back or answered here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A port in front of another.
#[derive(Debug)]
pub struct Tap {
    pub address: String,
    counts: Arc<Counts>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    /// Bytes from whoever connects.
    sent: AtomicU64,
}

impl Tap {
    /// Listens in front of `target`.
    pub async fn before(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (counts, target) = (Arc::<Counts>::default(), target.to_owned());
        let counted = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::Relaxed);
                let Ok(far) = TcpStream::connect(&target).await else { continue };
                tokio::spawn(pass(near, far, Arc::clone(&counted)));
            }
        });
        Ok(Self { address, counts, task })
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// How many bytes were sent to the target.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(near: TcpStream, far: TcpStream, counts: Arc<Counts>) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let there = async {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from_near.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    counts.sent.fetch_add(count as u64, Ordering::Relaxed);
                    if to_far.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let back = async {
        // whichever end closes ends both ways
        if tokio::io::copy(&mut from_far, &mut to_near).await.is_err() {}
    };
    tokio::select! { () = there => {}, () = back => {} }
}
