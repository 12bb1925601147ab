//! The fixture: a plugin of its own per test, killed on drop, its log printed
//! when the test fails.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_qntx-python-plugin");

/// A running plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
    scratch: tempfile::TempDir,
}

/// An HTTP answer: status and body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) elapsed: Duration,
}

impl Plugin {
    /// Standalone, in-memory store.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--store", ":memory:"])
    }

    /// Standalone with these flags beside the port, the scratch directory and the log level.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        Self::start_command(Command::new(BINARY), flags, tempfile::tempdir().unwrap())
    }

    /// Started by this command, with that scratch directory.
    pub(crate) fn start_command(
        mut command: Command,
        flags: &[&str],
        scratch: tempfile::TempDir,
    ) -> Self {
        let mut child = command
            .args(["--port", "0", "--log-level", "debug", "--scratch-dir"])
            .arg(scratch.path())
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (sink, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line
            .trim()
            .strip_prefix("QNTX_PLUGIN_PORT=")
            .unwrap_or_else(|| panic!("no port line but {line:?}: {}", log.lock().unwrap()))
            .parse()
            .unwrap();
        std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = stdout.read_to_string(&mut rest);
        });
        Self { child, port, log, scratch }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn scratch(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// The same as the plugin sees it, whose scratch directories may be mounted for it alone.
    pub(crate) fn scratch_inside(&self) -> std::path::PathBuf {
        let outside = self.scratch.path().strip_prefix("/").unwrap();
        std::path::Path::new(&format!("/proc/{}/root", self.pid())).join(outside)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// POSTs a JSON value.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_raw(path, "application/json", body.to_string().as_bytes())
    }

    /// The same where the plugin may be gone; `None` when it is.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let began = Instant::now();
        let request = agent().post(&url).header("content-type", "application/json");
        let answer = request.send(body.to_string().as_bytes()).ok()?;
        Some(read(answer, began))
    }

    /// POSTs bytes.
    pub(crate) fn post_raw(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let began = Instant::now();
        let answer = agent().post(&url).header("content-type", content_type).send(body).unwrap();
        read(answer, began)
    }

    /// GETs a path.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let began = Instant::now();
        read(agent().get(&url).call().unwrap(), began)
    }

    /// `/execute` with these fields beside the code.
    pub(crate) fn execute_with(&self, code: &str, fields: Value) -> Answer {
        let mut body = json!({ "code": code });
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        self.post("/execute", &body)
    }

    /// `/execute`.
    pub(crate) fn execute(&self, code: &str) -> Answer {
        self.execute_with(code, json!({}))
    }

    /// `/evaluate`.
    pub(crate) fn evaluate(&self, expr: &str) -> Answer {
        self.post("/evaluate", &json!({ "expr": expr }))
    }

    /// Sends a signal to the plugin itself.
    pub(crate) fn signal(&self, signal: i32) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the plugin to end by itself.
    pub(crate) fn wait(&mut self, patience: Duration) -> std::process::ExitStatus {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "still there after {patience:?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Process ids of its zygotes (`qntx:zygote`) or children (`qntx:child`).
    pub(crate) fn processes(&self, name: &str) -> Vec<u32> {
        processes_of(self.pid(), name)
    }

    /// Waits until `/health` says that nothing runs, and that every zygote has as
    /// many spares as it has when nothing happens.
    pub(crate) fn settle(&self) {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let health = self.get("/health").body;
            let zygotes = health["zygotes"].as_u64().unwrap_or(0);
            if zygotes >= 2 && health["running"] == 0 && health["spares"] == zygotes * 4 {
                return;
            }
            assert!(Instant::now() < until, "it does not settle: {health:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "shown with the failed test")]
            {
                eprintln!("--- the plugin's log ---\n{}", self.log());
            }
        }
    }
}

impl Answer {
    /// Asserts the status and the outcome, and gives itself back.
    #[track_caller]
    pub(crate) fn expect(self, status: u16, outcome: &str) -> Self {
        assert_eq!(
            (self.status, self.body["outcome"].as_str()),
            (status, Some(outcome)),
            "{:#}",
            self.body
        );
        self
    }

    /// The `result` field.
    pub(crate) fn result(&self) -> &Value {
        &self.body["result"]
    }

    /// A string field.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {:#}", self.body))
    }
}

/// Processes of this name whose parent is `parent`.
pub(crate) fn processes_of(parent: u32, name: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(") ") else { continue };
        let ppid = tail.split(' ').nth(1).and_then(|ppid| ppid.parse().ok());
        if ppid == Some(parent) && head.ends_with(&format!("({name}")) {
            found.extend(head.split(' ').next().and_then(|pid| pid.parse::<u32>().ok()));
        }
    }
    found
}

/// What the largest child of a plugin uses, each number by itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    pub(crate) resident: u64,
    pub(crate) page_tables: u64,
    pub(crate) threads: u64,
}

impl Peak {
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            page_tables: self.page_tables.max(other.page_tables),
            threads: self.threads.max(other.threads),
        }
    }
}

/// Looks at all children of a plugin now.
pub(crate) fn children_peak(parent: u32) -> Peak {
    let mut peak = Peak::default();
    for pid in processes_of(parent, "qntx:child") {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        peak = peak.max(Peak {
            resident: field("VmRSS:") << 10,
            page_tables: field("VmPTE:") << 10,
            threads: field("Threads:"),
        });
    }
    peak
}

/// Whether a process with this id lives (a zombie does not).
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}

/// Whether everything is wanted, and not what fits into an ordinary run: `QNTX_PYTHON_FULL=1`.
pub(crate) fn full() -> bool {
    is_set("QNTX_PYTHON_FULL")
}

/// Whether an index may be asked for large packages: `QNTX_PYTHON_PACKAGES=1`, as in CI, or all.
pub(crate) fn packages() -> bool {
    full() || is_set("QNTX_PYTHON_PACKAGES")
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// Waits until `condition` holds; fails after ten seconds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < until, "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn read(mut answer: ureq::http::Response<ureq::Body>, began: Instant) -> Answer {
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(256 << 20).read_to_string().unwrap();
    let elapsed = began.elapsed();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, body, elapsed }
}
