//! What uv may do, tried by a program in its place: bare, and run by the plugin.

use super::fixture::{Bed, python};
use super::wheel::{Index, source};
use crate::support::processes_of;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every attempt, and what came of it, as the last line of stderr.
const ATTEMPTS: &str = r#"
import errno, json, os, resource, socket, subprocess, sys, time
outside = WHERE
report = {}
def attempt(name, act):
    try:
        act()
        report[name] = "done"
    except OSError as error:
        report[name] = errno.errorcode[error.errno]
def listen():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
def connect():
    with socket.create_connection(("127.0.0.1", PORT)):
        pass
attempt("write", lambda: open(outside + "/written", "w"))
attempt("truncate", lambda: os.truncate(outside + "/secret", 1))
attempt("remove", lambda: os.remove(outside + "/victim"))
attempt("rename", lambda: os.rename(outside + "/moved", "moved"))
attempt("read", lambda: open(outside + "/secret").read())
attempt("list", lambda: os.listdir(outside))
attempt("run", lambda: subprocess.run(["/bin/true"], check=True))
attempt("listen", listen)
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("connect", connect)
attempt("own", lambda: open("own", "w"))
attempt("cache", lambda: open(os.environ["UV_CACHE_DIR"] + "/own", "w"))
report["names"] = sorted(os.environ)
report["limits"] = [resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1]
                    for name in ("FSIZE", "DATA", "NOFILE")]
report["resolver"] = open("/etc/resolv.conf").read() is not None
"#;

/// The end of the program in uv's place: seen from outside for a while, then told.
const TELL: &str = r#"
time.sleep(1.5)
print("error: told " + json.dumps(report), file=sys.stderr)
sys.exit(2)
"#;

/// A directory that is none of uv's business.
fn outside() -> tempfile::TempDir {
    let outside = tempfile::tempdir().unwrap();
    for name in ["secret", "victim", "moved"] {
        std::fs::write(outside.path().join(name), "untouched").unwrap();
    }
    outside
}

fn program(at: &Path, outside: &Path, port: u16) -> PathBuf {
    let attempts = ATTEMPTS
        .replace("WHERE", &format!("{:?}", outside.to_str().unwrap()))
        .replace("PORT", &port.to_string());
    let path = at.join("uv");
    std::fs::write(&path, format!("#!{} -I\n{attempts}{TELL}", python().display())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn told(stderr: &str) -> Value {
    let line = stderr.lines().find_map(|line| line.strip_prefix("error: told "));
    serde_json::from_str(line.unwrap_or_else(|| panic!("nothing told: {stderr}"))).unwrap()
}

const OPEN: [&str; 3] = ["connect", "own", "cache"];
const SHUT: [(&str, &str); 9] = [
    ("write", "EACCES"),
    ("truncate", "EACCES"),
    ("remove", "EACCES"),
    ("rename", "EACCES"),
    ("read", "EACCES"),
    ("list", "EACCES"),
    ("run", "EACCES"),
    ("listen", "EACCES"),
    ("signal", "EPERM"),
];

#[test]
fn uv_reaches_its_directories_and_the_network_and_nothing_else() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port.local_addr().unwrap().port();

    // Bare, all of it succeeds: the attempts are real.
    let (bare, place) = (outside(), tempfile::tempdir().unwrap());
    let run = Command::new(program(place.path(), bare.path(), number))
        .current_dir(place.path())
        .env("UV_CACHE_DIR", place.path())
        .output()
        .unwrap();
    let report = told(&String::from_utf8_lossy(&run.stderr));
    for name in SHUT.iter().map(|(name, _)| *name).chain(OPEN) {
        assert_eq!(report[name], "done", "{name}: {report:#}");
    }

    let (kept, place) = (outside(), tempfile::tempdir().unwrap());
    let uv = program(place.path(), kept.path(), number);
    let secret = [("SECRET_TOKEN", "x"), ("UV_INDEX", "http://elsewhere"), ("HTTP_PROXY", "")];
    let bed = Bed::with_program(Index::of([]), &uv, &secret, &[]);
    let answer = std::thread::scope(|scope| {
        let install = scope.spawn(|| bed.install("anything"));
        let mut status = String::new();
        crate::support::eventually("it runs", || {
            let running = processes_of(bed.plugin.pid(), "uv");
            let read = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/status")).ok();
            status = running.first().and_then(read).unwrap_or_default();
            !status.is_empty()
        });
        for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        install.join().unwrap()
    });
    assert_eq!(answer.status, 400, "{:#}", answer.body);
    let report = told(answer.text("stderr"));
    for (name, refusal) in SHUT {
        assert_eq!(report[name], refusal, "{name}: {report:#}");
    }
    for name in OPEN {
        assert_eq!(report[name], "done", "{name}: {report:#}");
    }
    let most = [8 << 30, 8 << 30, 4096u64];
    for (limit, most) in report["limits"].as_array().unwrap().iter().zip(most) {
        assert!((1..=most).contains(&limit.as_u64().unwrap_or(0)), "{report:#}");
    }
    let names: Vec<&str> =
        report["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(
        !names.iter().any(|name| name.starts_with("SECRET") || *name == "UV_INDEX"),
        "{names:?}"
    );
    assert!(names.iter().all(|name| !name.starts_with("CARGO")), "{names:?}");
    for name in ["secret", "victim", "moved"] {
        assert_eq!(std::fs::read_to_string(kept.path().join(name)).unwrap(), "untouched");
    }
    assert!(!kept.path().join("written").exists());
}

#[test]
fn a_build_runs_programs_and_still_writes_nowhere_else() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let kept = outside();
    let attempts = ATTEMPTS
        .replace("WHERE", &format!("{:?}", kept.path().to_str().unwrap()))
        .replace("PORT", &port.local_addr().unwrap().port().to_string());
    let backend = format!(
        r##"
import zipfile
{attempts}
def made():
    with open("made.sh", "w") as f:
        f.write("#!/bin/sh\necho made\n")
    os.chmod("made.sh", 0o755)
    subprocess.run(["./made.sh"], check=True)
attempt("made", made)
def build_wheel(directory, settings=None, metadata=None):
    name = "built-1.0-py3-none-any.whl"
    with zipfile.ZipFile(directory + "/" + name, "w") as z:
        z.writestr("built.py", "report = " + repr(report))
        info = "built-1.0.dist-info/"
        z.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: built\nVersion: 1.0\n")
        z.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        names = ["built.py"] + [info + n for n in ("METADATA", "WHEEL", "RECORD")]
        z.writestr(info + "RECORD", "".join(n + ",,\n" for n in names))
    return name
"##
    );
    let project = "[build-system]\nrequires = []\nbuild-backend = \"backend\"\n\
                   backend-path = [\".\"]\n[project]\nname = \"built\"\nversion = \"1.0\"\n";
    let files = [("pyproject.toml", project), ("backend.py", backend.as_str())];
    let index = Index::of([source("built", "1.0", &files)]);

    let plain = Bed::new(index.clone());
    let reason = plain.refused("built");
    assert!(reason.contains("built"), "{reason}");
    let wanted = json!({"package": "built", "only_binary": false});
    assert_eq!(plain.plugin.post("/uv/install", &wanted).status, 400);

    let bed = Bed::with(index, &["--dangerously-allow-builds"]);
    let answer = bed.plugin.post("/uv/install", &wanted);
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    let answer = bed.plugin.execute("import built\nbuilt.report").expect(200, "value");
    let report = answer.result();
    for name in ["run", "made", "own", "connect"] {
        assert_eq!(report[name], "done", "{name}: {report:#}");
    }
    // Its parent is uv, within the same confinement.
    let shut = SHUT.iter().filter(|(name, _)| !matches!(*name, "run" | "signal"));
    for (name, refusal) in shut {
        assert_eq!(report[*name], *refusal, "{name}: {report:#}");
    }
    assert!(!kept.path().join("written").exists());
}

#[test]
fn below_the_floor_uv_is_not_run_unless_that_is_allowed() {
    let role = |words: &[&str]| {
        let mut command = Command::new(crate::support::BINARY);
        command.args(["qntx:uv", &std::process::id().to_string()]);
        for path in ["/usr", "/bin", "/lib", "/lib64", "/nix/store"] {
            command.args(["--run", path]);
        }
        command.args(words).args(["--", "/bin/true"]).output().unwrap()
    };
    assert!(role(&[]).status.success(), "{:?}", role(&[]));
    let refused = role(&["--abi-cap", "5"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(122), "{said}");
    assert!(said.contains("floor") && said.contains("--dangerously-allow-weak-sandbox"), "{said}");
    let allowed = role(&["--abi-cap", "5", "--allow-weak"]);
    assert!(allowed.status.success(), "{allowed:?}");
    let by_hand = Command::new(crate::support::BINARY).arg("qntx:uv").output().unwrap();
    assert_eq!(by_hand.status.code(), Some(122));
}
