//! The bytes of the JSON text, counted before they are written.
//!
//! **Invariant:** never holds more than its limit; running out of memory is an
//! error, not an abort.

use super::fault::Fault;

pub(super) struct Out {
    bytes: Vec<u8>,
    max: usize,
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Out {
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Errors when `count` parts of at least `each` bytes can't fit any more.
    pub(super) fn has_room(&self, count: usize, each: usize) -> Result<(), Fault> {
        room(self.max - self.bytes.len(), count, each)
    }

    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), Fault> {
        self.has_room(text.len(), 1)?;
        self.bytes.try_reserve(text.len()).map_err(|_| Fault::OutOfMemory)?;
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    pub(super) fn tail(&self, from: usize) -> &[u8] {
        self.bytes.get(from..).unwrap_or_default()
    }

    /// Replaces everything after `from` by `text`, which must not be longer.
    pub(super) fn replace_tail(&mut self, from: usize, text: &[u8]) -> Result<(), Fault> {
        self.bytes.truncate(from);
        self.push(text)
    }

    /// A JSON string of `text`.
    pub(super) fn string(&mut self, text: &str) -> Result<(), Fault> {
        self.push(b"\"")?;
        let bytes = text.as_bytes();
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
                continue;
            }
            self.push(&bytes[from..at])?;
            from = at + 1;
            let hex = b"0123456789abcdef";
            let escape: &[u8] = match *byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0x08 => b"\\b",
                0x0c => b"\\f",
                control => &[
                    b'\\',
                    b'u',
                    b'0',
                    b'0',
                    hex[usize::from(control >> 4)],
                    hex[usize::from(control & 15)],
                ],
            };
            self.push(escape)?;
        }
        self.push(&bytes[from..])?;
        self.push(b"\"")
    }

    /// `{"$bytes": "…"}`
    pub(super) fn base64(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.has_room(data.len().div_ceil(3), 4)?;
        self.push(b"{\"$bytes\":\"")?;
        for chunk in data.chunks(3) {
            let mut three = [0_u8; 3];
            three[..chunk.len()].copy_from_slice(chunk);
            let [a, b, c] = three;
            let sextets = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
            let mut four = sextets.map(|sextet| BASE64[usize::from(sextet)]);
            four[chunk.len() + 1..].fill(b'=');
            self.push(&four)?;
        }
        self.push(b"\"}")
    }
}

/// Errors when `count` parts of at least `each` bytes don't fit into `left`.
pub(super) fn room(left: usize, count: usize, each: usize) -> Result<(), Fault> {
    if count.saturating_mul(each) > left { Err(Fault::TooLarge) } else { Ok(()) }
}
