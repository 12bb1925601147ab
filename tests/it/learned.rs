//! Learned preloads: with packages made for the test, fit and unfit, and with
//! numpy; and the reading of imports, against Python's own.

use crate::support::{Answer, Plugin, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A plugin with these modules in a site directory.
fn with_modules(modules: &[(&str, &str)]) -> (Plugin, tempfile::TempDir) {
    let site = tempfile::tempdir().unwrap();
    for (name, code) in modules {
        std::fs::write(site.path().join(format!("{name}.py")), code).unwrap();
    }
    let flags = ["--store", ":memory:", "--site-dir", site.path().to_str().unwrap()];
    (Plugin::start_with(&flags), site)
}

/// Imports the module and answers whether it was there before.
fn ask(plugin: &Plugin, module: &str) -> Answer {
    plugin.execute(&format!("import sys\n_result = {module:?} in sys.modules\nimport {module}"))
}

fn was_there(plugin: &Plugin, module: &str) -> bool {
    ask(plugin, module).expect(200, "value").result() == &json!(true)
}

/// Asks until the module is there before it is asked for.
fn until_learned(plugin: &Plugin, module: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    while !was_there(plugin, module) {
        assert!(Instant::now() < until, "{module} is not learned: {}", plugin.get("/modules").body);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn set_aside(plugin: &Plugin, module: &str) -> Option<String> {
    plugin.get("/modules?modules=os").body["set_aside"][module].as_str().map(str::to_owned)
}

#[test]
fn a_module_that_is_asked_for_often_is_there_before_it_is_asked_for() {
    let (plugin, _site) =
        with_modules(&[("lesson", "import os\nborn_in = os.getpid()\nseen = []\n")]);
    plugin.settle();
    assert!(!was_there(&plugin, "lesson"), "once is not often");
    until_learned(&plugin, "lesson");
    let modules = plugin.get("/modules?modules=os").body;
    assert!(modules["preloaded"].as_array().unwrap().contains(&json!("lesson")), "{modules:#}");
    // What one execution does to it, the next does not see, and it was born in none of them.
    let code = "import lesson, os\nlesson.seen.append(os.getpid())\n\
                _result = [len(lesson.seen), lesson.born_in != os.getpid()]";
    for _ in 0..3 {
        let answer = plugin.execute(code).expect(200, "value");
        assert_eq!(answer.result(), &json!([1, true]));
    }
    // Others are still run without it.
    assert_eq!(plugin.get("/health").body["zygotes"], 3);
    let other = plugin.execute("import sys\n'lesson' in sys.modules").expect(200, "value");
    assert_eq!(other.result(), &json!(false));
}

#[test]
fn an_unfit_module_is_set_aside_with_its_reason_and_still_works() {
    let (plugin, _site) = with_modules(&[
        ("fit", "x = 1"),
        (
            "threads",
            "import threading, time\n\
             threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\nx = 1",
        ),
        ("keeps", "f = open('/dev/null')\nx = 1"),
        (
            "exits",
            "import os, sys\nif 'qntx' and os.environ.get('HOME') is None: os._exit(3)\nx = 1",
        ),
        ("raises", "import os\nif os.environ.get('HOME') is None: raise OSError('no home')\nx = 1"),
        ("large", "x = b'1' * (300 << 20)\nx = 1"),
    ]);
    plugin.settle();
    let reasons = [
        ("threads", "it starts threads"),
        ("keeps", "it keeps a descriptor open"),
        ("exits", "the zygote ended (exit status: 3)"),
        ("raises", "no home"),
        ("large", "more than 256 MiB"),
        ("absent", "No module named 'absent'"),
    ];
    for round in 0..4 {
        for (module, _) in reasons.iter().chain(&[("fit", "")]) {
            let answer = plugin.execute(&format!("import {module}\n_result = {module}.x"));
            if *module == "absent" {
                answer.expect(400, "raised");
            } else {
                assert_eq!(answer.expect(200, "value").result(), &json!(1), "{module} {round}");
            }
        }
    }
    until_learned(&plugin, "fit");
    for (module, reason) in reasons {
        eventually(&format!("{module} is set aside"), || set_aside(&plugin, module).is_some());
        let said = set_aside(&plugin, module).unwrap();
        assert!(said.contains(reason), "{module}: {said}");
    }
    assert_eq!(set_aside(&plugin, "fit"), None);
    let answer = plugin.execute("import threads\nthreads.x").expect(200, "value");
    assert_eq!(answer.result(), &json!(1));
}

#[test]
fn what_python_paths_hold_is_never_learned() {
    let (mine, site) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(mine.path().join("mine.py"), "x = 'mine'").unwrap();
    std::fs::write(site.path().join("mine.py"), "x = 'of the site'").unwrap();
    std::fs::write(site.path().join("other.py"), "x = 1").unwrap();
    let plugin = Plugin::start_with(&[
        "--store",
        ":memory:",
        "--python-path",
        mine.path().to_str().unwrap(),
        "--site-dir",
        site.path().to_str().unwrap(),
    ]);
    plugin.settle();
    for _ in 0..4 {
        let answer = plugin.execute("import mine\nmine.x").expect(200, "value");
        assert_eq!(answer.result(), "mine");
        ask(&plugin, "other").expect(200, "value");
    }
    until_learned(&plugin, "other");
    assert_eq!(set_aside(&plugin, "mine").unwrap(), "python_paths have a module of this name");
    let answer = plugin.execute("import mine, other\nmine.x").expect(200, "value");
    assert_eq!(answer.result(), "mine");
    assert!(!was_there(&plugin, "mine"));
}

#[test]
fn numpy_is_learned() {
    let site = tempfile::tempdir().unwrap();
    install(site.path(), "numpy");
    let flags = ["--store", ":memory:", "--site-dir", site.path().to_str().unwrap()];
    let plugin = Plugin::start_with(&flags);
    plugin.settle();
    until_learned(&plugin, "numpy");
    let code = "import numpy as np, threading, os\n\
                a = np.arange(250000.).reshape(500, 500)\n\
                _result = [float((a @ a).trace()) > 0, len(os.listdir('/proc/self/task')), float(np.random.random())]";
    let drawn: Vec<Value> = (0..2)
        .map(|_| {
            let answer = plugin.execute(code).expect(200, "value");
            assert_eq!(answer.result()[0], true);
            assert_eq!(answer.result()[1], 1, "BLAS starts no thread");
            answer.result()[2].clone()
        })
        .collect();
    assert_ne!(drawn[0], drawn[1], "numpy's legacy generator is seeded in every child");
}

/// Puts a package of PyPI into a directory, with the Python the plugin is built for.
fn install(site: &Path, package: &str) {
    let finder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/find-python");
    let done = Command::new(finder)
        .args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target"])
        .arg(site)
        .arg(package)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The modules Python's own parser finds in the files of its standard library.
const BY_PYTHON: &str = r#"
import ast, os
_result = {}
root = os.path.dirname(ast.__file__)
paths = []
for directory, names, files in os.walk(root):
    names[:] = [n for n in names if n not in ("site-packages", "__pycache__", "test", "idlelib", "lib2to3")]
    paths += [os.path.join(directory, f) for f in files if f.endswith(".py")]
for path in sorted(paths)[PART::40]:
    if os.path.islink(path):
        # A distribution's settings lie elsewhere, out of reach.
        continue
    try:
        text = open(path, encoding="utf-8").read()
        tree = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError, ValueError):
        continue
    if len(text.encode()) > 200_000:
        continue
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    _result[path] = sorted(found)
"#;

#[test]
fn imports_are_read_as_python_reads_them() {
    let plugin = Plugin::start();
    let mut files = 0;
    for part in 0..40 {
        let code = BY_PYTHON.replace("PART", &part.to_string());
        let answer = plugin.execute_with(&code, json!({"timeout_secs": 60})).expect(200, "value");
        for (path, found) in answer.result().as_object().unwrap() {
            let text = std::fs::read_to_string(path).unwrap();
            let mut ours = plugin::imports::asked(&text);
            ours.sort();
            assert_eq!(&json!(ours), found, "{path}");
            files += 1;
        }
    }
    assert!(files > 400, "{files} files");
}
