//! Profiles: each grants what it says and nothing else, as root and as nobody, and is seen
//! wherever one looks.

use crate::escape::prefix::Prefix;
use crate::support::{BINARY, Plugin, eventually, lives};
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

/// Tries everything that a profile may grant; each answer is what it came to.
const PROBE: &str = r#"
import os, socket, subprocess, sys
place, listed, other = PLACE, LISTED, OTHER

def came_to(act):
    try:
        return act()
    except OSError as error:
        return [type(error).__name__, error.errno]

def greeting(host, port):
    with socket.create_connection((host, port), timeout=5) as connection:
        return connection.recv(5).decode()

def direct(host, port):
    with socket.socket() as connection:
        connection.settimeout(5)
        connection.connect((host, port))
        return connection.recv(5).decode()

def lookup():
    import _qntx, qntx
    try:
        _qntx._host_call("resolve", b'{"host": "localhost"}')
        return "answered"
    except qntx.Refused:
        return "refused"

def bound():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return "bound"

def wrote():
    with open(f"{place}/out/file", "a") as file:
        return file.write("x")

def said(*command):
    # the interpreter may be a copy, whose run path leads to where it was
    env = {**os.environ, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout

_result = {
    "listed port": came_to(lambda: greeting("127.0.0.1", listed)),
    "by name": came_to(lambda: greeting("localhost", listed)),
    "by name, directly": came_to(lambda: direct("localhost", listed)),
    "other port": came_to(lambda: greeting("127.0.0.1", other)),
    "lookup": lookup(),
    "bind": came_to(bound),
    "udp": came_to(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) and "made"),
    "unix": came_to(lambda: socket.socket(socket.AF_UNIX) and "made"),
    "read": came_to(lambda: open(f"{place}/in/file").read()),
    "read outside": came_to(lambda: open(f"{place}/secret").read()),
    "write": came_to(wrote),
    "write where it reads": came_to(lambda: open(f"{place}/in/new", "w").close()),
    "python": came_to(lambda: said(sys.executable, "-I", "-c", "print(6 * 7)")),
    "listed program": came_to(lambda: said("/bin/echo", "hi")),
    "unlisted program": came_to(lambda: said("/bin/ls")),
    "own program": came_to(lambda: said("./program")) if came_to(
        lambda: __import__("shutil").copy("/proc/self/maps", "program")) else None,
    "fork": came_to(lambda: os.waitpid(os.fork() or os._exit(3), 0)[1] >> 8),
    "variable": os.environ.get("PROFILE_SECRET"),
}
"#;

/// What [`PROBE`] comes to without any grant.
fn strict() -> Value {
    json!({
        "listed port": ["PermissionError", 1],
        // libc asks nobody, so there is no such name
        "by name": ["gaierror", -3],
        "by name, directly": ["PermissionError", 1],
        "other port": ["PermissionError", 1],
        "lookup": "refused",
        "bind": ["PermissionError", 1],
        "udp": ["PermissionError", 1],
        "unix": ["PermissionError", 1],
        "read": ["PermissionError", 13],
        "read outside": ["PermissionError", 13],
        "write": ["PermissionError", 13],
        "write where it reads": ["PermissionError", 13],
        "python": ["PermissionError", 1],
        "listed program": ["PermissionError", 1],
        "unlisted program": ["PermissionError", 1],
        "own program": ["PermissionError", 1],
        "fork": ["PermissionError", 1],
        "variable": null,
    })
}

fn with(changes: &Value) -> Value {
    let mut expected = strict();
    for (name, value) in changes.as_object().unwrap() {
        expected[name] = value.clone();
    }
    expected
}

/// A server that greets whoever connects.
fn server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            // who hangs up first has been refused, or has heard enough
            let _ = connection.write_all(b"hello");
        }
    });
    port
}

/// A plugin with profiles, and what they reach.
struct Ground {
    plugin: Plugin,
    place: tempfile::TempDir,
    listed: u16,
    other: u16,
}

impl Ground {
    fn new(prefix: &Prefix) -> Self {
        let (listed, other) = (server(), server());
        let place = tempfile::tempdir().unwrap();
        crate::escape::prefix::open(place.path());
        for (name, text) in [("in/file", "read me"), ("out/old", ""), ("secret", "secret")] {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        prefix.give(place.path());
        let at = |name: &str| place.path().join(name).to_string_lossy().into_owned();
        let profiles = json!({
            "web": {"network": format!("tcp:{listed}"), "requestable": true},
            "reader": {"read_paths": [at("in")], "requestable": true},
            "writer": {"write_paths": at("out"), "requestable": true},
            "shell": {
                "processes": "allowed",
                "executables": ["/bin/echo", "/bin/sleep"],
                "requestable": true,
            },
            "secret": {"environment": "PROFILE_SECRET, NOT_SET", "requestable": true},
            "small": {"limits": {"threads": 3, "timeout_secs": 7}, "requestable": true},
            "closed": {"network": format!("tcp:{listed}")},
        });
        let scratch = tempfile::tempdir().unwrap();
        prefix.give(scratch.path());
        let mut command = prefix.command(&prefix.binary);
        command.env_remove("LD_LIBRARY_PATH").env("PROFILE_SECRET", "swordfish");
        let profiles = profiles.to_string();
        let mut flags = vec!["--store", ":memory:", "--sandbox-profiles", &profiles];
        let home = prefix.home.as_ref().map(|home| home.to_string_lossy().into_owned());
        if let Some(home) = &home {
            flags.extend(["--python-home", home]);
        }
        let plugin = Plugin::start_command(command, &flags, scratch);
        Self { plugin, place, listed, other }
    }

    fn probe(&self, fields: Value) -> crate::support::Answer {
        let code = PROBE
            .replace("PLACE", &json!(self.place.path()).to_string())
            .replace("LISTED", &self.listed.to_string())
            .replace("OTHER", &self.other.to_string());
        self.plugin.execute_with(&code, fields)
    }
}

/// As who runs the tests, and, when that is root, as nobody too.
fn as_each_user(test: impl Fn(&Prefix)) {
    test(&Prefix::discovered());
    if rustix::process::geteuid().is_root() {
        test(&Prefix::for_nobody());
    }
}

#[test]
fn each_profile_grants_what_it_says_and_nothing_else() {
    as_each_user(|prefix| {
        let ground = Ground::new(prefix);
        let eacces = json!(["PermissionError", 13]);
        let cases = [
            (json!({}), json!({}), ""),
            (json!({"profile": "default"}), json!({}), ""),
            (json!({"profile": "small"}), json!({}), ""),
            (json!({"profile": "reader"}), json!({"read": "read me"}), "read_paths"),
            (json!({"profile": "writer"}), json!({"write": 1}), "write_paths"),
            (json!({"profile": "secret"}), json!({"variable": "swordfish"}), "environment"),
            (
                json!({"profile": "web"}),
                json!({
                    "listed port": "hello",
                    "by name": "hello",
                    "by name, directly": "hello",
                    "other port": eacces,
                    "lookup": "answered",
                }),
                "network",
            ),
            (
                json!({"profile": "shell"}),
                json!({
                    "python": "42\n",
                    "listed program": "hi\n",
                    "unlisted program": eacces,
                    "own program": eacces,
                    "fork": 3,
                }),
                "processes",
            ),
        ];
        for (fields, changes, word) in cases {
            let answer = ground.probe(fields.clone()).expect(200, "value");
            assert_eq!(answer.result(), &with(&changes), "{fields} {:?}", prefix.user);
            // and the record says so
            let granted = &answer.body["granted"];
            if word.is_empty() {
                assert!(granted.is_null() && answer.body["profile"].is_null(), "{granted}");
            } else {
                assert_eq!(answer.body["profile"], fields["profile"]);
                assert_eq!(granted.as_array().unwrap().len(), 1, "{granted}");
                assert!(granted[0].as_str().unwrap().starts_with(word), "{granted}");
            }
        }
        // what was granted to one is not left to the next
        let answer = ground.probe(json!({})).expect(200, "value");
        assert_eq!(answer.result(), &strict());
    });
}

#[test]
fn grants_are_seen_in_health_and_in_the_log_and_names_are_checked() {
    let ground = Ground::new(&Prefix::discovered());
    let plugin = &ground.plugin;
    plugin.evaluate("1").expect(200, "value");
    let health = plugin.get("/health").body;
    let granted = &health["sandbox"]["granted"];
    for (profile, words) in [
        ("web", format!("TCP connections are made to port {}", ground.listed)),
        ("closed", "TCP connections".to_owned()),
        ("shell", "/bin".to_owned()),
        ("secret", "PROFILE_SECRET".to_owned()),
    ] {
        assert!(granted[profile].to_string().contains(&words), "{profile}: {health:#}");
        assert!(plugin.log().contains("the sandbox grants more than usual"));
    }
    assert!(granted["default"].is_null() && granted["small"].is_null(), "{granted}");
    assert!(!health.to_string().contains("swordfish") && !plugin.log().contains("swordfish"));

    for name in ["closed", "nothing", "WEB"] {
        let answer = plugin.execute_with("1", json!({"profile": name}));
        assert_eq!((answer.status, &answer.body["field"]), (400, &json!("profile")));
        assert!(answer.text("error").contains("web"), "{:#}", answer.body);
    }
    // a profile's limits are defaults of its own, still to be lowered and raised
    let code = "import threading, time\n\
                for _ in range(6): threading.Thread(target=time.sleep, args=(2,)).start()";
    let limited = plugin.execute_with(code, json!({"profile": "small"}));
    assert_eq!(limited.body["outcome"], "over_threads", "{:#}", limited.body);
    let fields = json!({"profile": "small", "limits": {"threads": 20}});
    plugin.execute_with(code, fields).expect(200, "value");
    // sessions of different profiles are different ones
    let fields = json!({"profile": "secret", "session": "s"});
    plugin.execute_with("import os; v = os.environ['PROFILE_SECRET']", fields.clone());
    assert_eq!(plugin.execute_with("v", fields).result(), "swordfish");
    let other = plugin.execute_with("'v' in globals()", json!({"session": "s"}));
    assert_eq!(other.result(), false);
}

/// Whether a process with this argument lives.
fn found(argument: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let pid = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.split('\0').nth(1) == Some(argument) && lives(pid)
    })
}

#[test]
fn what_an_execution_started_ends_with_it_however_that_ends() {
    as_each_user(|prefix| {
        let mut ground = Ground::new(prefix);
        let daemon = |seconds: &str, end: &str| {
            format!(
                "import os, subprocess, time\n\
                 subprocess.Popen(['/bin/sleep', '{seconds}'], start_new_session=True)\n\
                 if os.fork() == 0:\n    os.setsid()\n    \
                 os.execv('/bin/sleep', ['sleep', '{seconds}'])\n\
                 time.sleep(0.2)\n{end}"
            )
        };
        let own = std::process::id();
        for (number, end, outcome) in [
            (1, "", "value"),
            (2, "raise ValueError", "raised"),
            (3, "os._exit(5)", "exited"),
            (4, "import ctypes; ctypes.string_at(0)", "killed"),
            (5, "while True: pass", "timed_out"),
        ] {
            let seconds = format!("{own}{number}");
            let code = daemon(&seconds, end);
            let timeout_secs = if outcome == "timed_out" { 2 } else { 30 };
            let fields = json!({"profile": "shell", "timeout_secs": timeout_secs});
            let answer = ground.plugin.execute_with(&code, fields);
            assert_eq!(answer.body["outcome"], outcome, "{:#}", answer.body);
            eventually("what was started is gone", || !found(&seconds));
        }
        // a bomb is counted, and goes as a whole
        let bomb = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass";
        let answer =
            ground.plugin.execute_with(bomb, json!({"profile": "shell", "timeout_secs": 3}));
        let outcome = answer.body["outcome"].as_str().unwrap();
        let ends = ["over_threads", "over_memory", "over_cpu", "timed_out"];
        assert!(ends.contains(&outcome), "{:#}", answer.body);
        ground.plugin.evaluate("1").expect(200, "value");
        // and a plugin that is killed leaves nothing either
        let seconds = format!("{own}6");
        let code = daemon(&seconds, "time.sleep(60)");
        let port = ground.plugin.port();
        std::thread::spawn(move || {
            let body = json!({"code": code, "profile": "shell"}).to_string();
            // ends when the plugin does
            let _ = ureq::post(format!("http://127.0.0.1:{port}/execute"))
                .header("content-type", "application/json")
                .send(body.as_bytes());
        });
        eventually("it runs", || found(&seconds));
        ground.plugin.signal(libc::SIGKILL);
        ground.plugin.wait(std::time::Duration::from_secs(5));
        eventually("nothing outlives the plugin", || !found(&seconds));
    });
}

#[test]
fn a_fork_of_the_program_is_an_ordinary_process_and_answers_nothing() {
    let ground = Ground::new(&Prefix::discovered());
    let run = |code: &str| ground.plugin.execute_with(code, json!({"profile": "shell"}));
    // both run on to the end of the program; one of them is the execution
    let answer =
        run("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint(pid > 0)\npid > 0");
    let answer = answer.expect(200, "value");
    assert_eq!(answer.text("stdout"), "False\nTrue\n");
    assert_eq!(answer.result(), true);
    let answer = run("import os\nif os.fork() == 0: raise KeyError('in the fork')\n\
                      os.waitstatus_to_exitcode(os.wait()[1])")
    .expect(200, "value");
    assert_eq!(answer.result(), 1);
    assert!(answer.text("stderr").contains("KeyError: 'in the fork'"), "{:#}", answer.body);
    // who forks has the memory, not the identity
    let answer = run("import os\nread, write = os.pipe()\n\
                      if os.fork() == 0:\n  try: attest('a', 'b', 'c')\n  \
                      except Exception as e: os.write(write, type(e).__name__.encode())\n  \
                      os._exit(0)\nos.wait()\nos.read(read, 99).decode()")
    .expect(200, "value");
    assert_eq!(answer.result(), "NotAvailable");
    let answer = run("import multiprocessing as m\ndef f(c): c.send(6 * 7)\n\
                      a, b = m.Pipe()\np = m.get_context('fork').Process(target=f, args=(b,))\n\
                      p.start()\nr = a.recv()\np.join()\n[r, p.exitcode]")
    .expect(200, "value");
    assert_eq!(answer.result(), &json!([42, 0]));
    // the limits count what was started: memory, and processor time
    let answer = ground.plugin.execute_with(
        "import os, time\nfor _ in range(3):\n  if os.fork() == 0:\n    x = bytearray(80 << 20)\n    \
         time.sleep(20)\ntime.sleep(20)",
        json!({"profile": "shell", "limits": {"memory_bytes": 150 << 20}}),
    );
    answer.expect(400, "over_memory");
    let answer = ground.plugin.execute_with(
        "import os, time\nfor _ in range(3):\n  if os.fork() == 0:\n    while True: pass\ntime.sleep(20)",
        json!({"profile": "shell", "limits": {"cpu_secs": 1}}),
    );
    answer.expect(400, "over_cpu");
}

#[test]
fn ordinary_clients_work_where_the_network_is_granted() {
    let ground = Ground::new(&Prefix::discovered());
    let run = |code: &str| ground.plugin.execute_with(code, json!({"profile": "web"}));
    let code = format!(
        "import asyncio\nasync def main():\n  r, w = await asyncio.open_connection('localhost', {})\n  \
         w.writelines([b'a' * 100000, b'b'])\n  await w.drain()\n  got = await r.read(5)\n  \
         w.close()\n  return got.decode()\n_result = asyncio.run(main())",
        ground.listed
    );
    // the greeter reads nothing and hangs up, which may be noticed while writing
    let answer = run(&code);
    let text = answer.body.to_string();
    assert!(answer.result() == "hello" || text.contains("ConnectionResetError"), "{text}");
    let answer = run("import ssl\nlen(ssl.create_default_context().get_ca_certs()) >= 0");
    assert_eq!(answer.expect(200, "value").result(), true);
    let answer = run("import socket\ntry: socket.getaddrinfo('no-such-host.invalid', 443)\n\
                      except socket.gaierror as e: _result = [type(e).__name__, str(e) != '']")
    .expect(200, "value");
    assert_eq!(answer.result(), &json!(["gaierror", true]));
    let answer = run("import socket\nsocket.gethostbyname('localhost')").expect(200, "value");
    assert_eq!(answer.result(), "127.0.0.1");
}

#[test]
fn a_flag_about_the_sandbox_that_makes_no_sense_stops_the_start() {
    for (flags, words) in [
        (&["--sandbox-network", "tcp:http"][..], "`sandbox.network`: `http` is no port"),
        (&["--sandbox-processes", "yes"], "`sandbox.processes`"),
        (&["--sandbox-read-path", "/no/such/place"], "`sandbox.read_paths`: /no/such/place"),
        (&["--sandbox-write-path", "/"], "`sandbox.write_paths`: /"),
        (&["--sandbox-environment", "LD_PRELOAD"], "`sandbox.environment`"),
        (&["--sandbox-profiles", "{"], "`sandbox.profiles`"),
        (&["--sandbox-handlers", "a=b"], "there is no profile `b`"),
    ] {
        let output = Command::new(BINARY).args(flags).args(["eval", "1"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(words) && said.contains("hint:"), "{flags:?}: {said}");
    }
    let evaluated = |flags: &[&str], expression: &str| {
        let mut command = Command::new(BINARY);
        command.args(["--store", ":memory:"]).args(flags).args(["eval", expression]);
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let read = "open('/etc/hostname').read() != ''";
    assert!(Path::new("/etc/hostname").exists(), "the host is not as declared");
    assert_eq!(evaluated(&["--sandbox-read-path", "/etc/hostname"], read), "true");
    assert_eq!(evaluated(&[], read), "");
}
