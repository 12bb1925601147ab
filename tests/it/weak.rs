//! Kernels older than the floor, pretended by masking Landlock's ABI: refused unless told otherwise,
//! and each exactly as weak as `docs/landlock.md` says.
//!
//! **Invariant:** every act is tried on every ABI, so that a level that holds more or less than its
//! line says is noticed.

use crate::support::{BINARY, Plugin};
use sandbox::{LANDLOCK_FLOOR, WEAK_FLAG};
use serde_json::json;
use std::process::{Command, Stdio};

/// What the running kernel has, at most what the table knows.
fn newest() -> u32 {
    sandbox::kernel::probe().landlock_abi
}

/// Acts that Landlock alone decides, and the ABI from which it denies them.
const ACTS: [(&str, u32, &str, i32); 4] = [
    ("reads a file outside", 1, "open(W + '/secret').read()", libc::EACCES),
    ("lists a directory outside", 1, "__import__('os').listdir(W)", libc::EACCES),
    ("writes a file outside", 1, "open(W + '/secret', 'a').close()", libc::EACCES),
    (
        "cuts a file outside by its path",
        3,
        "__import__('os').truncate(W + '/long', 1)",
        libc::EACCES,
    ),
];

fn start(abi: u32, flags: &[&str]) -> Plugin {
    let mut command = Command::new(BINARY);
    command.env(sandbox::trial::LANDLOCK_ABI, abi.to_string());
    let mut all = vec!["--store", ":memory:"];
    all.extend(flags);
    Plugin::start_command(command, &all, tempfile::tempdir().unwrap())
}

#[test]
fn below_the_floor_nothing_starts_and_the_reason_is_said() {
    for abi in 0..LANDLOCK_FLOOR {
        let place = tempfile::tempdir().unwrap();
        let ended = Command::new(BINARY)
            .env(sandbox::trial::LANDLOCK_ABI, abi.to_string())
            .args(["--port", "0", "--store", ":memory:", "--scratch-dir"])
            .arg(place.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success(), "ABI {abi} started");
        assert!(ended.stdout.is_empty(), "ABI {abi} announced a port");
        assert!(said.contains("landlock") && said.contains(WEAK_FLAG), "ABI {abi}: {said}");
    }
}

#[test]
fn each_abi_denies_what_its_line_says_and_no_less() {
    for abi in 0..=newest().min(10) {
        let weak = abi < LANDLOCK_FLOOR;
        let plugin = start(abi, if weak { &[WEAK_FLAG] } else { &[] });
        let health = plugin.get("/health").body;
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "secret").unwrap();
        std::fs::write(outside.path().join("long"), "long").unwrap();
        for (what, since, act, errno) in ACTS {
            let code = format!(
                "W = {:?}\ntry:\n  {act}; _result = 'done'\nexcept OSError as e: _result = e.errno",
                outside.path()
            );
            let answer = plugin.execute(&code).expect(200, "value");
            let expected = if abi >= since { json!(errno) } else { json!("done") };
            assert_eq!(answer.result(), &expected, "ABI {abi} {what}");
        }
        // seccomp holds these at every ABI
        for (what, code) in [
            ("connects", "import socket; socket.create_connection(('127.0.0.1', 9))"),
            ("signals its parent", "import os; os.kill(os.getppid(), 0)"),
            ("starts a process", "import os; os.fork()"),
        ] {
            let answer = plugin.execute(code).expect(400, "raised");
            assert_eq!(
                answer.body["outcome_detail"]["type"], "PermissionError",
                "ABI {abi} {what}"
            );
        }
        // within scratch, renaming between directories needs a right that the first ABI lacks
        let moved = "import os\nos.mkdir('d'); open('f', 'w').close()\ntry:\n  os.rename('f', 'd/f'); _result = 'done'\nexcept OSError as e: _result = e.errno";
        let expected = if abi == 1 { json!(libc::EXDEV) } else { json!("done") };
        assert_eq!(plugin.execute(moved).expect(200, "value").result(), &expected, "ABI {abi}");
        let health = if health["ready"] == true { health } else { plugin.get("/health").body };
        let lines = health["sandbox"]["weakened"].as_array().unwrap().clone();
        assert_eq!(health["sandbox"]["landlock_abi"], abi, "{health:#}");
        assert_eq!(lines.is_empty(), !weak, "ABI {abi}: {lines:?}");
        assert_eq!(health["sandbox"]["level"], if weak { "weakened" } else { "full" });
        // and the page for operators has each of these sentences
        let page = include_str!("../../docs/landlock.md");
        for line in lines {
            let sentence = line.as_str().unwrap().split_once(": ").unwrap().1;
            assert!(page.contains(sentence), "docs/landlock.md does not say: {sentence}");
        }
    }
}
