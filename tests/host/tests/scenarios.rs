//! The whole list of scenarios against the built binary.

use std::path::PathBuf;
use testhost::scenarios;

/// `QNTX_PLUGIN_BINARY`, else the one built beside this test.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("QNTX_PLUGIN_BINARY") {
        return path.into();
    }
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let binary = profile.join("qntx-python-plugin");
    assert!(
        binary.exists(),
        "{} is not built: cargo build -p qntx-python-plugin",
        binary.display()
    );
    binary
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_lives_through_every_scenario() {
    let binary = binary();
    let outcomes = scenarios::run_all(scenarios::ALL, &binary, |_| {}).await;
    let told = |outcome: scenarios::Outcome| {
        let error = outcome.result.err()?;
        Some(format!("{} ({:.1?}): {error:#}", outcome.name, outcome.took))
    };
    let failed: Vec<String> = outcomes.into_iter().filter_map(told).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
