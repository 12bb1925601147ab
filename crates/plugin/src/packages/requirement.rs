//! One requirement, read as PEP 508 writes it.
//!
//! **Invariant:** what goes on to uv is rendered here from checked parts; no
//! byte of the caller's text reaches it unchecked, so a requirement is never
//! an option, a path, or two lines.

use std::fmt;

/// Longest text of a requirement.
const MAX: usize = 512;
const OPERATORS: [&str; 8] = ["===", "~=", "==", "!=", "<=", ">=", "<", ">"];

/// A checked requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    name: String,
    text: String,
}

/// Why a text is no requirement that may be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequirementError {
    /// Nothing, or only space.
    #[error("an empty text is no requirement")]
    Empty,
    /// More than [`MAX`] bytes, or more than one line.
    #[error("a requirement is one line of at most {MAX} characters")]
    Shape,
    /// `--index-url=…`, `-r file`.
    #[error("`{0}` is an option, not a requirement")]
    Option(String),
    /// A path to a file or directory.
    #[error("`{0}` is a path or an address; only names from the index are installed")]
    Path(String),
    /// `name @ https://…` while that is not allowed.
    #[error(
        "`{0}` names an address; only names from the index are installed (--allow-package-urls \
         changes that)"
    )]
    Url(String),
    /// An address that is not https.
    #[error("`{0}` is no https address")]
    Scheme(String),
    /// Not as PEP 508 writes it.
    #[error(
        "`{text}` is no requirement: {reason} (it looks like name, name==1.0, name[extra]>=2,<3)"
    )]
    Syntax { text: String, reason: &'static str },
}

impl Requirement {
    /// Reads one requirement; `urls`: `name @ https://…` is allowed.
    pub fn parse(text: &str, urls: bool) -> Result<Self, RequirementError> {
        let text = text.trim();
        let shown: String = text.chars().take(80).collect();
        if text.is_empty() {
            return Err(RequirementError::Empty);
        }
        if text.len() > MAX || text.chars().any(char::is_control) {
            return Err(RequirementError::Shape);
        }
        if text.starts_with('-') {
            return Err(RequirementError::Option(shown));
        }
        let wrong = |reason| RequirementError::Syntax { text: shown.clone(), reason };
        let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let pathlike =
            rest.starts_with(['/', '\\']) || rest.starts_with("://") || name.starts_with('.');
        if pathlike || (name.is_empty() && text.starts_with(['/', '\\', '~'])) {
            return Err(RequirementError::Path(shown));
        }
        let good = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !good(name.chars().next()) || !good(name.chars().next_back()) {
            return Err(wrong("it has to begin with a package's name"));
        }
        let (extras, rest) = extras(rest.trim_start())
            .ok_or_else(|| wrong("the extras are not closed or hold no names"))?;
        let mut out = format!("{name}{extras}");
        let (versions, marker) = match rest.split_once(';') {
            Some((versions, marker)) => (versions.trim(), Some(marker.trim())),
            None => (rest.trim(), None),
        };
        if let Some(url) = versions.strip_prefix('@') {
            let url = url.trim();
            if !urls {
                return Err(RequirementError::Url(shown));
            }
            let plain =
                |c: char| c.is_ascii_graphic() && !matches!(c, '\\' | '$' | '`' | '"' | '\'');
            if !url.starts_with("https://") || !url.chars().all(plain) {
                return Err(RequirementError::Scheme(shown));
            }
            out.push_str(" @ ");
            out.push_str(url);
            out.push(' ');
        } else {
            out.push_str(&specifiers(versions).map_err(wrong)?);
        }
        if let Some(marker) = marker {
            if !is_marker(marker) {
                return Err(wrong("the part after `;` is no environment marker"));
            }
            out.push_str("; ");
            out.push_str(marker);
        }
        Ok(Self { name: normalise(name), text: out.trim_end().to_owned() })
    }

    /// The same for all ways to write the same wish: the name is normalised.
    #[must_use]
    pub fn normal(&self) -> String {
        let rest = self.text.trim_start_matches(is_name);
        format!("{}{rest}", self.name)
    }

    /// The package's name, normalised.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name as the index compares it (PEP 503).
#[must_use]
pub fn normalise(name: &str) -> String {
    let parts: Vec<_> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-").to_ascii_lowercase()
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// `[a, b]` in front of `text`, and what follows.
fn extras(text: &str) -> Option<(String, &str)> {
    let Some(inside) = text.strip_prefix('[') else { return Some((String::new(), text)) };
    let (inside, rest) = inside.split_once(']')?;
    let names: Vec<_> = inside.split(',').map(str::trim).collect();
    let good = |name: &&str| !name.is_empty() && name.chars().all(is_name);
    if inside.trim().is_empty() {
        return Some((String::new(), rest.trim_start()));
    }
    names.iter().all(good).then(|| (format!("[{}]", names.join(",")), rest.trim_start()))
}

fn specifiers(text: &str) -> Result<String, &'static str> {
    let text = match text.strip_prefix('(') {
        Some(inside) => inside.strip_suffix(')').ok_or("a parenthesis is not closed")?.trim(),
        None => text,
    };
    if text.is_empty() {
        return Ok(String::new());
    }
    let mut out = Vec::new();
    for part in text.split(',').map(str::trim) {
        let Some(operator) = OPERATORS.iter().find(|operator| part.starts_with(**operator)) else {
            return Err("a version has to follow one of ~= == != <= >= < > ===");
        };
        let version = part[operator.len()..].trim();
        let good =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '!' | '+' | '*' | '_' | '-');
        if !version.starts_with(|c: char| c.is_ascii_alphanumeric()) || !version.chars().all(good) {
            return Err("a version is letters, digits and dots");
        }
        out.push(format!("{operator}{version}"));
    }
    Ok(out.join(","))
}

/// Only what a marker is made of; uv reads it in full.
fn is_marker(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || " ._-+*!<>=~()'\",".contains(c);
    !text.is_empty() && !text.contains(" -") && text.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> String {
        Requirement::parse(text, false).unwrap().to_string()
    }

    #[test]
    fn what_pep_508_writes_is_read() {
        for (text, rendered) in [
            ("requests", "requests"),
            (" requests >= 2 , < 3 ", "requests>=2,<3"),
            ("requests[socks, tests] (==2.*)", "requests[socks,tests]==2.*"),
            ("a.b_c~=1.0", "a.b_c~=1.0"),
            ("x==1!2.0+local.1", "x==1!2.0+local.1"),
            ("tomli; python_version < '3.11'", "tomli; python_version < '3.11'"),
        ] {
            assert_eq!(read(text), rendered);
        }
        assert_eq!(Requirement::parse("Foo._-Bar", false).unwrap().name(), "foo-bar");
    }

    #[test]
    fn options_paths_and_addresses_are_refused() {
        use RequirementError as E;
        let refusal = |text: &str| Requirement::parse(text, false).unwrap_err();
        for text in ["--index-url=http://evil", "-r x", "-e .", "--hash=sha256:00"] {
            assert!(matches!(refusal(text), E::Option(_)), "{text}");
        }
        for text in ["./x", "/etc", "../x.whl", "~/x", "x/y", "https://e/x.whl", "file:///x"] {
            assert!(matches!(refusal(text), E::Path(_) | E::Syntax { .. }), "{text}");
        }
        assert!(matches!(refusal("x @ https://e/x.whl"), E::Url(_)));
        assert!(matches!(refusal("x\n--index-url=e"), E::Shape));
        assert!(matches!(refusal(""), E::Empty));
        for text in [
            "x --hash=sha256:0",
            "x==1 --pre",
            "x; a --b",
            "x==${HOME}",
            "x # y",
            "x y",
            "x==",
            "x[",
            "_",
            "x\\",
        ] {
            assert!(Requirement::parse(text, true).is_err(), "{text}");
        }
        assert!(Requirement::parse("x @ http://e/x.whl", true).is_err());
        assert!(Requirement::parse("x @ https://e/x.whl", true).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_one_line_that_begins_with_its_name(text in "[ -~\\n]{0,40}") {
            if let Ok(requirement) = Requirement::parse(&text, false) {
                let line = requirement.to_string();
                prop_assert!(!line.contains(['\n', '\r', '$', '#', '\\', '/', '`']));
                prop_assert!(line.starts_with(|c: char| c.is_ascii_alphanumeric()));
                prop_assert!(!line.contains(" -"));
                prop_assert_eq!(Requirement::parse(&line, false).unwrap(), requirement);
            }
        }
    }
}
