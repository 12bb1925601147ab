//! The zygote: starts CPython, seals itself, forks a child per request.
//!
//! Its control socket is its stdin when it starts: a `SOCK_SEQPACKET` pair end,
//! one prost message per packet, three descriptors with each `Fork`.
//!
//! **Invariant:** one thread, no user code, no network, no secret. It ends with
//! its control socket.

use crate::child::{self, Belongings, Inheritance, REHEARSAL, child_main};
use crate::execute::Tools;
use crate::interpreter::{self, Interpreter};
use crate::pages::PageMap;
use crate::{ffi, learned, natives, scout};
use prost::Message as _;
use proto::codec::MAX_ZYGOTE;
use proto::frame::{
    Fork, ForkFailed, Forked, FromZygote, ModuleFault, Sealed, ToZygote, ZygoteFailed, ZygoteReady,
    ZygoteSettled, ZygoteStart, ZygoteTrying, from_zygote, to_zygote,
};
use pyo3::prelude::*;
use sandbox::process::{self, SingleThreaded};
use sandbox::{ChildPolicy, ChildSeal, Enforced, Grants, LandlockLevel, ZygotePolicy};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// How often a zygote runs [`REHEARSAL`]: the interpreter adapts code that it meets again.
const REHEARSALS: usize = 3;
/// Exit code of a zygote that was started by hand.
const BY_HAND: i32 = 122;

/// Takes the zygote's role. Must be called before any thread exists.
pub fn zygote_main() -> ! {
    let Some(supervisor) = supervisor_pid() else { refuse() };
    let Ok(control) = take_control() else { refuse() };
    let mut zygote = Zygote { control, generation: 0, buffer: vec![0; MAX_ZYGOTE] };
    match zygote.live(supervisor) {
        Ok(()) => ffi::exit_now(0),
        Err(error) => {
            let failed = ZygoteFailed { stage: error.stage.to_owned(), reason: error.reason };
            // Nobody is left to tell when the socket is gone too.
            let _ = zygote.send(from_zygote::Kind::Failed(failed));
            ffi::exit_now(1)
        }
    }
}

fn supervisor_pid() -> Option<i32> {
    std::env::args().nth(2)?.parse().ok()
}

fn refuse() -> ! {
    let message = "this role is started by the plugin itself, with its control socket as stdin; \
                   run the plugin without this argument\n";
    let _ = rustix::io::write(rustix::stdio::stderr(), message.as_bytes());
    ffi::exit_now(BY_HAND)
}

/// Moves the control socket away from descriptor 0, which becomes /dev/null.
fn take_control() -> std::io::Result<OwnedFd> {
    let kind = rustix::net::sockopt::socket_type(rustix::stdio::stdin())?;
    if kind != rustix::net::SocketType::SEQPACKET {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(control)
}

struct Zygote {
    control: OwnedFd,
    generation: u32,
    buffer: Vec<u8>,
}

/// Why a zygote ends, and in which part of its life.
struct Failure {
    stage: &'static str,
    reason: String,
}

fn at<E: std::error::Error>(stage: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure { stage, reason: chain(&error) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Zygote {
    fn live(&mut self, supervisor: i32) -> Result<(), Failure> {
        sandbox::process::set_name(c"qntx:zygote").map_err(at("name"))?;
        let Some((ToZygote { kind: Some(to_zygote::Kind::Start(start)) }, _)) =
            self.receive().map_err(at("start"))?
        else {
            return Ok(());
        };
        self.generation = start.generation;
        sandbox::affinity::remember();
        let map = PageMap::open();
        let mut kept = vec![0, 1, 2, self.control.as_raw_fd()];
        kept.extend(map.as_ref().map(PageMap::raw_fd));
        sandbox::fds::close_all_except(&kept).map_err(at("fds"))?;
        if !start.unsandboxed {
            sandbox::harden::harden_process(Some(supervisor)).map_err(at("harden"))?;
        }
        let huge = interpreter::huge_text();
        crate::ffi::prepare_heap();
        let interpreter = interpreter::start(&start.home).map_err(at("interpreter"))?;
        Python::attach(|py| self.serve(py, &start, &interpreter, supervisor, (map, huge)))
    }

    fn serve(
        &mut self,
        py: Python<'_>,
        start: &ZygoteStart,
        interpreter: &Interpreter,
        supervisor: i32,
        (map, huge): (Option<PageMap>, Result<(), String>),
    ) -> Result<(), Failure> {
        // Site directories and configured paths are looked at after the seal only.
        let site_dirs: Vec<PathBuf> = interpreter::own_site_dirs(interpreter)
            .into_iter()
            .chain(start.site_dirs.iter().map(PathBuf::from))
            .collect();
        let read = readable(start, interpreter, &site_dirs);
        let grants = grants(start, interpreter);
        let (enforced, seal) =
            if start.unsandboxed { (None, None) } else { seal(start, &read, &grants).map(both)? };
        interpreter::set_environment(py, start.environment.iter()).map_err(at("environment"))?;
        interpreter::add_paths(py, &start.python_paths, &site_dirs).map_err(at("paths"))?;
        let qntx = natives::install(py).map_err(at("qntx"))?;
        let (mut preloaded, mut set_aside) =
            interpreter::preload(py, &start.preload, start.processes).map_err(at("preload"))?;
        if !grants.connect.is_empty() {
            natives::resolve_names(py).map_err(at("socket"))?;
        }
        let trusted: Vec<PathBuf> =
            interpreter.directories.iter().chain(&site_dirs).cloned().collect();
        let sources = learned::Sources {
            trusted: &trusted,
            python_paths: &start.python_paths,
            forking: start.processes,
        };
        let (further, unfit) = learned::import(py, &start.learned, &sources, |module| {
            self.send(from_zygote::Kind::Trying(ZygoteTrying { module: module.to_owned() }))
        })
        .map_err(at("learned"))?;
        preloaded.extend(further);
        set_aside.extend(unfit);
        let tools = Tools::new(py).map_err(at("interpreter"))?;
        let sealed = enforced.as_ref().map_or_else(unsandboxed, sealed);
        let mut inheritance = Inheritance {
            tools,
            qntx,
            seal,
            generation: self.generation,
            namespaced: grants.namespace,
            weakened: sealed.weakened.clone(),
            copied: Vec::new(),
        };
        let ready = ZygoteReady {
            python_version: interpreter.version.clone(),
            python_prefix: interpreter.prefix.to_string_lossy().into_owned(),
            python_executable: interpreter.executable.to_string_lossy().into_owned(),
            sealed: Some(sealed),
            set_aside: set_aside
                .into_iter()
                .map(|(module, reason)| ModuleFault { module, reason })
                .collect(),
            preloaded,
            loaded: learned::loaded(py).map_err(at("interpreter"))?,
        };
        self.send(from_zygote::Kind::Ready(ready)).map_err(at("ready"))?;
        let mut memory = Some((map, huge));
        while let Some((message, fds)) = self.receive().map_err(at("control"))? {
            let Some(to_zygote::Kind::Fork(fork)) = message.kind else { continue };
            if !fork.awaited
                && let Some((map, huge)) = memory.take()
            {
                self.settle(py, &mut inheritance, start, map, huge)?;
            }
            self.fork(py, &inheritance, supervisor, fork, fds)?;
            if let Some((map, huge)) = memory.take() {
                self.settle(py, &mut inheritance, start, map, huge)?;
            }
        }
        Ok(())
    }

    /// Imports what is left, and prepares its memory for children. Takes longer than a child
    /// needs to be warm: one that is awaited is forked before.
    fn settle(
        &self,
        py: Python<'_>,
        inheritance: &mut Inheritance,
        start: &ZygoteStart,
        map: Option<PageMap>,
        huge: Result<(), String>,
    ) -> Result<(), Failure> {
        let (preloaded, missing) =
            interpreter::preload(py, &start.late, start.processes).map_err(at("preload"))?;
        if let Some((module, reason)) = missing.first() {
            return Err(Failure { stage: "preload", reason: format!("{module}: {reason}") });
        }
        crate::errors::load(py).map_err(at("errors"))?;
        for _ in 0..REHEARSALS {
            child::rehearse(py, inheritance, REHEARSAL).map_err(at("rehearsal"))?;
        }
        let mut slow = Vec::new();
        if let Err(reason) = interpreter::freeze(py, map.as_ref()).map_err(at("freeze"))? {
            slow.push(format!("objects lie in small pages: {reason}"));
        }
        if let Err(reason) = huge {
            slow.push(format!("libpython is mapped page by page: {reason}"));
        }
        // A scout would have to have a PID namespace, which this zygote could not look into.
        if !inheritance.namespaced {
            match scout::run(py, inheritance, map, &start.scratch_root) {
                Ok(copied) => inheritance.copied = copied,
                Err(reason) => slow.push(format!("memory is copied page by page: {reason}")),
            }
        }
        let loaded = learned::loaded(py).map_err(at("interpreter"))?;
        let settled = ZygoteSettled { slow, preloaded, loaded };
        self.send(from_zygote::Kind::Settled(settled)).map_err(at("control"))
    }

    fn fork(
        &mut self,
        py: Python<'_>,
        inheritance: &Inheritance,
        supervisor: i32,
        fork: Fork,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Failure> {
        let child = fork.child;
        let answer = match self.try_fork(py, inheritance, supervisor, fork, fds) {
            Ok(pid) => from_zygote::Kind::Forked(Forked { child, pid }),
            Err(reason) => from_zygote::Kind::ForkFailed(ForkFailed { child, reason }),
        };
        self.send(answer).map_err(at("control"))
    }

    fn try_fork(
        &mut self,
        py: Python<'_>,
        inheritance: &Inheritance,
        supervisor: i32,
        fork: Fork,
        fds: Vec<OwnedFd>,
    ) -> Result<i32, String> {
        let count = fds.len();
        let [channel, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds)
            .map_err(|_| format!("{count} descriptors came with the request, not 3"))?;
        let belongings = Belongings {
            channel,
            stdout,
            stderr,
            scratch: fork.scratch.into(),
            parent: supervisor,
        };
        let proof = SingleThreaded::prove().map_err(|error| chain(&error))?;
        ffi::before_fork(py);
        let forked = if inheritance.namespaced {
            process::fork_into_namespace(proof)
        } else {
            process::fork_as_sibling(proof)
        };
        match forked {
            Ok(process::Fork::Child(proof)) => child_main(py, inheritance, belongings, proof),
            Ok(process::Fork::Parent(pid)) => {
                ffi::after_fork_parent(py);
                Ok(pid)
            }
            Err(error) => {
                ffi::after_fork_parent(py);
                Err(error.to_string())
            }
        }
    }

    fn send(&self, kind: from_zygote::Kind) -> std::io::Result<()> {
        let frame = FromZygote { generation: self.generation, kind: Some(kind) };
        let none: [std::os::fd::BorrowedFd<'_>; 0] = [];
        sandbox::fds::send_with_fds(self.control.as_fd(), &frame.encode_to_vec(), &none)?;
        Ok(())
    }

    /// The next request; `None` when the supervisor is gone.
    fn receive(&mut self) -> std::io::Result<Option<(ToZygote, Vec<OwnedFd>)>> {
        let received = loop {
            match sandbox::fds::recv_with_fds(self.control.as_fd(), &mut self.buffer) {
                Ok(received) => break received,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        };
        if received.len == 0 {
            return Ok(None);
        }
        let bytes = self.buffer.get(..received.len).unwrap_or_default();
        let message = ToZygote::decode(bytes).map_err(std::io::Error::other)?;
        Ok(Some((message, received.fds)))
    }
}

fn both((enforced, seal): (Enforced, ChildSeal)) -> (Option<Enforced>, Option<ChildSeal>) {
    (Some(enforced), Some(seal))
}

fn readable(start: &ZygoteStart, interpreter: &Interpreter, site_dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut read = sandbox::default_read_paths();
    read.extend(interpreter.directories.iter().cloned());
    read.extend(site_dirs.iter().cloned());
    read.extend(start.read_paths.iter().map(PathBuf::from));
    read.extend(start.python_paths.iter().map(PathBuf::from));
    read
}

/// What is granted beyond the strict policy.
fn grants(start: &ZygoteStart, interpreter: &Interpreter) -> Grants {
    let execute = || {
        let own = interpreter.executable.canonicalize();
        let listed = start.executables.iter().map(PathBuf::from);
        let programs: Vec<PathBuf> = own.into_iter().chain(listed).collect();
        let loaders = sandbox::loaders_of(&programs);
        [programs, loaders].concat()
    };
    Grants {
        write: start.write_paths.iter().map(PathBuf::from).collect(),
        connect: start.connect_ports.iter().filter_map(|port| (*port).try_into().ok()).collect(),
        execute: start.processes.then(execute),
        namespace: start.namespaces && !start.unsandboxed,
    }
}

fn seal(
    start: &ZygoteStart,
    read: &[PathBuf],
    grants: &Grants,
) -> Result<(Enforced, ChildSeal), Failure> {
    let landlock_abi_cap = (start.landlock_abi_cap > 0).then_some(start.landlock_abi_cap);
    let policy = ZygotePolicy {
        read: read.to_vec(),
        write_root: Some(PathBuf::from(&start.scratch_root)),
        grants: grants.clone(),
        landlock_abi_cap,
        allow_weak: start.allow_weak,
    };
    let proof = SingleThreaded::prove().map_err(at("seal"))?;
    let enforced = sandbox::seal_zygote(&policy, proof).map_err(at("seal"))?;
    let child = ChildPolicy {
        read: read.to_vec(),
        landlock_abi_cap,
        allow_weak: start.allow_weak,
        ..ChildPolicy::default()
    };
    let seal = ChildSeal::prepare(&child, grants, &enforced).map_err(at("seal"))?;
    Ok((enforced, seal))
}

/// What was enforced, as a frame.
#[must_use]
pub fn sealed(enforced: &Enforced) -> Sealed {
    let landlock = match &enforced.landlock {
        LandlockLevel::Full => "full".to_owned(),
        LandlockLevel::Partial { missing } => format!("partial: no {}", missing.join(", no ")),
        LandlockLevel::None => "none".to_owned(),
    };
    Sealed {
        landlock_abi: enforced.landlock_abi,
        landlock,
        seccomp_filters: enforced.seccomp_filters,
        no_new_privs: enforced.no_new_privs,
        weakened: enforced.weakened.clone(),
        granted: enforced.grants.sentences(),
        processes: enforced.grants.execute.is_some(),
        namespaces: enforced.grants.namespace,
    }
}

fn unsandboxed() -> Sealed {
    Sealed {
        landlock: "none".to_owned(),
        weakened: vec!["--dangerously-no-sandbox: executions are not confined at all".to_owned()],
        ..Sealed::default()
    }
}
