//! `cargo xtask package`: the release archives, and the proof that they work.
//!
//! | Archive | For |
//! |---|---|
//! | `qntx-python-plugin-<os>-<arch>.tar.gz` | the core's fetcher: CPython 3.13 is in it |
//! | `qntx-python-plugin-<os>-<arch>-system-python.tgz` | machines with a CPython 3.13 |
//!
//! Each with a `.sha256`; the bill of materials lies in them and beside them.

mod archive;
mod bundle;
mod elf;
mod fetcher;
mod licenses;
mod sbom;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::build::PLUGIN;
use crate::metadata::Metadata;
use crate::package::bundle::Bundle;
use crate::package::sbom::Origin;
use crate::portable::World;
use crate::repro::digest;
use crate::shell::Shell;

/// Make the release archives
#[derive(Debug, Args)]
pub(crate) struct Package {
    /// Take this portable binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the archives go [default: target/package]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Package {
    /// The archives around this binary, or around one built for them.
    pub(crate) fn of(binary: Option<PathBuf>) -> Self {
        Self { binary, out: None }
    }

    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let binary = match self.binary {
            Some(binary) => binary,
            None => World::here(sh)?.build(sh)?,
        };
        let out = match self.out {
            Some(out) => std::path::absolute(out)?,
            None => sh.target()?.join("package"),
        };
        if out.exists() {
            fs::remove_dir_all(&out).with_context(|| format!("cannot clear {}", out.display()))?;
        }
        fs::create_dir_all(&out)?;
        let system = system()?;
        let full = out.join(format!("{PLUGIN}-{system}.tar.gz"));
        let small = out.join(format!("{PLUGIN}-{system}-system-python.tgz"));

        let origin = Origin::read(sh)?;
        let scratch = tempfile::tempdir_in(sh.target()?)?;
        for (archive, with_python) in [(&full, true), (&small, false)] {
            let stage = scratch.path().join("stage");
            assemble(sh, &origin, &binary, &stage, with_python)?;
            archive::pack(&stage, archive, origin.time)?;
            fs::copy(stage.join(bill_name()), out.join(bill_name()))?;
            fs::remove_dir_all(&stage)?;
            let size = fs::metadata(archive)?.len();
            println!("{}  {}  {size} bytes", digest(archive)?, archive.display());
        }
        same_again(sh, &origin, &binary, scratch.path(), &full)?;
        works(sh, &full, scratch.path())
    }
}

/// What the names of those variables begin with (`crates/sandbox/src/trial.rs`).
const TRIAL: &[u8] = b"QNTX_PYTHON_TEST_";

/// Everything that goes into an archive, under `stage`.
fn assemble(
    sh: &Shell,
    origin: &Origin,
    binary: &Path,
    stage: &Path,
    with_python: bool,
) -> Result<()> {
    fs::create_dir_all(stage)?;
    let plugin = stage.join(PLUGIN);
    fs::copy(binary, &plugin).context("cannot copy the binary")?;
    // Debug builds can be told to leave a layer of the sandbox out; what is shipped never.
    let bytes = fs::read(&plugin)?;
    let trial = bytes.windows(TRIAL.len()).any(|window| window == TRIAL);
    ensure!(!trial, "the binary knows a variable that takes a layer of the sandbox away");
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755))?;
    let python = stage.join("python");
    let bundle = if with_python { Some(Bundle::copy(sh, &plugin, &python)?) } else { None };

    let platform = sh.read(sh.command("rustc").args(["--print", "host-tuple"]))?;
    let shipped = Metadata::read(sh, Some(platform.trim()))?.shipped()?;
    let stdlib = python.join("lib/python3.13");
    let files = [
        ("LICENSE", fs::read_to_string(sh.root().join("LICENSE"))?),
        ("THIRD-PARTY.txt", licenses::texts(sh, &shipped, bundle.as_ref(), &stdlib)?),
        (&bill_name(), sbom::bill(sh, &shipped, bundle.as_ref())?),
        ("provenance.json", sbom::provenance(sh, origin, stage, bundle.as_ref())?),
    ];
    for (name, text) in files {
        fs::write(stage.join(name), text)?;
    }
    Ok(())
}

/// The same inputs give the same archive.
fn same_again(
    sh: &Shell,
    origin: &Origin,
    binary: &Path,
    scratch: &Path,
    archive: &Path,
) -> Result<()> {
    let stage = scratch.join("another stage");
    assemble(sh, origin, binary, &stage, true)?;
    let again = scratch.join("again.tar.gz");
    archive::pack(&stage, &again, origin.time)?;
    ensure!(digest(archive)? == digest(&again)?, "packing twice gives two archives");
    println!("packed twice: identical");
    Ok(())
}

/// Takes the archive as the core would, and runs it where there is nothing else: in an
/// empty environment, and again from another directory.
fn works(sh: &Shell, archive: &Path, scratch: &Path) -> Result<()> {
    let directory = archive.parent().context("no directory")?;
    let mut assets = Vec::new();
    for entry in fs::read_dir(directory)? {
        assets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    // GitHub lists assets in an order of its own: none may be taken by mistake.
    for _ in 0..assets.len() {
        assets.rotate_left(1);
        let taken = fetcher::chosen(&assets, &system()?);
        let wanted = archive.file_name().map(|name| name.to_string_lossy().into_owned());
        ensure!(taken == wanted.as_ref(), "the core would take {taken:?}");
    }
    let first = scratch.join("plugins/python");
    fetcher::unpack(archive, PLUGIN, &first)?;
    answers(sh, &first)?;
    let second = scratch.join("moved/elsewhere");
    fs::create_dir_all(second.parent().context("no directory")?)?;
    fs::rename(&first, &second)?;
    answers(sh, &second)?;
    println!("unpacked by the fetcher's rules: answers in an empty environment, moved as well");
    Ok(())
}

/// The plugin under `place` evaluates, with the Python beside it and no other.
fn answers(sh: &Shell, place: &Path) -> Result<()> {
    let eval = |expression: &str| {
        let mut command = sh.command(place.join(PLUGIN));
        command.current_dir(place).env_clear().args(["eval", expression]);
        sh.read(&mut command)
    };
    let said = eval("1+1")?;
    ensure!(said.trim() == "2", "eval 1+1 says `{}`", said.trim());
    let modules = "[__import__(n).__name__ for n in \
                   ('ssl','sqlite3','ctypes','lzma','bz2','zlib','decimal','zoneinfo')] and \
                   (__import__('os').__file__)";
    let said = eval(modules)?;
    let place = place.canonicalize()?;
    ensure!(said.contains(&place.display().to_string()), "Python comes from {}", said.trim());
    // Every library it loads is its own or the C library's.
    let maps = eval("open('/proc/self/maps').read()").unwrap_or_default();
    if let Some(line) = maps.lines().find(|line| line.contains(".pyenv")) {
        bail!("a library of this machine is loaded: {line}");
    }
    Ok(())
}

fn bill_name() -> String {
    format!("{PLUGIN}.cdx.json")
}

/// This system in the core's spelling.
fn system() -> Result<String> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no release for {other}"),
    };
    Ok(format!("{os}-{architecture}"))
}
