//! What grants allow, and that everything else stays refused under each of them.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use sandbox::process::Exit;

use crate::cases::{CASES, Case, Expect, Scene, address, call, case, done, path_arg, socket};
use crate::raw;
use crate::world::{World, Zygote, readable};

use Expect::{Done, Errno, Skip};
use libc::{EACCES, EISCONN, EPERM, ESRCH};

/// Acts that are about grants, with what they come to under all of them at once.
pub(crate) const ACTS: &[Case] = &[
    case("connect_listed_port", |s| done(reach(s.port)), Done, Done),
    case("connect_other_port", |s| done(reach(s.other_port)), Done, Errno(EACCES)),
    case("fast_open_other_port", fast_open, Done, Errno(EPERM)),
    case("bind_port", |_| done(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))), Done, Errno(EPERM)),
    case("udp", |_| done(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))), Done, Errno(EPERM)),
    case("mptcp", |_| protocol(262), Skip, Errno(EPERM)),
    case("sctp", |_| protocol(132), Skip, Errno(EPERM)),
    case("raw_socket", |_| socket(libc::AF_INET, libc::SOCK_RAW), Skip, Errno(EPERM)),
    // the kernel's own word, with or without a sandbox: a pair is connected and stays so
    case("connect_pair_to_path", connect_pair, Errno(EISCONN), Errno(EISCONN)),
    case("connect_widowed_pair_to_path", connect_widow, Errno(EISCONN), Errno(EISCONN)),
    case("tcp_no_delay", tcp_no_delay, Done, Done),
    case("exec_unlisted", |_| run("/bin/ls"), Done, Errno(EACCES)),
    case("exec_scratch", exec_scratch, Done, Errno(EACCES)),
    case("start_and_kill", |_| start_and_kill(), Done, Done),
    case("own_session", |_| call(libc::SYS_setsid, &[]), Done, Done),
    case("fork_for_the_parent", |_| fork(libc::CLONE_PARENT), Done, Errno(EPERM)),
    case("privileges", |_| call(libc::SYS_capset, &[]), Errno(libc::EFAULT), Errno(EPERM)),
    case("lock_for_others", lock, Done, Done),
];

fn wide(value: i32) -> usize {
    value.unsigned_abs() as usize
}

/// Speaks with a server of the test's, which the kernel lets wait in its queue.
fn reach(port: u16) -> io::Result<()> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))?.write_all(b"hello")
}

fn fast_open(scene: &Scene) -> io::Result<Expect> {
    let fd = raw::syscall(libc::SYS_socket, &[wide(libc::AF_INET), wide(libc::SOCK_STREAM), 0])?;
    let mut to = [0u8; 16];
    to[..2].copy_from_slice(&2u16.to_ne_bytes());
    to[2..4].copy_from_slice(&scene.other_port.to_be_bytes());
    to[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let flags = wide(libc::MSG_FASTOPEN);
    let fd = usize::try_from(fd).unwrap_or_default();
    call(libc::SYS_sendto, &[fd, address(c"x"), 1, flags, to.as_ptr() as usize, 16])
}

fn protocol(number: usize) -> io::Result<Expect> {
    call(libc::SYS_socket, &[wide(libc::AF_INET), wide(libc::SOCK_STREAM), number])
}

/// `connect(2)` to a listening pathname socket, by one end of a pair.
fn connect_to_path(fd: i32, scene: &Scene) -> io::Result<Expect> {
    let path = scene.outside.with_file_name("listening");
    let mut to = [0u8; 110];
    to[..2].copy_from_slice(&1u16.to_ne_bytes());
    let name = path_arg(&path);
    to[2..2 + name.as_bytes().len()].copy_from_slice(name.as_bytes());
    call(libc::SYS_connect, &[wide(fd), to.as_ptr() as usize, to.len()])
}

fn connect_pair(scene: &Scene) -> io::Result<Expect> {
    let (ours, _theirs) = sandbox::fds::stream_pair()?;
    connect_to_path(ours.as_raw_fd(), scene)
}

fn connect_widow(scene: &Scene) -> io::Result<Expect> {
    let (ours, theirs) = sandbox::fds::stream_pair()?;
    drop(theirs);
    connect_to_path(ours.as_raw_fd(), scene)
}

fn tcp_no_delay(scene: &Scene) -> io::Result<Expect> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, scene.port))?;
    done(stream.set_nodelay(true))
}

fn run(program: &str) -> io::Result<Expect> {
    let mut command = std::process::Command::new(program);
    done(command.stdout(std::process::Stdio::null()).status())
}

fn exec_scratch(scene: &Scene) -> io::Result<Expect> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = scene.scratch.join("program");
    let mut options = fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o755).open(&path)?;
    file.write_all(&fs::read("/bin/true")?)?;
    drop(file);
    run(&path.to_string_lossy())
}

fn fork(flags: i32) -> io::Result<Expect> {
    match raw::syscall(libc::SYS_clone, &[wide(flags | libc::SIGCHLD)])? {
        0 => raw::exit_now(0),
        _ => Ok(Done),
    }
}

fn start_and_kill() -> io::Result<Expect> {
    match raw::syscall(libc::SYS_clone, &[wide(libc::SIGCHLD)])? {
        0 => loop {
            std::thread::sleep(std::time::Duration::from_secs(60));
        },
        pid => {
            let pid = usize::try_from(pid).unwrap_or_default();
            raw::syscall(libc::SYS_kill, &[pid, wide(libc::SIGKILL)])?;
            call(libc::SYS_wait4, &[pid, 0, 0, 0])
        }
    }
}

/// A lock that another open file of the same process meets, as another process would.
fn lock(scene: &Scene) -> io::Result<Expect> {
    let path = scene.scratch.join("shared");
    let (one, other) = (fs::File::create(&path)?, fs::File::create(&path)?);
    let try_lock = |file: &fs::File| {
        raw::syscall(
            libc::SYS_flock,
            &[wide(file.as_raw_fd()), wide(libc::LOCK_EX | libc::LOCK_NB)],
        )
    };
    try_lock(&one)?;
    match try_lock(&other) {
        Err(error) if error.raw_os_error() == Some(libc::EWOULDBLOCK) => Ok(Done),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("two hold one lock")),
    }
}

/// A world with a Unix socket that listens outside of every scratch directory.
fn world() -> (World, UnixListener) {
    let world = World::new();
    let listener = UnixListener::bind(world.path("outside/listening")).unwrap();
    (world, listener)
}

pub(crate) fn acts_bare(_: &World) {
    let mut mismatches = Vec::new();
    for act in ACTS.iter().filter(|act| act.bare != Skip) {
        let (world, _listener) = world();
        let outcome = world.bare(act.name, 0).outcome();
        if outcome != Ok(act.bare) {
            mismatches.push(format!("{}: {outcome:?}, not {:?}", act.name, act.bare));
        }
    }
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
}

/// What a mixture of grants changes in what the strict cases come to.
type Changes = &'static [(&'static str, Expect)];

const NETWORK: Changes = &[("socket_tcp", Done), ("pass_descriptor", Done)];
const WRITE: Changes = &[
    ("read_outside", Done),
    ("list_outside", Done),
    ("write_outside", Done),
    ("create_outside", Done),
    ("truncate_outside", Done),
    ("unlink_outside", Done),
    ("link_outside_file_in", Done),
    ("move_outside_file_in", Done),
    ("follow_link_outside", Done),
    ("reopen_through_proc_fd", Done),
    ("flock", Done),
];
const PROCESSES: Changes = &[
    ("exec", Done),
    ("spawn", Done),
    ("fork", Done),
    ("flock", Done),
    // of its group, itself
    ("signal_group", Done),
    // the kernel's answer where every single one was refused
    ("signal_everyone", Done),
];
/// As the first of its namespace it sees no other, and is spared its own signals.
const NAMESPACE: Changes = &[
    ("exec", Done),
    ("spawn", Done),
    ("fork", Done),
    ("flock", Done),
    ("signal_sibling", Errno(ESRCH)),
    ("signal_supervisor", Errno(ESRCH)),
    ("signal_sibling_thread", Errno(ESRCH)),
    ("signal_group", Done),
    ("signal_everyone", Errno(ESRCH)),
    ("raise_term", Done),
    ("signal_main_thread", Done),
    #[cfg(target_arch = "x86_64")]
    ("abort", Expect::Dies(libc::SIGSEGV)),
];

pub(crate) fn grants_and_nothing_else(_: &World) {
    let strict: &[&str] = &[];
    let network = ["connect_listed_port", "tcp_no_delay"];
    let processes = ["start_and_kill", "own_session", "lock_for_others"];
    let mut mismatches = Vec::new();
    for (grants, changes, works) in [
        ("network", NETWORK, &network[..]),
        ("write", WRITE, &["lock_for_others"][..]),
        ("processes", PROCESSES, &processes[..]),
        ("processes namespace", NAMESPACE, &processes[..]),
        ("", &[][..], strict),
    ] {
        let (world, _listener) = world();
        let zygote = Zygote::start_with(&world, grants);
        let sibling = zygote.sleeper("sibling");
        let mut expect = |act: &Case, expected: Expect| {
            let outcome = zygote.run("sealed", act.name, "own", sibling.process.pid()).outcome();
            if outcome != Ok(expected) {
                let name = act.name;
                mismatches.push(format!("[{grants}] {name}: {outcome:?}, not {expected:?}"));
            }
        };
        for act in CASES {
            let changed = changes.iter().find(|(name, _)| *name == act.name);
            expect(act, changed.map_or(act.sealed, |(_, expected)| *expected));
        }
        for act in ACTS.iter().filter(|act| works.contains(&act.name)) {
            expect(act, act.sealed);
        }
        assert_eq!(sibling.process.try_wait().unwrap(), None, "the sibling is unharmed");
    }
    let (world, _listener) = world();
    let zygote = Zygote::start_with(&world, "network processes namespace");
    for act in ACTS {
        let outcome = zygote.run("sealed", act.name, "own", 0).outcome();
        if outcome != Ok(act.sealed) {
            mismatches.push(format!("[all] {}: {outcome:?}, not {:?}", act.name, act.sealed));
        }
    }
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
}

/// A descendant in a session of its own, which nobody but the kernel finds.
pub(crate) fn leave_a_daemon(mut report: impl Write) {
    let forked = |flags: i32| raw::syscall(libc::SYS_clone, &[wide(flags)]).unwrap();
    if forked(libc::SIGCHLD) == 0 {
        raw::syscall(libc::SYS_setsid, &[]).unwrap();
        if forked(libc::SIGCHLD) == 0 {
            report.write_all(b"daemon").unwrap();
            loop {
                std::thread::sleep(std::time::Duration::from_secs(60));
            }
        }
        raw::exit_now(0);
    }
}

pub(crate) fn descendants_end(world: &World) {
    let zygote = Zygote::start_with(world, "processes namespace");
    let forked = zygote.fork("sealed", "daemon", "own", 0);
    let process = sandbox::process::Pidfd::open_child(forked.pid).unwrap();
    let mut report = fs::File::from(forked.report);
    assert!(readable(&report), "the daemon does not report");
    let mut said = [0; 6];
    report.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"daemon");
    process.kill().unwrap();
    assert_eq!(process.wait().unwrap().exit, Exit::Signal(libc::SIGKILL));
    // whoever lives holds the other end of the pipe
    assert!(readable(&report), "a descendant outlives the execution");
    assert_eq!(report.read(&mut said).unwrap(), 0);
}

pub(crate) fn unbounded(_: &World) {
    use sandbox::{Grants, ZygotePolicy};
    let sealed = |abi, grants| {
        let policy = ZygotePolicy {
            landlock_abi_cap: Some(abi),
            allow_weak: true,
            grants,
            ..ZygotePolicy::default()
        };
        // refused before anything irreversible, so this process may ask
        let proof = sandbox::process::SingleThreaded::prove().unwrap();
        sandbox::seal_zygote(&policy, proof).unwrap_err().to_string()
    };
    let network = Grants { connect: vec![443], ..Grants::default() };
    assert!(sealed(3, network).contains("`network` can't be granted here"));
    let processes = Grants { execute: Some(Vec::new()), ..Grants::default() };
    assert!(sealed(5, processes).contains("`processes` can't be granted here"));
}
