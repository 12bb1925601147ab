//! A test bed: one core, one directory, and the plugins launched in it.
//!
//! **Invariant:** each bed has a working and a state directory of its own.

use crate::core::Core;
use crate::plugin::{Launch, Plugin};
use crate::wire::*;
use anyhow::{Context as _, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a scenario works with.
#[derive(Debug)]
pub struct Bed {
    pub core: Core,
    pub binary: PathBuf,
    directory: tempfile::TempDir,
}

impl Bed {
    pub async fn new(binary: &Path) -> anyhow::Result<Self> {
        let binary = binary.canonicalize().with_context(|| format!("no {}", binary.display()))?;
        Ok(Self { core: Core::start("python").await?, binary, directory: tempfile::tempdir()? })
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Launches the plugin under the name `python`, not yet initialised.
    pub async fn launch(&self) -> anyhow::Result<Plugin> {
        self.launch_with(Launch::default()).await
    }

    pub async fn launch_with(&self, mut launch: Launch) -> anyhow::Result<Plugin> {
        if launch.name.is_empty() {
            "python".clone_into(&mut launch.name);
        }
        let state = self.directory().join("state").to_string_lossy().into_owned();
        launch.env.push(("XDG_STATE_HOME".to_owned(), state));
        let binary = launch.binary.clone().unwrap_or_else(|| self.binary.clone());
        Plugin::launch(&binary, self.directory(), &launch).await
    }

    /// Killed first and asked nothing, launched again, initialised.
    pub async fn restart(&self, mut plugin: Plugin) -> anyhow::Result<Plugin> {
        plugin.interrupt().await?;
        self.boot().await
    }

    /// The settings page: `Initialize` again in the live process. The core takes
    /// the watchers of its answer, and nothing else.
    pub async fn reconfigure(
        &self,
        plugin: &Plugin,
        config: &[(&str, &str)],
    ) -> anyhow::Result<InitializeResponse> {
        let answer = plugin.initialize(self.core.request(config), Duration::from_secs(10)).await?;
        self.core.take_settings(&answer)?;
        Ok(answer)
    }

    /// Launches and boots: `Initialize`, and the core takes its answer.
    pub async fn boot(&self) -> anyhow::Result<Plugin> {
        self.boot_with(&[]).await
    }

    /// The same with a table in am.toml.
    pub async fn boot_with(&self, config: &[(&str, &str)]) -> anyhow::Result<Plugin> {
        let plugin = self.launch().await?;
        self.initialize(&plugin, config).await?;
        Ok(plugin)
    }

    /// `Initialize` as at boot.
    pub async fn initialize(
        &self,
        plugin: &Plugin,
        config: &[(&str, &str)],
    ) -> anyhow::Result<InitializeResponse> {
        let answer = plugin.initialize(self.core.request(config), Duration::from_secs(30)).await?;
        self.core.accept(&answer)?;
        Ok(answer)
    }

    /// Runs `code` as `POST /api/python/execute` does; the ExecutionResult.
    pub async fn run(&self, plugin: &Plugin, code: &str) -> anyhow::Result<Ran> {
        let request =
            PythonExecuteRequest { code: code.to_owned(), ..PythonExecuteRequest::default() };
        let answer = plugin.execute(request).await?;
        let result: serde_json::Value =
            serde_json::from_slice(&answer.result).context("result is no JSON")?;
        ensure!(result.is_object(), "result is no object: {result}");
        ensure!(result["stdout"].is_string(), "stdout is no string: {result}");
        ensure!(result["stderr"].is_string(), "stderr is no string: {result}");
        ensure!(result["success"] == answer.success, "two opinions on success: {result}");
        ensure!(answer.success == answer.error.is_empty(), "error {:?}", answer.error);
        Ok(Ran { success: answer.success, output: answer.output, error: answer.error, result })
    }

    /// The same, and it must succeed; its output.
    pub async fn runs(&self, plugin: &Plugin, code: &str) -> anyhow::Result<String> {
        let ran = self.run(plugin, code).await?;
        ensure!(ran.success, "{code:?} failed: {}", ran.error);
        Ok(ran.output)
    }
}

/// One execution's answer.
#[derive(Debug)]
pub struct Ran {
    pub success: bool,
    pub output: String,
    pub error: String,
    /// The ExecutionResult object.
    pub result: serde_json::Value,
}
