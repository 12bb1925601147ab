//! The role in which this binary becomes uv: it gives up what uv needs not
//! have, then executes it.
//!
//! **Invariant:** whatever runs as uv ends with the plugin, however that ends,
//! leads a process group of its own, and can't gain a privilege.

use rustix::process::{Resource, Rlimit};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// The first argument that chooses this role; then our process id, then uv.
pub const ARG: &str = "qntx:uv";
/// Exit code when uv could not be executed.
pub const CANNOT: u8 = 122;

/// Most bytes of one file.
const FILE: u64 = 8 << 30;
/// Most bytes of memory that is written to.
const DATA: u64 = 8 << 30;

/// Takes the role; returns only when it can't.
#[must_use]
pub fn become_uv(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        return refuse("this role is taken by the plugin itself, to run uv");
    };
    if let Err(error) = sandbox::harden::harden_process(Some(parent)) {
        return refuse(&crate::api::chain(&error));
    }
    for (resource, most) in [(Resource::Fsize, FILE), (Resource::Data, DATA)] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = rustix::process::setrlimit(resource, limit) {
            return refuse(&format!("a limit can't be set: {error}"));
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let error = Command::new(&program).args(arguments).exec();
    refuse(&format!("{} can't be executed: {error}", program.display()))
}

fn refuse(reason: &str) -> ExitCode {
    // Nobody is left to tell when stderr is gone too.
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("error: {reason}\n").as_bytes());
    ExitCode::from(CANNOT)
}
