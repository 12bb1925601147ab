//! Generations change under load, and installs end in the middle.

use super::fixture::{Bed, left_over};
use super::wheel::{Index, module};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[test]
fn executions_in_flight_keep_the_generation_they_began_with_and_none_fails() {
    let versions = ["1", "2", "3", "4"];
    let wheels = versions.map(|v| module("both", &format!("{v}.0"), &format!("v = {v}")));
    let second = versions.map(|v| module("same", &format!("{v}.0"), &format!("v = {v}")));
    let bed = Bed::new(Index::of(wheels.into_iter().chain(second)));
    let pair = |v: &str| json!({"packages": [format!("both=={v}.0"), format!("same=={v}.0")]});
    assert_eq!(bed.plugin.post("/uv/install", &pair("1")).status, 200);
    // The second import comes after a while: it has to be of the same generation.
    let code = "import both, time\ntime.sleep(0.4)\nimport same\n(both.v, same.v)";
    let (over, runs) = (AtomicBool::new(false), AtomicU64::new(0));
    let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // Two hundred are under way at each switch: those that run, and those that wait.
                    let patient = json!({"queue_timeout_secs": 55});
                    let answer = bed.plugin.execute_with(code, patient).expect(200, "value");
                    let result = answer.result();
                    assert_eq!(result[0], result[1], "two generations in one execution");
                    seen.lock().unwrap().insert(result[0].as_u64().unwrap());
                    runs.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for version in &versions[1..] {
            let answer = bed.plugin.post("/uv/install", &pair(version));
            let failed = (answer.status != 200).then(|| format!("{:#}", answer.body));
            if failed.is_some() {
                over.store(true, Ordering::Relaxed);
            }
            assert_eq!(failed, None);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(runs.load(Ordering::Relaxed) >= 400, "{runs:?}");
    assert!(seen.lock().unwrap().len() >= 2, "{seen:?}");
    let last = bed.plugin.execute("import both, same\n(both.v, same.v)").expect(200, "value");
    assert_eq!(last.result(), &json!([4, 4]));
}

#[test]
fn a_plugin_killed_in_an_install_leaves_a_complete_generation() {
    let wheels = (1..=20).map(|v| module("killed", &format!("{v}.0"), &format!("v = {v}")));
    let mut bed = Bed::new(Index::of(wheels));
    // How long one takes decides when the others are killed.
    let began = Instant::now();
    bed.installed("killed==1.0");
    let whole = began.elapsed();
    let mut seen = std::collections::BTreeSet::new();
    for round in 2..=20u32 {
        let next = bed.another();
        let mut plugin = std::mem::replace(&mut bed.plugin, next);
        std::thread::scope(|scope| {
            let body = json!({"package": format!("killed=={round}.0")}).to_string();
            let url = format!("http://127.0.0.1:{}/uv/install", plugin.port());
            // The answer is lost with the plugin.
            scope.spawn(move || {
                let json = ("content-type", "application/json");
                drop(ureq::post(url).header(json.0, json.1).send(body.as_bytes()));
            });
            std::thread::sleep(whole * (round * 7 % 20) / 18);
            plugin.signal(9);
            plugin.wait(Duration::from_secs(5));
        });
        let after = bed.another();
        let shown = after.get("/uv/environment").body;
        let current = shown["generation"].as_u64().unwrap();
        assert!(current >= 1, "{shown:#}");
        let manifest =
            shown["history"].as_array().unwrap().iter().find(|g| g["generation"] == current);
        let version = manifest.unwrap()["packages"][0]["version"].as_str().unwrap().to_owned();
        let answer = after.execute("import killed\nkilled.v").expect(200, "value");
        assert_eq!(format!("{}.0", answer.result()), version);
        seen.insert(current);
    }
    // The uv of one that was killed a moment ago may still hold its staging directory: then
    // the start after that sweeps it.
    crate::support::eventually("what was left is swept at a start", || {
        drop(bed.another());
        left_over(&bed.root()).is_empty()
    });
    assert!(seen.len() > 1, "no install was ever finished: {seen:?}");
    assert!(seen.len() < 20, "no install was ever cut off: {seen:?}");
}

#[test]
fn a_caller_that_goes_away_stops_its_install() {
    let index = Index::of([module("slow", "1.0", "x = 1"), module("quick", "1.0", "x = 1")]);
    index.slow(Duration::from_secs(20));
    let bed = Bed::new(index);
    let body = json!({"package": "slow"}).to_string();
    let port = bed.plugin.port();
    let request = format!(
        "POST /uv/install HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    crate::support::eventually("it is under way", || !left_over(&bed.root()).is_empty());
    drop(stream);
    crate::support::eventually("nothing of it is left", || {
        left_over(&bed.root()).is_empty()
            && crate::support::processes_of(bed.plugin.pid(), "uv").is_empty()
    });
    bed.index.slow(Duration::ZERO);
    bed.installed("quick");
}
