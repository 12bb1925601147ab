//! Start, signals, death: nothing stays behind.

use crate::support::{Plugin, eventually, lives};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_killed_supervisor_leaves_no_process_and_the_next_start_sweeps_its_scratch() {
    let scratch = tempfile::tempdir().unwrap();
    let flags = ["--store", ":memory:", "--scratch-dir", scratch.path().to_str().unwrap()];
    let mut plugin = Plugin::start_with(&flags);
    plugin.settle();
    let mut all = plugin.processes("qntx:child");
    all.extend(plugin.processes("qntx:zygote"));
    assert_eq!(all.len(), 10, "two zygotes with four spares each");
    std::thread::scope(|scope| {
        let port = plugin.port();
        scope.spawn(move || {
            let body = json!({"code": "open('x','w').write('y')\nwhile True: pass"}).to_string();
            let _ = ureq::post(format!("http://127.0.0.1:{port}/execute"))
                .header("content-type", "application/json")
                .send(body.as_bytes());
        });
        eventually("it runs", || plugin.get("/health").body["running"] == 1);
        all.extend(plugin.processes("qntx:child"));
        plugin.signal(9);
        plugin.wait(Duration::from_secs(2));
    });
    eventually("every process is gone", || all.iter().all(|pid| !lives(*pid)));
    let roots = || {
        let shared = std::fs::read_dir(scratch.path()).unwrap().next().unwrap().unwrap().path();
        std::fs::read_dir(shared).unwrap().count()
    };
    assert_eq!(roots(), 1);
    let next = Plugin::start_with(&flags);
    next.evaluate("1").expect(200, "value");
    assert_eq!(roots(), 1, "the crashed one's is gone, the new one's is there");
}

#[test]
fn sigterm_lets_a_run_end_within_two_seconds_and_leaves_nothing() {
    for signal in [15, 2] {
        let mut plugin = Plugin::start();
        plugin.settle();
        let mut all = plugin.processes("qntx:child");
        all.extend(plugin.processes("qntx:zygote"));
        std::thread::scope(|scope| {
            let run = scope.spawn(|| plugin.execute("import time; time.sleep(0.6); 'done'"));
            eventually("it runs", || plugin.get("/health").body["running"] == 1);
            plugin.signal(signal);
            assert_eq!(run.join().unwrap().expect(200, "value").result(), &json!("done"));
        });
        let began = Instant::now();
        let status = plugin.wait(Duration::from_secs(2));
        assert!(status.success(), "{status}");
        assert!(began.elapsed() < Duration::from_secs(2));
        eventually("every process is gone", || all.iter().all(|pid| !lives(*pid)));
        let shared = std::fs::read_dir(plugin.scratch()).unwrap().next().unwrap().unwrap().path();
        assert_eq!(std::fs::read_dir(shared).unwrap().count(), 0, "the scratch root is removed");
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut plugin = Plugin::start();
    plugin.settle();
    let port = plugin.port();
    let run = std::thread::spawn(move || {
        let body = json!({"code": "while True: pass"}).to_string();
        let _ = ureq::post(format!("http://127.0.0.1:{port}/execute"))
            .header("content-type", "application/json")
            .send(body.as_bytes());
    });
    eventually("it runs", || plugin.get("/health").body["running"] == 1);
    plugin.signal(15);
    std::thread::sleep(Duration::from_millis(100));
    let began = Instant::now();
    plugin.signal(15);
    plugin.wait(Duration::from_secs(1));
    assert!(began.elapsed() < Duration::from_millis(500));
    run.join().unwrap();
}

#[test]
fn a_busy_port_leads_to_the_next_one() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let plugin = Plugin::start_with(&["--store", ":memory:", "--port", &port.to_string()]);
    assert!(plugin.port() > port && plugin.port() < port + 64);
}

#[test]
fn the_kernel_s_own_word_on_a_child_is_that_it_is_sealed() {
    let plugin = Plugin::start();
    plugin.settle();
    for pid in plugin.processes("qntx:child") {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().to_owned()
        };
        assert_eq!(field("NoNewPrivs"), "1");
        assert_eq!(field("Seccomp"), "2");
        assert!(field("Seccomp_filters").parse::<u32>().unwrap() >= 5, "{status}");
        assert_eq!(field("CapEff"), "0000000000000000");
        assert_eq!(field("Threads"), "1");
    }
    let health = plugin.get("/health").body;
    assert_eq!(health["sandbox"]["weakened"], json!([]));
    assert!(health["sandbox"]["landlock_abi"].as_u64().unwrap() >= 6);
}
