//! Which modules a program asks for, read from its text.
//!
//! A tokenizer's work, no more: in Python `import` and `from` are reserved, so
//! outside of strings and comments they are import statements (or a `raise` or
//! `yield from`). What a program imports by other means is not seen, and what it
//! asks for it may never reach: the answer chooses a zygote, nothing else.
//!
//! **Invariant:** takes time linear in the text, whatever the text is, and
//! never fails.

/// Bytes of a program that are looked at: imports stand at the top.
const LOOKED_AT: usize = 256 << 10;
/// Most modules answered.
const MOST: usize = 256;
/// Longest dotted name that is believed to be one.
const LONGEST: usize = 256;
/// How deep strings may stand in each other (CPython: 150).
const DEEPEST: usize = 200;

/// The modules `text` asks for, dotted, each once, in order. Relative imports
/// have no name to answer.
#[must_use]
pub fn asked(text: &str) -> Vec<String> {
    if !text.contains("import") {
        return Vec::new();
    }
    let bytes = text.trim_start_matches('\u{feff}').as_bytes();
    let mut tokens = Tokens { bytes: bytes.get(..LOOKED_AT).unwrap_or(bytes), at: 0 };
    let mut modules: Vec<String> = Vec::new();
    let mut add = |module: String| {
        if !module.is_empty() && module.len() <= LONGEST && !modules.contains(&module) {
            modules.push(module);
        }
        modules.len() < MOST
    };
    let mut token = tokens.next();
    loop {
        match token {
            Token::End => return modules,
            Token::Name(b"import") => {
                let (module, mut next) = dotted(&mut tokens);
                if !add(module) {
                    return modules;
                }
                if next == Token::Name(b"as") {
                    tokens.next();
                    next = tokens.next();
                }
                // After a comma another follows, as after `import`.
                token = if next == Token::Comma { Token::Name(b"import") } else { next };
            }
            Token::Name(b"from") => {
                let (module, next) = dotted(&mut tokens);
                token = next;
                if token == Token::Name(b"import") {
                    if !module.starts_with('.') && !add(module) {
                        return modules;
                    }
                    token = Token::Other;
                }
            }
            Token::Name(_) | Token::Dot | Token::Comma | Token::Break | Token::Other => {
                token = tokens.next();
            }
        }
    }
}

/// A dotted name, and the token behind it. Dots in front are kept.
fn dotted<'a>(tokens: &mut Tokens<'a>) -> (String, Token<'a>) {
    let mut name = String::new();
    let mut after_name = false;
    loop {
        let token = tokens.next();
        match token {
            Token::Name(part) if !after_name && !matches!(part, b"import") => {
                // One too long is read to its end, and then is none.
                if name.len() <= LONGEST {
                    // The text is UTF-8 and is cut between characters only at its end.
                    name.push_str(&String::from_utf8_lossy(part));
                }
                after_name = true;
            }
            Token::Dot => {
                if name.len() <= LONGEST {
                    name.push('.');
                }
                after_name = false;
            }
            Token::Name(_) | Token::Comma | Token::Break | Token::Other | Token::End => {
                return (name, token);
            }
        }
    }
}

/// As much of a token as matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a [u8]),
    Dot,
    Comma,
    /// The end of a statement.
    Break,
    Other,
    End,
}

struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Token<'a> {
        loop {
            let Some(byte) = self.peek(0) else { return Token::End };
            match byte {
                b' ' | b'\t' | b'\x0c' | b'\r' => self.at += 1,
                // A line that goes on.
                b'\\' => self.at += 2,
                b'#' => self.comment(),
                b'\n' | b';' => return self.one(Token::Break),
                b'.' => return self.one(Token::Dot),
                b',' => return self.one(Token::Comma),
                b'"' | b'\'' => {
                    self.string(false, false, 0);
                    return Token::Other;
                }
                byte if is_name(byte) => return self.name(),
                _ => return self.one(Token::Other),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn one(&mut self, token: Token<'a>) -> Token<'a> {
        self.at += 1;
        token
    }

    fn comment(&mut self) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// A name, a number, or a string with a prefix.
    fn name(&mut self) -> Token<'a> {
        let name = self.letters();
        if let Some((raw, formatted)) = self.prefix_of_string(name) {
            self.string(raw, formatted, 0);
            return Token::Other;
        }
        if name.first().is_some_and(u8::is_ascii_digit) { Token::Other } else { Token::Name(name) }
    }

    fn letters(&mut self) -> &'a [u8] {
        let from = self.at;
        while self.peek(0).is_some_and(is_name) {
            self.at += 1;
        }
        self.bytes.get(from..self.at).unwrap_or_default()
    }

    /// Whether `name`, just read, belongs to a string: is it raw, has it fields.
    fn prefix_of_string(&self, name: &[u8]) -> Option<(bool, bool)> {
        let quoted = matches!(self.peek(0), Some(b'"' | b'\''));
        let prefix = name.len() <= 2 && name.iter().all(|byte| b"rRbBuUfFtT".contains(byte));
        let has = |letters: &[u8]| name.iter().any(|byte| letters.contains(byte));
        (quoted && prefix).then(|| (has(b"rR"), has(b"fFtT")))
    }

    /// Passes over a string that begins here with its quote.
    fn string(&mut self, raw: bool, formatted: bool, depth: usize) {
        let Some(quote) = self.peek(0) else { return };
        let triple = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        if !triple && self.peek(1) == Some(quote) {
            self.at += 2;
            return;
        }
        self.at += if triple { 3 } else { 1 };
        let string = Quoted { quote, triple, raw };
        while let Some(byte) = self.peek(0) {
            if self.ends(string) {
                self.at += if triple { 3 } else { 1 };
                return;
            }
            match byte {
                // Not closed: an error in the program. Its other lines count.
                b'\n' if !triple => return,
                b'\\' => self.escape(raw, formatted),
                b'{' if formatted && self.peek(1) == Some(b'{') => self.at += 2,
                b'{' if formatted => self.field(string, depth + 1),
                _ => self.at += 1,
            }
        }
    }

    fn ends(&self, string: Quoted) -> bool {
        let is = |ahead| self.peek(ahead) == Some(string.quote);
        is(0) && (!string.triple || is(1) && is(2))
    }

    fn escape(&mut self, raw: bool, formatted: bool) {
        match self.peek(1) {
            // A backslash does not keep a field from being one.
            Some(b'{' | b'}') if formatted => self.at += 1,
            Some(b'N') if !raw && formatted && self.peek(2) == Some(b'{') => self.at += 3,
            _ => self.at += 2,
        }
    }

    /// Passes over `{…}` in a string with fields. No statement can stand there.
    fn field(&mut self, string: Quoted, depth: usize) {
        if depth > DEEPEST {
            self.at = self.bytes.len();
            return;
        }
        self.at += 1;
        let mut open = 0usize;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'}' if open == 0 => {
                    self.at += 1;
                    return;
                }
                b':' if open == 0 => {
                    self.at += 1;
                    return self.spec(string, depth);
                }
                b'(' | b'[' | b'{' => {
                    open += 1;
                    self.at += 1;
                }
                b')' | b']' | b'}' => {
                    open = open.saturating_sub(1);
                    self.at += 1;
                }
                b'"' | b'\'' => self.string(false, false, depth),
                b'#' => self.comment(),
                byte if is_name(byte) => {
                    let name = self.letters();
                    if let Some((raw, formatted)) = self.prefix_of_string(name) {
                        self.string(raw, formatted, depth);
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Passes over a field's format, which may hold fields.
    fn spec(&mut self, string: Quoted, depth: usize) {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'}' => {
                    self.at += 1;
                    return;
                }
                b'{' => self.field(string, depth + 1),
                // Not closed: the string sees its end.
                b'\n' if !string.triple => return,
                _ if self.ends(string) => return,
                b'\\' => self.escape(string.raw, true),
                _ => self.at += 1,
            }
        }
    }
}

/// How a string is quoted.
#[derive(Debug, Clone, Copy)]
struct Quoted {
    quote: u8,
    triple: bool,
    raw: bool,
}

/// Letters, digits, and everything beyond ASCII.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

#[cfg(test)]
mod tests;
