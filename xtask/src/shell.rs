//! Other programs, run from the workspace root: shown first, failing with their own line.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The running program, whatever became of its file.
const ITSELF: &str = "/proc/self/exe";

/// Where the tasks run.
#[derive(Debug)]
pub(crate) struct Shell {
    root: PathBuf,
}

impl Shell {
    /// The workspace this program was built from.
    pub(crate) fn new() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { root: here.parent().unwrap_or(here).to_owned() }
    }

    /// The workspace root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it makes.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let target = self.root.join(target);
        std::fs::create_dir_all(&target)
            .with_context(|| format!("cannot create {}", target.display()))?;
        Ok(target)
    }

    /// `program`, to be run in the workspace root.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// This program once more. A build between may have put another file in its place, and
    /// `/proc/self/exe` leads to what runs all the same (proc_pid_exe(5)).
    pub(crate) fn itself(&self) -> Result<Command> {
        if cfg!(target_os = "linux") {
            return Ok(self.command(ITSELF));
        }
        let program = std::env::current_exe().context("cannot tell where this program is")?;
        Ok(self.command(program))
    }

    /// The cargo that runs this task, given `arguments`.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = self.command(cargo);
        command.args(arguments);
        command
    }

    /// Shows the command, runs it, and fails when it fails.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        eprintln!("$ {}", line(command));
        let status = command.status().with_context(|| cannot_run(command))?;
        if !status.success() {
            bail!("`{}` failed: {status}", line(command));
        }
        Ok(())
    }

    /// Like [`Shell::run`]; each line of its stdout is shown and given to `read`.
    pub(crate) fn run_reading(
        &self,
        command: &mut Command,
        mut read: impl FnMut(&str),
    ) -> Result<()> {
        eprintln!("$ {}", line(command));
        let mut child =
            command.stdout(Stdio::piped()).spawn().with_context(|| cannot_run(command))?;
        let mut stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let mut bytes = Vec::new();
        while stdout.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes);
            print!("{text}");
            read(text.trim_end_matches('\n'));
            bytes.clear();
        }
        let status = child.wait().with_context(|| cannot_run(command))?;
        if !status.success() {
            bail!("`{}` failed: {status}", line(command));
        }
        Ok(())
    }

    /// Runs the command unseen and gives what it wrote to stdout; stderr is shown only
    /// in the error.
    pub(crate) fn read(&self, command: &mut Command) -> Result<String> {
        let output = self.output(command)?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed: {}\n{}", line(command), output.status, stderr.trim_end());
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{}` wrote no UTF-8", line(command)))
    }

    /// Runs the command unseen; its failure is an answer like another.
    pub(crate) fn output(&self, command: &mut Command) -> Result<Output> {
        command.stdin(Stdio::null()).output().with_context(|| cannot_run(command))
    }

    /// Whether the command succeeds within `limit`; it is killed when it does not.
    pub(crate) fn succeeds_within(&self, command: &mut Command, limit: Duration) -> bool {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return false };
        let begin = Instant::now();
        while begin.elapsed() < limit {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => break,
            }
        }
        // Too late: what killing answers changes nothing.
        let _ = child.kill();
        let _ = child.wait();
        false
    }
}

/// The file `name` on PATH.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = if program == Path::new(ITSELF) { Path::new("xtask") } else { program };
    let program = program.file_name().unwrap_or_default();
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty() || word.contains([' ', '\'', '"', '\n', '$']) {
                format!("'{}'", word.replace('\'', r"'\''"))
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn cannot_run(command: &Command) -> String {
    format!("cannot run `{}`", line(command))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Shell, line};

    #[test]
    fn a_failing_command_is_named_with_its_stderr() {
        let sh = Shell::new();
        let error = sh.read(sh.command("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains("exit 3") && message.contains("why"), "{message}");
    }

    #[test]
    fn a_command_that_never_ends_is_given_up() {
        let sh = Shell::new();
        let begin = Instant::now();
        let limit = Duration::from_millis(100);
        assert!(!sh.succeeds_within(sh.command("sleep").arg("30"), limit));
        assert!(begin.elapsed() < Duration::from_secs(10));
        assert!(sh.succeeds_within(&mut sh.command("true"), Duration::from_secs(10)));
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let sh = Shell::new();
        assert_eq!(line(sh.command("/usr/bin/env").args(["a b", "c"])), "env 'a b' c");
        assert_eq!(line(sh.itself().expect("itself").arg("install")), "xtask install");
    }
}
