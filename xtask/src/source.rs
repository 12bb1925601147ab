//! The project's own source files, and their text with comments and literals blanked,
//! so that a rule about code is not tripped by prose about code.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell::Shell;

/// One tracked or new file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace root.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Every file of the project with one of these extensions: what git tracks, and what it
/// would track once added.
pub(crate) fn files(sh: &Shell, extensions: &[&str]) -> Result<Vec<Source>> {
    let listed = sh.read(sh.command("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut sources = Vec::new();
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let path = PathBuf::from(name);
        let wanted =
            path.extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e));
        let file = sh.root().join(&path);
        if !wanted || !file.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", path.display()))?;
        sources.push(Source { path, text });
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

impl Source {
    /// Whether this is `path`.
    pub(crate) fn is(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }

    /// The line numbers, from 1, on which `word` stands as a whole word in code.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<usize> {
        self.lines(|line| has_word(line, word, |_| true))
    }

    /// The line numbers on which a path begins at the crate `name`.
    pub(crate) fn lines_with_path(&self, name: &str) -> Vec<usize> {
        self.lines(|line| {
            has_word(line, name, |after| after.starts_with("::"))
                || has_word(line, &format!("use {name}"), |_| true)
        })
    }

    fn lines(&self, wanted: impl Fn(&str) -> bool) -> Vec<usize> {
        let code = code(&self.text);
        let numbered = code.lines().enumerate();
        numbered.filter(|(_, line)| wanted(line)).map(|(number, _)| number + 1).collect()
    }
}

/// Whether `word` stands in `line` with no identifier around it and no path before it, and
/// what follows is as wanted.
fn has_word(line: &str, word: &str, follows: impl Fn(&str) -> bool) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = &line[start + word.len()..];
        !before.is_some_and(|c| part(c) || c == ':')
            && !after.chars().next().is_some_and(part)
            && follows(after)
    })
}

/// Rust source with comments, strings and characters blanked; lines keep their places.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let identifier = previous.is_alphanumeric() || previous == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = (!identifier).then(|| raw_string(rest)).flatten() {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            out.push(first);
            previous = first;
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        previous = ' ';
        rest = &rest[length..];
    }
    out
}

/// The length of the block comment at the start; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the raw string at the start, if one is there: `r"`, `br#"`, `cr##"` ….
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(['"', '#']))
    })?;
    let hashes = text[prefix.len()..].chars().take_while(|&c| c == '#').count();
    let body = prefix.len() + hashes;
    text[body..].starts_with('"').then_some(())?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = text[body + 1..].find(&end).map_or(text.len(), |at| body + 1 + at + end.len());
    Some(length)
}

/// The length of the literal at the start, up to its closing `quote`.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// A character literal, not a lifetime: escaped, or closed after one character.
fn is_character(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    match after.next() {
        Some('\\') => true,
        Some(_) => after.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Source;

    fn lines(text: &str, word: &str) -> Vec<usize> {
        Source { path: PathBuf::from("x.rs"), text: text.to_owned() }.lines_with(word)
    }

    #[test]
    fn words_in_code_are_found_on_their_lines() {
        assert_eq!(lines("fn f() {\n    unsafe { g() }\n}\n", "unsafe"), [2]);
        assert_eq!(lines("/* a\nb */ unsafe impl X {}", "unsafe"), [2]);
        assert_eq!(lines("let a = 'x'; unsafe {}", "unsafe"), [1]);
        assert_eq!(lines("fn f<'a>(x: &'a str) { unsafe {} }", "unsafe"), [1]);
    }

    #[test]
    fn words_in_prose_are_not() {
        for text in [
            "// unsafe",
            "/* /* unsafe */ unsafe */",
            "let s = \"unsafe\";",
            "let s = \"\\\" unsafe\";",
            "let s = r#\"\" unsafe\"#;",
            "let c = '\"'; // unsafe",
            "#![expect(unsafe_code, reason = \"r\")]",
        ] {
            assert!(lines(text, "unsafe").is_empty(), "{text}");
        }
    }

    #[test]
    fn a_path_through_another_module_is_another_word() {
        assert!(lines("tokio::runtime::Handle::current()", "runtime").is_empty());
        assert_eq!(lines("runtime::main()", "runtime"), [1]);
        let source = |text: &str| Source { path: PathBuf::from("x.rs"), text: text.to_owned() };
        assert!(
            source("fn runtime() -> tokio::runtime::Runtime").lines_with_path("runtime").is_empty()
        );
        assert_eq!(
            source("if x == runtime::ARG {\nuse runtime;").lines_with_path("runtime"),
            [1, 2]
        );
    }
}
