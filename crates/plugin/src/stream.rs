//! The supervisor's end of a child's channel: asynchronous, capped, hostile
//! until checked.
//!
//! **Invariant:** memory held for a child is bounded by the frame cap; what
//! comes out is a `FromChild` nobody has looked at yet.

use proto::codec::{self, CodecError, Decoder, MAX_TO_CHILD};
use proto::frame::{FromChild, ToChild};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;

/// Why a child's channel can't be used any more.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The child closed it: it ended.
    #[error("the channel was closed")]
    Closed,
    /// What came is not a frame.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The kernel refused.
    #[error("channel: {0}")]
    Io(#[from] std::io::Error),
}

/// One end of a socket pair, framed.
#[derive(Debug)]
pub struct ChildStream {
    socket: Socket,
    decoder: Decoder<FromChild>,
}

#[derive(Debug)]
enum Socket {
    /// Nobody is woken by what comes: it is asked for.
    Idle(OwnedFd),
    // Watched for reading alone: an answer must not be preceded by a wake-up
    // that says no more than that the job could be written.
    Watched(AsyncFd<OwnedFd>),
    /// It could not be watched.
    Lost,
}

impl Socket {
    fn fd(&self) -> Result<&OwnedFd, StreamError> {
        match self {
            Self::Idle(fd) => Ok(fd),
            Self::Watched(watched) => Ok(watched.get_ref()),
            Self::Lost => Err(StreamError::Closed),
        }
    }

    fn watched(&mut self) -> Result<&AsyncFd<OwnedFd>, StreamError> {
        if let Self::Idle(_) = self
            && let Self::Idle(fd) = std::mem::replace(self, Self::Lost)
        {
            *self = Self::Watched(crate::readiness::watch_reads(fd)?);
        }
        match self {
            Self::Watched(watched) => Ok(watched),
            Self::Idle(_) | Self::Lost => Err(StreamError::Closed),
        }
    }
}

impl ChildStream {
    /// Over `fd`, which is a non-blocking stream socket.
    #[must_use]
    pub fn new(fd: OwnedFd, cap: usize) -> Self {
        Self { socket: Socket::Idle(fd), decoder: Decoder::new(cap) }
    }

    /// Stops waiting for frames until [`ChildStream::receive`] is called again: what is not
    /// watched wakes nobody.
    pub fn rest(&mut self) {
        match std::mem::replace(&mut self.socket, Socket::Lost) {
            Socket::Watched(watched) => self.socket = Socket::Idle(watched.into_inner()),
            other @ (Socket::Idle(_) | Socket::Lost) => self.socket = other,
        }
    }

    /// Writes one frame, whole.
    pub async fn send(&mut self, frame: &ToChild) -> Result<(), StreamError> {
        let bytes = codec::encode(frame, MAX_TO_CHILD)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(self.socket.fd()?, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::AGAIN) => return self.send_rest(rest).await,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A frame larger than the socket's buffer.
    async fn send_rest(&self, mut rest: &[u8]) -> Result<(), StreamError> {
        let writer = crate::readiness::watch(self.socket.fd()?.as_fd().try_clone_to_owned()?)?;
        while !rest.is_empty() {
            let mut ready = writer.writable().await?;
            match ready.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), rest)?)) {
                Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(gone_or(error)),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// The next frame if it comes within `patience`, for which the calling thread sleeps.
    pub fn receive_soon(&mut self, patience: Duration) -> Result<Option<FromChild>, StreamError> {
        let until = Instant::now() + patience;
        let mut chunk = [0u8; 16 << 10];
        loop {
            if let Some(frame) = self.decoder.next_message()? {
                return Ok(Some(frame));
            }
            let fd = self.socket.fd()?;
            match rustix::io::read(fd, &mut chunk) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(read) => self.decoder.push(chunk.get(..read).unwrap_or_default()),
                Err(Errno::AGAIN) => {
                    let left = until.saturating_duration_since(Instant::now());
                    let left = Timespec::try_from(left).unwrap_or_default();
                    match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&left)) {
                        Ok(0) => return Ok(None),
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next frame. Cancelling loses nothing.
    pub async fn receive(&mut self) -> Result<FromChild, StreamError> {
        loop {
            if let Some(frame) = self.decoder.next_message()? {
                return Ok(frame);
            }
            let mut ready = self.socket.watched()?.readable().await?;
            let mut chunk = [0u8; 16 << 10];
            match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut chunk)?)) {
                Ok(Ok(0)) => return Err(StreamError::Closed),
                Ok(Ok(read)) => {
                    self.decoder.push(chunk.get(..read).unwrap_or_default());
                    // Less than asked for: there is no more, and no need to ask.
                    if read < chunk.len() {
                        ready.clear_ready();
                    }
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(gone_or(error)),
                Err(_) => {}
            }
        }
    }
}

impl From<Errno> for StreamError {
    fn from(error: Errno) -> Self {
        gone_or(error.into())
    }
}

fn gone_or(error: std::io::Error) -> StreamError {
    if is_gone(&error) { StreamError::Closed } else { StreamError::Io(error) }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::NotConnected
    )
}
