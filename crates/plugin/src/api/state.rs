//! `/`, `/version`, `/health`: what the plugin says about itself.
//!
//! **Invariant:** the state is read from the supervisor's snapshot; nothing
//! here waits for an execution.

use crate::VERSION;
use crate::api::json::Writer;
use crate::api::routes::ROUTES;
use crate::api::{Api, Execute, Reply, attestations};
use crate::supervisor::Snapshot;
use sandbox::kernel::Missing;
use std::sync::OnceLock;
use std::time::Duration;

/// What this machine lacks, looked at once.
static MISSING: OnceLock<Vec<Missing>> = OnceLock::new();
/// How long `/version` waits for Python to come up.
const PATIENCE: Duration = Duration::from_secs(3);

impl<E: Execute, A: attestations::Find> Api<E, A> {
    pub(super) fn index(&self) -> Reply {
        let config = self.settings.config();
        let mut writer = Writer::with_capacity(1024);
        writer.object(|w| {
            w.key("name").string(&config.name);
            w.key("version").string(VERSION);
            w.key("routes").array(|w| {
                for route in ROUTES {
                    w.object(|w| {
                        w.key("method").string(route.method);
                        w.key("path").string(route.path);
                        w.key("about").string(route.about);
                    });
                }
            });
        });
        Reply::json(200, writer.finish())
    }

    pub(super) async fn version(&self) -> Reply {
        let snapshot = self.started().await;
        let mut writer = Writer::with_capacity(128);
        writer.object(|w| {
            w.key("python_version").optional(known(&snapshot.python_version));
            w.key("plugin_version").string(VERSION);
            if let Some(reason) = &snapshot.reason {
                w.key("reason").string(reason);
            }
        });
        Reply::json(200, writer.finish())
    }

    /// The snapshot once Python runs or can't, or when patience ends.
    async fn started(&self) -> Snapshot {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let snapshot = self.run.snapshot();
            let settled = !snapshot.python_version.is_empty() || snapshot.reason.is_some();
            if settled || tokio::time::Instant::now() >= deadline {
                return snapshot;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn health(&self) -> Reply {
        let snapshot = self.run.snapshot();
        let stopping = self.life.stopping();
        let mut writer = Writer::with_capacity(1024);
        writer.object(|w| {
            w.key("ready").bool(snapshot.ready && !stopping);
            if self.settings.launched_by_core() {
                w.key("healthy").bool(self.life.healthy());
            }
            let reason = if stopping { Some("shutting down") } else { snapshot.reason.as_deref() };
            w.key("reason").optional(reason);
            w.key("plugin_version").string(VERSION);
            w.key("tls").string(self.settings.config().tls.word());
            w.key("sandbox").object(|w| sandbox(w, &snapshot));
            w.key("zygotes").number(snapshot.zygotes as u64);
            w.key("generation").number(snapshot.generation);
            w.key("spares").number(snapshot.spares as u64);
            w.key("running").number(snapshot.running as u64);
            w.key("queued").number(snapshot.queued as u64);
            w.key("environment").object(|w| {
                w.key("python_version").optional(known(&snapshot.python_version));
                w.key("python_prefix").optional(known(&snapshot.python_prefix));
                w.key("preloaded").number(snapshot.preloaded.len() as u64);
                w.key("set_aside").object(|w| {
                    for (module, reason) in &snapshot.set_aside {
                        w.key(module).string(reason);
                    }
                });
            });
        });
        let status = if snapshot.ready && !stopping { 200 } else { 503 };
        let reply = Reply::json(status, writer.finish());
        if status == 503 { reply.with("retry-after", "1".to_owned()) } else { reply }
    }
}

fn sandbox(w: &mut Writer, snapshot: &Snapshot) {
    w.key("level").string(level(snapshot));
    w.key("landlock_abi").number(snapshot.landlock_abi);
    w.key("landlock").string(&snapshot.landlock);
    w.key("seccomp").number(snapshot.seccomp_filters);
    // Executions that may start processes have namespaces of their own.
    w.key("namespaces").bool(snapshot.namespaces);
    // Each scratch directory is a file system of its own.
    w.key("scratch_mounted").bool(sandbox::mounts::granted());
    w.key("cgroup").bool(snapshot.cgroup.is_some());
    w.key("weakened").strings(&snapshot.weakened);
    w.key("granted").object(|w| {
        for (profile, granted) in &snapshot.granted {
            w.key(profile).strings(granted);
        }
    });
    w.key("missing").object(|w| {
        for missing in MISSING.get_or_init(|| sandbox::kernel::probe().missing()) {
            w.key(missing.feature).string(missing.cost);
        }
    });
}

/// One word for how much of the sandbox is in force.
#[must_use]
pub fn level(snapshot: &Snapshot) -> &'static str {
    if !snapshot.ready {
        "unknown"
    } else if snapshot.landlock_abi == 0 && snapshot.seccomp_filters == 0 {
        "none"
    } else if snapshot.weakened.is_empty() {
        "full"
    } else {
        "weakened"
    }
}

fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
