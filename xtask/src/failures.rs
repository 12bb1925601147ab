//! What failed in a run of `cargo test`: each test's own words, kept to be shown last.
//!
//! The format is libtest's: a line for each test that failed, a section `---- NAME stdout ----` for
//! each, then the list of their names.

/// Lines shown of one test.
const LINES: usize = 60;

/// What failed, read line by line.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    shown: Vec<String>,
    /// Lines of the section that is being read.
    section: Option<usize>,
    in_backtrace: bool,
}

impl Failures {
    /// Takes the next line of stdout.
    pub(crate) fn read(&mut self, line: &str) {
        if line.starts_with("test ") && line.ends_with(" ... FAILED") {
            self.shown.push(line.to_owned());
        } else if line.starts_with("---- ") && line.ends_with(" ----") {
            self.section = Some(0);
            self.in_backtrace = false;
        } else if line == "failures:" || line.starts_with("test result:") {
            self.section = None;
        } else if line == "stack backtrace:" {
            self.in_backtrace = true;
        } else if line.is_empty() {
            self.in_backtrace = false;
        }
        let Some(lines) = self.section.as_mut() else { return };
        if self.in_backtrace || line.is_empty() || *lines > LINES {
            return;
        }
        *lines += 1;
        let line = if *lines > LINES { "[more above]" } else { line };
        self.shown.push(line.to_owned());
    }

    /// The sections, one after the other; empty when nothing failed.
    pub(crate) fn text(&self) -> String {
        self.shown.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::{Failures, LINES};

    fn text(output: &str) -> String {
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.read(line));
        failures.text()
    }

    #[test]
    fn the_words_of_each_failed_test_are_kept_without_its_backtrace() {
        let output = "running 3 tests\ntest a ... ok\ntest b ... FAILED\n\nfailures:\n\n\
            ---- b stdout ----\n\nthread 'b' panicked at b.rs:1:\nleft is not right\n\
            stack backtrace:\n   0: core\n\n---- c stdout ----\ntoo late\n\nfailures:\n    b\n    c\n\n\
            test result: FAILED. 1 passed; 2 failed\ntest d ... ok\n";
        assert_eq!(
            text(output),
            "test b ... FAILED\n---- b stdout ----\nthread 'b' panicked at b.rs:1:\n\
             left is not right\n---- c stdout ----\ntoo late"
        );
    }

    #[test]
    fn a_long_section_is_cut_and_says_so() {
        let output = format!("---- b stdout ----\n{}", "line\n".repeat(1000));
        let text = text(&output);
        assert_eq!(text.lines().count(), LINES + 1);
        assert!(text.ends_with("[more above]"), "{text}");
    }

    #[test]
    fn nothing_is_kept_of_a_run_without_failures() {
        assert_eq!(text("running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed\n"), "");
    }
}
