//! `cargo xtask cgroup`: the tests about cgroup v2, on a kernel that has its controllers.
//!
//! Many machines do not: a container sees none, and where version 1 has a controller, version 2
//! lacks it. User Mode Linux is a kernel that runs as a program, on this file system, and boots in
//! seconds.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::python::FetchPython;
use crate::shell::{Shell, which};

/// What User Mode Linux is called.
const UML: &str = "linux.uml";
/// Longest for the boot and the tests.
const LIMIT: Duration = Duration::from_secs(600);

/// Run the tests about cgroup v2 in a User Mode Linux
#[derive(Debug, Default, Args)]
pub(crate) struct Cgroup {
    #[command(flatten)]
    python: FetchPython,
}

/// Whether there is one here; else how to get it.
pub(crate) fn missing() -> Option<&'static str> {
    which(UML).is_none().then_some("no linux.uml here (Debian: apt-get install user-mode-linux)")
}

impl Cgroup {
    pub(crate) fn run(self, sh: &Shell) -> Result<()> {
        if let Some(reason) = missing() {
            bail!("{reason}");
        }
        let python = self.python.prepare(sh)?;
        let arguments = ["test", "-p", "qntx-python-plugin", "--test", "it", "--no-run"];
        let mut build = sh.cargo(arguments);
        sh.run(python.for_build(&mut build))?;
        let mut asked = sh.cargo(arguments.iter().chain(&["--message-format", "json"]));
        let said = sh.read(python.for_build(&mut asked))?;
        let binary = said.lines().find_map(executable).context("cargo names no test binary")?;

        let place = sh.target()?.join("uml");
        fs::create_dir_all(&place)?;
        let (script, log) = (place.join("init.sh"), place.join("said"));
        fs::write(&log, "")?;
        fs::write(&script, init(&binary, &log))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let mut boot = sh.command(UML);
        boot.args(["mem=1536M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw"])
            .arg(format!("init={}", script.display()))
            .args(["con=null", "con0=null", "quiet"]);
        eprintln!("$ {UML} … init={}", script.display());
        // How the kernel itself ends says nothing about the tests.
        sh.succeeds_within(&mut boot, LIMIT);
        let said = fs::read_to_string(&log)?;
        print!("{said}");
        if !said.contains("tests ended with 0\n") {
            bail!("the tests did not pass in the User Mode Linux; {} has its words", log.display());
        }
        Ok(())
    }
}

/// The test binary, from one line of cargo's.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_it = message["target"]["name"] == "it" && message["profile"]["test"] == true;
    is_it.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
}

/// What the kernel runs first, and last.
fn init(binary: &std::path::Path, log: &std::path::Path) -> String {
    format!(
        "#!/bin/sh\n\
         export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run/tmp TMPDIR=/run/tmp\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t cgroup2 cgroup2 /sys/fs/cgroup\n\
         mount -t tmpfs tmpfs /run\n\
         mkdir -m 1777 /run/tmp\n\
         ip link set lo up 2>/dev/null || ifconfig lo up\n\
         {{ uname -sr; cat /sys/fs/cgroup/cgroup.controllers; }} >> {log}\n\
         cd / && QNTX_TEST_CGROUP=1 {binary} cgroup:: --test-threads 1 >> {log} 2>&1\n\
         echo \"tests ended with $?\" >> {log}\n\
         sync\n\
         echo o > /proc/sysrq-trigger\n\
         sleep 10\n",
        binary = binary.display(),
        log = log.display(),
    )
}
