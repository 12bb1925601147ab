//! A plugin that is started where a virtual environment is active.

use super::fixture::{Bed, python, uv};
use super::wheel::{Index, module};
use serde_json::json;
use std::process::Command;

#[test]
fn packages_of_an_active_virtual_environment_are_there_and_stay_as_they_are() {
    let index = Index::of([
        module("own", "1.0", "v = 'venv'"),
        module("both", "1.0", "v = 'venv'"),
        module("both", "2.0", "v = 'installed'"),
    ]);
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("venv");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(uv());
        command.env("UV_CACHE_DIR", home.path().join("cache")).env("VIRTUAL_ENV", &root);
        let done = command.args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    let python = python();
    run(&["venv", "--no-config", "--python", python.to_str().unwrap(), root.to_str().unwrap()]);
    run(&["pip", "install", "--no-config", "--index-url", &index.url(), "own", "both==1.0"]);
    let bed = Bed::with_program(index, uv(), &[("VIRTUAL_ENV", root.to_str().unwrap())], &[]);
    let code = "import own, both\n(own.v, both.v)";
    assert_eq!(bed.plugin.execute(code).expect(200, "value").result(), &json!(["venv", "venv"]));
    bed.installed("both==2.0");
    let answer = bed.plugin.execute(code).expect(200, "value");
    assert_eq!(answer.result(), &json!(["venv", "installed"]));
    assert_eq!(bed.plugin.post("/uv/rollback", &json!({})).status, 200);
    assert_eq!(bed.plugin.execute(code).result(), &json!(["venv", "venv"]));
}

#[test]
fn one_that_is_none_is_said_and_does_no_harm() {
    let nothing = tempfile::tempdir().unwrap();
    let variables = [("VIRTUAL_ENV", nothing.path().to_str().unwrap())];
    let bed = Bed::with_program(Index::of([module("a", "1.0", "")]), uv(), &variables, &[]);
    assert!(bed.plugin.log().contains("pyvenv.cfg"), "{}", bed.plugin.log());
    bed.installed("a");
    bed.plugin.execute("import a").expect(200, "value");
}
