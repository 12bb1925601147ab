//! Scripts that bring their own dependencies (PEP 723).

use super::fixture::{Bed, left_over};
use super::wheel::{Index, module};
use serde_json::json;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn script(dependencies: &str, rest: &str) -> String {
    format!("# /// script\n# dependencies = [{dependencies}]\n# ///\n{rest}")
}

fn bed(flags: &[&str]) -> Bed {
    let index = Index::of([
        module("left", "1.0", "v = 1"),
        module("left", "2.0", "v = 2"),
        module("right", "1.0", "v = 1"),
    ]);
    Bed::with(index, flags)
}

#[test]
fn a_script_gets_what_it_declares_and_nobody_else_does() {
    let bed = bed(&["--script-dependencies", "on"]);
    let code = script("'left<2', \"right\"", "import left, right\nleft.v");
    assert_eq!(bed.plugin.execute(&code).expect(200, "value").result(), &json!(1));
    assert_eq!(bed.installs(), 1);
    // The same wishes, written otherwise.
    let same = "# /// script\n# # a remark\n# requires-python = '>=3.9'\n# dependencies = [\n#  \
                'Right',\n#   'left <2', 'right',\n# ]\n# [tool.other]\n# x = 1\n# ///\nimport left";
    bed.plugin.execute(same).expect(200, "value");
    assert_eq!(bed.installs(), 1, "it was there");
    let newer = script("'left>=2'", "import left\nleft.v");
    assert_eq!(bed.plugin.execute(&newer).expect(200, "value").result(), &json!(2));
    bed.plugin.execute(&script("'left'", "import right")).expect(400, "raised");
    bed.plugin.execute("import left").expect(400, "raised");
    let shown = bed.plugin.get("/uv/environment").body;
    assert_eq!((&shown["script_environments"], &shown["generation"]), (&json!(3), &json!(0)));
    // Another process over the same place finds what was made.
    let second = bed.another();
    second.execute(&code).expect(200, "value");
    assert!(!second.log().contains("packages installed"));
    let run = std::process::Command::new(crate::support::BINARY)
        .args(["--store", ":memory:", "--script-dependencies", "on", "--site-dir"])
        .arg(bed.place.path())
        .args(["--index-url", &bed.index.url(), "run", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let printing = script("'left<2', 'right'", "import left\nprint('left', left.v)");
    run.stdin.as_ref().unwrap().write_all(printing.as_bytes()).unwrap();
    let run = run.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout), "left 1\n");
}

#[test]
fn a_file_brings_its_own_too() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("a.py"), script("'left==1.0'", "import left\nleft.v"))
        .unwrap();
    let root = files.path().to_str().unwrap();
    let bed = bed(&["--script-dependencies", "on", "--file-root", root]);
    let answer = bed.plugin.post("/execute-file", &json!({"path": "a.py"}));
    assert_eq!(answer.expect(200, "value").result(), &json!(1));
}

#[test]
fn requests_with_the_same_wishes_share_one_install() {
    let bed = bed(&["--script-dependencies", "on"]);
    bed.index.slow(Duration::from_secs(1));
    let code = script("'left'", "import left\nleft.v");
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| bed.plugin.execute(&code))).collect();
        for run in runs {
            assert_eq!(run.join().unwrap().expect(200, "value").result(), &json!(2));
        }
    });
    assert_eq!(bed.installs(), 1);
}

#[test]
fn what_can_not_be_provided_is_said_and_nothing_runs() {
    let bed = bed(&["--script-dependencies", "on"]);
    let touches = "open('x', 'w')\nprint('ran')";
    for (code, words) in [
        (script("'nosuch'", touches), vec!["nosuch", "not found"]),
        (script("'left>9'", touches), vec!["left", ">9"]),
        (script("'left<2', 'left>=2'", touches), vec!["left", "unsatisfiable"]),
        (script("'../left'", touches), vec!["path"]),
        (script("'--index-url=x'", touches), vec!["option"]),
        (script("1", touches), vec!["PEP 723"]),
        (format!("# /// script\n# requires-python = '<3'\n# ///\n{touches}"), vec!["Python <3"]),
        (format!("# /// script\n# requires-python = 'x'\n# ///\n{touches}"), vec!["specifier"]),
        (format!("# /// script\n# oh = [\n# ///\n{touches}"), vec!["PEP 723"]),
    ] {
        let answer = bed.plugin.execute(&code);
        assert_eq!(answer.status, 400, "{:#}", answer.body);
        assert_eq!(answer.body.get("outcome"), None, "it did not run: {:#}", answer.body);
        for word in words {
            assert!(answer.text("error").contains(word), "{word}: {:#}", answer.body);
        }
    }
    assert_eq!(bed.installs(), 0);
}

#[test]
fn with_a_list_only_what_is_on_it_is_provided() {
    let listed = bed(&["--script-dependencies", "allow-list", "--allow-package", "left"]);
    listed.plugin.execute(&script("'left'", "import left")).expect(200, "value");
    let refused = listed.plugin.execute(&script("'right'", "import right"));
    assert!(refused.status == 400 && refused.text("error").contains("allowed are: left"));
    let empty = bed(&["--script-dependencies", "allow-list"]);
    let refused = empty.plugin.execute(&script("'left'", "import left"));
    assert!(refused.status == 400 && refused.text("error").contains("--allow-package"));
    let none = bed(&["--script-dependencies", "on", "--no-installs"]);
    let refused = none.plugin.execute(&script("'left'", "import left"));
    assert!(refused.status == 400 && refused.text("error").contains("turned off"));
}

#[test]
fn a_request_is_held_no_longer_than_it_is_told_and_the_install_goes_on() {
    let bed = bed(&["--script-dependencies", "on", "--script-wait-secs", "0.5"]);
    bed.index.slow(Duration::from_secs(2));
    let code = script("'left'", "import left\nleft.v");
    let began = Instant::now();
    let late = bed.plugin.execute(&code);
    assert_eq!(late.status, 503, "{:#}", late.body);
    assert!(late.text("error").contains("goes on"), "{:#}", late.body);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    crate::support::eventually("it is there", || bed.plugin.execute(&code).status == 200);
    assert_eq!(bed.installs(), 1);
}

#[test]
fn an_install_nobody_waits_for_is_stopped() {
    let bed = bed(&["--script-dependencies", "on"]);
    bed.index.slow(Duration::from_secs(20));
    let body = json!({"code": script("'left'", "import left")}).to_string();
    let request = format!(
        "POST /execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", bed.plugin.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let staged = || {
        let scripts = std::fs::read_dir(bed.place.path().join(".environments/.scripts"));
        let scripts = scripts.into_iter().flatten().flatten();
        scripts.flat_map(|script| left_over(&script.path())).count()
    };
    crate::support::eventually("it is under way", || staged() == 1);
    drop(stream);
    crate::support::eventually("nothing of it is left", || {
        staged() == 0 && crate::support::processes_of(bed.plugin.pid(), "uv").is_empty()
    });
    bed.index.slow(Duration::ZERO);
    bed.plugin.execute(&script("'left'", "import left")).expect(200, "value");
}
