//! The README is true: its commands are run, its answers compared, its tables
//! held against the program.
//!
//! **Invariant:** no fenced block is passed over. An `sh` block is run and has
//! its answer below it; each line of a `console` block is covered by an arm of
//! [`covered`].

use crate::support::{BINARY, eventually};
use plugin::settings::KEYS;
use proto::protocol::domain_plugin_service_client::DomainPluginServiceClient;
use proto::protocol::python_service_client::PythonServiceClient;
use proto::protocol::{Empty, PythonExecuteRequest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

/// Where the plugin listens in the README's commands.
const SHOWN: &str = "localhost:9000";
/// Numbers and texts of which only the kind is compared.
const VOLATILE: [&str; 20] = [
    "duration_ms",
    "execution_id",
    "cpu_ms",
    "max_rss_bytes",
    "queued_ms",
    "timestamp",
    "created_at",
    "landlock_abi",
    "spares",
    "running",
    "generation",
    "preloaded",
    "python_version",
    "python_prefix",
    "plugin_version",
    "source_version",
    "set_aside",
    "location",
    "memory_bytes",
    "path",
];

#[test]
fn every_shell_command_answers_as_shown() {
    let Some(readme) = document("README.md") else { return };
    let place = Place::new();
    let served = place.serve(&[], "0");
    served.settle();
    let blocks = blocks(&readme);
    let mut run = 0;
    let mut rest = blocks.iter().peekable();
    while let Some(block) = rest.next() {
        match block.kind {
            "sh" => {
                let answer = rest.next_if(|next| next.kind == "json" || next.kind == "text");
                let answer = answer
                    .unwrap_or_else(|| panic!("line {}: no answer is shown below", block.line));
                assert!(answer.follows, "line {}: something is in between", answer.line);
                let said = place.shell(&block.text.replace(SHOWN, &served.at()));
                let wrong = match answer.kind {
                    "json" => differences("", &json(&answer.text), &json(&said)),
                    _ => text_differences(&answer.text, &said),
                };
                assert!(
                    wrong.is_empty(),
                    "line {}: {wrong:#?}\n--- shown\n{}\n--- said\n{said}",
                    block.line,
                    answer.text
                );
                run += 1;
            }
            // `console`: the next test. TOML: the core's file, which is not ours to read.
            "console" | "toml" => {}
            other => panic!("line {}: a block of kind `{other}` is not tested", block.line),
        }
    }
    assert!(run >= 12, "only {run} commands in the README");
}

#[test]
fn every_line_for_a_console_is_covered() {
    let Some(readme) = document("README.md") else { return };
    let place = Place::new();
    let lines: Vec<&str> = readme_lines(&readme, "console");
    assert!(lines.contains(&"cargo xtask test"));
    for line in lines {
        covered(&place, line);
    }
}

/// What stands for a line that a test can't run as it is.
fn covered(place: &Place, line: &str) {
    let command = line.split(" #").next().unwrap_or(line).trim();
    if let Some(arguments) = command.strip_prefix("cargo run --release -p qntx-python-plugin -- ") {
        // The build is that of .ci/run (`cargo xtask ci`); the rest is run here.
        assert_eq!(place.shell(&format!("qntx-python-plugin {arguments}")), "7\n");
    } else if command == "cargo xtask test" {
        // .ci/run runs this very line: see TEST_COMMAND in xtask/src/ci.rs.
        let ci = document(".ci/run").unwrap();
        assert!(ci.contains("cargo xtask ci"));
    } else if command == "cargo xtask build --fetch-python" {
        // It needs the network; without uv it says so, see xtask/src/python.rs.
        assert!(document("xtask/src/python.rs").unwrap().contains("--fetch-python needs uv"));
    } else if let Some(target) = command.strip_prefix("make ") {
        // One-line aliases of verbs that .ci/run runs.
        let makefile = document("Makefile").unwrap();
        assert!(makefile.lines().any(|l| l == format!("{target}:")), "{target}");
    } else if let Some(flags) = command.strip_prefix("qntx-python-plugin --tls-cert ") {
        // The files are the reader's; with files of its own tests/it/tls.rs serves.
        let mut plugin = place.command("qntx-python-plugin");
        let output = plugin.arg("--tls-cert").args(flags.split_whitespace()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("work/cert.pem of --tls-cert"), "{said}");
    } else if let Some(flags) = command.strip_prefix("qntx-python-plugin") {
        let flags: Vec<&str> = flags.split_whitespace().collect();
        // The default port may be another program's; the flag may not.
        let port = if flags.contains(&"--port") { "" } else { "9000" };
        let served = place.serve(&flags, port);
        assert!((9000..9065).contains(&served.port), "{command}: {}", served.port);
        served.settle();
    } else if command.starts_with("curl ") && command.contains("/uv/") {
        // It needs the network: here, that it is understood and can be refused.
        let served = place.serve(&["--no-installs"], "0");
        served.settle();
        let said = place.shell(&command.replace(SHOWN, &served.at()));
        assert!(said.contains("turned off") || said.contains("generation"), "{said}");
    } else if let Some(call) = command.strip_prefix("grpcurl -plaintext ") {
        reflect(place, call);
    } else {
        panic!("`{command}` is covered by nothing");
    }
}

/// Does over tonic what grpcurl does: asks reflection, then calls.
fn reflect(place: &Place, call: &str) {
    let (data, target) = match call.strip_prefix("-d '") {
        Some(rest) => rest.split_once("' ").unwrap(),
        None => ("{}", call),
    };
    let (data, target) = (json(data), target.strip_prefix(SHOWN).unwrap().trim());
    let served = place.serve(&[], "0");
    served.settle();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let channel = Channel::from_shared(format!("http://{}", served.at()));
        let channel = channel.unwrap().connect().await.unwrap();
        let MessageResponse::ListServicesResponse(listed) =
            reflection(&channel, MessageRequest::ListServices(String::new())).await
        else {
            panic!("no list of services");
        };
        let named = |ServiceResponse { name }: &ServiceResponse| name.clone();
        let services: Vec<String> = listed.service.iter().map(named).collect();
        let Some((service, method)) = target.split_once('/') else {
            assert_eq!(target, "list");
            for wanted in ["protocol.DomainPluginService", "protocol.PythonService"] {
                assert!(services.iter().any(|name| name == wanted), "{services:?}");
            }
            return;
        };
        assert!(services.iter().any(|name| name == service), "{service} not in {services:?}");
        let symbol = MessageRequest::FileContainingSymbol(format!("{service}.{method}"));
        let found = reflection(&channel, symbol).await;
        assert!(matches!(found, MessageResponse::FileDescriptorResponse(_)), "{found:?}");
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        match target {
            "grpc.health.v1.Health/Check" => {
                let request = HealthCheckRequest { service: text("service") };
                let status = HealthClient::new(channel).check(request).await.unwrap();
                assert_eq!(status.into_inner().status, 1, "serving");
            }
            "protocol.DomainPluginService/Metadata" => {
                let mut client = DomainPluginServiceClient::new(channel);
                let metadata = client.metadata(Empty {}).await.unwrap().into_inner();
                assert_eq!(metadata.name, "python");
            }
            "protocol.PythonService/Execute" => {
                let request = PythonExecuteRequest { code: text("code"), ..Default::default() };
                let mut client = PythonServiceClient::new(channel);
                let answer = client.execute(request).await.unwrap().into_inner();
                assert_eq!((answer.success, answer.output.as_str()), (true, "42\n"));
            }
            other => panic!("no test calls {other}"),
        }
    });
}

async fn reflection(channel: &Channel, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    answer.message_response.unwrap()
}

#[test]
fn the_tables_hold_every_flag_variable_and_key() {
    let Some(readme) = document("README.md") else { return };
    let help = Command::new(BINARY).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut real = BTreeSet::new();
    let mut flag = "";
    for line in help.lines().map(str::trim_start) {
        if let Some(rest) = line.strip_prefix("--") {
            flag = rest.split([' ', '=']).next().unwrap();
        } else if let Some(rest) = line.strip_prefix("[env: ") {
            let variable = rest.split(['=', ']']).next().unwrap();
            real.insert(format!("| `--{flag}` | `{variable}` |"));
        }
    }
    assert!(real.len() >= 19, "{real:?}");
    let start =
        |line: &str, cells: usize| line.split_inclusive('|').take(cells + 1).collect::<String>();
    let rows = |mark: &str, cells| -> BTreeSet<String> {
        readme.lines().filter(|line| line.starts_with(mark)).map(|l| start(l, cells)).collect()
    };
    assert_eq!(rows("| `--", 2), real);

    for key in KEYS {
        let default = match key.default {
            "" => String::new(),
            default => format!("`{default}` "),
        };
        let row = format!("| `{}` | {default}|", key.name);
        assert!(readme.lines().any(|line| line.starts_with(&row)), "no row {row}");
    }
    let section = readme.split_once("| Key | Default |").unwrap().1;
    let section = section.split_once("\n\n").unwrap().0;
    assert_eq!(section.lines().filter(|line| line.starts_with("| `")).count(), KEYS.len());
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let names = ["README.md", "ARCHITECTURE.md", "SPECIFICATION.md", "SECURITY.md"];
    for name in names {
        let Some(text) = document(name) else { return };
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.starts_with("http") {
                continue;
            }
            let file = if file.is_empty() { name } else { file };
            assert!(root().join(file).exists(), "{name}: {target}");
            let there = anchor.is_empty()
                || document(file).unwrap().lines().filter(|l| l.starts_with('#')).any(|heading| {
                    let heading = heading.trim_start_matches('#').trim().to_lowercase();
                    heading.replace(' ', "-").replace(['`', ',', '?', '/'], "") == anchor
                });
            assert!(there, "{name}: {target}");
        }
    }
}

#[test]
fn every_test_that_the_specification_names_exists() {
    let mut sources = String::new();
    let mut pending: Vec<PathBuf> =
        ["crates", "tests", "xtask"].iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|end| end == "rs") {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let words = sources.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words: BTreeSet<&str> = words.collect();
    for (name, least) in [("SPECIFICATION.md", 80), (CONTRACT, 120)] {
        let Some(text) = document(name) else { return };
        let names = named(&text);
        for (row, name) in &names {
            assert!(words.contains(name.as_str()), "there is no test `{name}`: {row}");
        }
        assert!(names.len() > least, "only {} tests are named in {name}", names.len());
    }
}

#[test]
fn every_scenario_stands_in_a_row_of_the_contract() {
    let Some(contract) = document(CONTRACT) else { return };
    let names: BTreeSet<String> = named(&contract).into_iter().map(|(_, name)| name).collect();
    let list = std::fs::read_to_string(root().join("tests/host/src/scenarios.rs")).unwrap();
    let list = list.split_once("\nscenarios! {").unwrap().1.split_once("\n}").unwrap().0;
    let scenarios = list.split([' ', ';', '\n']).filter(|word| word.contains('_'));
    let mut count = 0;
    for scenario in scenarios {
        assert!(names.contains(scenario), "`{scenario}` holds nothing that {CONTRACT} says");
        count += 1;
    }
    assert!(count > 50, "only {count} scenarios are listed");
    // a row without a test holds nothing
    for row in contract.lines().filter(|line| line.starts_with("| ") && !line.contains("|---")) {
        let heading = row.ends_with("ept by |") || row.ends_with("ept away by |");
        assert!(heading || row.contains('`'), "nothing holds this: {row}");
    }
}

/// The core's contract, row by row.
const CONTRACT: &str = "docs/contract.md";

/// The tests that the last column of a document's tables names, with their rows.
fn named(text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    for row in text.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let names = cell.split('`').skip(1).step_by(2);
        let names = names.filter(|name| name.contains('_') && !name.contains([' ', '=']));
        found.extend(names.map(|name| (row, name.to_owned())));
    }
    found
}

/// The text of a document; `None` where a Nix build has left prose out.
fn document(name: &str) -> Option<String> {
    match std::fs::read_to_string(root().join(name)) {
        Ok(text) => Some(text),
        Err(_) if std::env::var_os("NIX_BUILD_TOP").is_some() => None,
        Err(e) => panic!("{name}: {e}"),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A fenced block.
struct Block<'t> {
    line: usize,
    kind: &'t str,
    text: String,
    /// Nothing but blank lines is between it and the block before.
    follows: bool,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let (mut inside, mut follows) = (false, false);
    for (number, line) in text.lines().enumerate() {
        match (inside, line.strip_prefix("```")) {
            (false, Some(kind)) => {
                blocks.push(Block { line: number + 1, kind, text: String::new(), follows });
                inside = true;
            }
            (true, Some(_)) => (inside, follows) = (false, true),
            (true, None) => {
                let block = blocks.last_mut().unwrap();
                block.text.push_str(line);
                block.text.push('\n');
            }
            (false, None) => follows &= line.trim().is_empty(),
        }
    }
    assert!(!inside, "a block is not closed");
    blocks
}

fn readme_lines<'t>(text: &'t str, kind: &str) -> Vec<&'t str> {
    let mut lines = Vec::new();
    let mut inside = None;
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(fence) => inside = if inside.is_none() { Some(fence) } else { None },
            None if inside == Some(kind) => lines.push(line),
            None => {}
        }
    }
    lines
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Where two answers differ in what does not change from run to run.
fn differences(path: &str, shown: &Value, said: &Value) -> Vec<String> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let differ = || vec![format!("{path}: {shown} is shown, {said} is said")];
    match (shown, said) {
        // what a machine lacks is its own
        (Value::Object(_), Value::Object(_)) if path.ends_with(".sandbox.missing") => Vec::new(),
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let of = |map: &serde_json::Map<String, Value>, name| map.get(name).cloned();
            let each = names.into_iter().flat_map(|name| match (of(a, name), of(b, name)) {
                (Some(a), Some(b)) => differences(&format!("{path}.{name}"), &a, &b),
                (a, _) => vec![format!(
                    "{path}.{name}: only in {}",
                    if a.is_some() { "the README" } else { "the answer" }
                )],
            });
            each.collect()
        }
        (Value::Number(_), Value::Number(_)) | (Value::String(_), Value::String(_))
            if VOLATILE.contains(&name) =>
        {
            Vec::new()
        }
        (Value::String(a), Value::String(b)) if steady(a) == steady(b) => Vec::new(),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).flat_map(|(a, b)| differences(path, a, b)).collect()
        }
        (a, b) if a == b => Vec::new(),
        _ => differ(),
    }
}

/// A text without what differs between runs (the end of an id) and between
/// Pythons (carets under a line).
fn steady(text: &str) -> String {
    match text.rsplit_once('-') {
        Some((front, end)) if text.starts_with("AS-") && end.len() == 8 => front.to_owned(),
        _ => {
            let caret =
                |line: &&str| !line.is_empty() && line.trim_matches([' ', '~', '^']).is_empty();
            text.lines().filter(|line| !caret(line)).collect::<Vec<_>>().join("\n")
        }
    }
}

/// The same for lines of text, some of which may be JSON.
fn text_differences(shown: &str, said: &str) -> Vec<String> {
    let (shown, said): (Vec<_>, Vec<_>) = (shown.lines().collect(), said.lines().collect());
    if shown.len() != said.len() {
        return vec![format!("{} lines are shown, {} said", shown.len(), said.len())];
    }
    let object = |line: &str| serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    let each =
        shown.iter().zip(said).flat_map(|(shown, said)| match (object(shown), object(said)) {
            (Some(shown), Some(said)) => differences("", &shown, &said),
            _ if *shown == said => Vec::new(),
            _ => vec![format!("{shown:?} is shown, {said:?} said")],
        });
    each.collect()
}

/// A home and a working directory of their own, with the binary on `PATH`.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "work", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink(BINARY, folder.path().join("bin/qntx-python-plugin")).unwrap();
        Self { folder }
    }

    fn command(&self, program: &str) -> Command {
        let folder = self.folder.path();
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder.join("bin")).chain(std::env::split_paths(&paths));
        let mut command = Command::new(program);
        command
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("HOME", folder.join("home"))
            .env_remove("XDG_DATA_HOME")
            .current_dir(folder.join("work"))
            .stdin(Stdio::null());
        command
    }

    /// What the shell command writes; it has to succeed and complain about nothing.
    fn shell(&self, script: &str) -> String {
        let Output { status, stdout, stderr } =
            self.command("sh").args(["-euc", script]).output().unwrap();
        let complaints = String::from_utf8_lossy(&stderr);
        assert!(status.success() && complaints.is_empty(), "{status}: {script}\n{complaints}");
        String::from_utf8(stdout).unwrap()
    }

    /// The plugin, as its user starts it; `port` stands in for a flag.
    fn serve(&self, flags: &[&str], port: &str) -> Served {
        let mut command = self.command("qntx-python-plugin");
        if !port.is_empty() {
            command.env("QNTX_PYTHON_PORT", port);
        }
        let child = command.args(flags).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("QNTX_PLUGIN_PORT=").map(str::parse);
        match port {
            Some(Ok(port)) => Served { child, port },
            _ => panic!("no port line but {line:?}"),
        }
    }
}

/// A plugin that is killed when the test is done with it.
struct Served {
    child: Child,
    port: u16,
}

impl Served {
    fn at(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Waits until both zygotes are up.
    fn settle(&self) {
        eventually("both zygotes are up", || {
            let health = ureq::get(format!("http://127.0.0.1:{}/health", self.port)).call();
            health.is_ok_and(|mut health| {
                json(&health.body_mut().read_to_string().unwrap())["zygotes"] == 2
            })
        });
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
