//! Descriptors that are neither files nor tokio's own sockets, as the async
//! runtime watches them: pidfds and the zygote's packet socket.
//!
//! **Invariant:** the watched value owns its descriptor until it is dropped.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use tokio::io::unix::AsyncFd;

/// Watches an owned descriptor.
#[expect(
    deprecated,
    reason = "its replacement is unsafe, for values that do not own their descriptor; AsFd on an \
              owned value is the guarantee it asks for"
)]
pub fn watch<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(owner)
}

/// Watches an owned descriptor for reading alone.
#[expect(deprecated, reason = "as in `watch`")]
pub fn watch_reads<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, tokio::io::Interest::READABLE)
}
