//! `cargo xtask fresh`: the README's two commands, as printed, on a fresh clone in a fresh
//! Debian that has its prerequisites and nothing else.
//!
//! The tree is made by mmdebstrap, its Rust comes from Debian's backports, its Python is
//! Debian's, and the commands run as an ordinary user. It needs root, for the chroot.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::shell::{Shell, which};

/// The release whose Python is 3.13; its own Rust is older than ours has to be.
const SUITE: &str = "trixie";
const MIRROR: &str = "http://deb.debian.org/debian";
/// What the README asks for, in Debian's words: a C compiler, a shared CPython, Rust, what the tests
/// use; and git with certificates, which a clone needs.
const PREREQUISITES: &str = "gcc,libc6-dev,python3-dev,python3-pip,curl,strace,git,ca-certificates";
/// What this task needs itself, to make the user and to leave this machine's root.
const OURS: &str = "passwd,mount";
const USER: &str = "newcomer";
/// Under this heading the README gives the commands.
const HEADING: &str = "## Two commands";
const COMMANDS: usize = 2;

/// Run the README's two commands in a fresh Debian tree
#[derive(Debug, Args)]
pub(crate) struct Fresh {
    /// The second command only builds the tests and runs those of the command line alone
    #[arg(long)]
    reduced: bool,
    /// Leave the tree under target/fresh, to look at it
    #[arg(long)]
    keep: bool,
}

impl Fresh {
    pub(crate) fn new(reduced: bool) -> Self {
        Self { reduced, keep: false }
    }

    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        if let Some(reason) = impossible(sh)? {
            bail!("{reason}");
        }
        let readme = fs::read_to_string(sh.root().join("README.md")).context("no README.md")?;
        let commands = commands(&readme)?;
        let tree = Tree::make(sh, self.keep)?;
        println!("{}", tree.versions(sh)?);
        tree.clone_of(sh)?;
        for (i, command) in commands.iter().enumerate() {
            let reduced = self.reduced && i + 1 == commands.len();
            let command = if reduced {
                format!("{command} --package qntx-python-plugin --test it cli::")
            } else {
                command.clone()
            };
            println!("\nnewcomer$ {command}");
            let begin = Instant::now();
            let answer = tree.as_user(sh, &command)?;
            println!("{answer}");
            println!("({} s)", begin.elapsed().as_secs());
            if i == 0 {
                ensure!(answer.lines().last() == Some("7"), "the first command does not answer 7");
            } else {
                ensure!(answer.contains("test result: ok."), "no test has run");
            }
        }
        Ok(())
    }
}

/// Why it cannot be done on this machine.
pub(crate) fn impossible(sh: &Shell) -> Result<Option<String>> {
    if which("mmdebstrap").is_none() {
        return Ok(Some("there is no mmdebstrap here (apt-get install mmdebstrap)".to_owned()));
    }
    let user = sh.read(sh.command("id").arg("-u"))?;
    Ok((user.trim() != "0").then(|| "only root can enter a chroot".to_owned()))
}

/// The commands that the README prints, each a block of one line.
fn commands(readme: &str) -> Result<Vec<String>> {
    let (_, section) = readme.split_once(HEADING).context("README.md has no two commands")?;
    let commands: Vec<String> = section
        .split("```console\n")
        .skip(1)
        .take(COMMANDS)
        .filter_map(|block| block.split_once("\n```"))
        .map(|(command, _)| command.to_owned())
        .collect();
    ensure!(
        commands.len() == COMMANDS && commands.iter().all(|command| !command.contains('\n')),
        "README.md: two commands of one line are expected under `{HEADING}`, not {commands:?}"
    );
    Ok(commands)
}

/// A Debian of its own; unmounted and removed on drop.
#[derive(Debug)]
struct Tree {
    root: PathBuf,
    keep: bool,
}

impl Tree {
    fn make(sh: &Shell, keep: bool) -> Result<Self> {
        let root = sh.target()?.join("fresh");
        let tree = Self { root, keep };
        tree.remove()?;
        let mut command = sh.command("mmdebstrap");
        command.args(["--variant=apt", "--mode=root", "--quiet"]);
        command.arg(format!("--include={PREREQUISITES},{OURS}"));
        // A machine behind a proxy of its own has an authority of its own.
        let authorities = Path::new("/usr/local/share/ca-certificates");
        if authorities.is_dir() {
            let directory = authorities.display();
            command.arg(format!(
                "--customize-hook=cp -r {directory}/. \"$1\"{directory}/ && chroot \"$1\" \
                 update-ca-certificates"
            ));
        }
        command.arg(format!(
            "--customize-hook=chroot \"$1\" apt-get install -y -qq --no-install-recommends \
             -t {SUITE}-backports cargo rustc"
        ));
        command.arg(format!("--customize-hook=chroot \"$1\" useradd -m {USER}"));
        command.arg(SUITE).arg(&tree.root);
        command.arg(format!("deb {MIRROR} {SUITE} main"));
        command.arg(format!("deb {MIRROR} {SUITE}-backports main"));
        sh.run(&mut command).context("no Debian tree")?;
        Ok(tree)
    }

    /// What the prerequisites are here.
    fn versions(&self, sh: &Shell) -> Result<String> {
        let script = "cat /etc/debian_version; rustc --version; python3 --version; gcc --version \
                      | sed -n 1p; ldd --version | sed -n 1p";
        Ok(format!("Debian {}", self.as_user(sh, script)?))
    }

    /// Clones the last commit, as from a server: through git's own protocol.
    fn clone_of(&self, sh: &Shell) -> Result<()> {
        let home = self.home();
        let mut clone = sh.command("git");
        clone.args(["clone", "--quiet", "--no-local", "--depth", "1"]);
        clone.arg(format!("file://{}", sh.root().display())).arg(home.join("qntx-python"));
        sh.run(&mut clone)?;
        let mut own = sh.command("chroot");
        own.arg(&self.root).args(["chown", "-R", &format!("{USER}:{USER}")]);
        sh.run(own.arg(format!("/home/{USER}")))
    }

    fn home(&self) -> PathBuf {
        self.root.join("home").join(USER)
    }

    /// Runs a line of shell as the user, in the clone once there is one; what it wrote
    /// to stdout. Mounts and processes end with it: they are of namespaces of its own.
    fn as_user(&self, sh: &Shell, line: &str) -> Result<String> {
        let script = self.home().join("line.sh");
        let clone = format!("/home/{USER}/qntx-python");
        fs::write(&script, format!("[ ! -d {clone} ] || cd {clone}\n{line}\n"))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let root = self.root.to_str().context("the tree's path is not UTF-8")?;
        // Not by chroot alone: who is in one may make no user namespace (unshare(2), EPERM).
        let inside = format!(
            "mount --bind '{root}' '{root}' && cd '{root}' && mkdir -p outside && \
             mount -t proc proc proc && mount --rbind /dev dev && mount --rbind /sys sys && \
             mount -t tmpfs tmpfs tmp && cp /etc/resolv.conf etc/resolv.conf && \
             pivot_root . outside && cd / && umount -l outside && rmdir outside && \
             exec chroot --userspec={USER}:{USER} / env -i HOME=/home/{USER} \
             USER={USER} PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 \
             bash -e -o pipefail /home/{USER}/line.sh"
        );
        let mut command: Command = sh.command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &inside]);
        let output = sh.output(&mut command)?;
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if !output.status.success() {
            // Which tests failed is on stdout.
            println!("{said}\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
            bail!("`{line}` failed: {}", output.status);
        }
        Ok(said)
    }

    fn remove(&self) -> Result<()> {
        if !self.root.exists() {
            return Ok(());
        }
        // A process that is just ending may still hold a directory.
        let begin = Instant::now();
        while let Err(error) = fs::remove_dir_all(&self.root) {
            if begin.elapsed() > Duration::from_secs(10) {
                return Err(error)
                    .with_context(|| format!("cannot remove {}", self.root.display()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if self.keep {
            println!("the tree is {}", self.root.display());
        } else if let Err(error) = self.remove() {
            eprintln!("{error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn the_commands_are_those_the_readme_prints() {
        let readme = include_str!("../../README.md");
        let commands = commands(readme).expect("two commands");
        assert_eq!(
            commands,
            ["cargo run --release -p qntx-python-plugin -- eval '1 + 2 * 3'", "cargo xtask test"]
        );
    }

    #[test]
    fn a_readme_without_them_is_an_error() {
        assert!(commands("# x\n").is_err());
        assert!(commands("## Two commands\n```console\na\nb\n```\n").is_err());
    }
}
