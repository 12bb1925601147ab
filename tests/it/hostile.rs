//! Programs that crash, forge and destroy: the right outcome, and the next run
//! untouched.

use crate::support::{Plugin, eventually, lives};
use serde_json::json;

#[test]
fn every_way_to_end_has_its_outcome() {
    let plugin = Plugin::start();
    for (code, status, outcome, detail) in [
        ("import ctypes; ctypes.string_at(0)", 400, "killed", json!({"signal": 11})),
        ("import os; os.abort()", 400, "killed", json!({"signal": 6})),
        ("import os; os._exit(3)", 400, "exited", json!({"exit_code": 3})),
        ("import os; os._exit(0)", 200, "exited", json!({"exit_code": 0})),
        ("import sys; sys.exit(2)", 400, "exited", json!({"exit_code": 2})),
        ("import sys; sys.exit()", 200, "exited", json!({"exit_code": 0})),
        ("import os, signal; os.kill(os.getpid(), 9)", 400, "killed", json!({"signal": 9})),
        ("raise KeyError('k')", 400, "raised", json!({"type": "KeyError"})),
        ("def f(): f()\nf()", 400, "raised", json!({"type": "RecursionError"})),
        (
            "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)",
            400,
            "denied",
            json!({"syscall": "ptrace"}),
        ),
    ] {
        let answer = plugin.execute(&format!("print('said')\n{code}"));
        let answer = answer.expect(status, outcome);
        assert_eq!(answer.text("stdout"), "said\n", "{code}");
        for (field, expected) in detail.as_object().unwrap() {
            assert_eq!(
                &answer.body["outcome_detail"][field], expected,
                "{code}: {:#}",
                answer.body
            );
        }
        if status == 400 {
            assert!(!answer.text("error").is_empty());
        }
        plugin.evaluate("1").expect(200, "value");
    }
    let text = plugin.execute("import sys; sys.exit('no luck')").expect(400, "exited");
    assert_eq!(text.text("stderr"), "no luck\n");
    assert_eq!(text.body["outcome_detail"]["exit_code"], 1);
}

#[test]
fn refusals_are_ordinary_exceptions() {
    let plugin = Plugin::start();
    for (code, kind) in [
        ("import os; os.fork()", "PermissionError"),
        ("import subprocess; subprocess.run(['true'])", "PermissionError"),
        ("import os; os.kill(os.getppid(), 9)", "PermissionError"),
        ("import os; os.kill(1, 0)", "PermissionError"),
        ("import socket; socket.socket()", "PermissionError"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "PermissionError"),
        ("open('/etc/passwd')", "PermissionError"),
        ("open('/tmp/x', 'w')", "PermissionError"),
        ("import os; os.listdir('/')", "PermissionError"),
        ("import os; os.execv('/bin/true', ['true'])", "PermissionError"),
        ("import os; os.setuid(1)", "PermissionError"),
    ] {
        let answer = plugin.execute(code).expect(400, "raised");
        assert_eq!(answer.body["outcome_detail"]["type"], kind, "{code}: {:#}", answer.body);
    }
    let hint = plugin.execute("import os; os.fork()").expect(400, "raised");
    assert!(hint.text("error").contains("sandbox"), "{}", hint.text("error"));
}

#[test]
fn a_program_that_destroys_its_interpreter_harms_nobody_else() {
    let plugin = Plugin::start();
    for code in [
        "import builtins\nbuiltins.print = None\nbuiltins.open = None\nbuiltins.compile = None",
        "import io, json, sys\nio.StringIO = None\njson.dumps = None\nsys.modules.clear()",
        "import sys\nsys.stdout = None\nsys.stderr = None",
        "import gc\nfor o in gc.get_objects():\n  try: o.clear()\n  except BaseException: pass",
        "import os\nfor fd in range(3, 256):\n  try: os.write(fd, b'\\xff' * 64)\n  except OSError: pass",
        "import os\nfor fd in range(0, 256):\n  try: os.close(fd)\n  except OSError: pass",
    ] {
        let _ = plugin.execute_with(code, json!({"timeout_secs": 2}));
        let next = plugin.execute("import json\nprint(json.dumps([1]))").expect(200, "value");
        assert_eq!(next.text("stdout"), "[1]\n", "after {code}");
    }
}

#[test]
fn a_forged_frame_ends_its_own_execution_only() {
    let plugin = Plugin::start();
    // The channel is the only socket a child has.
    let find = "import os, stat\nfd = next(f for f in range(3, 256) if stat.S_ISSOCK(os.fstat(f).st_mode))\n";
    for forged in [
        "b'\\xff\\xff\\xff\\xff' * 1000",
        "b'\\x00\\x00\\x00\\x00'",
        "(5).to_bytes(4, 'little') + b'\\x08\\x63\\x10\\x01\\x2a'",
        "b'\\x01'",
    ] {
        let code = format!("{find}os.write(fd, {forged})\nimport time; time.sleep(1)");
        let answer = plugin.execute_with(&code, json!({"timeout_secs": 1}));
        assert_eq!(answer.status, 400, "{forged}: {:#}", answer.body);
        plugin.evaluate("1").expect(200, "value");
    }
}

#[test]
fn a_mixed_load_leaves_nothing_behind() {
    let plugin = Plugin::start();
    plugin.settle();
    let bad = [
        "import ctypes; ctypes.string_at(0)",
        "import os; os._exit(3)",
        "import sys; sys.exit(2)",
        "raise ValueError()",
        "def f(): f()\nf()",
        "x = bytearray(8 << 30)",
        "open('left', 'w').write('x'); import os; os.mkdir('d'); os.abort()",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    ];
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", plugin.pid())).unwrap().count();
    let round = |count: usize| {
        std::thread::scope(|scope| {
            for client in 0..4 {
                let plugin = &plugin;
                scope.spawn(move || {
                    for i in 0..count / 4 {
                        if (i + client) % 2 == 0 {
                            plugin.execute(bad[(i / 2) % bad.len()]);
                        } else {
                            let answer = plugin.evaluate(&format!("{i} * 2")).expect(200, "value");
                            assert_eq!(answer.result(), &json!(i * 2));
                        }
                    }
                });
            }
        });
    };
    round(200);
    plugin.settle();
    let before = descriptors();
    round(1800);
    plugin.settle();
    eventually("descriptors are given back", || descriptors() <= before);
    let spares = || plugin.get("/health").body["spares"].as_u64().unwrap();
    eventually("children are reaped", || plugin.processes("qntx:child").len() as u64 == spares());
    let root = std::fs::read_dir(plugin.scratch_inside()).unwrap().next().unwrap().unwrap().path();
    let own = std::fs::read_dir(root).unwrap().next().unwrap().unwrap().path();
    let directories = || {
        let names = std::fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "lock").count() as u64
    };
    eventually("scratch directories are removed", || directories() == spares());
}

#[test]
fn a_killed_zygote_is_replaced_while_requests_wait() {
    let plugin = Plugin::start();
    plugin.settle();
    let generation = plugin.get("/health").body["generation"].as_u64().unwrap();
    for pid in plugin.processes("qntx:zygote") {
        kill(pid);
    }
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..40)
            .map(|i| {
                scope.spawn({
                    let plugin = &plugin;
                    move || plugin.evaluate(&i.to_string())
                })
            })
            .collect();
        for (i, run) in runs.into_iter().enumerate() {
            assert_eq!(run.join().unwrap().expect(200, "value").result(), &json!(i));
        }
    });
    eventually("another generation is in charge", || {
        plugin.get("/health").body["generation"].as_u64().unwrap() > generation
    });
}

#[test]
fn a_killed_child_fails_only_its_own_execution() {
    let plugin = &Plugin::start();
    plugin.settle();
    std::thread::scope(|scope| {
        let code = "import os, time\nattest(str(os.getpid()), 'sleeps')\ntime.sleep(30)";
        let doomed = scope.spawn(move || plugin.execute(code));
        eventually("it runs", || sleeper(plugin).is_some());
        let code = "import os; os.getpid()";
        assert!(plugin.execute(code).result().as_u64().is_some());
        kill(sleeper(plugin).unwrap());
        let answer = doomed.join().unwrap().expect(400, "killed");
        assert_eq!(answer.body["outcome_detail"]["signal"], 9);
    });
    assert!(lives(plugin.pid()));
}

/// The process id that an execution attested.
fn sleeper(plugin: &Plugin) -> Option<u32> {
    let answer = plugin.get("/attestations?predicate=sleeps");
    answer.body["attestations"][0]["subjects"][0].as_str()?.parse().ok()
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
