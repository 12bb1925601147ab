//! The suite once more as an unprivileged user who may make no user namespaces, on the same
//! machine, with the same binary.
//!
//! A mount namespace lets that user reach what the tests need, and a changed root is what takes
//! user namespaces away (user_namespaces(7)).

use crate::support::{BINARY, Plugin};
use serde_json::json;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set in the second run, which must not make a third.
const SECOND: &str = "QNTX_TEST_UNPRIVILEGED";
const NOBODY: &str = "65534";
/// What is run again: everything about executions. The corpus has a run of its own as nobody.
const AGAIN: [&str; 6] =
    ["errors::", "execute::", "hostile::", "isolation::", "limits::", "sessions::"];

/// Not again: these are about time, which a second run beside the first takes away, or about much
/// memory, and say nothing about who asks.
const ONCE: [&str; 4] = [
    "a_body_above_the_cap_is_413_and_one_of_50_mib_runs",
    "a_run_past_its_deadline_is_killed_and_its_output_answered",
    "output_beyond_the_cap_is_dropped_and_said_and_the_program_goes_on",
    "twenty_endless_loops_end_in_time_and_delay_nobody",
];

/// The directories that nobody has to be able to enter.
fn needed() -> Vec<PathBuf> {
    let finder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/find-python");
    let question = "import sys; print(sys.base_prefix)";
    let answer = Command::new(finder).args(["-I", "-c", question]).output().unwrap();
    let prefix = String::from_utf8(answer.stdout).unwrap();
    let own = std::env::current_exe().unwrap();
    [Path::new(prefix.trim()), Path::new(env!("CARGO_MANIFEST_DIR")), &own, Path::new(BINARY)]
        .map(|path| path.canonicalize().unwrap())
        .into()
}

/// The outermost directory above `path` that others can't enter.
fn closed(path: &Path) -> Option<PathBuf> {
    let mut above: Vec<_> = path.ancestors().skip(1).collect();
    above.reverse();
    let enters = |at: &&&Path| at.metadata().unwrap().permissions().mode() & 0o001 == 0;
    above.iter().find(enters).map(|at| at.to_path_buf())
}

/// A script that runs its arguments as nobody under a changed root, where `needed` can be reached.
fn script(keep: &Path) -> String {
    let mut text = "set -eu\nmount --make-rprivate /\n".to_owned();
    let hidden: Vec<_> =
        needed().into_iter().filter_map(|path| closed(&path).map(|at| (at, path))).collect();
    let mut hollow: Vec<&PathBuf> = hidden.iter().map(|(at, _)| at).collect();
    hollow.sort();
    hollow.dedup();
    let place = |index: usize| keep.join(index.to_string());
    for (index, (_, path)) in hidden.iter().enumerate() {
        let (kept, path) = (place(index), path.display());
        let make = if hidden[index].1.is_dir() { "mkdir" } else { "touch" };
        writeln!(text, "{make} {0}; mount --bind {path} {0}", kept.display()).unwrap();
    }
    for at in hollow {
        writeln!(text, "mount -t tmpfs -o mode=755 tmpfs {}", at.display()).unwrap();
    }
    for (index, (_, path)) in hidden.iter().enumerate() {
        let (above, make) = (path.parent().unwrap().display(), path.display());
        let make = if path.is_dir() { format!("mkdir -p {make}") } else { format!("touch {make}") };
        let kept = place(index);
        writeln!(text, "mkdir -p {above}; {make}").unwrap();
        writeln!(text, "mount --bind {} {}", kept.display(), path.display()).unwrap();
    }
    let root = keep.join("root");
    writeln!(text, "mkdir {0}; mount --rbind / {0}", root.display()).unwrap();
    writeln!(
        text,
        "exec chroot {} setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups \"$@\"",
        root.display()
    )
    .unwrap();
    text
}

/// A command of nobody's, who may make no user namespaces.
fn command(keep: &Path, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script(keep), "sh"]).arg(program).env_remove("HOME");
    command
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    crate::escape::prefix::open(place.path());
    place
}

#[test]
fn the_suite_holds_for_nobody_without_user_namespaces() {
    // started by somebody who is not root, the suite itself has shown it already
    if !rustix::process::geteuid().is_root() || std::env::var_os(SECOND).is_some() {
        return;
    }
    let keep = place();
    let own = std::env::current_exe().unwrap().canonicalize().unwrap();
    let mut command = command(keep.path(), &own);
    command.args(AGAIN).args(["--test-threads", "1"]);
    command.args(ONCE.iter().flat_map(|name| ["--skip", name]));
    let output = command.env(SECOND, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let passed = said.lines().filter(|line| line.ends_with(" ... ok")).count();
    assert!(passed >= 30, "only {passed} ran: {said}\n{errors}");
}

#[test]
fn without_user_namespaces_processes_are_refused_and_the_rest_is_in_force() {
    if !rustix::process::geteuid().is_root() {
        // nobody else can change the root; `without_namespaces_no_profile_has_processes` has it
        return;
    }
    let keep = place();
    let scratch = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(scratch.path(), Some(65534), Some(65534)).unwrap();
    let profiles = json!({
        "shell": {"processes": "allowed", "requestable": true},
        "web": {"network": "tcp:443", "requestable": true},
    });
    let binary = Path::new(BINARY).canonicalize().unwrap();
    let flags = ["--store", ":memory:", "--sandbox-processes", "allowed", "--sandbox-profiles"];
    let profiles = profiles.to_string();
    let flags = [&flags[..], &[&profiles]].concat();
    let plugin = Plugin::start_command(command(keep.path(), &binary), &flags, scratch);
    let fork = "import os\nos.fork()";
    let answer = plugin.execute(fork).expect(400, "raised");
    assert_eq!(answer.body["outcome_detail"]["type"], "PermissionError");
    let answer = plugin.execute_with(fork, json!({"profile": "shell"}));
    assert_eq!((answer.status, &answer.body["field"]), (400, &json!("profile")));
    plugin.execute_with("1", json!({"profile": "web"})).expect(200, "value");
    let log = plugin.log();
    for key in ["`sandbox.processes`", "`sandbox.profiles.shell`"] {
        assert!(log.contains(&format!("{key}: this machine grants no user")), "{key}: {log}");
    }
    let granted = &plugin.get("/health").body["sandbox"]["granted"];
    assert!(granted["web"].is_array() && granted["shell"].is_null(), "{granted}");
    assert!(granted["default"].is_null(), "{granted}");
}
