//! `cargo xtask repro`: the same source gives the same binary, wherever it is built.
//!
//! Two builds in worlds that differ in everything a build can see and should not: where
//! the source, cargo's home and the target directory lie, who builds, their locale, time
//! zone and umask, and how many jobs run. Their bytes have to be equal, and hold no path
//! of this machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::build::PLUGIN;
use crate::portable::{World, holds_none_of};
use crate::shell::Shell;

/// Build twice in different worlds and compare
#[derive(Debug, Default, Args)]
pub(crate) struct Repro {
    /// Keep both builds under target/repro
    #[arg(long)]
    keep: bool,
}

/// What was built twice, and where the first time.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) binary: PathBuf,
    world: World,
}

impl Compared {
    /// The first world, for what can use its libraries; [`Self::clear`] removes them.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Removes what only a build needs.
    pub(crate) fn clear(self) -> Result<()> {
        clear(self.world)
    }
}

impl Repro {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        let keep = self.keep;
        let compared = self.compare(sh)?;
        if keep { Ok(()) } else { compared.clear() }
    }

    /// Builds, compares, and leaves the first world as it was built in.
    pub(crate) fn compare(self, sh: &Shell) -> Result<Compared> {
        let base = sh.target()?.join("repro");
        if base.exists() {
            fs::remove_dir_all(&base).context("cannot clear target/repro")?;
        }
        let first = first(sh, &base)?;
        let second = second(sh, &base)?;
        // Side by side: much of a build waits for one crate, and the other has the core then.
        let binaries = std::thread::scope(|scope| -> Result<[PathBuf; 2]> {
            let other = scope.spawn(|| second.build(sh));
            let one = first.build(sh);
            let other = other.join().map_err(|_| anyhow!("the second build panicked"))?;
            Ok([one?, other?])
        })?;
        let kept = base.join(PLUGIN);
        fs::copy(&binaries[0], &kept)?;

        let [one, two] = [digest(&binaries[0])?, digest(&binaries[1])?];
        println!("{one}  {}\n{two}  {}", binaries[0].display(), binaries[1].display());
        if one != two {
            bail!("the builds differ: {}", difference(sh, &binaries[0], &binaries[1])?);
        }
        let mut paths = vec![base.display().to_string(), sh.root().display().to_string()];
        paths.extend(std::env::home_dir().map(|home| home.join(".cargo").display().to_string()));
        paths.extend(std::env::home_dir().map(|home| home.join(".pyenv").display().to_string()));
        holds_none_of(&kept, &paths)?;
        println!("identical, and no path of this machine is in it");
        if !self.keep {
            clear(second)?;
        }
        Ok(Compared { binary: kept, world: first })
    }
}

fn clear(world: World) -> Result<()> {
    fs::remove_dir_all(world.target)?;
    fs::remove_dir_all(world.cargo_home)?;
    Ok(())
}

/// A short path, few jobs, a plain locale.
fn first(sh: &Shell, base: &Path) -> Result<World> {
    world(
        sh,
        &base.join("a"),
        "0022",
        2,
        &[("USER", "first"), ("LC_ALL", "C"), ("TZ", "UTC"), ("SOURCE_DATE_EPOCH", "0")],
    )
}

/// A long path with a space in it, many jobs, another locale, half around the world.
fn second(sh: &Shell, base: &Path) -> Result<World> {
    let long = format!("second world {}", "x".repeat(80));
    world(
        sh,
        &base.join(long),
        "0077",
        5,
        &[("USER", "second"), ("LC_ALL", "C.UTF-8"), ("TZ", "Asia/Kathmandu")],
    )
}

/// A copy of the tracked files and of cargo's downloads under `base`.
fn world(
    sh: &Shell,
    base: &Path,
    umask: &'static str,
    jobs: usize,
    environment: &[(&'static str, &str)],
) -> Result<World> {
    let source = base.join("source");
    for file in sh.read(sh.command("git").args(["ls-files", "-z"]))?.split('\0') {
        let from = sh.root().join(file);
        if file.is_empty() || !from.is_file() {
            continue;
        }
        let to = source.join(file);
        fs::create_dir_all(to.parent().unwrap_or(&source))?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {file}"))?;
    }
    let cargo_home = base.join("cargo");
    let downloads = World::here(sh)?.cargo_home.join("registry");
    ensure!(downloads.is_dir(), "cargo has no downloads yet: build once first");
    for part in ["cache", "index"] {
        let to = cargo_home.join("registry").join(part);
        fs::create_dir_all(&to)?;
        let mut copy = sh.command("cp");
        sh.read(copy.arg("-r").arg(downloads.join(part).join(".")).arg(&to))?;
    }
    let mut variables: Vec<(&'static str, std::ffi::OsString)> =
        environment.iter().map(|(name, value)| (*name, (*value).into())).collect();
    // Toolchain managers find their toolchains under the home directory: those two
    // places stay, the home itself moves.
    if let Some(home) = std::env::home_dir() {
        for (name, directory) in [("RUSTUP_HOME", ".rustup"), ("PYENV_ROOT", ".pyenv")] {
            let value = std::env::var_os(name).unwrap_or_else(|| home.join(directory).into());
            variables.push((name, value));
        }
    }
    variables.push(("HOME", base.join("home").into()));
    variables.push(("CARGO_NET_OFFLINE", "true".into()));
    let target = base.join("target");
    Ok(World { source, cargo_home, target, environment: variables, umask, jobs })
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hexadecimal(&bytes))
}

/// The SHA-256 of bytes, in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where two binaries differ: sizes, the first differing bytes, the sections.
fn difference(sh: &Shell, one: &Path, two: &Path) -> Result<String> {
    let (a, b) = (fs::read(one)?, fs::read(two)?);
    let at = a.iter().zip(&b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
    let count = a.iter().zip(&b).filter(|(x, y)| x != y).count();
    let around = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(32).min(bytes.len())..bytes.len().min(at + 48)];
        String::from_utf8_lossy(part).replace(|c: char| c.is_control(), "·")
    };
    let mut text = format!(
        "{} and {} bytes, {count} differ, the first at {at}\n  {}\n  {}",
        a.len(),
        b.len(),
        around(&a),
        around(&b)
    );
    // Which section that is, where binutils can tell.
    for path in [one, two] {
        if let Ok(sections) = sh.read(sh.command("readelf").args(["-SW"]).arg(path)) {
            text.push_str(&format!("\n{}\n{sections}", path.display()));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_that_of_sha256sum() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hexadecimal(b"abc"), abc);
    }

    #[test]
    fn a_difference_is_shown_with_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let (one, two) = (directory.path().join("1"), directory.path().join("2"));
        fs::write(&one, "same, then /path/a").expect("written");
        fs::write(&two, "same, then /path/b").expect("written");
        let text = difference(&Shell::new(), &one, &two).expect("compared");
        assert!(text.contains("the first at 17") && text.contains("/path/a"), "{text}");
    }
}
