//! Why uv failed, in one sentence.
//!
//! **Invariant:** the sentence is uv's own reason, and is never empty.

use super::process::Ended;

/// Lines that say what went well.
const CHATTER: [&str; 10] = [
    "Using CPython",
    "Using Python",
    "Resolved ",
    "Prepared ",
    "Downloading ",
    "Downloaded ",
    "Building ",
    "Built ",
    "Installed ",
    "Uninstalled ",
];
/// Most characters of a sentence.
const MOST: usize = 4000;

/// What `ended` failed of.
#[must_use]
pub fn sentence(ended: &Ended) -> String {
    let mut parts: Vec<String> = Vec::new();
    for line in ended.stderr.lines() {
        let drawn = |c: char| c.is_whitespace() || "×╰─▶├│·".contains(c);
        let starts = line.starts_with(|c: char| "×╰├".contains(c) || !c.is_whitespace())
            || line.trim_start().starts_with(['×', '╰', '├'])
            || line.trim_start().starts_with("cause:");
        let words = line.trim_matches(drawn);
        if words.is_empty() || CHATTER.iter().any(|chatter| words.starts_with(chatter)) {
            continue;
        }
        let words = words.strip_prefix("error:").unwrap_or(words).trim();
        let words = words.strip_prefix("cause:").unwrap_or(words).trim();
        match parts.last_mut() {
            Some(last) if !starts => {
                last.push(' ');
                last.push_str(words);
            }
            Some(_) | None => parts.push(words.to_owned()),
        }
    }
    let mut text = parts
        .join(": ")
        .replace(": hint:", "; hint:")
        .replace(":: ", ": ")
        .replace(".; hint:", "; hint:");
    if !ended.how.starts_with("exit code") {
        let said = if text.is_empty() { String::new() } else { format!(" ({text})") };
        text = match ended.how.strip_prefix("not within ") {
            Some(limit) => format!("uv was not done within {limit} and was stopped{said}"),
            None => format!("uv was ended by {}{said}", ended.how),
        };
    }
    if text.is_empty() {
        text = format!("uv failed with {} and said nothing", ended.how);
    }
    if text.chars().count() > MOST {
        text = text.chars().take(MOST).collect::<String>() + " …";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stderr: &str, how: &str) -> String {
        let ended = Ended { stderr: stderr.to_owned(), how: how.to_owned(), ..Ended::default() };
        sentence(&ended)
    }

    #[test]
    fn a_resolution_that_fails_is_one_sentence() {
        let said = "Using CPython 3.13.0 interpreter at: /x\n\
                    \u{20} × No solution found when resolving dependencies:\n\
                    \u{20} ╰─▶ Because nosuch was not found in the package registry and you require\n\
                    \u{20}     nosuch, we can conclude that your requirements are unsatisfiable.\n";
        assert_eq!(
            of(said, "exit code 1"),
            "No solution found when resolving dependencies:: Because nosuch was not found in the \
             package registry and you require nosuch, we can conclude that your requirements are \
             unsatisfiable."
                .replace("::", ":")
        );
    }

    #[test]
    fn causes_follow_the_error_and_an_end_is_told() {
        let said = "error: Failed to fetch: https://i/simple/x/\n  cause: client error (Connect)\n\n\
                    hint: Consider something\n";
        assert_eq!(
            of(said, "exit code 2"),
            "Failed to fetch: https://i/simple/x/: client error (Connect); hint: Consider something"
        );
        assert_eq!(of("", "exit code 2"), "uv failed with exit code 2 and said nothing");
        assert_eq!(of("", "not within 3 s"), "uv was not done within 3 s and was stopped");
        assert_eq!(of("Resolved 1\n", "signal 9"), "uv was ended by signal 9");
    }
}
