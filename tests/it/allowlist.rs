//! No entry of the allow-list is there for nothing: real programs run under `strace`, and every call
//! that a child may make has been made by one of them, or stands here with the reason why it stays.
//!
//! The programs are `tests/programs/*.py`; with `QNTX_PYTHON_PACKAGES=1` also those that need packages
//! from an index. `QNTX_BLESS=1` writes `docs/syscalls.md` anew.
//!
//! **Invariant:** only what is called behind the last filter counts as a child's, and only what is
//! called behind the zygote's filters as the zygote's.

use crate::support::{BINARY, Plugin};
use sandbox::syscalls::{Arch, CHILD, Lists, ZYGOTE, find};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What no program here needs, on the libc that this was written on, and why it may stay.
const KEPT: &[(&str, &str)] = &[
    ("access", "os.access of musl and of C code; glibc has gone over to faccessat"),
    ("alarm", "signal.alarm where setitimer is not what libc makes of it"),
    (
        "arch_prctl",
        "the thread pointer of musl and static programs; matrix registers (AMX) of numeric libraries on processors that have them",
    ),
    ("clock_getres", "time.get_clock_info where the vDSO does not answer"),
    ("creat", "C code older than open's third argument"),
    ("epoll_pwait", "asyncio on aarch64, which has no epoll_wait"),
    ("eventfd", "event loops older than its flags"),
    (
        "exit_group",
        "os._exit; a child that has answered is ended from outside before it gets there",
    ),
    ("faccessat", "os.access on aarch64"),
    ("fstat", "every open() of glibc before 2.33 and of musl"),
    ("getcpu", "sched_getcpu where the vDSO does not answer"),
    ("gettimeofday", "time in C code where the vDSO does not answer"),
    ("lstat", "os.lstat of musl and of glibc before 2.33"),
    ("membarrier", "musl's loader, when a library brings thread-local storage"),
    ("mknod", "os.mkfifo of musl and of glibc before 2.33"),
    ("nanosleep", "sleeping in C code of musl and of older glibc"),
    ("open", "open of musl and of static programs"),
    ("pipe", "pipe of older C code"),
    ("ppoll", "poll on aarch64"),
    ("preadv", "os.preadv where CPython was built without preadv2"),
    ("pselect6", "select on aarch64"),
    ("pwritev", "os.pwritev where CPython was built without pwritev2"),
    ("renameat", "os.rename with directories on aarch64"),
    (
        "renameat2",
        "rename on architectures without the older calls, and renaming without replacing",
    ),
    ("restart_syscall", "made by the kernel itself when a sleep goes on after a stop"),
    ("rt_sigsuspend", "sigsuspend in C code, which nothing else replaces"),
    ("select", "select of musl; glibc has gone over to pselect6"),
    ("set_tid_address", "the first act of musl's threads"),
    ("stat", "os.stat of musl and of glibc before 2.33"),
    ("statx", "Rust libraries, and glibc where the file system needs it"),
    ("symlinkat", "os.symlink on aarch64"),
    ("time", "time in C code where the vDSO does not answer"),
];

struct Traced {
    /// Calls behind a child's last filter, with the programs that made them.
    child: BTreeMap<String, BTreeSet<String>>,
    /// Calls of a sealed zygote, and of its forks before their last filter.
    zygote: BTreeSet<String>,
}

/// A program: its name and its text.
fn programs(directory: &str) -> Vec<(String, String)> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(directory);
    let mut files: Vec<PathBuf> = std::fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// Runs the programs one after the other in a plugin that is watched.
fn trace(programs: &[(String, String)], flags: &[&str]) -> Traced {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    // as a grandchild, so that the plugin is the child that the fixture started
    command.args(["-D", "-f", "-qq", "-s", "40", "-e", "signal=none", "-o"]).arg(log.path());
    command.arg(BINARY);
    let mut all = vec!["--store", ":memory:"];
    all.extend(flags);
    assert!(
        Command::new("strace").arg("-V").output().is_ok_and(|answer| answer.status.success()),
        "strace is needed to see which calls programs make: apt-get install strace"
    );
    let mut plugin = Plugin::start_command(command, &all, tempfile::tempdir().unwrap());
    let mut names = BTreeMap::new();
    // under a tracer an interpreter takes its time to start
    let until = Instant::now() + Duration::from_secs(180);
    while plugin.get("/health").status != 200 {
        assert!(Instant::now() < until, "not up under strace\n{}", plugin.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    for (name, text) in programs {
        let code = format!("import os; print(os.getpid(), flush=True)\n{text}");
        let answer = plugin.execute_with(&code, json!({"timeout_secs": 120}));
        assert_eq!(answer.body["outcome"], "value", "{name}: {:#}", answer.body);
        let pid = answer.text("stdout").lines().next().unwrap().parse::<u32>().unwrap();
        names.insert(pid, name.clone());
    }
    plugin.signal(libc::SIGTERM);
    plugin.wait(Duration::from_secs(60));
    // the tracer writes until its last tracee is gone
    let read = || std::fs::read(log.path()).unwrap();
    let mut text = read();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let more = read();
        if more.len() == text.len() {
            break;
        }
        text = more;
    }
    sorted(&String::from_utf8_lossy(&text), &names)
}

/// Who made which call, from lines such as `4711 read(3, …) = 5`.
fn sorted(log: &str, names: &BTreeMap<u32, String>) -> Traced {
    let (mut role, mut filters) = (BTreeMap::new(), BTreeMap::new());
    let mut main_of: BTreeMap<u32, u32> = BTreeMap::new();
    let mut traced = Traced { child: BTreeMap::new(), zygote: BTreeSet::new() };
    for line in log.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Ok(pid) = pid.parse::<u32>() else { continue };
        let rest = rest.trim_start();
        let resumed = rest.strip_prefix("<... ");
        let name: String = resumed
            .unwrap_or(rest)
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
            .collect();
        let process = *main_of.get(&pid).unwrap_or(&pid);
        if rest.contains("PR_SET_NAME") {
            for known in ["qntx:child", "qntx:zygote"] {
                if rest.contains(known) {
                    role.insert(pid, known);
                }
            }
        }
        let is_child = role.get(&process) == Some(&"qntx:child");
        let sealed = filters.get(&process).copied().unwrap_or(0);
        if name == "clone" && is_child && sealed > 0 {
            // the only thing a sealed child can make
            if let Some(thread) = line.rsplit_once("= ").and_then(|(_, id)| id.parse().ok()) {
                main_of.insert(thread, process);
            }
        }
        if resumed.is_none() && !name.is_empty() {
            if is_child && sealed > 0 {
                let program = names.get(&process).cloned().unwrap_or_else(|| "a spare".to_owned());
                traced.child.entry(name.clone()).or_default().insert(program);
            } else if is_child || role.get(&process) == Some(&"qntx:zygote") && sealed >= 4 {
                traced.zygote.insert(name.clone());
            }
        }
        if name == "seccomp" && rest.contains("SET_MODE_FILTER") && resumed.is_none() {
            *filters.entry(process).or_insert(0) += 1;
        }
    }
    traced
}

#[test]
fn every_call_that_is_allowed_is_made_by_a_program_or_kept_for_a_reason() {
    let full = crate::support::packages();
    let mut traced = trace(&programs("programs"), &[]);
    if full {
        let place = tempfile::tempdir().unwrap();
        crate::programs::install(place.path());
        let flags = ["--python-path", place.path().to_str().unwrap()];
        let with_packages = trace(&programs("programs/packages"), &flags);
        for (call, users) in with_packages.child {
            traced.child.entry(call).or_default().extend(users);
        }
        traced.zygote.extend(with_packages.zygote);
    }
    assert!(traced.child.len() > 80, "{:?}", traced.child.keys());
    let kept: BTreeMap<&str, &str> = KEPT.iter().copied().collect();
    let idle: Vec<&str> = CHILD
        .iter()
        .map(|entry| entry.name)
        .filter(|name| !traced.child.contains_key(*name) && !kept.contains_key(name))
        .collect();
    assert!(idle.is_empty(), "allowed, and needed by nobody: {idle:?}");
    let everywhere = Arch::ALL.map(|arch| Lists::on(arch).child).concat();
    for (name, reason) in KEPT {
        let allowed = everywhere.iter().any(|entry| entry.name == *name);
        assert!(allowed, "{name} is not allowed: {reason}");
    }
    // what only the zygote may is what it or a child on its way to its seal does
    for entry in ZYGOTE.iter().filter(|entry| find(CHILD, entry.nr).is_none()) {
        let needed = traced.zygote.contains(entry.name);
        assert!(needed, "{} is allowed to the zygote alone, which does not need it", entry.name);
    }
    if std::env::var("QNTX_BLESS").is_ok_and(|value| value == "1") {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/syscalls.md");
        std::fs::write(path, page(&traced, &kept, full)).unwrap();
    }
}

/// What of x86-64's allow-list is not on 64-bit ARM's, because that has no such call.
fn lacking_on_arm() -> Vec<String> {
    let (x86, arm) = (Lists::on(Arch::X86_64).child, Lists::on(Arch::Aarch64).child);
    let lacking = x86.iter().filter(|entry| arm.iter().all(|other| other.name != entry.name));
    lacking.map(|entry| format!("`{}`", entry.name)).collect()
}

fn page(traced: &Traced, kept: &BTreeMap<&str, &str>, full: bool) -> String {
    let packages = if full { "packages included" } else { "without those that need packages" };
    let mut text = format!(
        "# What a child may call, and who needs it\n\n\
         Written by `QNTX_BLESS=1 cargo test -p qntx-python-plugin --test it allowlist::` from what \
         `strace` saw behind a\nchild's last filter while the programs of `tests/programs` ran, {packages}. {} calls of {} were made; the others\nare kept for the reason given. \
         Conditions on arguments are in `crates/sandbox/src/syscalls/child.rs`,\nnumbers in `numbers.rs` beside it. \
         Of the calls that x86-64 has, 64-bit ARM lacks these, and may make all others:\n{}.\n\n\
         | Call | What for | Made by |\n|---|---|---|\n",
        CHILD.iter().filter(|entry| traced.child.contains_key(entry.name)).count(),
        CHILD.len(),
        lacking_on_arm().join(", "),
    );
    for entry in CHILD {
        let users = match traced.child.get(entry.name) {
            Some(users) => users.iter().cloned().collect::<Vec<_>>().join(", "),
            None => format!("kept: {}", kept.get(entry.name).copied().unwrap_or_default()),
        };
        let _ = writeln!(text, "| `{}` | {} | {users} |", entry.name, entry.why);
    }
    text
}
