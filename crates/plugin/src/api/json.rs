//! JSON written once, straight into the buffer that is sent.
//!
//! **Invariant:** what is written here is valid JSON whatever bytes come in:
//! invalid UTF-8 becomes U+FFFD, control characters are escaped, raw values
//! are inserted only when they were JSON already.

/// A JSON text under construction. Commas are put where they belong.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    /// The next key or element has to be preceded by a comma.
    comma: bool,
}

impl Writer {
    /// An empty text with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: sandbox::heap::room(capacity), comma: false }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> bytes::Bytes {
        bytes::Bytes::from(self.bytes)
    }

    /// `{ … }`, the members written by `inner`.
    pub fn object(&mut self, inner: impl FnOnce(&mut Self)) {
        self.nested(b'{', b'}', inner);
    }

    /// `[ … ]`, the elements written by `inner`.
    pub fn array(&mut self, inner: impl FnOnce(&mut Self)) {
        self.nested(b'[', b']', inner);
    }

    fn nested(&mut self, open: u8, close: u8, inner: impl FnOnce(&mut Self)) {
        self.separate();
        self.bytes.push(open);
        self.comma = false;
        inner(self);
        self.bytes.push(close);
        self.comma = true;
    }

    /// `"name":`; a value has to follow.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.separate();
        escape(&mut self.bytes, name.as_bytes());
        self.bytes.push(b':');
        self.comma = false;
        self
    }

    /// A string; invalid UTF-8 is replaced.
    pub fn string(&mut self, text: impl AsRef<[u8]>) {
        self.separate();
        escape(&mut self.bytes, text.as_ref());
        self.comma = true;
    }

    /// An integer.
    pub fn number(&mut self, value: impl Into<u128>) {
        self.separate();
        self.bytes.extend_from_slice(value.into().to_string().as_bytes());
        self.comma = true;
    }

    /// A signed integer.
    pub fn signed(&mut self, value: i64) {
        self.separate();
        self.bytes.extend_from_slice(value.to_string().as_bytes());
        self.comma = true;
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    /// `null`.
    pub fn null(&mut self) {
        self.raw(b"null");
    }

    /// A string, or `null`.
    pub fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.null(),
        }
    }

    /// JSON text as it is.
    pub fn raw(&mut self, json: &[u8]) {
        self.separate();
        self.bytes.extend_from_slice(json);
        self.comma = true;
    }

    /// An array of strings.
    pub fn strings<S: AsRef<str>>(&mut self, items: impl IntoIterator<Item = S>) {
        self.array(|w| {
            for item in items {
                w.string(item.as_ref());
            }
        });
    }

    fn separate(&mut self) {
        if self.comma {
            self.bytes.push(b',');
        }
    }
}

/// An error of the request: `{"error": …, "field": …}`.
#[must_use]
pub fn error(message: &str, field: Option<&str>) -> bytes::Bytes {
    let mut writer = Writer::with_capacity(message.len() + 64);
    writer.object(|w| {
        w.key("error").string(message);
        if let Some(field) = field {
            w.key("field").string(field);
        }
    });
    writer.finish()
}

/// Appends `text` as a JSON string with its quotes.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    // Many times as fast as `utf8_chunks`, which looks at each byte.
    while let Err(error) = std::str::from_utf8(rest) {
        let (valid, invalid) = rest.split_at(error.valid_up_to());
        escape_valid(out, valid);
        out.extend_from_slice("\u{fffd}".as_bytes());
        // No length: a character that the text ends in the middle of.
        let length = error.error_len().unwrap_or(invalid.len());
        rest = invalid.get(length..).unwrap_or_default();
    }
    escape_valid(out, rest);
    out.push(b'"');
}

fn escape_valid(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let clean = clean_prefix(rest);
        let (plain, tail) = rest.split_at(clean);
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else { return };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = tail;
    }
}

/// How many bytes at the start need no escape. Eight at a time: a byte is
/// special when it is below 0x20, a quote or a backslash.
fn clean_prefix(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let quote = quote.wrapping_sub(ONES) & !quote;
        let slash = slash.wrapping_sub(ONES) & !slash;
        // The lowest set bit is exact; borrows only spoil bytes above it.
        let special = (below | quote | slash) & HIGH;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + tail.iter().position(special).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape(&mut out, text);
        out
    }

    #[test]
    fn commas_stand_between_members_only() {
        let mut writer = Writer::with_capacity(0);
        writer.object(|w| {
            w.key("a").number(1u64);
            w.key("b").array(|w| {
                w.null();
                w.string("x");
                w.object(|_| {});
            });
            w.key("c").bool(true);
        });
        assert_eq!(writer.finish(), r#"{"a":1,"b":[null,"x",{}],"c":true}"#);
    }

    proptest! {
        #[test]
        fn a_string_is_written_as_serde_json_writes_it(text in any::<String>()) {
            prop_assert_eq!(escaped(text.as_bytes()), serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn text_full_of_specials_is_written_as_serde_json_writes_it(
            text in "[\\x00-\\x30\"\\\\a-cé\u{1F600}]{0,80}",
        ) {
            prop_assert_eq!(escaped(text.as_bytes()), serde_json::to_vec(&text).unwrap());
        }

        #[test]
        fn any_bytes_become_the_text_with_replacements(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let text: String = serde_json::from_slice(&escaped(&bytes)).unwrap();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
