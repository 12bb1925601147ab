//! Each limit is held, told apart, and leaves the next run alone.

use crate::support::{Answer, Plugin, eventually};
use serde_json::json;
use std::time::Duration;

const SPIN: &str = "print('before')\nwhile True: pass";

#[track_caller]
fn answered_in_time(answer: &Answer) {
    let elapsed = answer.elapsed.as_secs_f64();
    let queued = answer.body["usage"]["queued_ms"].as_f64().unwrap() / 1000.0;
    let own = elapsed - queued;
    assert!((0.95..1.35).contains(&own), "{own} s: {:#}", answer.body);
}

#[test]
fn a_run_past_its_deadline_is_killed_and_its_output_answered() {
    let plugin = Plugin::start();
    for code in [
        SPIN,
        "print('before')\nimport time; time.sleep(60)",
        "print('before', end='')\n9**9**9",
        "print('before')\nimport re; re.match('(a+)+$', 'a' * 64 + 'b')",
        "print('before')\nimport ctypes\nctypes.CDLL(None).sleep(60)\n",
        "print('before')\nimport ctypes\nctypes.PyDLL(None).sleep(60)\n",
        "print('before')\nimport signal\nfor s in (2, 14, 15): signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
        "print('before')\nwhile True:\n  try:\n    while True: pass\n  except BaseException: pass",
    ] {
        let answer = plugin.execute_with(code, json!({"timeout_secs": 1}));
        let answer = answer.expect(400, "timed_out");
        answered_in_time(&answer);
        assert_eq!(answer.text("stdout").trim_end(), "before", "{code}");
        assert!(answer.text("error").contains("1 s"), "{}", answer.text("error"));
    }
    plugin.evaluate("1").expect(200, "value");
}

#[test]
fn twenty_endless_loops_end_in_time_and_delay_nobody() {
    let plugin = Plugin::start();
    plugin.settle();
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| plugin.execute_with(SPIN, json!({"timeout_secs": 1}))))
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..10 {
            let version = plugin.get("/version");
            assert!(version.elapsed < Duration::from_millis(300), "{:?}", version.elapsed);
            assert_eq!(plugin.get("/health").status, 200);
        }
        for answer in loops {
            let answer = answer.join().unwrap().expect(400, "timed_out");
            answered_in_time(&answer);
            assert_eq!(answer.text("stdout"), "before\n");
        }
    });
}

#[test]
fn memory_is_limited_and_told_apart_from_a_crash() {
    let plugin = Plugin::start();
    let limits = json!({"limits": {"memory_bytes": 100 << 20}, "timeout_secs": 20});
    let grow = "x = []\nwhile True: x.append(bytearray(1 << 20))";
    let answer = plugin.execute_with(grow, limits.clone()).expect(400, "over_memory");
    assert!(answer.text("error").contains("memory"), "{}", answer.text("error"));
    // One impossible request is an ordinary exception: nothing was used.
    plugin.execute_with("x = bytearray(8 << 30)", limits.clone()).expect(400, "raised");
    let caught = plugin
        .execute_with(
            "try:\n  bytearray(8 << 30)\nexcept MemoryError: print('caught')\n5",
            limits.clone(),
        )
        .expect(200, "value");
    assert_eq!(caught.text("stdout"), "caught\n");
    let native = "import ctypes\nc = ctypes.CDLL(None)\nc.malloc.restype = ctypes.c_void_p\n\
                  n = 0\nwhile True:\n  p = c.malloc(1 << 20)\n  if not p: break\n  \
                  ctypes.memset(p, 1, 1 << 20); n += 1\nn";
    let answer = plugin.execute_with(native, limits);
    if answer.body["outcome"] == "value" {
        assert!(answer.result().as_u64().unwrap() <= 120, "{:#}", answer.body);
    } else {
        answer.expect(400, "over_memory");
    }
}

#[test]
fn who_handles_a_memory_error_goes_on() {
    let plugin = Plugin::start();
    let code = "import time\nsleep, x = time.sleep, []\ntry:\n  while True: x.append(bytearray(64 << 10))\n\
                except MemoryError:\n  sleep(0.2)\n  n = len(x)\n  x.clear()\nn";
    for mib in [32u64, 64, 512] {
        let limits = json!({"limits": {"memory_bytes": mib << 20}, "timeout_secs": 30});
        let blocks = plugin.execute_with(code, limits).expect(200, "value").result().as_u64();
        let blocks = blocks.unwrap();
        assert!((mib * 15..=mib * 17).contains(&blocks), "{blocks} blocks of 64 KiB in {mib} MiB");
    }
}

#[test]
fn output_beyond_the_cap_is_dropped_and_said_and_the_program_goes_on() {
    let plugin = Plugin::start();
    let code = "import sys\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))\n\
                print('e' * 100, file=sys.stderr)\n'to the end'";
    let answer = plugin.execute_with(code, json!({"timeout_secs": 60})).expect(200, "value");
    assert_eq!(answer.text("stdout").len(), 8 << 20);
    assert_eq!(answer.body["truncated"], json!({"stdout": true, "stderr": false}));
    assert_eq!(answer.body["usage"]["stdout_bytes"], 1u64 << 30);
    assert_eq!(answer.result(), &json!("to the end"));
}

#[test]
fn a_result_above_its_limit_is_an_error_that_names_it() {
    let plugin = Plugin::start();
    let answer = plugin.evaluate("'x' * (9 << 20)").expect(400, "raised");
    assert!(answer.text("error").contains("8388608") || answer.text("error").contains("8 MiB"));
}

#[test]
fn cpu_time_threads_scratch_and_host_calls_are_limited() {
    let plugin = Plugin::start();
    let cpu = plugin.execute_with("while True: pass", json!({"limits": {"cpu_secs": 1}}));
    cpu.expect(400, "over_cpu");
    let threads = "import threading, time\nfor _ in range(100):\n  \
                   threading.Thread(target=time.sleep, args=(20,), daemon=True).start()\ntime.sleep(20)";
    plugin.execute_with(threads, json!({"limits": {"threads": 16}})).expect(400, "over_threads");
    let few = "import threading, time\nts = [threading.Thread(target=time.sleep, args=(.01,)) for _ in range(10)]\n\
               [t.start() for t in ts]; [t.join() for t in ts]; 'ok'";
    plugin.execute(few).expect(200, "value");
    let scratch = "import os, time\nfor i in range(10):\n  open(f'f{i}', 'wb').write(b'x' * (1 << 20))\ntime.sleep(20)";
    let full = plugin.execute_with(scratch, json!({"limits": {"scratch_bytes": 4 << 20}}));
    if plugin.get("/health").body["sandbox"]["scratch_mounted"] == true {
        // a file system of its own: the write that does not fit is an ordinary error
        let full = full.expect(400, "raised");
        assert!(full.text("error").contains("No space left on device"), "{:#}", full.body);
    } else {
        full.expect(400, "over_scratch");
    }
    let one = "open('f', 'wb').write(b'x' * (8 << 20))";
    let answer = plugin.execute_with(one, json!({"limits": {"scratch_bytes": 4 << 20}}));
    assert_eq!(answer.expect(400, "raised").body["outcome_detail"]["type"], "OSError");
    let calls = "n = 0\nimport qntx\ntry:\n  for _ in range(20): attest('a', 'b', 'c'); n += 1\n\
                 except qntx.LimitExceeded as e: n = [n, str(e)]\nn";
    let answer =
        plugin.execute_with(calls, json!({"limits": {"host_calls": 5}})).expect(200, "value");
    assert_eq!(answer.result()[0], 5);
}

#[test]
fn a_thread_left_running_is_waited_for_until_the_deadline_and_no_longer() {
    let plugin = Plugin::start();
    let joined = "import threading, time\n\
                  threading.Thread(target=lambda: (time.sleep(.2), print('late'))).start()\n7";
    let answer = plugin.execute(joined).expect(200, "value");
    assert_eq!((answer.text("stdout"), answer.result()), ("late\n", &json!(7)));
    let endless =
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n7";
    let answer = plugin.execute_with(endless, json!({"timeout_secs": 1})).expect(200, "value");
    assert_eq!(answer.body["outcome_detail"]["limit"], "shutdown");
    assert_eq!(answer.result(), &json!(7));
    let daemon = "import threading, time\n\
                  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n7";
    let answer = plugin.execute_with(daemon, json!({"timeout_secs": 5})).expect(200, "value");
    assert!(answer.elapsed < Duration::from_secs(2));
    let atexit = "import atexit\natexit.register(print, 'bye')\n7";
    assert_eq!(plugin.execute(atexit).expect(200, "value").text("stdout"), "bye\n");
}

#[test]
fn a_caller_that_goes_away_stops_its_execution() {
    let plugin = Plugin::start();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", plugin.port())).unwrap();
    let body = json!({"code": "while True: pass", "timeout_secs": 60}).to_string();
    let head = format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    std::io::Write::write_all(&mut stream, (head + &body).as_bytes()).unwrap();
    eventually("it runs", || plugin.get("/health").body["running"] == 1);
    drop(stream);
    eventually("it is stopped", || plugin.get("/health").body["running"] == 0);
}
