//! The frame codec: a 4-byte little-endian length, then one prost message.
//!
//! Sans-IO: bytes are pushed in, messages come out. Both the blocking ends
//! (zygote, child) and the asynchronous one (supervisor) use it.
//!
//! **Invariant:** no length is believed before it was compared with the cap,
//! and nothing is allocated for a frame beyond the bytes that have arrived.

use prost::Message;

/// Cap for frames the supervisor writes: a body of 100 MiB and what goes with it.
pub const MAX_TO_CHILD: usize = 112 << 20;
/// Cap for frames a child writes: a result of 8 MiB, a traceback, variables.
pub const MAX_FROM_CHILD: usize = 16 << 20;
/// Cap for frames between supervisor and zygote, which hold paths and names only.
pub const MAX_ZYGOTE: usize = 1 << 20;

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// Why a peer's bytes are not a frame. There is no way to resynchronise: the
/// channel is closed and its process killed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The announced length is above the cap of this direction.
    #[error("a frame of {announced} bytes was announced, the cap is {cap}")]
    TooLong { announced: usize, cap: usize },
    /// The body is not a message of this direction.
    #[error("the frame's body is not a message of this direction: {reason}")]
    Malformed { reason: String },
}

/// Encodes `message` with its length prefix.
///
/// Errors when the message is above `cap`: the sender finds out, not the peer.
pub fn encode<M: Message>(message: &M, cap: usize) -> Result<Vec<u8>, CodecError> {
    let length = message.encoded_len();
    if length > cap {
        return Err(CodecError::TooLong { announced: length, cap });
    }
    let Ok(prefix) = u32::try_from(length) else {
        return Err(CodecError::TooLong { announced: length, cap });
    };
    let mut bytes = Vec::with_capacity(PREFIX + length);
    bytes.extend_from_slice(&prefix.to_le_bytes());
    message.encode_raw(&mut bytes);
    Ok(bytes)
}

/// The receiving half: bytes go in as they arrive, whole messages come out.
#[derive(Debug)]
pub struct Decoder<M> {
    buffer: Vec<u8>,
    start: usize,
    cap: usize,
    message: std::marker::PhantomData<fn() -> M>,
}

impl<M: Message + Default> Decoder<M> {
    /// A decoder that refuses frames above `cap` bytes.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, cap, message: std::marker::PhantomData }
    }

    /// Appends what was read from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, `None` when more bytes are needed.
    pub fn next_message(&mut self) -> Result<Option<M>, CodecError> {
        let Some(length) = self.announced()? else { return Ok(None) };
        let body = self.start + PREFIX;
        let Some(bytes) = self.buffer.get(body..body + length) else { return Ok(None) };
        let message =
            M::decode(bytes).map_err(|e| CodecError::Malformed { reason: e.to_string() })?;
        self.start = body + length;
        // A large frame's memory is given back once it has been read.
        if self.start == self.buffer.len() {
            self.start = 0;
            if self.buffer.capacity() > 1 << 20 {
                self.buffer = Vec::new();
            } else {
                self.buffer.clear();
            }
        } else if self.start > 1 << 16 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        Ok(Some(message))
    }

    /// Bytes still missing from the frame under way; a hint for the next read.
    #[must_use]
    pub fn missing(&self) -> usize {
        let held = self.buffer.len() - self.start;
        match self.announced() {
            Ok(Some(length)) => (PREFIX + length).saturating_sub(held),
            Ok(None) | Err(_) => PREFIX.saturating_sub(held),
        }
    }

    /// Bytes held back for a frame that is not whole yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn announced(&self) -> Result<Option<usize>, CodecError> {
        let Some(prefix) = self.buffer.get(self.start..self.start + PREFIX) else {
            return Ok(None);
        };
        let mut word = [0u8; PREFIX];
        word.copy_from_slice(prefix);
        let announced = u32::from_le_bytes(word) as usize;
        if announced > self.cap {
            return Err(CodecError::TooLong { announced, cap: self.cap });
        }
        Ok(Some(announced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{FromChild, HostCall, from_child};
    use proptest::prelude::*;

    fn call(name: &str, args: &[u8]) -> FromChild {
        FromChild {
            generation: 3,
            execution: 9,
            kind: Some(from_child::Kind::Call(HostCall {
                call: 1,
                name: name.to_owned(),
                args: args.to_vec(),
            })),
        }
    }

    #[test]
    fn a_length_above_the_cap_is_refused_before_its_body_arrives() {
        let mut decoder = Decoder::<FromChild>::new(64);
        decoder.push(&65u32.to_le_bytes());
        assert_eq!(decoder.next_message(), Err(CodecError::TooLong { announced: 65, cap: 64 }));
    }

    #[test]
    fn the_sender_learns_that_its_message_is_too_long() {
        let error = encode(&call("attest", &[b'x'; 100]), 50).unwrap_err();
        assert!(matches!(error, CodecError::TooLong { cap: 50, .. }));
    }

    proptest! {
        #[test]
        fn frames_survive_any_fragmentation(
            names in proptest::collection::vec("[a-z]{0,12}", 1..8),
            args in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 1usize..40,
        ) {
            let sent: Vec<_> = names.iter().map(|n| call(n, &args)).collect();
            let bytes: Vec<u8> =
                sent.iter().flat_map(|m| encode(m, MAX_FROM_CHILD).unwrap()).collect();
            let mut decoder = Decoder::new(MAX_FROM_CHILD);
            let mut received = Vec::new();
            for chunk in bytes.chunks(cut) {
                decoder.push(chunk);
                while let Some(message) = decoder.next_message().unwrap() {
                    received.push(message);
                }
            }
            prop_assert_eq!(sent, received);
            prop_assert_eq!(decoder.pending(), 0);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::<FromChild>::new(4096);
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_message() {}
            let _ = decoder.missing();
        }
    }
}
