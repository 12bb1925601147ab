//! Packages of the real index, installed through the core: `HandleHTTP` for the
//! install, `PythonService` and jobs for what imports them.

use super::handlers::{attest, job, printed};
use crate::bed::Bed;
use crate::plugin::{Launch, Plugin};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// uv: on PATH, or from PyPI, beside the binary.
fn uv(binary: &Path) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("uv")).find(|uv| uv.is_file());
    if let Some(found) = found {
        return Ok(found);
    }
    let target = binary.ancestors().nth(2).context("the binary has no target directory")?;
    let home = target.join("tools-uv");
    let uv = home.join("bin/uv");
    let lock = std::fs::File::create(target.join("tools-uv.lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    if !uv.is_file() {
        let pip = std::process::Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--target"])
            .arg(&home)
            .arg("uv")
            .output()?;
        let said = String::from_utf8_lossy(&pip.stderr);
        ensure!(uv.is_file(), "uv is not on PATH and pip could not fetch it: {said}");
    }
    Ok(uv)
}

async fn booted(bed: &Bed, config: &[(&str, &str)]) -> anyhow::Result<Plugin> {
    let uv = uv(&bed.binary)?.to_string_lossy().into_owned();
    let args = vec!["--uv".to_owned(), uv];
    let plugin = bed.launch_with(Launch { args, ..Launch::default() }).await?;
    let place = bed.directory().join("site").to_string_lossy().into_owned();
    let mut all = vec![("site_dir", place.as_str())];
    all.extend_from_slice(config);
    bed.initialize(&plugin, &all).await?;
    Ok(plugin)
}

/// One call, which has to be answered with 200.
async fn called(plugin: &Plugin, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = plugin.http(method, path, &body).await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status_code == 200, "{method} {path}: {} {text}", answer.status_code);
    Ok(serde_json::from_slice(&answer.body)?)
}

pub(super) async fn packages_installed_through_the_core_are_there_for_the_next_execution(
    bed: Bed,
) -> anyhow::Result<()> {
    let plugin = booted(&bed, &[]).await?;
    let code = "import humanize\nprint(humanize.intcomma(12345))";
    ensure!(!bed.run(&plugin, code).await?.success, "humanize is there already");
    let wanted = json!({"packages": ["humanize>=4", "idna"]});
    let done = called(&plugin, "POST", "/pip/install", wanted).await?;
    ensure!(done["success"] == true && done["result"]["generation"] == 1, "{done:#}");
    ensure!(bed.runs(&plugin, code).await? == "12,345\n", "another output");
    let modules =
        called(&plugin, "GET", "/modules?modules=humanize,idna,nope", Value::Null).await?;
    let expected = json!({"humanize": true, "idna": true, "nope": false});
    ensure!(modules["modules"] == expected, "{modules:#}");
    // The contract's form: the module in the body of a GET.
    for (module, available) in [("humanize", true), ("idna", true), ("nope", false)] {
        let check = called(&plugin, "GET", "/pip/check", json!({ "module": module })).await?;
        ensure!(check["module"] == module && check["available"] == available, "{check:#}");
    }
    called(&plugin, "POST", "/uv/rollback", json!({})).await?;
    ensure!(!bed.run(&plugin, code).await?.success, "it is there after a rollback");
    Ok(())
}

pub(super) async fn a_handler_brings_what_it_declares(bed: Bed) -> anyhow::Result<()> {
    let code = "# /// script\n# dependencies = ['idna']\n# ///\nimport idna\nprint('there')";
    attest(&bed, "brings", code);
    attest(&bed, "lacks", "import idna");
    let plugin = booted(&bed, &[("script_dependencies", "on")]).await?;
    ensure!(printed(&plugin, job("brings", "")).await? == "there", "another output");
    let other = plugin.job(job("lacks", "")).await?;
    ensure!(!other.success && other.error.contains("idna"), "others have it too: {other:?}");
    Ok(())
}

pub(super) async fn a_glyph_script_brings_what_it_declares(bed: Bed) -> anyhow::Result<()> {
    let plugin = booted(&bed, &[("script_dependencies", "on")]).await?;
    let code = |name: &str| {
        format!("# /// script\n# dependencies = ['{name}']\n# ///\nimport idna\nprint('there')")
    };
    ensure!(bed.runs(&plugin, &code("idna")).await? == "there\n", "another output");
    ensure!(!bed.run(&plugin, "import idna").await?.success, "others have it too");
    // An answer and no gRPC error: the core would try again for one.
    let failed = bed.run(&plugin, &code("qntx-python-no-such-package")).await?;
    ensure!(!failed.success && failed.error.contains("not found"), "{}", failed.error);
    Ok(())
}
