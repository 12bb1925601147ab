//! Where a cgroup is delegated, the kernel itself holds memory and threads of each execution.
//!
//! `QNTX_TEST_CGROUP` says that this machine can show it, and then it has to; `cargo xtask ci`
//! sets it inside a User Mode Linux.

use crate::support::{BINARY, Plugin};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Set where the tests have to find what they need.
const DECLARED: &str = "QNTX_TEST_CGROUP";

/// A cgroup of the test's own, with the controllers handed on; removed at the end.
struct Ground(PathBuf);

impl Ground {
    /// `None`, and a word on it, where this machine grants none.
    fn find() -> Option<Self> {
        let found = Self::make();
        let declared = std::env::var_os(DECLARED).is_some();
        assert!(found.is_ok() || !declared, "{DECLARED} is set, but: {:?}", found.err());
        if let Err(reason) = &found {
            #[expect(clippy::print_stderr, reason = "what is not tested is said")]
            {
                eprintln!("NOT TESTED here, only in `cargo xtask ci`: {reason}");
            }
        }
        found.ok()
    }

    fn make() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
        let mounted = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let root = mounted.and_then(|line| line.split(' ').nth(4)).ok_or("no cgroup v2")?;
        let root = Path::new(root);
        let offered = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let has = |name| offered.split_whitespace().any(|offered| offered == name);
        if !has("memory") || !has("pids") {
            return Err(format!("cgroup v2 offers only [{}]", offered.trim()));
        }
        let said = |e: std::io::Error| e.to_string();
        fs::write(root.join("cgroup.subtree_control"), "+memory +pids").map_err(said)?;
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let at = root.join(format!("qntx-test-{}-{number}", std::process::id()));
        fs::create_dir(&at).map_err(said)?;
        Ok(Self(at))
    }

    /// A plugin that is alone in it.
    fn start(&self) -> Plugin {
        let mut command = Command::new("sh");
        let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", self.0.display());
        command.args(["-c", &enter, "sh", BINARY]);
        // the kernel that has cgroups may have an older Landlock
        let flags = ["--store", ":memory:", "--dangerously-allow-weak-sandbox"];
        let plugin = Plugin::start_command(command, &flags, tempfile::tempdir().unwrap());
        patiently("it is ready", || plugin.get("/health").body["spares"].as_u64() >= Some(2));
        plugin
    }

    /// The groups of executions, spares among them.
    fn groups(&self) -> Vec<PathBuf> {
        let entries = |at: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(at).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        entries(&self.0).iter().flat_map(|at| entries(at)).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).ok();
    }
}

/// As `eventually`, on a machine that may be slow.
#[track_caller]
fn patiently(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < until, "not within two minutes: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Removes the groups in `at`, as a service manager does; false while one is in use.
fn trim(at: &Path) -> bool {
    let entries = fs::read_dir(at).into_iter().flatten().flatten().map(|entry| entry.path());
    let directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    directories.iter().all(|path| trim(path) && fs::remove_dir(path).is_ok())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[test]
fn each_execution_has_a_cgroup_that_holds_its_limits() {
    let Some(ground) = Ground::find() else { return };
    let mut plugin = ground.start();
    assert_eq!(plugin.get("/health").body["sandbox"]["cgroup"], true);
    patiently("each spare is in a group of its own", || {
        let groups = ground.groups();
        groups.len() >= 2
            && groups.iter().all(|at| read(&at.join("cgroup.procs")).lines().count() == 1)
    });
    for at in ground.groups() {
        assert_eq!(read(&at.join("memory.max")), (1u64 << 30).to_string());
        assert_eq!(read(&at.join("memory.oom.group")), "1");
        assert_eq!(read(&at.join("pids.max")), "64");
    }
    // limits of a request are written before it runs
    let fields = json!({"limits": {"memory_bytes": 77 << 20, "threads": 7}, "timeout_secs": 60});
    let code = "import threading, time\nn = 0\ntry:\n  while True:\n    \
                threading.Thread(target=time.sleep, args=(3,), daemon=True).start(); n += 1\n\
                except RuntimeError as error: _result = [n, str(error)]";
    std::thread::scope(|scope| {
        let run = scope.spawn(|| plugin.execute_with(code, fields.clone()));
        patiently("the limits are in force", || {
            ground.groups().iter().any(|at| {
                read(&at.join("memory.max")) == (77u64 << 20).to_string()
                    && read(&at.join("pids.max")) == "7"
            })
        });
        // the kernel refuses the thread, and the program goes on
        let answer = run.join().unwrap().expect(200, "value");
        assert_eq!(answer.result()[0], 6, "{:#}", answer.body);
    });
    // memory that is nobody's own: the buffers of pipes
    let code = "import os\nkept = []\nwhile True:\n  a, b = os.pipe()\n  os.set_blocking(b, False)\n  \
                kept.append((a, b))\n  try:\n    while True: os.write(b, b'x' * 65536)\n  \
                except BlockingIOError: pass";
    let fields = json!({"limits": {"memory_bytes": 8 << 20}, "timeout_secs": 60});
    let answer = plugin.execute_with(code, fields).expect(400, "over_memory");
    assert!(answer.text("error").contains("memory"), "{:#}", answer.body);
    plugin.evaluate("1").expect(200, "value");

    // a plugin that was killed leaves groups, but nobody in them: whoever started it trims them
    assert!(!ground.groups().is_empty());
    plugin.signal(libc::SIGKILL);
    plugin.wait(Duration::from_secs(30));
    patiently("the kernel ends its children, and their groups can be removed", || trim(&ground.0));
    fs::write(ground.0.join("cgroup.subtree_control"), "-memory -pids").unwrap();
    let mut plugin = ground.start();
    assert!(ground.0.join(format!("qntx-python-{}", plugin.pid())).exists());
    plugin.signal(libc::SIGTERM);
    plugin.wait(Duration::from_secs(30));
    // and one that ends leaves nothing at all
    let inside: Vec<_> = fs::read_dir(&ground.0).unwrap().flatten().collect();
    assert!(!inside.iter().any(|entry| entry.path().is_dir()), "{inside:?}");
}
