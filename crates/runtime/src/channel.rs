//! The blocking end of a frame channel: what the child (and the zygote) reads
//! and writes.
//!
//! **Invariant:** an end can only say what its direction's message can say.

use proto::codec::{self, CodecError, Decoder};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// The channel is gone or broken; the process that holds it ends.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The supervisor closed its end.
    #[error("the supervisor closed the channel")]
    Closed,
    /// A frame above the cap, or not a message.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The kernel refused a read or a write.
    #[error("channel: {0}")]
    Io(#[from] Errno),
}

/// One end: sends `S`, receives `R`.
#[derive(Debug)]
pub struct Channel<S, R> {
    fd: OwnedFd,
    decoder: Decoder<R>,
    chunk: Vec<u8>,
    send_cap: usize,
    sends: std::marker::PhantomData<fn(S)>,
}

impl<S: prost::Message, R: prost::Message + Default> Channel<S, R> {
    /// Wraps a connected stream socket in blocking mode.
    #[must_use]
    pub fn new(fd: OwnedFd, send_cap: usize, receive_cap: usize) -> Self {
        Self {
            fd,
            decoder: Decoder::new(receive_cap),
            chunk: vec![0; 16 << 10],
            send_cap,
            sends: std::marker::PhantomData,
        }
    }

    /// The descriptor under the channel.
    pub fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Writes one frame, whole.
    pub fn send(&mut self, message: &S) -> Result<(), ChannelError> {
        let bytes = codec::encode(message, self.send_cap)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.fd, rest) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for one frame.
    pub fn receive(&mut self) -> Result<R, ChannelError> {
        loop {
            if let Some(message) = self.decoder.next_message()? {
                return Ok(message);
            }
            let wanted = self.decoder.missing().clamp(16 << 10, 1 << 20);
            if self.chunk.len() < wanted {
                self.chunk.resize(wanted, 0);
            }
            match rustix::io::read(&self.fd, self.chunk.as_mut_slice()) {
                Ok(0) => return Err(ChannelError::Closed),
                Ok(read) => self.decoder.push(self.chunk.get(..read).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
