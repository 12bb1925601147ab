//! Changes for the worse, each of which has to be caught: a rule that nothing can break
//! checks nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::flake::Evaluator;
use crate::flake::evaluation::Evaluation;
use crate::flake::rules;
use crate::shell::Shell;

/// `(file, what stands there, what to put instead, what has to be said of it)`.
type Mutation = (&'static str, &'static str, &'static str, &'static str);

const PACKAGE: &str = "nix/package.nix";
const MODULE: &str = "nix/module.nix";

const MUTATIONS: &[Mutation] = &[
    (
        PACKAGE,
        "PYO3_PYTHON = python313.interpreter",
        "PYO3_PYTHON = \"/bin/python3.13\"",
        "PYO3_PYTHON is not python313's",
    ),
    (PACKAGE, "doCheck = false;", "doCheck = false; RUSTFLAGS = \"-L /usr/lib\";", "/usr"),
    (
        PACKAGE,
        "PYO3_PYTHON = python313",
        "PYO3_PYTHON = (import ./standin { system = \"x86_64-linux\"; }).python312",
        "another Python",
    ),
    (PACKAGE, "inherit (package) version;", "version = \"0.0.1\";", "version is not Cargo.toml's"),
    (PACKAGE, "mainProgram = \"qntx-python-plugin\"", "mainProgram = \"python\"", "mainProgram"),
    ("flake.nix", "${own.default}/bin/qntx-python-plugin", "/bin/sh", "outside the package"),
    ("flake.nix", "        \"x86_64-darwin\"\n", "", "a system is missing"),
    (
        "flake.nix",
        "final: _: {\n        qntx-python-plugin = final.callPackage ./nix/package.nix { };",
        "final: _: {\n        qntx-python-plugin = final.python313;",
        "the overlay",
    ),
    ("flake.nix", "nixpkgs/nixos-unstable\"", "nixpkgs/nixos-24.05\"", "not the branch"),
    (
        "flake.nix",
        "inputs.nixpkgs.url",
        "inputs.flake-utils.url = \"github:numtide/flake-utils\";\n  inputs.nixpkgs.url",
        "the only input",
    ),
    ("flake.nix", "pkgs.python313\n", "pkgs.python399\n", "python399"),
    ("flake.nix", "_: pkgs.nixfmt);", "_: pkgs.uv);", "the formatter is not nixfmt"),
    ("nix/checks.nix", "  fmt = like", "  format = like", "a check is missing"),
    ("nix/source.nix", "\"proto\"", "\"protobuf\"", "missing from the source"),
    ("nix/source.nix", "\"LICENSE\"", "\"LICENSE\" \"README.md\" \"flake.nix\"", "prose rebuilds"),
    ("flake.lock", "yNJd40f11EzXBj", "yNJd40f11EzXBk", "the pin's narHash"),
    ("flake.lock", "0e251e24a4f2", "1e251e24a4f2", "the pin's rev"),
    ("flake.lock", "  \"root\": \"root\"", "    \"root\": \"root\"", "not as Nix writes it"),
    (
        "Cargo.lock",
        "version = 4\n",
        "version = 4\n\n[[package]]\nname = \"forked\"\nversion = \"1.0.0\"\nsource = \"git+https://example.org/forked#0123456789\"\n",
        "no hash in cargoLock.outputHashes",
    ),
    (
        "nix/python-plugin.nix",
        " \\\n      --prefix PATH : ${lib.makeBinPath [ uv ]}",
        "",
        "does not pin uv",
    ),
    ("nix/python-plugin.nix", "python.withPackages packages", "python", "loses the packages"),
    ("nix/python-plugin.nix", "[a-z0-9][a-z0-9-]*", ".*", "a name QNTX would not"),
    (
        "nix/python-plugin.nix",
        "mainProgram = \"qntx-${name}-plugin\"",
        "mainProgram = \"qntx\"",
        "does not give qntx-NAME-plugin",
    ),
    ("nix/oci-image.nix", "User = \"65534:65534\"", "User = \"0:0\"", "runs as root"),
    ("nix/oci-image.nix", "Healthcheck = {", "Labels = {", "no health check"),
    (
        "nix/oci-image.nix",
        "Entrypoint = [ \"${qntx-python-plugin}/bin/qntx-python-plugin\" ]",
        "Entrypoint = [ \"/bin/sh\" ]",
        "starts something else",
    ),
    ("flake.nix", "if pkgs.stdenv.hostPlatform.isLinux then", "if true then", "image of macOS"),
    (MODULE, "NoNewPrivileges = true", "NoNewPrivileges = false", "not hardened"),
    (MODULE, "ProtectSystem = \"strict\"", "ProtectSystem = \"full\"", "not hardened"),
    (MODULE, "default = \"127.0.0.1\"", "default = \"0.0.0.0\"", "on loopback"),
    (MODULE, "|| cfg.address == \"::1\"", "|| true", "without a token"),
    (
        MODULE,
        "|| cfg.tls.clientAuthority != null\n",
        "|| cfg.tls.certificate != null\n",
        "without a token or client certificates",
    ),
    (MODULE, "    \"--tls-client-ca\"\n    \"%d/tls-client-ca\"\n", "", "files of TLS"),
    (MODULE, "[ \"tls-key:${cfg.tls.key}\" ]", "[ ]", "files of TLS"),
    (MODULE, "(cfg.tls.key != null)\n", "(cfg.tls.key != 0)\n", "a certificate without its key"),
    (MODULE, "lib.types.port", "lib.types.ints.positive", "not typed"),
];

/// Makes every change in a copy of `tree`; fails unless each is caught for its reason.
pub(crate) fn all_caught(
    sh: &Shell,
    nix: &Evaluator,
    scratch: &Path,
    tree: &Path,
) -> Result<usize> {
    let mutated = scratch.join("mutated");
    if mutated.exists() {
        fs::remove_dir_all(&mutated)?;
    }
    sh.read(sh.command("cp").arg("-r").args([tree, &mutated]))?;
    for (file, from, to, reason) in MUTATIONS {
        let path = mutated.join(file);
        let original = fs::read_to_string(&path).with_context(|| format!("no {file}"))?;
        let count = original.matches(from).count();
        ensure!(count == 1, "{file} has `{from}` {count} times, the change wants it once");
        fs::write(&path, original.replacen(from, to, 1))?;
        let said = match Evaluation::read(sh, nix, &mutated) {
            Ok(evaluation) => rules::faults(&evaluation, &mutated)?.join("\n"),
            Err(error) => format!("{error:#}"),
        };
        fs::write(&path, original)?;
        if !said.contains(reason) {
            bail!("{file}: `{from}` -> `{to}` ought to be caught as `{reason}`, but: {said}");
        }
    }
    Ok(MUTATIONS.len())
}
