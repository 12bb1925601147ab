//! `[python]` in am.toml: every key, every spelling, and its effect
//! (CONTRACT 1.6, 4.4, 7.1).
//!
//! **Invariant:** an effect is seen in a run or on the disk, not in an answer
//! about the configuration.

use super::until;
use crate::bed::Bed;
use crate::wire::*;
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What Health says beyond "ready".
async fn complaints(plugin: &crate::plugin::Plugin) -> anyhow::Result<String> {
    Ok(plugin.health().await?.message.trim_start_matches("ready").to_owned())
}

pub(super) async fn every_key_is_taken_in_every_spelling(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let schema = plugin.config_schema().await?;
    let place = bed.directory().join("place").to_string_lossy().into_owned();
    let mut tables: [Vec<(String, String)>; 3] = Default::default();
    let mut wrong = Vec::new();
    for (name, field) in &schema.fields {
        // the core writes 30 as `30`, 30.0 as `30.000000`, "30" as `30`
        let spelled: [String; 3] = match (field.r#type.as_str(), name.as_str()) {
            ("integer", _) => ["7", "7.000000", " 7 "].map(str::to_owned),
            ("number", _) => ["7", "7.500000", "7.000000"].map(str::to_owned),
            ("boolean", _) => ["true", "0", "FALSE"].map(str::to_owned),
            (_, "memory" | "max_memory" | "session_memory" | "output" | "scratch") => {
                ["1G", "268435456", "268435456.000000"].map(str::to_owned)
            }
            (_, "index_url" | "allowed_indexes") => {
                ["https://a.example/x", "https://a.example", "https://b.example/simple"]
                    .map(str::to_owned)
            }
            (_, "script_dependencies") => ["off", "on", "allow-list"].map(str::to_owned),
            // their grammar has tests of its own
            (_, name) if name.starts_with("sandbox.") => {
                ["", " ", ""].map(|around| format!("{around}{}{around}", field.default_value))
            }
            (_, "environment") => ["default", "other", "a-b"].map(str::to_owned),
            (_, "python_paths" | "file_roots") => {
                [place.clone(), format!("{place}:/tmp"), json!([place, "/tmp"]).to_string()]
            }
            (_, "default_modules" | "allowed_packages") => {
                ["os", "os, re", r#"["os","re"]"#].map(str::to_owned)
            }
            (_, "state_dir" | "site_dir" | "uv") => [place.clone(), place.clone(), place.clone()],
            (kind, name) => anyhow::bail!("no spelling of {name}, a {kind}, is tried"),
        };
        for (table, value) in tables.iter_mut().zip(spelled) {
            table.push((name.clone(), value));
        }
        if ["integer", "number", "boolean"].contains(&field.r#type.as_str()) {
            wrong.push((name.clone(), "seven".to_owned()));
        }
    }
    for table in &tables {
        let sent: Vec<_> = table.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        bed.reconfigure(&plugin, &sent).await?;
        let said = complaints(&plugin).await?;
        for (name, value) in table {
            ensure!(!said.contains(&format!("`{name}`")), "{name} = {value:?}: {said}");
        }
    }
    // what makes no sense is named, each key of it, and changes nothing
    ensure!(wrong.len() > 10, "{wrong:?}");
    let sent: Vec<_> = wrong.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    bed.reconfigure(&plugin, &sent).await?;
    let said = complaints(&plugin).await?;
    for (name, _) in &wrong {
        ensure!(said.contains(&format!("`{name}` = \"seven\"")), "{name}: {said}");
    }
    let odd = [("args", r#"["--x"]"#), ("made_up", "1"), ("another", "2"), ("timeout_secs", "")];
    for _ in 0..3 {
        bed.reconfigure(&plugin, &odd).await?;
    }
    let said = complaints(&plugin).await?;
    ensure!(said.contains("unknown keys: another, made_up"), "{said}");
    ensure!(!said.contains("args") && plugin.health().await?.healthy, "{said}");
    let lines = plugin.log().iter().filter(|line| line.contains("unknown keys")).count();
    ensure!(lines == 1, "said {lines} times");
    Ok(())
}

pub(super) async fn every_old_key_has_its_effect(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let library = bed.directory().join("library");
    std::fs::create_dir(&library)?;
    std::fs::write(library.join("ours.py"), "value = 'from python_paths'")?;
    let library = library.to_string_lossy().into_owned();

    bed.reconfigure(&plugin, &[("python_paths", &library)]).await?;
    until("python_paths is in force", Duration::from_secs(10), async || {
        Ok(bed.run(&plugin, "import ours\nprint(ours.value)").await?.output
            == "from python_paths\n")
    })
    .await?;
    // and no longer, once it is taken out again: it never stuck to a process
    bed.reconfigure(&plugin, &[]).await?;
    until("it is out again", Duration::from_secs(10), async || {
        Ok(bed.run(&plugin, "import ours").await?.error.contains("ModuleNotFoundError"))
    })
    .await?;

    bed.reconfigure(&plugin, &[("default_modules", "json,no_such_module")]).await?;
    let answer = plugin.http("GET", "/modules", "").await?;
    let modules: Value = serde_json::from_slice(&answer.body)?;
    let wanted = json!({"json": true, "no_such_module": false});
    ensure!(modules["modules"] == wanted, "{modules}");

    bed.reconfigure(&plugin, &[("timeout_secs", "1.000000")]).await?;
    let started = Instant::now();
    let ran = bed.run(&plugin, "while True: pass").await?;
    let took = started.elapsed();
    ensure!(ran.error.contains("timed out"), "{ran:?}");
    ensure!(took > Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");

    bed.reconfigure(&plugin, &[("max_workers", "1"), ("queue", "0")]).await?;
    let first = bed.run(&plugin, "import time\ntime.sleep(1)\nprint('first')");
    let second = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let request =
            PythonExecuteRequest { code: "pass".to_owned(), ..PythonExecuteRequest::default() };
        plugin.execute(request).await
    };
    let (first, second) = tokio::join!(first, second);
    ensure!(first?.output == "first\n");
    let refused = format!("{:#}", second.err().context("two at once with max_workers = 1")?);
    ensure!(refused.contains("every slot is taken"), "{refused}");

    let quiet = plugin.log().len();
    bed.reconfigure(&plugin, &[("enable_debug", "true")]).await?;
    bed.runs(&plugin, "pass").await?;
    plugin.http("GET", "/nothing", "").await?;
    until("debug lines", Duration::from_secs(2), async || {
        Ok(plugin.log().iter().skip(quiet).any(|line| line.contains(r#""level":"debug""#)))
    })
    .await?;

    // read when an environment is looked for: the place is in the answer
    let site = bed.directory().join("site").to_string_lossy().into_owned();
    bed.reconfigure(&plugin, &[("site_dir", &site)]).await?;
    let answer = plugin.http("GET", "/uv/environment", "").await?;
    let text = String::from_utf8(answer.body)?;
    ensure!(text.contains(&site), "{}: {text}", answer.status_code);
    Ok(())
}
