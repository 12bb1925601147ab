//! Packages: installed, seen by the next execution, gone back from, and what
//! becomes of hostile ones.

mod broken;
mod confined;
mod fixture;
mod named;
mod real;
mod scripts;
mod stream;
mod switch;
mod venv;
mod wheel;

use crate::support::Plugin;
use fixture::Bed;
use serde_json::json;
use wheel::{Index, module, wheel};

#[test]
fn an_installed_package_is_there_for_the_next_execution_and_gone_after_a_rollback() {
    let bed = Bed::new(Index::of([
        wheel(
            "app",
            "1.0",
            &["base>=2"],
            &[("app/__init__.py", "import base\nx = base.x", 0o100_644)],
        ),
        module("base", "1.0", "x = 1"),
        module("base", "2.0", "x = 2"),
    ]));
    let before = bed.plugin.get("/uv/check?module=app").body;
    assert_eq!((&before["available"], &before["module"]), (&json!(false), &json!("app")));
    let result = bed.installed("app");
    assert_eq!(result["generation"], 1);
    let packages = result["packages"].as_array().unwrap();
    let named: Vec<_> =
        packages.iter().map(|p| (&p["name"], &p["version"], &p["change"])).collect();
    assert_eq!(
        json!(named),
        json!([["app", "1.0", "added"], ["base", "2.0", "added"]]),
        "{result:#}"
    );
    assert!(result["seconds"].as_f64().unwrap() > 0.0, "{result:#}");
    for package in packages {
        assert!(package["hashes"][0].as_str().unwrap().starts_with("sha256:"), "{package:#}");
        assert!(package["bytes"].as_u64().unwrap() > 0);
    }
    let answer = bed.plugin.execute("import app\napp.x").expect(200, "value");
    assert_eq!(answer.result(), &json!(2));

    let check = bed.plugin.get("/uv/check?module=app&importable=true").body;
    assert_eq!(
        (&check["available"], &check["version"], &check["distribution"], &check["importable"]),
        (&json!(true), &json!("1.0"), &json!("app"), &json!(true)),
        "{check:#}"
    );
    assert!(check["location"].as_str().unwrap().ends_with("generations/1/site/app/__init__.py"));
    let modules = bed.plugin.get("/modules?modules=app,nope").body;
    assert_eq!(modules["modules"], json!({"app": true, "nope": false}));
    assert_eq!(modules["distributions"]["base"], "2.0");

    let again = bed.installed("app");
    assert_eq!((&again["changed"], &again["generation"]), (&json!(false), &json!(1)));
    let shown = bed.plugin.get("/uv/environment").body;
    assert_eq!((&shown["generation"], &shown["in_force"]), (&json!(1), &json!(1)));
    assert!(shown["lock"].as_str().unwrap().contains("base==2.0"), "{shown:#}");

    let back = bed.plugin.post("/uv/rollback", &json!({}));
    assert_eq!(
        (back.status, &back.body["result"]["generation"]),
        (200, &json!(0)),
        "{:#}",
        back.body
    );
    bed.plugin.execute("import app").expect(400, "raised");
    let forward = bed.plugin.post("/uv/rollback", &json!({"generation": 1}));
    assert_eq!(forward.status, 200, "{:#}", forward.body);
    bed.plugin.execute("import app").expect(200, "value");
    assert_eq!(bed.plugin.post("/uv/rollback", &json!({"generation": 7})).status, 400);
}

#[test]
fn versions_stay_until_an_upgrade_is_asked_for() {
    let bed = Bed::new(Index::of([module("one", "1.0", "x = 1"), module("two", "1.0", "x = 1")]));
    bed.installed("one");
    bed.index.add(module("one", "1.1", "x = 2"));
    let dry = json!({"package": "one", "upgrade": true, "dry_run": true});
    let dry = bed.plugin.post("/uv/install", &dry).body;
    assert_eq!(
        (&dry["result"]["packages"][0]["version"], &dry["result"]["dry_run"]),
        (&json!("1.1"), &json!(true)),
        "{dry:#}"
    );
    bed.installed("two");
    let answer = bed.plugin.execute("import one, two\none.x").expect(200, "value");
    assert_eq!(answer.result(), &json!(1), "what is locked stays");
    let up = bed.plugin.post("/pip/install", &json!({"package": "one", "upgrade": true}));
    assert_eq!(up.body["stdout"], "~ one 1.0 -> 1.1\n", "{:#}", up.body);
    assert_eq!(bed.plugin.execute("import one, two\none.x").result(), &json!(2));
}

#[test]
fn the_next_start_sees_what_was_installed_and_so_does_the_command_line() {
    let bed = Bed::new(Index::of([module("kept", "1.0", "x = 41")]));
    bed.installed("kept");
    let second = bed.another();
    let answer = second.execute("import kept\nkept.x + 1").expect(200, "value");
    assert_eq!(answer.result(), &json!(42));
    let run = std::process::Command::new(crate::support::BINARY)
        .args(["--store", ":memory:", "--site-dir"])
        .arg(bed.place.path())
        .args(["eval", "__import__('kept').x"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&run.stdout), "41\n", "{run:?}");
}

#[test]
fn an_execution_gains_no_right_by_what_is_installed() {
    let bed = Bed::new(Index::of([module("app", "1.0", "x = 1")]));
    bed.installed("app");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    let code = format!(
        "import app, os, socket\nsite = os.path.dirname(app.__file__)\nrefused = []\n\
         def attempt(act):\n  try: act()\n  except PermissionError: refused.append(True)\n  \
         else: refused.append(False)\n\
         attempt(lambda: open(app.__file__, 'a'))\nattempt(lambda: open(site + '/more.py', 'w'))\n\
         attempt(lambda: os.remove(app.__file__))\nattempt(lambda: os.mkdir(site + '/d'))\n\
         attempt(lambda: socket.create_connection({address:?}.rsplit(':', 1)))\nrefused"
    );
    assert_eq!(bed.plugin.execute(&code).expect(200, "value").result(), &json!(vec![true; 5]));
    // Bare, the directory can be written to and the port be reached.
    let site = bed.root().join("generations/1/site");
    std::fs::write(site.join("bare"), "x").unwrap();
    std::fs::remove_file(site.join("bare")).unwrap();
    std::net::TcpStream::connect(address).unwrap();
}

#[test]
fn two_installs_at_once_come_one_after_the_other_also_from_two_plugins() {
    let bed = Bed::new(Index::of(["a", "b", "c", "d"].map(|name| module(name, "1.0", "x = 1"))));
    let second = bed.another();
    std::thread::scope(|scope| {
        let runs: Vec<_> = [(&bed.plugin, "a"), (&second, "b"), (&bed.plugin, "c"), (&second, "d")]
            .map(|(plugin, name): (&Plugin, _)| {
                scope.spawn(move || plugin.post("/uv/install", &json!({"package": name})))
            })
            .into();
        for run in runs {
            let answer = run.join().unwrap();
            assert_eq!(answer.status, 200, "{:#}", answer.body);
        }
    });
    let shown = bed.plugin.get("/uv/environment").body;
    assert_eq!(
        (&shown["generation"], &shown["requested"]),
        (&json!(4), &json!(["a", "b", "c", "d"]))
    );
    assert_eq!(bed.left_over(), [""; 0]);
}

#[test]
fn what_the_operator_forbids_is_refused_before_anything_runs() {
    let index = Index::of([module("good", "1.0", "x = 1"), module("other", "1.0", "x = 1")]);
    let refusal = |flags: &[&str], body: serde_json::Value| {
        let bed = Bed::with(index.clone(), flags);
        let answer = bed.plugin.post("/uv/install", &body);
        assert_eq!(answer.status, 400, "{:#}", answer.body);
        assert_eq!(bed.plugin.get("/uv/environment").body["generation"], 0);
        (
            answer.body["field"].as_str().unwrap_or_default().to_owned(),
            answer.text("error").to_owned(),
        )
    };
    let package = json!({"package": "other"});
    assert!(refusal(&["--no-installs"], package.clone()).1.contains("turned off"));
    assert!(refusal(&["--allow-package", "good"], package.clone()).1.contains("allowed are: good"));
    let hashes = refusal(&["--require-hashes"], package);
    assert!(hashes.0 == "hashes" && hashes.1.contains("other==1.0"), "{hashes:?}");
    let elsewhere = json!({"package": "other", "index_url": "https://elsewhere.invalid/simple"});
    assert_eq!(refusal(&[], elsewhere).0, "index_url");
    assert_eq!(refusal(&[], json!({"package": "other", "only_binary": false})).0, "only_binary");
    for text in ["--index-url=http://127.0.0.1:1", "./here", "x @ https://e.invalid/x.whl", "a\nb"]
    {
        assert_eq!(refusal(&[], json!({"package": text})).0, "package", "{text}");
    }
}

#[test]
fn with_hashes_required_only_a_file_with_one_of_them_is_installed() {
    let bed = Bed::with(Index::of([module("sealed", "1.0", "x = 1")]), &["--require-hashes"]);
    let dry = json!({"package": "sealed", "dry_run": true, "hashes": {"sealed": ["sha256:00"]}});
    let wrong = bed.plugin.post("/uv/install", &dry);
    assert!(wrong.text("error").contains("one of the hashes"), "{:#}", wrong.body);
    let (_, bytes) = module("sealed", "1.0", "x = 1");
    let code = format!("import hashlib\nhashlib.sha256(bytes({bytes:?})).hexdigest()");
    let hash = bed.plugin.execute(&code).expect(200, "value").result().clone();
    let right = format!("sha256:{}", hash.as_str().unwrap());
    let body = json!({"package": "sealed", "hashes": {"Sealed": [right]}});
    let answer = bed.plugin.post("/uv/install", &body);
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    bed.plugin.execute("import sealed").expect(200, "value");
}

#[test]
fn a_script_that_lacks_what_it_declares_is_told_how_to_install_it() {
    let bed = Bed::new(Index::of([module("declared", "1.0", "x = 1")]));
    let code = "# /// script\n# dependencies = [\"declared\"]\n# ///\nimport declared\ndeclared.x";
    let answer = bed.plugin.execute(code).expect(400, "raised");
    let error = answer.text("error");
    assert!(error.contains("declares declared") && error.contains("/uv/install"), "{error}");
    bed.installed("declared");
    bed.plugin.execute(code).expect(200, "value");
}
