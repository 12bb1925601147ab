//! What this binary does when it is not the supervisor.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use sandbox::fds::{close_all_except, recv_with_fds, send_with_fds};
use sandbox::harden::{die_with_parent, harden_process};
use sandbox::process::{Fork, SingleThreaded, fork_as_sibling, fork_into_namespace};
use sandbox::{ChildPolicy, ChildSeal, Enforced, Grants, ZygotePolicy, default_read_paths};

use crate::cases::{CASES, Expect, Scene};
use crate::raw;

pub(crate) const ROLE: &str = "SANDBOX_TEST_ROLE";
pub(crate) const WORLD: &str = "SANDBOX_TEST_WORLD";
pub(crate) const SUPERVISOR: &str = "SANDBOX_TEST_SUPERVISOR";
pub(crate) const SIBLING: &str = "SANDBOX_TEST_SIBLING";
pub(crate) const CASE: &str = "SANDBOX_TEST_CASE";
pub(crate) const GRANTS: &str = "SANDBOX_TEST_GRANTS";
pub(crate) const PORT: &str = "SANDBOX_TEST_PORT";
pub(crate) const OTHER_PORT: &str = "SANDBOX_TEST_OTHER_PORT";
pub(crate) const TRAP_PREFIX: &[u8] = b"trap:";

pub(crate) fn play(role: &str) -> ! {
    match role {
        "bare" => bare(),
        "sleeper" => sleep(),
        "zygote" => zygote(),
        "supervisor" => supervisor(),
        "threads" => threads(),
        weak => old_kernel(weak),
    }
    std::io::stdout().flush().unwrap();
    raw::exit_now(0)
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn supervisor_pid() -> i32 {
    env(SUPERVISOR).parse().unwrap()
}

fn world(name: &str) -> PathBuf {
    PathBuf::from(env(WORLD)).join(name)
}

fn scene(scratch: &str, sibling: &str) -> Scene {
    Scene {
        scratch: world("scratch").join(scratch),
        sibling_scratch: world("scratch/sibling"),
        outside: world("outside/file"),
        sibling: sibling.parse().unwrap(),
        supervisor: supervisor_pid().unsigned_abs() as usize,
        port: env(PORT).parse().unwrap_or_default(),
        other_port: env(OTHER_PORT).parse().unwrap_or_default(),
    }
}

/// What the zygote of this test is granted.
fn grants() -> Grants {
    let names = env(GRANTS);
    let has = |name: &str| names.split(' ').any(|granted| granted == name);
    let programs = vec![PathBuf::from("/bin/true").canonicalize().unwrap()];
    let execute = [programs.clone(), sandbox::loaders_of(&programs)].concat();
    Grants {
        write: if has("write") { vec![world("outside")] } else { Vec::new() },
        connect: if has("network") { vec![env(PORT).parse().unwrap()] } else { Vec::new() },
        execute: has("processes").then_some(execute),
        namespace: has("namespace"),
    }
}

fn sleep() {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

fn perform(name: &str, scene: &Scene, mut report: impl Write) {
    let act = CASES.iter().chain(crate::granted::ACTS).find(|case| case.name == name).unwrap();
    let text = match (act.act)(scene) {
        Ok(Expect::NoEffect) => "no effect".to_owned(),
        Ok(_) => "done".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(number) => format!("errno {number}"),
            None => error.to_string(),
        },
    };
    report.write_all(text.as_bytes()).unwrap();
}

fn bare() {
    // closed on exec, so that a successful exec is seen as an end without a report
    let out = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3).unwrap();
    close_all_except(&[0, 2, out.as_raw_fd()]).unwrap();
    perform(&env(CASE), &scene("own", &env(SIBLING)), File::from(out));
}

pub(crate) fn zygote_policy() -> ZygotePolicy {
    ZygotePolicy {
        read: default_read_paths(),
        write_root: Some(world("scratch")),
        grants: grants(),
        ..ZygotePolicy::default()
    }
}

fn child_policy(hide_own_proc: bool) -> ChildPolicy {
    ChildPolicy { read: default_read_paths(), hide_own_proc, ..ChildPolicy::default() }
}

fn zygote() {
    let control = std::io::stdin();
    close_all_except(&[0, 1, 2]).unwrap();
    harden_process(Some(supervisor_pid())).unwrap();
    let enforced =
        sandbox::seal_zygote(&zygote_policy(), SingleThreaded::prove().unwrap()).unwrap();
    let seal = ChildSeal::prepare(&child_policy(false), &grants(), &enforced).unwrap();
    let hiding = ChildSeal::prepare(&child_policy(true), &grants(), &enforced).unwrap();
    send_with_fds(&control, b"sealed", &[] as &[OwnedFd]).unwrap();
    loop {
        let mut buffer = [0; 512];
        let mut received = recv_with_fds(&control, &mut buffer).unwrap();
        let Some(report) = received.fds.pop() else { return };
        let proof = SingleThreaded::prove().unwrap();
        let namespace = grants().namespace;
        let forked = if namespace { fork_into_namespace(proof) } else { fork_as_sibling(proof) };
        match forked.unwrap() {
            Fork::Parent(pid) => {
                send_with_fds(&control, pid.to_string().as_bytes(), &[] as &[OwnedFd]).unwrap();
            }
            Fork::Child(proof) => {
                let request = String::from_utf8_lossy(&buffer[..received.len]);
                let seal = if request.starts_with("hiding ") { &hiding } else { &seal };
                child(&request, seal, &enforced, proof, report);
                raw::exit_now(0)
            }
        }
    }
}

fn child(
    request: &str,
    seal: &ChildSeal,
    zygote: &Enforced,
    proof: SingleThreaded,
    report: OwnedFd,
) {
    let words: Vec<&str> = request.split(' ').collect();
    let &[mode, case, scratch, sibling] = words.as_slice() else { panic!("{request}") };
    let scene = scene(scratch, sibling);
    if grants().namespace {
        sandbox::harden::give_up_capabilities().unwrap();
        sandbox::harden::die_with_outer_parent().unwrap();
    } else {
        die_with_parent(supervisor_pid()).unwrap();
    }
    sandbox::report::install_sigsys_reporter(report.as_raw_fd(), b"early:").unwrap();
    let enforced = match mode {
        "first-layer" => zygote.clone(),
        "confined" => {
            seal.confine(&scene.scratch, proof).unwrap();
            zygote.clone()
        }
        "narrowed" => {
            let confined = seal.confine(&scene.scratch, proof).unwrap();
            confined.narrow(&[], &scene.scratch).unwrap().finish().unwrap()
        }
        _ => match seal.apply(&scene.scratch, proof) {
            Ok(enforced) => enforced,
            Err(error) => {
                File::from(report).write_all(format!("refused: {error}").as_bytes()).unwrap();
                return;
            }
        },
    };
    // left open by accident, below and above what is kept
    std::mem::forget([3, 500].map(|from| rustix::io::fcntl_dupfd_cloexec(&report, from).unwrap()));
    close_all_except(&[2, report.as_raw_fd()]).unwrap();
    // a spare learns only from its job what a report has to say
    sandbox::report::retarget_sigsys_report(report.as_raw_fd(), TRAP_PREFIX).unwrap();
    let mut report = File::from(report);
    match case {
        "sleep" => {
            report.write_all(format!("{enforced:?}").as_bytes()).unwrap();
            sleep();
        }
        "daemon" => {
            crate::granted::leave_a_daemon(&report);
            sleep();
        }
        "descriptors" => {
            let open = |fd: usize| raw::syscall(libc::SYS_fcntl, &[fd, 1]).is_ok();
            let held: Vec<usize> = (0..1024).filter(|fd| open(*fd)).collect();
            report.write_all(format!("{held:?} {}", report.as_raw_fd()).as_bytes()).unwrap();
        }
        "apply_twice" => {
            let again = seal.apply(&scene.scratch, SingleThreaded::prove().unwrap());
            report.write_all(format!("{again:?}").as_bytes()).unwrap();
        }
        "read_system" => {
            let read = std::fs::read("/proc/cpuinfo");
            let text = read.map_or_else(|error| error.kind().to_string(), |_| "read".to_owned());
            report.write_all(text.as_bytes()).unwrap();
        }
        case => perform(case, &scene, report),
    }
}

/// A supervisor with a zygote and a sleeping child, to be killed.
fn supervisor() {
    let world = crate::world::World::adopt(env(WORLD).into());
    let zygote = crate::world::Zygote::start(&world);
    let sleeper = zygote.sleeper("own");
    let mut out = std::io::stdout();
    writeln!(out, "{} {}", zygote.process.0.id(), sleeper.process.pid()).unwrap();
    out.flush().unwrap();
    sleep();
}

fn threads() {
    std::thread::spawn(sleep);
    let proof = SingleThreaded::prove();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().count();
    print!("{proof:?} {tasks}");
}

/// `abi:N` or `weak:N`: seals itself as if the kernel's Landlock were older.
fn old_kernel(role: &str) {
    let (kind, abi) = role.split_once(':').unwrap();
    let policy = ZygotePolicy {
        landlock_abi_cap: Some(abi.parse().unwrap()),
        allow_weak: kind == "weak",
        ..zygote_policy()
    };
    let sealed = sandbox::seal_zygote(&policy, SingleThreaded::prove().unwrap());
    let filters = std::fs::read_to_string("/proc/self/status")
        .map(|text| text.lines().any(|line| line == "Seccomp:\t2"))
        .unwrap_or_default();
    match sealed {
        Ok(enforced) => {
            let outside = world("outside/file");
            let read = std::fs::read(&outside).is_ok();
            let path = std::ffi::CString::new(outside.into_os_string().into_encoded_bytes());
            let path = path.unwrap();
            let truncated = raw::syscall(libc::SYS_truncate, &[path.as_ptr() as usize, 1]).is_ok();
            let level = enforced.landlock;
            let weak = enforced.weakened.len();
            write!(
                std::io::stdout(),
                "sealed {level:?} weak={weak} read={read} truncated={truncated} filters={filters}"
            )
        }
        Err(error) => write!(std::io::stdout(), "refused filters={filters}: {error}"),
    }
    .unwrap();
}
