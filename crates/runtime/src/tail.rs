//! How a program ends: with an expression, whose value is its result, or not.
//!
//! Asking the compiler for a syntax tree to find that out costs four times the compilation
//! (120 µs against 30, a line that prints). Most programs tell by their last logical line (the
//! term of Python's reference, 2.1.5), which is found here by counting brackets and skipping
//! strings.
//!
//! **Invariant:** an answer is right or [`Tail::Unsure`]; the syntax tree decides then.

/// What the last statement of a module is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// An expression that begins at this byte, in the first column, after this many lines.
    Expression { start: usize, lines: usize },
    /// Something else, or there is none.
    Statement,
    /// This can't be told here.
    Unsure,
}

/// Longest text that is looked through.
const LONGEST: usize = 64 << 10;

/// Words that no expression begins with.
const KEYWORDS: [&str; 26] = [
    "import", "from", "def", "class", "if", "for", "while", "with", "try", "return", "del", "pass",
    "raise", "assert", "global", "nonlocal", "async", "elif", "else", "except", "finally", "break",
    "continue", "case", "match", "type",
];

/// Soft keywords among [`KEYWORDS`]: names as well.
const SOFT: [&str; 3] = ["case", "match", "type"];

/// The last logical line so far.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    start: usize,
    lines: usize,
    indented: bool,
    /// `=` outside brackets, as in an assignment.
    assigns: bool,
    /// `:` or a backslash outside brackets.
    doubtful: bool,
    /// `;` outside brackets: more than one statement.
    several: bool,
}

struct Scanner<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    lines: usize,
}

/// How `source` ends.
#[must_use]
pub fn of(source: &str) -> Tail {
    // Where compiling takes milliseconds, a syntax tree is none the slower.
    if source.len() > LONGEST {
        return Tail::Unsure;
    }
    // The first two change what columns or lines are; the third, what an expression means.
    if source.contains(['\u{FEFF}', '\u{C}', '\0']) || source.contains("__future__") {
        return Tail::Unsure;
    }
    let mut scanner = Scanner { source, bytes: source.as_bytes(), at: 0, lines: 0 };
    let Some(last) = scanner.last_line() else { return Tail::Unsure };
    let Some(line) = last else { return Tail::Statement };
    if line.indented {
        return Tail::Statement;
    }
    let text = source.get(line.start..).unwrap_or_default();
    let word: &str =
        text.find(|c: char| !c.is_alphanumeric() && c != '_').map_or(text, |end| &text[..end]);
    let lambda = text.contains("lambda");
    if line.several {
        Tail::Unsure
    } else if text.starts_with('@') || KEYWORDS.contains(&word) && !SOFT.contains(&word) {
        Tail::Statement
    } else if line.doubtful || SOFT.contains(&word) || lambda {
        Tail::Unsure
    } else if line.assigns {
        Tail::Statement
    } else {
        Tail::Expression { start: line.start, lines: line.lines }
    }
}

impl Scanner<'_> {
    /// The last logical line with something on it; the outer `None`: what is read here is not
    /// Python, or too clever.
    fn last_line(&mut self) -> Option<Option<Line>> {
        let mut last = None;
        loop {
            let indent = self.at;
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
            match self.peek() {
                None => return Some(last),
                Some(b'\n' | b'\r') => self.newline(),
                Some(b'#') => self.comment(),
                Some(_) => {
                    let mut line = Line {
                        start: self.at,
                        lines: self.lines,
                        indented: self.at > indent,
                        ..Line::default()
                    };
                    self.logical_line(&mut line)?;
                    last = Some(line);
                }
            }
        }
    }

    /// To the end of the logical line that begins here.
    fn logical_line(&mut self, line: &mut Line) -> Option<()> {
        let mut depth = 0u32;
        loop {
            let Some(byte) = self.peek() else {
                return (depth == 0).then_some(());
            };
            match byte {
                b'\n' | b'\r' => {
                    self.newline();
                    if depth == 0 {
                        return Some(());
                    }
                    continue;
                }
                b'#' => {
                    self.comment();
                    continue;
                }
                b'"' | b'\'' => {
                    self.string(byte)?;
                    continue;
                }
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
                b'\\' => {
                    line.doubtful = true;
                    self.at += 1;
                    if !matches!(self.peek(), Some(b'\n' | b'\r')) {
                        return None;
                    }
                    self.newline();
                    continue;
                }
                b':' if depth == 0 => line.doubtful = true,
                b';' if depth == 0 => line.several = true,
                b'=' if depth == 0 => {
                    if self.bytes.get(self.at + 1) == Some(&b'=') {
                        self.at += 1;
                    } else if !self.compares() {
                        line.assigns = true;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Whether the `=` here is the end of `<=`, `>=` or `!=`, not of `<<=` or `>>=`.
    fn compares(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).and_then(|at| self.bytes.get(at));
        match before(1) {
            Some(b'!') => true,
            Some(sign @ (b'<' | b'>')) => before(2) != Some(sign),
            _ => false,
        }
    }

    /// Over a string literal whose first quote is here; `None` when its end is in doubt.
    fn string(&mut self, quote: u8) -> Option<()> {
        let prefix = self.source.get(..self.at)?;
        let letters =
            prefix.len() - prefix.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len();
        let prefix = prefix.get(prefix.len() - letters.min(3)..)?;
        let formatted = letters <= 2 && prefix.contains(['f', 'F', 't', 'T']);
        let triple = self.bytes.get(self.at..self.at + 3) == Some(&[quote; 3]);
        let width = if triple { 3 } else { 1 };
        self.at += width;
        let mut braces = 0u32;
        loop {
            let byte = self.peek()?;
            match byte {
                b'\\' => {
                    self.at += 1;
                    if matches!(self.peek()?, b'\n' | b'\r') {
                        self.newline();
                    } else {
                        self.at += 1;
                    }
                    continue;
                }
                b'\n' | b'\r' if triple => {
                    self.newline();
                    continue;
                }
                b'\n' | b'\r' => return None,
                b'{' => braces += 1,
                b'}' if formatted => braces = braces.checked_sub(1)?,
                _ if byte == quote
                    && (!triple || self.bytes.get(self.at..self.at + 3) == Some(&[quote; 3])) =>
                {
                    self.at += width;
                    // From 3.12 on, a quote within the braces is not the end.
                    return (!formatted || braces == 0).then_some(());
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn comment(&mut self) {
        while !matches!(self.peek(), None | Some(b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn newline(&mut self) {
        let two = self.bytes.get(self.at..self.at + 2) == Some(b"\r\n");
        self.at += if two { 2 } else { 1 };
        self.lines += 1;
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_expression_is_found_where_it_begins() {
        for (source, start, lines) in [
            ("1 + 2", 0, 0),
            ("x = 1\nx\n\n# end\n", 6, 1),
            ("x = [\n  1,\n]\r\nprint(x,\n  end='')\r\n", 14, 3),
            ("s = '''a\nb = '''\ns == 'c'", 17, 2),
            ("a <= b", 0, 0),
            ("f(x=1)", 0, 0),
            ("f'{a}' 'b'", 0, 0),
            ("if x:\n  y\nx", 10, 2),
            ("not x", 0, 0),
        ] {
            assert_eq!(of(source), Tail::Expression { start, lines }, "{source:?}");
        }
    }

    #[test]
    fn other_ends_are_statements() {
        for source in [
            "",
            "# only a comment",
            "x = 1",
            "x <<= 1",
            "x += 1",
            "import os",
            "def f():\n  return 1",
            "if x: y",
            "for x in y:\n    x",
            "@decorator\nclass A: pass",
            "del x",
        ] {
            assert_eq!(of(source), Tail::Statement, "{source:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_said_to_be() {
        for source in [
            "x = 1; x",
            "import os; os",
            "if x: y; z",
            "x: int",
            "lambda: 1",
            "match x",
            "f'{x[\"a\"]}' + f\"{x[\"a=1\"]}\"",
            "'open",
            "(1",
            "1)",
            "x + \\\n1",
            "from __future__ import annotations\nx",
            "\u{FEFF}x",
        ] {
            assert_eq!(of(source), Tail::Unsure, "{source:?}");
        }
    }
}
