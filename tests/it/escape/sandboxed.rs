//! An attack inside the sandbox, and the canaries looked at after each.

use super::attack::{Attack, Expect, shown};
use super::prefix::Prefix;
use super::world::{Others, World, runs};
use crate::support::{Plugin, eventually};
use serde_json::json;
use std::path::PathBuf;

/// A plugin under attack, with an execution that goes on beside the attacks.
#[derive(Debug)]
pub(crate) struct Sandboxed {
    plugin: Plugin,
    world: World,
    others: Others,
    outside: String,
    granted: String,
    sibling_priority: String,
    mounted: bool,
}

const SLEEPER: &str = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(900)";

impl Sandboxed {
    pub(crate) fn start(prefix: &Prefix) -> Self {
        Self::start_without(prefix, &[])
    }

    /// Under attack without these layers.
    pub(crate) fn start_without(prefix: &Prefix, layers: &[sandbox::trial::Layer]) -> Self {
        let world = World::new(prefix);
        let scratch = tempfile::tempdir().unwrap();
        prefix.give(scratch.path());
        let mut command = prefix.command(&prefix.binary);
        command.env_remove("LD_LIBRARY_PATH");
        let names: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
        command.env(sandbox::trial::WITHOUT, names.join(","));
        let granted = world.path("granted");
        let mut flags = vec!["--store", ":memory:", "--python-path", granted.to_str().unwrap()];
        if let Some(home) = &prefix.home {
            flags.extend(["--python-home", home.to_str().unwrap()]);
        }
        let plugin = Plugin::start_command(command, &flags, scratch);
        plugin.settle();
        let port = plugin.port();
        std::thread::spawn(move || {
            let body = json!({"code": SLEEPER, "timeout_secs": 900}).to_string();
            // ends when the plugin does
            let _ = ureq::post(format!("http://127.0.0.1:{port}/execute"))
                .header("content-type", "application/json")
                .send(body.as_bytes());
        });
        eventually("a sibling runs", || sibling(&plugin).is_some());
        let others = Others {
            sibling: sibling(&plugin).unwrap(),
            supervisor: plugin.pid(),
            zygote: plugin.processes("qntx:zygote")[0],
        };
        let (outside, granted) = (world.fingerprint("outside"), world.fingerprint("granted"));
        let sibling_priority = settings(others.sibling);
        let mounted = plugin.get("/health").body["sandbox"]["scratch_mounted"] == true;
        Self { plugin, world, others, outside, granted, sibling_priority, mounted }
    }

    pub(crate) fn run(&self, attack: &Attack) -> Result<(), String> {
        let mut fields = json!({"timeout_secs": attack.timeout});
        if let Some(limits) = &attack.limits {
            fields["limits"] = limits.clone();
        }
        let program = attack.program(&self.world.described(self.others));
        let mut answer = self.plugin.execute_with(&program, fields.clone());
        for _ in 1..attack.runs {
            answer = self.plugin.execute_with(&program, fields.clone());
        }
        let complaint = |what: String| Err(format!("{} sandboxed: {what}", attack.name));
        let body = &answer.body;
        let outcome = body["outcome"].as_str().unwrap_or_default();
        let unmounted = attack.sandboxed_unmounted.as_ref().filter(|_| !self.mounted);
        match unmounted.unwrap_or(&attack.sandboxed) {
            Expect::Result(value, _) => {
                if outcome != "value" || body["result"] != *value {
                    let said = body["error"].as_str().unwrap_or_default();
                    return complaint(format!("{outcome} {} {said}, not {value}", body["result"]));
                }
            }
            Expect::Outcome(wanted, about) => {
                let detail = &body["outcome_detail"];
                let fits = match about.as_deref() {
                    None => detail["syscall"].is_null(),
                    Some(about) => {
                        detail["syscall"].as_str() == Some(about)
                            || detail["signal"].as_i64() == about.parse().ok()
                    }
                };
                if !wanted.split('|').any(|one| one == outcome) || !fits {
                    return complaint(format!(
                        "{outcome} {} {detail}, not {wanted} {about:?}",
                        body["result"]
                    ));
                }
            }
        }
        self.canaries().or_else(complaint)
    }

    /// What an attack comes to here, and whether everybody around it is still there. What it did to
    /// files is undone.
    pub(crate) fn observe(&mut self, attack: &Attack, prefix: &Prefix) -> (String, bool) {
        let mut body = json!({
            "code": attack.program(&self.world.described(self.others)),
            "timeout_secs": attack.timeout.min(5.0),
        });
        if let Some(limits) = &attack.limits {
            body["limits"] = limits.clone();
        }
        let mut text = String::new();
        for _ in 0..attack.runs {
            text = match self.plugin.try_post("/execute", &body) {
                Some(answer) => came_to(&answer.body),
                None => "the plugin is gone".to_owned(),
            };
        }
        match self.canaries() {
            Ok(()) => (text, true),
            Err(what) => {
                let short = what.split([':', '\n']).next().unwrap_or_default();
                let short = short.trim_end_matches(char::is_numeric).trim_end();
                let short =
                    if short.starts_with("process") { "somebody was stopped" } else { short };
                let text = format!("{text}; {short}");
                self.world.restore(prefix);
                self.outside = self.world.fingerprint("outside");
                self.granted = self.world.fingerprint("granted");
                let intact = self.canaries().is_ok() && !text.contains("the plugin is gone");
                (text, intact)
            }
        }
    }

    /// What health says is weaker than it should be.
    pub(crate) fn weakened(&self) -> Vec<String> {
        let health = self.plugin.get("/health").body;
        let lines = health["sandbox"]["weakened"].as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whatever the attack came to: nothing outside has changed.
    fn canaries(&self) -> Result<(), String> {
        for (name, before) in [("outside", &self.outside), ("granted", &self.granted)] {
            let now = self.world.fingerprint(name);
            if now != *before {
                return Err(format!("{name} changed:\n{before}\n→\n{now}"));
            }
        }
        if self.world.was_called() {
            return Err("a service was reached".to_owned());
        }
        for pid in [self.others.sibling, self.others.supervisor, self.others.zygote] {
            if !runs(pid) {
                return Err(format!("process {pid} runs no more"));
            }
        }
        if settings(self.others.sibling) != self.sibling_priority {
            return Err("the sibling's settings changed".to_owned());
        }
        Ok(())
    }

    /// After the last attack only what belongs to spares and the sibling is left.
    pub(crate) fn leaves_nothing(&self) -> Result<(), String> {
        eventually("the attacks' children and directories are gone", || {
            let children = self.plugin.processes("qntx:child").len();
            let idle = self.plugin.get("/health").body["spares"].as_u64().unwrap_or(0);
            let directories = scratch_directories(&self.plugin).len();
            let living = usize::try_from(idle).unwrap_or(0) + 1;
            children == living && directories == living
        });
        Ok(())
    }
}

/// A result or an outcome, as tables show it.
fn came_to(body: &serde_json::Value) -> String {
    let outcome = body["outcome"].as_str().unwrap_or("no outcome");
    match outcome {
        "value" => shown(&body["result"]),
        "raised" => {
            format!("raised `{}`", body["outcome_detail"]["type"].as_str().unwrap_or_default())
        }
        other => format!("outcome `{other}`"),
    }
}

/// Priority, affinity and limits, as the kernel shows them.
fn settings(pid: u32) -> String {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let nice = stat.rsplit_once(") ").and_then(|(_, tail)| tail.split(' ').nth(16)).unwrap_or("?");
    let status = read("status");
    let affinity = status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap_or("?");
    format!("{nice} {affinity} {}", read("limits"))
}

fn scratch_directories(plugin: &Plugin) -> Vec<PathBuf> {
    let mut directories = vec![plugin.scratch_inside()];
    for _ in 0..3 {
        directories = directories
            .iter()
            .filter_map(|directory| std::fs::read_dir(directory).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect();
    }
    directories
}

fn sibling(plugin: &Plugin) -> Option<u32> {
    let mut files = scratch_directories(plugin).into_iter().map(|path| path.join("pid"));
    files.find_map(|path| std::fs::read_to_string(path).ok()?.parse().ok())
}
