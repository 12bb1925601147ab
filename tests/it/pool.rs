//! The spares: enough for a burst, none too many when idle; slots shared evenly.

use crate::support::{Plugin, eventually};
use proto::protocol::PythonExecuteRequest;
use proto::protocol::python_service_client::PythonServiceClient;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_burst_after_idle_is_served_and_the_pool_shrinks_again() {
    let plugin = Plugin::start();
    plugin.settle();
    let health = |field: &str| plugin.get("/health").body[field].as_u64().unwrap();
    let floor = health("spares");
    assert_eq!(floor, 8, "four for each tier");
    std::thread::scope(|scope| {
        let burst: Vec<_> = (0..64)
            .map(|n| {
                scope.spawn({
                    let plugin = &plugin;
                    move || plugin.evaluate(&format!("{n} * 2"))
                })
            })
            .collect();
        for (n, answer) in burst.into_iter().enumerate() {
            let answer = answer.join().unwrap().expect(200, "value");
            assert_eq!(answer.result(), &json!(n * 2));
        }
    });
    // The next burst is expected for a while.
    eventually("more are ready than before the burst", || health("spares") > floor);
    let until = Instant::now() + Duration::from_secs(120);
    while health("spares") != floor {
        assert!(Instant::now() < until, "{} spares", health("spares"));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Whether its zygote had settled: what all share is immortal then (CPython 3.12 and newer); and
/// how many blocks of 64 KiB it gets, and keeps for some looks of the supervisor.
const CHILD: &str = r#"
_settled = __import__("sys").getrefcount(__import__("os").path) >= 1 << 30
_sleep = __import__("time").sleep
_blocks = []
try:
    while True:
        _blocks.append(bytearray(64 << 10))
except MemoryError:
    _sleep(0.12)
    _result = [_settled, len(_blocks)]
    _blocks.clear()
"#;

#[test]
fn an_awaited_child_is_forked_before_its_zygote_settles_and_is_like_any_other() {
    for _ in 0..10 {
        let plugin = Plugin::start();
        let child = || {
            let limits = json!({"limits": {"memory_bytes": 64 << 20}, "timeout_secs": 20});
            let answer = plugin.execute_with(CHILD, limits).expect(200, "value");
            let settled = answer.result()[0].as_bool().unwrap();
            (settled, answer.result()[1].as_i64().unwrap())
        };
        let (first, blocks) = child();
        plugin.settle();
        let (later, others) = child();
        assert!((blocks - others).abs() <= 16, "{blocks} blocks of memory, and {others} later");
        // Older ones know nothing immortal, so that nothing more can be told.
        let tells = plugin.evaluate("__import__('sys').version_info >= (3, 12)");
        if tells.expect(200, "value").result() == &json!(false) {
            return;
        }
        assert!(later, "it settles behind that");
        if !first {
            return;
        }
    }
    panic!("no zygote forked before it settled");
}

/// Needs at its end what a bare zygote imports last.
const FAILS_LATE: &str = "\
import threading, time
def late():
    time.sleep(0.1)
    print('late')
threading.Thread(target=late).start()
try:
    {}['key']
except KeyError as error:
    raise ValueError('outer') from error
";

#[test]
fn the_first_program_after_a_start_ends_as_any_other() {
    let plugin = Plugin::start();
    let ended = || {
        let answer = plugin.execute(FAILS_LATE).expect(400, "raised");
        (answer.text("error").to_owned(), answer.text("stdout").to_owned())
    };
    let first = ended();
    plugin.settle();
    assert_eq!(first, ended());
    assert!(first.0.contains("direct cause"), "{}", first.0);
    assert_eq!(first.1, "late\n");
}

/// Time on a core of all threads, as the scheduler counts it.
fn cpu(pids: &[u32]) -> Duration {
    let mut nanos = 0;
    for pid in pids {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap();
            nanos += text.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    Duration::from_nanos(nanos)
}

#[test]
fn an_idle_plugin_uses_no_core() {
    let plugin = Plugin::start();
    plugin.settle();
    plugin.evaluate("1").expect(200, "value");
    plugin.settle();
    let zygotes = plugin.processes("qntx:zygote");
    let children = plugin.processes("qntx:child");
    assert_eq!((zygotes.len(), children.len()), (2, 8));
    let still: Vec<u32> = zygotes.iter().chain(&children).copied().collect();
    // What the last execution left to do is done.
    std::thread::sleep(Duration::from_secs(1));
    let (before, before_all) = (cpu(&still), cpu(&[plugin.pid()]));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(cpu(&still), before, "zygotes and spares do nothing at all");
    let used = cpu(&[plugin.pid()]).saturating_sub(before_all);
    assert!(used < Duration::from_millis(90), "the supervisor used {used:?} of 3 s");
    assert_eq!(plugin.processes("qntx:child").len(), 8);
}

#[test]
fn one_callers_thousand_calls_do_not_delay_anothers_one() {
    let plugin =
        Plugin::start_with(&["--store", ":memory:", "--max-concurrency", "4", "--queue", "2000"]);
    plugin.settle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connect = || async {
            let address = format!("http://127.0.0.1:{}", plugin.port());
            let channel = tonic::transport::Channel::from_shared(address).unwrap();
            PythonServiceClient::new(channel.connect().await.unwrap())
        };
        let (many, mut one) = (connect().await, connect().await);
        let done = std::sync::Arc::new(AtomicUsize::new(0));
        let crowd: Vec<_> = (0..1000)
            .map(|_| {
                let (mut many, done) = (many.clone(), std::sync::Arc::clone(&done));
                tokio::spawn(async move {
                    let code = "import time\ntime.sleep(0.01)".to_owned();
                    let request = PythonExecuteRequest { code, ..Default::default() };
                    let answer = many.execute(request).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    answer.is_ok_and(|answer| answer.into_inner().success)
                })
            })
            .collect();
        while done.load(Ordering::Relaxed) < 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for _ in 0..3 {
            let before = done.load(Ordering::Relaxed);
            let request = PythonExecuteRequest { code: "_result = 1".into(), ..Default::default() };
            let answer = one.execute(request).await.unwrap().into_inner();
            let result: Value = serde_json::from_slice(&answer.result).unwrap();
            assert_eq!(result["result"], 1);
            let meanwhile = done.load(Ordering::Relaxed) - before;
            assert!(meanwhile < 100, "{meanwhile} of the other's calls came first");
        }
        let done = done.load(Ordering::Relaxed);
        assert!(done < 900, "{done} of the thousand were over before anything was shown");
        crowd.iter().for_each(tokio::task::JoinHandle::abort);
    });
}
