//! The attacks, and the harmless acts that must go on working, each with its declared answers.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::raw;

/// What an act may know about its surroundings.
pub(crate) struct Scene {
    pub(crate) scratch: PathBuf,
    pub(crate) sibling_scratch: PathBuf,
    pub(crate) outside: PathBuf,
    pub(crate) sibling: usize,
    pub(crate) supervisor: usize,
    /// Where a server of the test's listens, and where another does.
    pub(crate) port: u16,
    pub(crate) other_port: u16,
}

/// What an act should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It succeeds.
    Done,
    /// The system refuses with this error.
    Errno(i32),
    /// It seems to succeed and changes nothing.
    NoEffect,
    /// The process dies of SIGSYS after reporting this call.
    Trapped(&'static str),
    /// The process dies of this signal without a report.
    Dies(i32),
    /// Not tried: bare it would harm the host, or the kernel decides.
    Skip,
}

use Expect::{Dies, Done, Errno, NoEffect, Skip, Trapped};
use libc::{EACCES, ENOSYS, ENOTTY, EPERM, EXDEV};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) act: fn(&Scene) -> io::Result<Expect>,
    /// Without any sandbox: the proof that the act is what it claims to be.
    pub(crate) bare: Expect,
    /// In a sealed child.
    pub(crate) sealed: Expect,
}

pub(crate) const fn case(
    name: &'static str,
    act: fn(&Scene) -> io::Result<Expect>,
    bare: Expect,
    sealed: Expect,
) -> Case {
    Case { name, act, bare, sealed }
}

pub(crate) fn done<T>(result: io::Result<T>) -> io::Result<Expect> {
    result.map(|_| Done)
}

pub(crate) fn call(nr: i64, args: &[usize]) -> io::Result<Expect> {
    done(raw::syscall(nr, args))
}

pub(crate) fn path_arg(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

pub(crate) fn address(text: &std::ffi::CStr) -> usize {
    text.as_ptr() as usize
}

const NR_UNKNOWN: i64 = 599;
const PID_ZERO: usize = 0;

/// Everything that is tried, in every mode.
pub(crate) const CASES: &[Case] = &[
    // files outside
    case("read_outside", |s| done(fs::read(&s.outside)), Done, Errno(EACCES)),
    case("list_outside", |s| done(fs::read_dir(parent(&s.outside))), Done, Errno(EACCES)),
    case("write_outside", |s| done(append(&s.outside)), Done, Errno(EACCES)),
    case("create_outside", |s| done(File::create(beside(&s.outside))), Done, Errno(EACCES)),
    case("truncate_outside", truncate_outside, Done, Errno(EACCES)),
    case("unlink_outside", |s| done(fs::remove_file(beside(&s.outside))), Done, Errno(EACCES)),
    case("link_outside_file_in", link_in, Done, Errno(EXDEV)),
    case("move_outside_file_in", move_in, Done, Errno(EACCES)),
    case("follow_link_outside", follow_link, Done, Errno(EACCES)),
    case("reopen_through_proc_fd", reopen, Done, Errno(EACCES)),
    case("chmod_outside", chmod_outside, Done, NoEffect),
    case("utime_outside", utime_outside, Done, NoEffect),
    case("read_passwd", |_| done(fs::read("/etc/passwd")), Done, Errno(EACCES)),
    case("list_root", |_| done(fs::read_dir("/")), Done, Errno(EACCES)),
    case("shared_memory_file", shm_file, Done, Errno(EACCES)),
    // siblings
    case("read_sibling", |s| done(fs::read(secret(s))), Done, Errno(EACCES)),
    case("write_sibling", |s| done(append(&secret(s))), Done, Errno(EACCES)),
    case("list_siblings", |s| done(fs::read_dir(parent(&s.scratch))), Done, Errno(EACCES)),
    case("sibling_proc_status", |s| done(proc_of(s.sibling, "status")), Done, Errno(EACCES)),
    case("supervisor_proc_cmdline", supervisor_cmdline, Done, Errno(EACCES)),
    case("signal_sibling", |s| call(libc::SYS_kill, &[s.sibling, 0]), Done, Errno(EPERM)),
    case("signal_supervisor", |s| call(libc::SYS_kill, &[s.supervisor, 0]), Done, Errno(EPERM)),
    case("signal_group", |_| call(libc::SYS_kill, &[PID_ZERO, 0]), Done, Errno(EPERM)),
    case("signal_everyone", |_| call(libc::SYS_kill, &[usize::MAX, 0]), Done, Errno(EPERM)),
    case("signal_sibling_thread", tgkill_sibling, Done, Errno(EPERM)),
    case("hold_sibling", |s| call(libc::SYS_pidfd_open, &[s.sibling]), Done, Errno(EPERM)),
    case("limit_sibling", limit_sibling, Done, Errno(EPERM)),
    case("slow_sibling", slow_sibling, Done, Errno(EPERM)),
    case("trace_sibling", trace_sibling, Done, Trapped("ptrace")),
    case("read_sibling_memory", read_memory, Skip, Trapped("process_vm_readv")),
    // processes
    case("exec", |_| exec(), Done, Errno(EPERM)),
    case("spawn", |_| done(Command::new("/bin/true").status()), Done, Errno(EPERM)),
    case("fork", |_| fork(libc::SIGCHLD), Done, Errno(EPERM)),
    case("fork_namespace", |_| fork(libc::CLONE_NEWUSER), Done, Errno(EPERM)),
    case("clone3", |_| call(libc::SYS_clone3, &[]), Errno(libc::EINVAL), Errno(ENOSYS)),
    case("thread", |_| thread(), Done, Done),
    // network and channels
    case("socket_tcp", |_| socket(libc::AF_INET, libc::SOCK_STREAM), Done, Errno(EPERM)),
    case("socket_udp", |_| socket(libc::AF_INET, libc::SOCK_DGRAM), Done, Errno(EPERM)),
    case("socket_unix", |_| socket(libc::AF_UNIX, libc::SOCK_STREAM), Done, Errno(EPERM)),
    case("socket_netlink", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW), Done, Errno(EPERM)),
    case("pair_stream", |_| pair(libc::SOCK_STREAM), Done, Done),
    case("pair_datagram", |_| pair(libc::SOCK_DGRAM), Done, Errno(EPERM)),
    case("hold_peer", |_| hold_peer(), Done, Errno(EPERM)),
    case("pass_descriptor", |_| pass_descriptor(), Done, Errno(EPERM)),
    case("inotify", |_| call(libc::SYS_inotify_init1, &[0]), Done, Errno(EPERM)),
    case("memfd", |_| call(libc::SYS_memfd_create, &[address(c"m"), 0]), Done, Errno(EPERM)),
    case("flock", flock, Done, Errno(ENOSYS)),
    case("lease", |s| fcntl(s, libc::F_SETLEASE, libc::F_RDLCK), Done, Errno(EPERM)),
    case("file_signals", |s| fcntl(s, libc::F_SETOWN, 0), Done, Errno(EPERM)),
    case("record_lock_for_sqlite", record_lock, Done, Done),
    case("push_input", |_| push_input(), Errno(ENOTTY), Errno(ENOTTY)),
    case("io_uring", |_| call(libc::SYS_io_uring_setup, &[0]), Skip, Errno(ENOSYS)),
    // the seal itself
    case("dumpable", |_| prctl(libc::PR_SET_DUMPABLE, 1), Done, Errno(EPERM)),
    case("outlive_parent", |_| prctl(libc::PR_SET_PDEATHSIG, 0), Done, Errno(EPERM)),
    case("own_filter", |_| own_filter(), Done, Errno(EPERM)),
    case("own_layer", own_layer, Done, Errno(EPERM)),
    case("replace_sigsys", |_| sigsys_handler(), Done, Errno(EPERM)),
    case("raise_limits", |_| set_limit(), Done, Errno(EPERM)),
    case("personality", |_| call(libc::SYS_personality, &[0xffff_ffff]), Done, Errno(EPERM)),
    case("unshare", |_| call(libc::SYS_unshare, &[0]), Done, Trapped("unshare")),
    #[cfg(target_arch = "x86_64")]
    case("unshare_without_stack", |_| unshare_without_stack(), Done, Trapped("unshare")),
    case("bpf", |_| call(libc::SYS_bpf, &[9999]), Skip, Trapped("bpf")),
    case("mount", |_| call(libc::SYS_mount, &[]), Skip, Trapped("mount")),
    case("unknown_call", |_| call(NR_UNKNOWN, &[]), Errno(ENOSYS), Errno(ENOSYS)),
    case("call_by_x32", |_| call(0x4000_0000 | libc::SYS_getpid, &[]), Skip, Dies(libc::SIGSYS)),
    #[cfg(target_arch = "x86_64")]
    case("call_by_int80", |_| done(raw::getpid_by_int80()), Done, Dies(libc::SIGSYS)),
    case("own_sigsys", |_| done(raw::raise(libc::SIGSYS)), Dies(31), Dies(31)),
    // what has to go on working
    case("write_scratch", write_scratch, Done, Done),
    case("move_in_scratch", move_in_scratch, Done, Done),
    case("pipe_in_scratch", fifo, Done, Done),
    case("read_own_status", |_| done(fs::read("/proc/self/status")), Done, Done),
    case("read_own_maps", |_| done(fs::read("/proc/self/maps")), Done, Done),
    case("read_own_network", |_| done(fs::read("/proc/self/net/tcp")), Done, Errno(EACCES)),
    case("read_own_mounts", |_| done(fs::read("/proc/self/mountinfo")), Done, Errno(EACCES)),
    case("write_own_memory", |_| done(write_only("/proc/self/mem")), Skip, Errno(EACCES)),
    case("write_oom_score", |_| done(write_only("/proc/self/oom_score_adj")), Skip, Errno(EACCES)),
    case("read_cpuinfo", |_| done(fs::read("/proc/cpuinfo")), Done, Done),
    case("write_null", |_| done(write_only("/dev/null")), Done, Done),
    case("read_urandom", |_| read_urandom(), Done, Done),
    case("raise_term", |_| done(raw::raise(libc::SIGTERM)), Dies(15), Dies(15)),
    case("abort", |_| raw::abort(), Dies(6), Dies(6)),
    case("signal_main_thread", |_| done(raw::signal_from_another_thread(15)), Dies(15), Dies(15)),
    case("signal_self", |_| call(libc::SYS_kill, &[own_pid(), 0]), Done, Done),
];

fn own_pid() -> usize {
    std::process::id() as usize
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn beside(path: &Path) -> PathBuf {
    path.with_file_name("made")
}

fn secret(scene: &Scene) -> PathBuf {
    scene.sibling_scratch.join("secret")
}

fn append(path: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(b"x")
}

fn write_only(path: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(b"0")
}

fn truncate_outside(scene: &Scene) -> io::Result<Expect> {
    let path = path_arg(&scene.outside);
    call(libc::SYS_truncate, &[address(&path), 1])
}

fn link_in(scene: &Scene) -> io::Result<Expect> {
    done(fs::hard_link(&scene.outside, scene.scratch.join("linked")))
}

fn move_in(scene: &Scene) -> io::Result<Expect> {
    let movable = scene.outside.with_file_name("movable");
    done(fs::rename(movable, scene.scratch.join("moved")))
}

fn follow_link(scene: &Scene) -> io::Result<Expect> {
    let link = scene.scratch.join("link");
    std::os::unix::fs::symlink(&scene.outside, &link)?;
    done(fs::read(link))
}

fn reopen(scene: &Scene) -> io::Result<Expect> {
    let path = path_arg(&scene.outside);
    let flags = (libc::O_PATH | libc::O_CLOEXEC).unsigned_abs() as usize;
    let fd = raw::syscall(libc::SYS_openat, &[usize::MAX, address(&path), flags])?;
    done(fs::read(format!("/proc/self/fd/{fd}")))
}

fn chmod_outside(scene: &Scene) -> io::Result<Expect> {
    let before = fs::metadata(&scene.outside)?.mode();
    fs::set_permissions(&scene.outside, fs::Permissions::from_mode((before & 0o777) ^ 0o001))?;
    Ok(if fs::metadata(&scene.outside)?.mode() == before { NoEffect } else { Done })
}

fn utime_outside(scene: &Scene) -> io::Result<Expect> {
    let before = fs::metadata(&scene.outside)?.mtime();
    let times = [[1usize, 0], [1, 0]];
    let path = path_arg(&scene.outside);
    raw::syscall(libc::SYS_utimensat, &[0, address(&path), times.as_ptr() as usize, 0])?;
    Ok(if fs::metadata(&scene.outside)?.mtime() == before { NoEffect } else { Done })
}

fn shm_file(_: &Scene) -> io::Result<Expect> {
    let path = format!("/dev/shm/confinement-{}", own_pid());
    done(File::create(&path).and_then(|_| fs::remove_file(&path)))
}

fn proc_of(pid: usize, name: &str) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/{name}"))
}

fn supervisor_cmdline(scene: &Scene) -> io::Result<Expect> {
    done(proc_of(scene.supervisor, "cmdline"))
}

fn tgkill_sibling(scene: &Scene) -> io::Result<Expect> {
    call(libc::SYS_tgkill, &[scene.sibling, scene.sibling, 0])
}

fn limit_sibling(scene: &Scene) -> io::Result<Expect> {
    let limit = [64u64, 64];
    let core = libc::RLIMIT_CORE as usize;
    call(libc::SYS_prlimit64, &[scene.sibling, core, limit.as_ptr() as usize, 0])
}

fn slow_sibling(scene: &Scene) -> io::Result<Expect> {
    call(libc::SYS_setpriority, &[0, scene.sibling, 19])
}

fn trace_sibling(scene: &Scene) -> io::Result<Expect> {
    const PTRACE_SEIZE: usize = 0x4206;
    call(libc::SYS_ptrace, &[PTRACE_SEIZE, scene.sibling])
}

fn read_memory(scene: &Scene) -> io::Result<Expect> {
    call(libc::SYS_process_vm_readv, &[scene.sibling])
}

fn exec() -> io::Result<Expect> {
    let argv = [address(c"/bin/true"), 0];
    call(libc::SYS_execve, &[address(c"/bin/true"), argv.as_ptr() as usize, 0])
}

fn fork(flags: i32) -> io::Result<Expect> {
    match raw::syscall(libc::SYS_clone, &[flags.unsigned_abs() as usize])? {
        0 => raw::exit_now(0),
        _ => Ok(Done),
    }
}

fn thread() -> io::Result<Expect> {
    let thread = std::thread::Builder::new().spawn(|| 7)?;
    thread.join().map(|_| Done).map_err(|_| io::Error::other("the thread panicked"))
}

pub(crate) fn socket(family: i32, kind: i32) -> io::Result<Expect> {
    let wide = |value: i32| value.unsigned_abs() as usize;
    call(libc::SYS_socket, &[wide(family), wide(kind), 0])
}

fn pair(kind: i32) -> io::Result<Expect> {
    let mut fds = [0i32; 2];
    let kind = kind.unsigned_abs() as usize;
    call(libc::SYS_socketpair, &[1, kind, 0, fds.as_mut_ptr() as usize])
}

/// A pidfd of the process at the other end, as of Linux 6.5.
fn hold_peer() -> io::Result<Expect> {
    const SO_PEERPIDFD: usize = 77;
    let (ours, _theirs) = sandbox::fds::stream_pair()?;
    let (fd, held, size) = (ours.as_raw_fd().unsigned_abs() as usize, [0u32; 2], [4u32]);
    let args = [fd, 1, SO_PEERPIDFD, held.as_ptr() as usize, size.as_ptr() as usize];
    call(libc::SYS_getsockopt, &args)
}

fn pass_descriptor() -> io::Result<Expect> {
    let (ours, theirs) = sandbox::fds::stream_pair()?;
    done(sandbox::fds::send_with_fds(&ours, b"x", &[theirs]))
}

fn flock(scene: &Scene) -> io::Result<Expect> {
    let file = File::create(scene.scratch.join("locked"))?;
    call(libc::SYS_flock, &[file.as_raw_fd().unsigned_abs() as usize, 2])
}

fn fcntl(scene: &Scene, command: i32, value: i32) -> io::Result<Expect> {
    let path = scene.scratch.join("leased");
    fs::write(&path, b"")?;
    let file = File::open(&path)?;
    let wide = |value: i32| value.unsigned_abs() as usize;
    call(libc::SYS_fcntl, &[wide(file.as_raw_fd()), wide(command), wide(value)])
}

fn record_lock(scene: &Scene) -> io::Result<Expect> {
    let path = scene.scratch.join("database");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    let lock = [0u64; 4];
    let fd = file.as_raw_fd().unsigned_abs() as usize;
    call(libc::SYS_fcntl, &[fd, libc::F_SETLK as usize, lock.as_ptr() as usize])
}

fn push_input() -> io::Result<Expect> {
    let null = File::open("/dev/null")?;
    let byte = [b'x'];
    let fd = null.as_raw_fd().unsigned_abs() as usize;
    call(libc::SYS_ioctl, &[fd, 0x5412, byte.as_ptr() as usize])
}

fn prctl(option: i32, value: usize) -> io::Result<Expect> {
    call(libc::SYS_prctl, &[option.unsigned_abs() as usize, value])
}

#[cfg(target_arch = "x86_64")]
fn unshare_without_stack() -> io::Result<Expect> {
    done(raw::syscall_without_stack(libc::SYS_unshare))
}

fn own_filter() -> io::Result<Expect> {
    // one instruction, "allow", in a struct sock_fprog
    let program = [u64::from_ne_bytes([6, 0, 0, 0, 0, 0, 0xff, 0x7f])];
    let header = [1usize, program.as_ptr() as usize];
    raw::syscall(libc::SYS_prctl, &[libc::PR_SET_NO_NEW_PRIVS as usize, 1]).ok();
    call(libc::SYS_seccomp, &[1, 0, header.as_ptr() as usize])
}

fn own_layer(_: &Scene) -> io::Result<Expect> {
    call(libc::SYS_landlock_create_ruleset, &[0, 0, 1])
}

fn sigsys_handler() -> io::Result<Expect> {
    let action = [1usize, 0, 0, 0];
    let signal = libc::SIGSYS as usize;
    call(libc::SYS_rt_sigaction, &[signal, action.as_ptr() as usize, 0, 8])
}

fn set_limit() -> io::Result<Expect> {
    let limit = [64u64, 64];
    call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NOFILE as usize, limit.as_ptr() as usize, 0])
}

fn write_scratch(scene: &Scene) -> io::Result<Expect> {
    let path = scene.scratch.join("note");
    fs::write(&path, b"kept")?;
    OpenOptions::new().write(true).truncate(true).open(&path)?;
    fs::write(&path, b"again")?;
    assert_eq!(fs::read(&path)?, b"again");
    fs::create_dir(scene.scratch.join("made"))?;
    fs::remove_dir(scene.scratch.join("made"))?;
    done(fs::remove_file(path))
}

fn move_in_scratch(scene: &Scene) -> io::Result<Expect> {
    let (from, to) = (scene.scratch.join("from"), scene.scratch.join("to"));
    fs::create_dir_all(&to)?;
    fs::write(&from, b"x")?;
    done(fs::rename(from, to.join("there")))
}

fn fifo(scene: &Scene) -> io::Result<Expect> {
    let path = path_arg(&scene.scratch.join("fifo"));
    call(libc::SYS_mknodat, &[usize::MAX, address(&path), 0o010_600, 0])
}

fn read_urandom() -> io::Result<Expect> {
    done(File::open("/dev/urandom")?.read_exact(&mut [0; 8]))
}
