//! `cargo xtask ci`: every check in its order, each timed, with a table at the end.

use std::cell::RefCell;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;

use crate::cgroup::{self, Cgroup};
use crate::check;
use crate::codegen::Codegen;
use crate::failures::Failures;
use crate::flake;
use crate::fresh::{self, Fresh};
use crate::installed;
use crate::macos;
use crate::mirror;
use crate::package::Package;
use crate::python::{self, Python};
use crate::repro::{Compared, Repro};
use crate::shell::{Shell, which};
use crate::tidy::Tidy;
use crate::uv;

/// The line of the README that runs the tests.
const TEST_COMMAND: &str = "cargo xtask test";

/// Run everything a change has to pass
#[derive(Debug, Args)]
pub(crate) struct Ci {
    /// Full counts instead of those that fit into CI; what is run goes into docs/ci.md
    #[arg(long)]
    full: bool,
    /// Only the steps that have WORD in their name; may be given more than once
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
}

/// What became of one step.
struct Row {
    name: &'static str,
    result: Result<Done>,
    took: Duration,
}

/// A step that did not fail.
enum Done {
    Passed,
    /// Not done, and why; a gap that the table shows.
    Skipped(String),
}

impl Ci {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        if !self.full {
            println!("reduced counts where a full run is long; `cargo xtask ci --full` runs all");
        }
        // The binary that was built twice is the one that is packed, and its libraries
        // are those of the build that is installed.
        let compared = RefCell::new(None);
        let steps: [(&'static str, &dyn Fn() -> Result<Done>); 15] = [
            ("format", &|| passed(check::format(sh))),
            ("lint", &|| passed(check::lint(sh))),
            ("tidy", &|| passed(Tidy {}.run(sh))),
            ("codegen", &|| passed(Codegen::checking().run(sh))),
            ("supply chain", &|| passed(check::supply_chain(sh))),
            ("tests", &|| passed(self.tests(sh))),
            ("cgroup v2", &|| cgroup_step(sh)),
            ("flake", &|| flake_step(sh)),
            ("reproducible", &|| {
                *compared.borrow_mut() = Some(Repro::default().compare(sh)?);
                Ok(Done::Passed)
            }),
            ("package", &|| {
                let version = python::version(sh)?;
                if !version.starts_with("3.13.") {
                    return skipped(format!("CPython {version} here, and 3.13 is bundled"));
                }
                let binary = compared.borrow().as_ref().map(|twice| twice.binary.clone());
                passed(Package::of(binary).run(sh))
            }),
            ("installed", &|| {
                passed(installed::check(sh, compared.borrow().as_ref().map(Compared::world)))
            }),
            ("other Pythons", &|| self.other_pythons(sh)),
            ("fetched Python", &|| self.fetched_python(sh)),
            ("macOS types", &|| self.macos(sh)),
            ("fresh clone", &|| self.fresh_clone(sh)),
        ];
        let names = steps.map(|(name, _)| name);
        let wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|word| name.contains(word));
        ensure!(names.into_iter().any(wanted), "no such step; there are: {}", names.join(", "));
        let mut rows = Vec::new();
        for (name, step) in steps.into_iter().filter(|(name, _)| wanted(name)) {
            println!("\n== {name}");
            let begin = Instant::now();
            let result = step();
            if let Err(error) = &result {
                eprintln!("error: {error:#}");
            }
            rows.push(Row { name, result, took: begin.elapsed() });
        }
        if let Some(compared) = compared.take() {
            compared.clear()?;
        }
        println!("\n{}", table(rows.iter().map(Row::line)));
        if self.full {
            let path = sh.root().join("docs/ci.md");
            let before = fs::read_to_string(&path).unwrap_or_default();
            let commit = sh.read(sh.command("git").args(["rev-parse", "--short", "HEAD"]))?;
            let lines = merged(&before, &rows, &names, commit.trim());
            fs::write(&path, page(sh, &lines)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        // Once more and last, where a log of thousands of lines is looked at first.
        let failed: Vec<String> = rows.iter().filter_map(Row::failure).collect();
        ensure!(failed.is_empty(), "failed: {}", failed.join("\n"));
        Ok(())
    }

    /// `--fetch-python`, from a mirror on this machine.
    fn fetched_python(&self, sh: &Shell) -> Result<Done> {
        if !self.full {
            return skipped("only with --full".to_owned());
        }
        let version = python::version(sh)?;
        if !version.starts_with("3.13.") {
            return skipped(format!("CPython {version} here, and a mirror of 3.13 is made of it"));
        }
        match uv::found(sh)? {
            Some(uv) => passed(mirror::check(sh, &uv)),
            None => skipped("there is no uv here".to_owned()),
        }
    }

    /// What the plugin calls, on the other system it is built for.
    fn macos(&self, sh: &Shell) -> Result<Done> {
        if !self.full {
            return skipped("only with --full".to_owned());
        }
        match macos::impossible(sh)? {
            Some(reason) => skipped(reason),
            None => passed(macos::check(sh)),
        }
    }

    /// The README's two commands where nothing but their prerequisites is installed.
    fn fresh_clone(&self, sh: &Shell) -> Result<Done> {
        if !self.full {
            return skipped("only with --full".to_owned());
        }
        match fresh::impossible(sh)? {
            Some(reason) => skipped(reason),
            None => passed(Fresh::new(false).run(sh)),
        }
    }

    /// The interpreter side, against every other CPython found here.
    fn other_pythons(&self, sh: &Shell) -> Result<Done> {
        if !self.full {
            return skipped("only with --full".to_owned());
        }
        let best = python::version(sh)?;
        let target = sh.target()?.join("pythons");
        for (minor, path) in python::every(sh)? {
            if best.starts_with(&format!("{minor}.")) {
                continue;
            }
            let mut command = sh.cargo(["test", "--package", "qntx-python-runtime"]);
            command.env("PYO3_PYTHON", path).env("CARGO_TARGET_DIR", &target);
            sh.run(&mut command).with_context(|| format!("with CPython {minor}"))?;
        }
        Ok(Done::Passed)
    }

    /// The tests, by the command that the README gives.
    fn tests(&self, sh: &Shell) -> Result<()> {
        let readme = fs::read_to_string(sh.root().join("README.md")).context("no README.md")?;
        ensure!(
            readme.lines().any(|line| line.trim() == TEST_COMMAND),
            "README.md does not give `{TEST_COMMAND}` on a line of its own"
        );
        let mut words = TEST_COMMAND.split(' ').skip(1);
        let mut command = sh.cargo(words.by_ref());
        command.env("QNTX_PYTHON_PACKAGES", "1");
        if self.full {
            command.env("QNTX_PYTHON_FULL", "1");
        }
        let mut failures = Failures::default();
        sh.run_reading(Python::found(sh)?.for_build(&mut command), |line| failures.read(line))
            .map_err(|error| anyhow!("{error:#}\n{}", failures.text()))
    }
}

/// A gap that must not be overlooked.
fn skipped(reason: String) -> Result<Done> {
    eprintln!("\n!!! NOT done: {reason}\n");
    Ok(Done::Skipped(reason))
}

fn passed(result: Result<()>) -> Result<Done> {
    result.map(|()| Done::Passed)
}

fn cgroup_step(sh: &Shell) -> Result<Done> {
    match cgroup::missing() {
        Some(reason) => skipped(reason.to_owned()),
        None => passed(Cgroup::default().run(sh)),
    }
}

fn flake_step(sh: &Shell) -> Result<Done> {
    if which("nix").is_none() {
        return skipped("there is no nix here to evaluate the flake".to_owned());
    }
    passed(flake::Nix::default().run(sh))
}

impl Row {
    fn failure(&self) -> Option<String> {
        self.result.as_ref().err().map(|error| format!("{}: {error:#}", self.name))
    }

    fn line(&self) -> String {
        let result = match &self.result {
            Ok(Done::Passed) => "passed".to_owned(),
            Ok(Done::Skipped(reason)) => format!("skipped: {reason}"),
            Err(_) => "FAILED".to_owned(),
        };
        format!("| {} | {result} | {} |", self.name, self.took.as_secs())
    }
}

fn table(lines: impl Iterator<Item = String>) -> String {
    let head = "| Step | Result | Seconds |\n|---|---|---|".to_owned();
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

/// The lines of the page: those of `rows`, and of the page as it was for steps not run now;
/// in the order of `names`, and of no other step.
fn merged(page: &str, rows: &[Row], names: &[&str], commit: &str) -> Vec<String> {
    let line = |name: &&str| {
        let run = rows.iter().find(|row| row.name == *name);
        let old = || page.lines().find(|line| line.starts_with(&format!("| {name} | ")));
        run.map(|row| format!("{} {commit} |", row.line())).or_else(|| old().map(str::to_owned))
    };
    names.iter().filter_map(line).collect()
}

/// The lines, with what they were measured on.
fn page(sh: &Shell, lines: &[String]) -> Result<String> {
    let kernel = sh.read(sh.command("uname").arg("-srm"))?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    Ok(format!(
        "# The last full run of every step\n\n\
         Written by `cargo xtask ci --full`, or with `--only` for some; {}, {cores} cores.\n\n\
         | Step | Result | Seconds | At |\n|---|---|---|---|\n{}\n",
        kernel.trim(),
        lines.join("\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, result: Result<Done>) -> Row {
        Row { name, result, took: Duration::from_secs(2) }
    }

    #[test]
    fn the_table_tells_passed_skipped_and_failed_apart() {
        let rows = [
            row("a", Ok(Done::Passed)),
            row("b", Ok(Done::Skipped("no nix".to_owned()))),
            row("c", Err(anyhow::anyhow!("broken"))),
        ];
        let text = table(rows.iter().map(Row::line));
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            ["| a | passed | 2 |", "| b | skipped: no nix | 2 |", "| c | FAILED | 2 |"]
        );
    }

    #[test]
    fn a_step_run_alone_replaces_its_own_line() {
        let before = "| Step |\n|---|\n| b | passed | 9 | old |\n| gone | passed | 9 | old |\n";
        let lines = merged(before, &[row("a", Ok(Done::Passed))], &["a", "b", "c"], "new");
        assert_eq!(lines, ["| a | passed | 2 | new |", "| b | passed | 9 | old |"]);
    }
}
