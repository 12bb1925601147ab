//! The binary: the supervisor, or, re-executed by it, the zygote or uv.
//!
//! **Invariant:** the role is chosen before any thread exists, and this is the
//! only file of the crate that names the interpreter side.
#![forbid(unsafe_code)]

use plugin::cli::{Command, Failure, Invocation};
use plugin::commands::{doctor, run, serve};
use plugin::killing;
use plugin::packages::role;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|role| role == runtime::ZYGOTE_ARG) {
        runtime::zygote_main();
    }
    if std::env::args_os().nth(1).is_some_and(|role| role == role::ARG) {
        return role::become_uv(std::env::args_os().skip(2));
    }
    if std::env::args_os().nth(1).is_some_and(|role| role == killing::ARG) {
        return killing::attempt();
    }
    let invocation = match Invocation::read() {
        Ok(invocation) => invocation,
        Err(e) => {
            // Help and version go to stdout, complaints to stderr; either may be closed.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    // Where the machine has none for us, quotas are held by looking; health says which it is.
    let _ = sandbox::mounts::enter_namespace();
    sandbox::heap::give_back();
    let done = match &invocation.cli.command {
        None | Some(Command::Serve) => serve::serve(&invocation),
        Some(command @ (Command::Run { .. } | Command::Eval { .. })) => {
            run::run(&invocation, command)
        }
        Some(Command::Doctor) => doctor::doctor(&invocation),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure @ Failure { .. }) => {
            failure.print();
            failure.exit.into()
        }
    }
}
