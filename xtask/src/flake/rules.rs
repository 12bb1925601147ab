//! What has to hold of the evaluated flake. Each rule has a change in `mutations` that
//! it, and no Nix command by itself, catches.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::build::PLUGIN;
use crate::flake::evaluation::Evaluation;
use crate::flake::lock;

/// The systems the flake is for.
const SYSTEMS: [&str; 4] = ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"];

/// What `nix flake check` builds.
const CHECKS: [&str; 6] = ["build", "clippy", "deny", "docs", "fmt", "tests"];

/// The service's hardening that is simply on.
const HARDENED: [&str; 15] = [
    "DynamicUser",
    "LockPersonality",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateTmp",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RemoveIPC",
    "RestrictRealtime",
    "RestrictSUIDSGID",
];

/// Folders and kinds of files that have to reach the build.
const BUILT: ([&str; 3], [&str; 5]) =
    (["crates/", "tests/", "benches/"], [".rs", ".proto", ".py", ".pyi", ".snap"]);

/// Every rule that does not hold of the flake in `tree`.
pub(crate) fn faults(evaluation: &Evaluation, tree: &Path) -> Result<Vec<String>> {
    let Evaluation { facts, derivation, source } = evaluation;
    let mut faults = lock::faults(&fs::read_to_string(tree.join("flake.lock"))?)?;
    let mut rule = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };

    // The interpreter: CPython 3.13 of nixpkgs, and nothing of the machine's.
    let environment = derivation["env"].as_object().context("no environment")?;
    rule(
        text(&environment["PYO3_PYTHON"]) == text(&facts["python"]["interpreter"])
            && text(&facts["python"]["interpreter"]).ends_with("/bin/python3.13"),
        "PYO3_PYTHON is not python313's interpreter",
    );
    rule(
        !environment.values().any(|value| text(value).contains("/usr")),
        "the derivation refers to /usr",
    );
    let inputs = derivation["inputDrvs"].as_object().context("no inputs")?;
    let pythons: Vec<&String> = inputs.keys().filter(|path| path.contains("-python3")).collect();
    rule(pythons == [text(&facts["python"]["drv"])], "another Python is among the inputs");

    // The package, its program and its version.
    let out = text(&facts["plugin"]["out"]);
    let program = format!("{out}/bin/{PLUGIN}");
    rule(text(&facts["program"]) == program, "the app's program is outside the package");
    rule(text(&facts["plugin"]["main"]) == PLUGIN, "mainProgram is not the plugin");
    rule(
        text(&facts["plugin"]["version"]) == version(tree)?
            && text(&environment["name"]) == format!("{PLUGIN}-{}", version(tree)?),
        "the package's version is not Cargo.toml's",
    );
    rule(facts["overlay"] == facts["plugin"]["drv"], "the overlay gives another package");

    rule(text(&facts["formatter"]).starts_with("nixfmt"), "the formatter is not nixfmt");

    // The outputs there have to be, and the one input.
    rule(strings(&facts["systems"]) == SYSTEMS, "a system is missing");
    for system in SYSTEMS {
        rule(strings(&facts["checks"][system]) == CHECKS, "a check is missing");
    }
    rule(strings(&facts["inputs"]) == ["nixpkgs"], "nixpkgs is to be the only input");
    rule(
        text(&facts["input"]) == "github:NixOS/nixpkgs/nixos-unstable",
        "nixpkgs is not the branch that the lock file names",
    );

    // The source: what is built is in, prose is not.
    let (folders, kinds) = BUILT;
    let built = |file: &str| {
        folders.iter().any(|folder| file.starts_with(folder))
            && kinds.iter().any(|kind| file.ends_with(kind))
    };
    let mut wanted: Vec<String> = tracked(tree)?.into_iter().filter(|file| built(file)).collect();
    wanted.extend(["Cargo.toml", "Cargo.lock", "tools/find-python"].map(str::to_owned));
    let absent: Vec<&String> = wanted.iter().filter(|file| !source.contains(*file)).collect();
    rule(absent.is_empty(), &format!("missing from the source: {absent:?}"));
    let prose: Vec<&String> = source
        .iter()
        .filter(|file| file.ends_with(".md") || file.starts_with("docs/") || file.ends_with(".nix"))
        .collect();
    rule(prose.is_empty(), &format!("a change of prose rebuilds the plugin: {prose:?}"));

    // A plugin with packages of its own.
    let made = text(&facts["made"]["buildCommand"]);
    rule(
        text(&facts["made"]["main"]) == "qntx-data-plugin"
            && made.contains("$out/bin/qntx-data-plugin")
            && made.contains("--name data "),
        "mkPythonPlugin does not give qntx-NAME-plugin",
    );
    let packages = text(&facts["made"]["environment"]);
    rule(
        made.contains(packages) && packages.contains("-env/"),
        "mkPythonPlugin loses the packages",
    );
    rule(made.contains(text(&facts["made"]["uv"])), "mkPythonPlugin does not pin uv");
    rule(facts["made"]["refused"] == false, "mkPythonPlugin takes a name QNTX would not");

    // The image and the service.
    let image = &facts["image"]["config"];
    rule(text(&image["User"]) == "65534:65534", "the image runs as root");
    rule(strings(&image["Entrypoint"]) == [program.as_str()], "the image starts something else");
    rule(strings(&image["Healthcheck"]["Test"]).len() > 1, "the image has no health check");
    rule(facts["image"]["elsewhere"] == false, "an image of macOS binaries is offered");
    let unit = &facts["unit"];
    rule(
        text(&unit["ExecStart"])
            .starts_with(&format!("{program} --port 9000 --address 127.0.0.1 ")),
        "the service does not start the plugin on loopback",
    );
    let soft: Vec<&&str> = HARDENED.iter().filter(|key| unit[**key] != true).collect();
    rule(
        soft.is_empty()
            && text(&unit["ProtectSystem"]) == "strict"
            && unit["CapabilityBoundingSet"] == "",
        &format!("the service is not hardened: {soft:?}"),
    );
    let exposed = &facts["exposed"];
    rule(
        exposed["without"] == false
            && exposed["with"] == true
            && exposed["server"] == false
            && exposed["mutual"] == true,
        "the service may listen beyond loopback without a token or client certificates",
    );
    rule(exposed["keyless"] == false, "the service takes a certificate without its key");
    let tls = &facts["tls"];
    let handed = strings(&tls["LoadCredential"]);
    let parts = [("cert", "certificate"), ("key", "key"), ("client-ca", "clientAuthority")];
    rule(
        parts.iter().all(|(flag, option)| {
            let file = text(&tls["files"][option]);
            text(&tls["ExecStart"]).contains(&format!(" --tls-{flag} %d/tls-{flag}"))
                && handed.contains(&format!("tls-{flag}:{file}").as_str())
        }),
        "the service does not hand over the files of TLS",
    );
    rule(exposed["port"] == false, "the service's options are not typed");
    Ok(faults)
}

/// The workspace's version, as Cargo.toml in `tree` has it.
fn version(tree: &Path) -> Result<String> {
    let manifest = fs::read_to_string(tree.join("Cargo.toml"))?;
    let (_, package) =
        manifest.split_once("[workspace.package]").context("no [workspace.package]")?;
    let line = package.lines().find_map(|line| line.strip_prefix("version = "));
    Ok(line.context("no version")?.trim_matches('"').to_owned())
}

/// The files of `tree`, its repository left out.
fn tracked(tree: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut open = vec![tree.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with(".git") {
                open.push(path);
            } else if path.is_file() {
                files.push(path.strip_prefix(tree)?.display().to_string());
            }
        }
    }
    Ok(files)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
