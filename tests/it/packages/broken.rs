//! What can't be installed, and what should not be.

use super::fixture::Bed;
use super::wheel::{Index, LINK, module, wheel};
use serde_json::json;
use std::time::{Duration, Instant};

const FILE: u32 = 0o100_644;

#[test]
fn a_failed_install_says_why_in_one_sentence_and_changes_nothing() {
    let (old, bytes) = wheel("newer", "1.0", &[], &[("newer.py", "x = 1", FILE)]);
    let elsewhere = old.replace("py3-none-any", "cp313-cp313-win_amd64");
    let index = Index::of([
        module("fine", "1.0", "x = 1"),
        module("yanked", "1.0", "x = 1"),
        module("future", "1.0", "x = 1"),
        module("base", "1.0", "x = 1"),
        module("base", "2.0", "x = 2"),
        wheel("left", "1.0", &["base<2"], &[("left.py", "", FILE)]),
        wheel("right", "1.0", &["base>=2"], &[("right.py", "", FILE)]),
        (elsewhere, bytes),
    ]);
    let bed = Bed::new(index);
    bed.installed("fine");
    for (package, words) in [
        ("nosuch", vec!["nosuch", "not found"]),
        ("base>=3", vec!["base", ">=3"]),
        ("newer", vec!["newer", "platform"]),
        ("yanked", vec!["yanked", "it was broken"]),
        ("future", vec!["future", "Python>=4"]),
    ] {
        let reason = bed.refused(package);
        for word in words {
            assert!(reason.contains(word), "{package}: {reason}");
        }
        assert!(!reason.contains('\n') && !reason.contains('╰'), "{reason}");
    }
    let both = bed.plugin.post("/uv/install", &json!({"packages": ["left", "right"]}));
    assert_eq!(both.status, 400);
    let reason = both.text("error");
    assert!(reason.contains("left") && reason.contains("right"), "{reason}");
    let shown = bed.plugin.get("/uv/environment").body;
    assert_eq!((&shown["generation"], &shown["requested"]), (&json!(1), &json!(["fine"])));
    assert_eq!(bed.left_over(), [""; 0]);
    bed.plugin.execute("import fine").expect(200, "value");
}

#[test]
fn without_an_index_or_without_uv_the_reason_is_named() {
    let bed = Bed::with(Index::of([]), &["--index-url", "http://127.0.0.1:1/simple/"]);
    let reason = bed.refused("anything");
    assert!(reason.contains("127.0.0.1:1"), "{reason}");
    let bed = Bed::with(Index::of([]), &["--uv", "/nonexistent/uv"]);
    let reason = bed.refused("anything");
    assert!(reason.contains("/nonexistent/uv"), "{reason}");
}

#[test]
fn an_install_that_takes_too_long_is_stopped_with_everything_it_started() {
    let index = Index::of([module("slow", "1.0", "x = 1")]);
    index.slow(Duration::from_secs(30));
    let bed = Bed::with(index, &["--install-timeout-secs", "2"]);
    let began = Instant::now();
    let reason = bed.refused("slow");
    assert!(reason.contains("not done within"), "{reason}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    crate::support::eventually("uv is gone", || {
        crate::support::processes_of(bed.plugin.pid(), "uv").is_empty()
    });
    assert_eq!(bed.left_over(), [""; 0]);
}

#[test]
fn names_that_lead_outside_write_nothing_outside() {
    for (at, path) in ["../../../escaped.py", "/tmp/qntx-escaped.py", "x/../../../../escaped.py"]
        .into_iter()
        .enumerate()
    {
        let name = format!("outside{at}");
        let file = format!("{name}.py");
        let files = [(file.as_str(), "x = 1", FILE), (path, "escaped = True", FILE)];
        let bed = Bed::new(Index::of([wheel(&name, "1.0", &[], &files)]));
        let answer = bed.install(&name);
        let outside = std::path::Path::new("/tmp/qntx-escaped.py").exists();
        assert!(!outside && !has(bed.place.path(), "escaped.py"), "{path}: {:#}", answer.body);
        // uv leaves such names out; whatever it does, the record may not have them.
        if answer.status == 200 {
            let code =
                format!("import {name}, importlib.util as u\nu.find_spec('escaped') is None");
            assert_eq!(bed.plugin.execute(&code).expect(200, "value").result(), &json!(true));
        } else {
            assert!(answer.text("error").contains("escaped.py"), "{:#}", answer.body);
        }
    }
}

#[test]
fn a_link_in_a_wheel_reaches_nothing() {
    let files = [("linked/__init__.py", "x = 1", FILE), ("linked/etc", "/etc", LINK)];
    let bed = Bed::new(Index::of([wheel("linked", "1.0", &[], &files)]));
    let answer = bed.install("linked");
    let mut links = 0;
    walk(bed.place.path(), &mut |path| {
        links += usize::from(path.is_symlink() && path.ends_with("etc"))
    });
    assert_eq!(links, 0, "{:#}", answer.body);
    if answer.status == 200 {
        // uv wrote the link's text as a file: it leads nowhere.
        let code = "import linked, os\nos.path.isdir(os.path.dirname(linked.__file__) + '/etc')";
        assert_eq!(bed.plugin.execute(code).expect(200, "value").result(), &json!(false));
    } else {
        assert!(answer.text("error").contains("link"), "{:#}", answer.body);
    }
}

#[test]
fn a_path_file_that_runs_code_is_left_out_and_said() {
    let files =
        [("sneaky.py", "x = 1", FILE), ("sneaky.pth", "import sys; sys.sneaked = True\n", FILE)];
    let bed = Bed::new(Index::of([wheel("sneaky", "1.0", &[], &files)]));
    let result = bed.installed("sneaky");
    assert!(result["warnings"][0].as_str().unwrap().contains("sneaky.pth"), "{result:#}");
    let answer = bed.plugin.execute("import sys, sneaky\nhasattr(sys, 'sneaked')");
    assert_eq!(answer.expect(200, "value").result(), &json!(false));
    assert!(!has(&bed.root().join("generations"), "sneaky.pth"));
}

#[test]
fn a_module_that_fails_or_crashes_on_import_is_refused_and_named() {
    let bed = Bed::new(Index::of([
        module("raises", "1.0", "raise RuntimeError('boom')"),
        module("crashes", "1.0", "import ctypes\nctypes.string_at(0)"),
        module("leaves", "1.0", "import os\nos._exit(0)"),
        module("writes", "1.0", "import os\nopen(os.path.dirname(__file__) + '/written', 'w')"),
        wheel("wants", "1.0", &["raises"], &[("wants.py", "x = 1", FILE)]),
    ]));
    for (package, words) in [
        ("raises", "RuntimeError: boom"),
        ("crashes", "SIGSEGV"),
        ("leaves", "import leaves"),
        ("writes", "PermissionError"),
    ] {
        let reason = bed.refused(package);
        assert!(reason.contains(words) && reason.contains(package), "{package}: {reason}");
    }
    assert_eq!(bed.plugin.get("/uv/environment").body["generation"], 0);
    // A dependency's failure is told; the package that was asked for works.
    let result = bed.installed("wants");
    assert!(result["not_importable"]["raises"].as_str().unwrap().contains("boom"), "{result:#}");
    let all_the_same = json!({"package": "crashes", "verify": false});
    assert_eq!(bed.plugin.post("/uv/install", &all_the_same).status, 200);
    bed.plugin.execute("import crashes").expect(400, "killed");
    let check = bed.plugin.get("/uv/check?modules=crashes,wants&importable=true").body;
    assert_eq!(check["modules"][0]["importable"], false, "{check:#}");
    assert_eq!(check["modules"][1]["importable"], true, "{check:#}");
}

fn has(root: &std::path::Path, name: &str) -> bool {
    let mut found = false;
    walk(root, &mut |path| found |= path.ends_with(name));
    found
}

fn walk(directory: &std::path::Path, see: &mut impl FnMut(&std::path::Path)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        see(&path);
        if path.is_dir() && !path.is_symlink() {
            walk(&path, see);
        }
    }
}

#[test]
fn an_index_that_lies_installs_nothing() {
    let (name, mut cut) = module("cut", "1.0", "x = 1");
    cut.truncate(cut.len() / 2);
    let index = Index::of([
        module("fine", "1.0", "x = 1"),
        module("tampered", "1.0", "x = 1"),
        module("local", "1.0", "x = 1"),
        (name, cut),
        ("notazip-1.0-py3-none-any.whl".to_owned(), b"not an archive".to_vec()),
    ]);
    let bed = Bed::new(index);
    bed.installed("fine");
    for (package, words) in [
        ("tampered", vec!["tampered", "ash"]),
        ("cut", vec!["cut"]),
        ("notazip", vec!["notazip"]),
        ("local", vec!["local"]),
        ("garbage", vec!["garbage"]),
    ] {
        let reason = bed.refused(package);
        for word in words {
            assert!(reason.contains(word), "{package}: {reason}");
        }
        assert!(!reason.contains('\n'), "{reason}");
    }
    assert_eq!(bed.plugin.get("/uv/environment").body["generation"], 1);
    assert_eq!(bed.left_over(), [""; 0]);
    bed.plugin.execute("import fine").expect(200, "value");
    let impatient = Bed::with(Index::of([]), &["--install-timeout-secs", "3"]);
    let reason = impatient.refused("endless");
    assert!(reason.contains("not done within"), "{reason}");
}

#[test]
fn a_disk_that_is_full_leaves_the_generation_in_force() {
    let big = format!("x = \"{}\"", "y".repeat(3 << 20));
    let index = Index::of([module("small", "1.0", "x = 1"), module("big", "1.0", &big)]);
    let bed = Bed::new(index);
    bed.installed("small");
    // No file of more than a mebibyte can be written: the kernel's answer is that of a full disk.
    let pid = i32::try_from(bed.plugin.pid()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid);
    let limit = rustix::process::Rlimit { current: Some(1 << 20), maximum: Some(1 << 20) };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();
    let reason = bed.refused("big");
    assert!(reason.contains("big") || reason.contains("signal"), "{reason}");
    assert_eq!(bed.plugin.get("/uv/environment").body["generation"], 1);
    assert_eq!(bed.left_over(), [""; 0]);
    bed.plugin.execute("import small").expect(200, "value");
}
