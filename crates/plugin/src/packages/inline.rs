//! What a script says it depends on (PEP 723): read, told, not installed.
//!
//! **Invariant:** an execution never installs anything; a script that fails for
//! want of what it declares is told how to install it.

use super::requirement::Requirement;
use crate::answer::Answer;
use proto::Outcome;
use std::fmt::Write as _;

/// The requirements of the script's `# /// script` block that can be read.
#[must_use]
pub fn dependencies(code: &str) -> Vec<String> {
    let mut block = String::new();
    let mut inside = false;
    for line in code.lines() {
        match line.trim_end() {
            "# /// script" if !inside => inside = true,
            "# ///" if inside => return listed(&block),
            "#" if inside => {}
            line if inside => match line.strip_prefix("# ") {
                Some(text) => {
                    block.push_str(text);
                    block.push('\n');
                }
                // Not closed: it is no block.
                None => return Vec::new(),
            },
            _ => {}
        }
    }
    Vec::new()
}

/// The strings of the array `dependencies`, as TOML writes it.
fn listed(block: &str) -> Vec<String> {
    let key = |line: &&str| {
        line.trim_start()
            .strip_prefix("dependencies")
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = block.lines().skip_while(|line| !key(line)).peekable();
    if lines.peek().is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut text: Option<(char, String)> = None;
    for c in lines.flat_map(|line| line.chars().chain(['\n'])).skip_while(|c| *c != '[').skip(1) {
        match &mut text {
            Some((quote, _)) if c == *quote => found.extend(text.take().map(|(_, text)| text)),
            Some((_, text)) => text.push(c),
            None if c == '"' || c == '\'' => text = Some((c, String::new())),
            None if c == ']' => break,
            None => {}
        }
    }
    found.retain(|text| Requirement::parse(text, true).is_ok());
    found
}

/// Adds to the error of a script that could not import something what it
/// declares, and how that is installed.
pub fn explain(answer: &mut Answer, declared: &[String]) {
    let Outcome::Raised(raised) = &mut answer.outcome else { return };
    if declared.is_empty() || !matches!(raised.kind.as_str(), "ModuleNotFoundError" | "ImportError")
    {
        return;
    }
    if !raised.traceback.is_empty() && !raised.traceback.ends_with('\n') {
        raised.traceback.push('\n');
    }
    // Writing to a text does not fail.
    let _ = write!(
        raised.traceback,
        "Inline dependencies (PEP 723) are off: an execution installs nothing. This script \
         declares {}; POST /uv/install installs them.",
        declared.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_read_as_the_specification_writes_it() {
        let code = "#!/usr/bin/env python\n# /// script\n# requires-python = \">=3.11\"\n\
                    # dependencies = [\n#   \"requests<3\", 'rich[x]',\n#\n# ]\n# ///\nimport rich\n";
        assert_eq!(dependencies(code), ["requests<3", "rich[x]"]);
        for none in [
            "import os",
            "# /// script\n# dependencies = [\"x\"]\nimport x",
            "# /// other\n# dependencies = [\"x\"]\n# ///",
            "# /// script\n# dependencies = []\n# ///",
            "# /// script\n# nodependencies = [\"x\"]\n# ///",
        ] {
            assert_eq!(dependencies(none), [""; 0], "{none}");
        }
    }
}
