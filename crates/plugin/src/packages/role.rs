//! The role in which this binary becomes uv: it gives up what uv needs not
//! have, confines itself, then executes it.
//!
//! **Invariant:** whatever runs as uv ends with the plugin, however that ends,
//! leads a process group of its own, can't gain a privilege, and reaches what
//! its [`Cage`] names and nothing else.

use super::cage::Cage;
use rustix::process::{Resource, Rlimit};
use sandbox::process::SingleThreaded;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// The first argument that chooses this role; then our process id, the words of
/// a [`Cage`], uv and its arguments.
pub const ARG: &str = "qntx:uv";
/// Exit code when uv could not be executed.
pub const CANNOT: u8 = 122;

/// Most bytes of one file, of memory that is written to, and descriptors.
const LIMITS: [(Resource, u64); 3] =
    [(Resource::Fsize, 8 << 30), (Resource::Data, 8 << 30), (Resource::Nofile, 4096)];

/// Takes the role; returns only when it can't.
#[must_use]
pub fn become_uv(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = arguments.next().and_then(|pid| pid.to_str()?.parse::<i32>().ok());
    let cage = parent.and_then(|_| Cage::read_words(&mut arguments));
    let (Some(parent), Some(cage), Some(program)) = (parent, cage, arguments.next()) else {
        return refuse("this role is taken by the plugin itself, to run uv");
    };
    if let Err(error) = sandbox::harden::harden_process(Some(parent)) {
        return refuse(&crate::api::chain(&error));
    }
    for (resource, most) in LIMITS {
        // A lower limit of whoever started the plugin stays.
        let had = rustix::process::getrlimit(resource);
        let most = had.maximum.map_or(most, |had| had.min(most));
        let current = had.current.map_or(most, |had| had.min(most));
        let current = if resource == Resource::Nofile { most } else { current };
        let limit = Rlimit { current: Some(current), maximum: Some(most) };
        if let Err(error) = rustix::process::setrlimit(resource, limit) {
            return refuse(&format!("a limit can't be set: {error}"));
        }
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let confined =
        SingleThreaded::prove().and_then(|proof| sandbox::tool::confine(&cage.policy(), proof));
    if let Err(error) = confined {
        return refuse(&format!("uv can't be confined: {}", crate::api::chain(&error)));
    }
    let error = Command::new(&program).args(arguments).exec();
    let hint = if error.kind() == std::io::ErrorKind::PermissionDenied {
        " (a script that starts uv is none of what may run here: --uv PATH names the program \
         itself)"
    } else {
        ""
    };
    refuse(&format!("{} can't be executed: {error}{hint}", program.display()))
}

fn refuse(reason: &str) -> ExitCode {
    // Nobody is left to tell when stderr is gone too.
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("error: {reason}\n").as_bytes());
    ExitCode::from(CANNOT)
}
