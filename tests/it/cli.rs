//! The command line: `eval`, `run`, refusals, help.

use crate::support::BINARY;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn plugin(arguments: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse its arguments before it reads.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn check(arguments: &[&str], stdin: &str, code: i32, stdout: &str, stderr: &[&str]) {
    let output = plugin(arguments, stdin);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{arguments:?}");
    for part in stderr {
        assert!(said.contains(part), "{arguments:?}: {part:?} not in {said}");
    }
}

#[test]
fn eval_and_run_behave_like_python() {
    check(&["eval", "1 + 1"], "", 0, "2\n", &[]);
    check(&["eval", "1 /"], "", 1, "", &["SyntaxError"]);
    check(&["run", "-"], "print('out')\nimport sys\nsys.exit(4)", 4, "out\n", &[]);
    check(&["run", "-"], "import sys\nprint('e', file=sys.stderr)", 0, "", &["e\n"]);
    check(&["run", "-"], "1/0", 1, "", &["Traceback", "ZeroDivisionError"]);
    check(&["--timeout-secs", "1", "run", "-"], "while True: pass", 124, "", &["1 s"]);
    check(&["run", "-"], "import os; os.kill(os.getpid(), 9)", 137, "", &["SIGKILL"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hello.py");
    std::fs::write(&file, "print('from a file', __name__)").unwrap();
    check(&["run", file.to_str().unwrap()], "", 0, "from a file __main__\n", &[]);
    check(&["run", "/no/such/file.py"], "", 2, "", &["/no/such/file.py"]);
}

#[test]
fn a_public_address_needs_a_token() {
    check(&["--address", "0.0.0.0", "--port", "0"], "", 3, "", &["--token-file"]);
}

#[test]
fn help_teaches_and_the_version_is_one_line() {
    let help = plugin(&["--help"], "");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for flag in [
        "--port",
        "--address",
        "--name",
        "--log-level",
        "--log-format",
        "--python-path",
        "--store",
        "--timeout-secs",
        "--max-timeout-secs",
        "--memory",
        "--max-concurrency",
        "--queue",
        "Examples",
    ] {
        assert!(help.contains(flag), "{flag} not in the help");
    }
    let version = format!("qntx-python-plugin {}\n", env!("CARGO_PKG_VERSION"));
    check(&["--version"], "", 0, &version, &[]);
}

#[test]
fn the_zygote_s_role_can_t_be_taken_by_hand() {
    check(&["__zygote", "1"], "", 122, "", &["started by the plugin itself"]);
}
