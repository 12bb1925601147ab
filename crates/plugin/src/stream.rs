//! The supervisor's end of a child's channel: asynchronous, capped, hostile
//! until checked.
//!
//! **Invariant:** memory held for a child is bounded by the frame cap; what
//! comes out is a `FromChild` nobody has looked at yet.

use proto::codec::{self, CodecError, Decoder, MAX_TO_CHILD};
use proto::frame::{FromChild, ToChild};
use std::os::fd::OwnedFd;
use tokio::net::UnixStream;

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
    socket: UnixStream,
    decoder: Decoder<FromChild>,
}

impl ChildStream {
    /// Watches `fd`, which is a non-blocking stream socket.
    pub fn new(fd: OwnedFd, cap: usize) -> std::io::Result<Self> {
        let socket = UnixStream::from_std(fd.into())?;
        Ok(Self { socket, decoder: Decoder::new(cap) })
    }

    /// Writes one frame, whole.
    pub async fn send(&mut self, frame: &ToChild) -> Result<(), StreamError> {
        let bytes = codec::encode(frame, MAX_TO_CHILD)?;
        let mut rest = bytes.as_slice();
        loop {
            match self.socket.try_write(rest) {
                Ok(written) if written == rest.len() => return Ok(()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.socket.writable().await?;
                }
                Err(error) if is_gone(&error) => return Err(StreamError::Closed),
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
            self.socket.readable().await?;
            let mut chunk = [0u8; 16 << 10];
            match self.socket.try_read(&mut chunk) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(read) => self.decoder.push(chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) if is_gone(&error) => return Err(StreamError::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::NotConnected
    )
}
