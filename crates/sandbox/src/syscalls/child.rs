//! What user code may call: a child's system calls.
//!
//! **Invariant:** nothing here creates a process, reaches the network, or changes a file's metadata
//! outside what Landlock governs.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unnecessary_cast,
    reason = "libcs give these small constants different types"
)]

use libc::*;

use super::{Decision, Test, When, eq, masked, ne, null, own_pid, table};

const fn command(number: u32) -> Test {
    eq(1, number)
}

/// `clone` flags that make a thread of this process and nothing else.
const CLONE_SEEN: u32 = (CLONE_THREAD
    | CLONE_VM
    | CLONE_FILES
    | CLONE_FS
    | CLONE_SIGHAND
    | CLONE_VFORK
    | CLONE_PARENT
    | CLONE_PIDFD
    | CLONE_PTRACE
    | CLONE_UNTRACED
    | CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET) as u32
    | CLONE_IO as u32;
/// Without `CLONE_FILES` every thread would have an allowance of descriptors of its own.
const CLONE_A_THREAD: u32 =
    (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_FS) as u32;

/// `socketpair` types with their permitted flags masked away.
const SOCKET_FLAGS: u32 = (SOCK_CLOEXEC | SOCK_NONBLOCK) as u32;
/// `pipe2` flag that makes a kernel notification queue.
const O_NOTIFICATION_PIPE: u32 = O_EXCL as u32;
/// `close_range` flag that gives the calling thread a descriptor table, and so an allowance, of its
/// own.
const CLOSE_RANGE_UNSHARE: u32 = 2;
/// `preadv2` flag that tells whether others have brought a part of a file into memory.
const RWF_NOWAIT: u32 = 8;
/// Set in the clock ids that stand for the processor time of any process.
const CLOCK_OF_A_PROCESS: u32 = 1 << 31;
/// A futex's command, without the flags that say whose it is and by which clock.
const FUTEX_COMMAND: u32 = !((FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) as u32);
const MEMBARRIER_QUERY: u32 = 0;
const MEMBARRIER_PRIVATE: u32 = 8;
const MEMBARRIER_REGISTER_PRIVATE: u32 = 16;
/// The kind of a mapping: shared or private.
const MAP_KIND: u32 = 0xf;
const MADV_POPULATE_READ_: u32 = 22;
const MADV_POPULATE_WRITE_: u32 = 23;
const MADV_COLLAPSE_: u32 = 25;
const MADV_GUARD_INSTALL: u32 = 102;
const MADV_GUARD_REMOVE: u32 = 103;
const F_DUPFD_QUERY: u32 = 1027;
const F_GET_RW_HINT: u32 = 1035;
const TCGETS2: u32 = 0x802c_542a;
const PR_SET_VMA: u32 = 0x5356_4d41;
const ARCH_SET_FS: u32 = 0x1002;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_XCOMP_SUPP: u32 = 0x1021;
const ARCH_GET_XCOMP_PERM: u32 = 0x1022;
const ARCH_REQ_XCOMP_PERM: u32 = 0x1023;

/// What a child may call.
pub(super) const CHILD: &[Decision] = table! {
    // files: where is Landlock's decision
    SYS_read: "input from files, pipes and the channel";
    SYS_write: "output, the channel included";
    SYS_readv: "buffered input";
    SYS_writev: "buffered output";
    SYS_pread64: "os.pread, sqlite, zip readers";
    SYS_pwrite64: "os.pwrite, sqlite";
    SYS_preadv: "os.preadv";
    SYS_pwritev: "os.pwritev";
    SYS_preadv2: "glibc's preadv with flags; not as a look into the page cache" if [
        [masked(5, RWF_NOWAIT, 0)],
    ] else EOPNOTSUPP;
    SYS_pwritev2: "glibc's pwritev with flags";
    SYS_openat: "open; Landlock decides where";
    SYS_close: "closing";
    SYS_close_range: "os.closerange; the descriptor table stays the process's" if [
        [masked(2, CLOSE_RANGE_UNSHARE, 0)],
    ] else EINVAL;
    SYS_lseek: "seeking";
    SYS_fstat: "every open() asks for the size";
    SYS_newfstatat: "os.stat, the import system";
    SYS_statx: "glibc's stat on some builds, Rust libraries";
    SYS_faccessat: "os.access";
    SYS_faccessat2: "os.access with flags";
    SYS_readlinkat: "os.readlink, realpath";
    SYS_getdents64: "os.listdir, the import system";
    SYS_getcwd: "os.getcwd";
    SYS_chdir: "os.chdir; Landlock keeps governing what is opened";
    SYS_fchdir: "shutil and contextlib.chdir";
    SYS_mkdirat: "os.mkdir in the scratch directory";
    SYS_mknodat: "os.mkfifo; Landlock grants no devices or sockets";
    SYS_unlinkat: "os.remove, shutil.rmtree";
    SYS_renameat2: "os.rename on newer libcs";
    SYS_linkat: "os.link within the scratch directory";
    SYS_symlinkat: "os.symlink in the scratch directory";
    SYS_truncate: "os.truncate; a Landlock right";
    SYS_ftruncate: "file.truncate";
    SYS_fallocate: "os.posix_fallocate";
    SYS_fadvise64: "os.posix_fadvise, copying";
    SYS_fsync: "os.fsync, sqlite";
    SYS_fdatasync: "os.fdatasync, sqlite";
    SYS_statfs: "shutil.disk_usage";
    SYS_fstatfs: "os.fstatvfs, sqlite";
    SYS_copy_file_range: "shutil.copyfile";
    SYS_sendfile: "shutil.copyfile";
    SYS_getxattr: "shutil.copy2";
    SYS_lgetxattr: "shutil.copy2";
    SYS_fgetxattr: "shutil.copy2";
    SYS_listxattr: "shutil.copy2";
    SYS_llistxattr: "shutil.copy2";
    SYS_flistxattr: "shutil.copy2";
    SYS_umask: "os.umask, tempfile";
    SYS_dup: "os.dup";
    SYS_dup3: "os.dup2";
    SYS_pipe2: "os.pipe; not as a notification queue" if [
        [masked(1, O_NOTIFICATION_PIPE, 0)],
    ] else EPERM;
    SYS_fcntl: "descriptor flags and sqlite's locks; no leases, owners, signals or pipe sizes" if [
        [command(F_DUPFD as u32)],
        [command(F_GETFD as u32)],
        [command(F_SETFD as u32)],
        [command(F_GETFL as u32)],
        [command(F_SETFL as u32)],
        [command(F_GETLK as u32)],
        [command(F_SETLK as u32)],
        [command(F_SETLKW as u32)],
        [command(F_DUPFD_CLOEXEC as u32)],
        [command(F_GETPIPE_SZ as u32)],
        [command(F_DUPFD_QUERY)],
        [command(F_GET_RW_HINT)],
    ] else EPERM;
    SYS_ioctl: "isatty, terminal size, blocking mode; nothing that writes to a terminal" if [
        [command(TCGETS as u32)],
        [command(TCGETS2)],
        [command(TIOCGWINSZ as u32)],
        [command(FIONREAD as u32)],
        [command(FIONBIO as u32)],
        [command(FIOCLEX as u32)],
        [command(FIONCLEX as u32)],
    ] else ENOTTY;

    // memory
    SYS_mmap: "allocation, files, extension modules; anonymous memory private, and none that grows like a stack, else no limit counts it" if [
        [masked(3, (MAP_ANONYMOUS | MAP_GROWSDOWN) as u32, 0)],
        [masked(3, MAP_KIND | MAP_GROWSDOWN as u32, MAP_PRIVATE as u32)],
    ] else EPERM;
    SYS_munmap: "freeing";
    SYS_mprotect: "thread stacks, extension modules, ctypes callbacks";
    SYS_mremap: "realloc, mmap.resize";
    SYS_madvise: "malloc, numpy; no merging with the pages of others, no pushing out of the cache" if [
        [eq(2, MADV_DONTNEED as u32)],
        [eq(2, MADV_FREE as u32)],
        [eq(2, MADV_NORMAL as u32)],
        [eq(2, MADV_RANDOM as u32)],
        [eq(2, MADV_SEQUENTIAL as u32)],
        [eq(2, MADV_WILLNEED as u32)],
        [eq(2, MADV_REMOVE as u32)],
        [eq(2, MADV_DONTFORK as u32)],
        [eq(2, MADV_DOFORK as u32)],
        [eq(2, MADV_HUGEPAGE as u32)],
        [eq(2, MADV_NOHUGEPAGE as u32)],
        [eq(2, MADV_DONTDUMP as u32)],
        [eq(2, MADV_DODUMP as u32)],
        [eq(2, MADV_WIPEONFORK as u32)],
        [eq(2, MADV_KEEPONFORK as u32)],
        [eq(2, MADV_POPULATE_READ_)],
        [eq(2, MADV_POPULATE_WRITE_)],
        [eq(2, MADV_COLLAPSE_)],
        [eq(2, MADV_GUARD_INSTALL)],
        [eq(2, MADV_GUARD_REMOVE)],
    ] else EINVAL;
    SYS_msync: "mmap.flush, sqlite";
    SYS_brk: "malloc";

    // threads and signals of this process
    SYS_clone: "threads; a new process is refused" if [
        [masked(0, CLONE_SEEN, CLONE_A_THREAD)],
    ] else EPERM;
    SYS_futex: "locks and conditions of threads; none that lends priorities" if [
        [masked(1, FUTEX_COMMAND, FUTEX_WAIT as u32)],
        [masked(1, FUTEX_COMMAND, FUTEX_WAKE as u32)],
        [masked(1, FUTEX_COMMAND, FUTEX_REQUEUE as u32)],
        [masked(1, FUTEX_COMMAND, FUTEX_CMP_REQUEUE as u32)],
        [masked(1, FUTEX_COMMAND, FUTEX_WAKE_OP as u32)],
        [masked(1, FUTEX_COMMAND, FUTEX_WAIT_BITSET as u32)],
        [masked(1, FUTEX_COMMAND, FUTEX_WAKE_BITSET as u32)],
    ] else ENOSYS;
    SYS_set_robust_list: "thread start";
    SYS_set_tid_address: "thread start in musl";
    SYS_rseq: "thread start";
    SYS_membarrier: "musl's loader and runtimes of extension modules; this process's threads alone" if [
        [eq(0, MEMBARRIER_QUERY)],
        [eq(0, MEMBARRIER_PRIVATE)],
        [eq(0, MEMBARRIER_REGISTER_PRIVATE)],
    ] else EINVAL;
    SYS_gettid: "threading.get_native_id";
    SYS_sched_yield: "spinning locks, time.sleep(0)";
    SYS_sched_getaffinity: "os.process_cpu_count";
    SYS_sched_setaffinity: "OpenMP pins its threads; the calling thread alone" if [
        [eq(0, 0)],
    ] else EPERM;
    SYS_sched_getparam: "pthread attributes";
    SYS_sched_getscheduler: "pthread attributes";
    SYS_sched_get_priority_max: "os.sched_get_priority_max";
    SYS_sched_get_priority_min: "os.sched_get_priority_min";
    SYS_sched_rr_get_interval: "os.sched_rr_get_interval";
    SYS_getcpu: "sched_getcpu in allocators and OpenMP";
    SYS_exit: "the end of a thread";
    SYS_exit_group: "the end";
    SYS_restart_syscall: "the kernel continues a sleep with it";
    SYS_rt_sigaction: "signal.signal, faulthandler; SIGSYS stays ours" if [
        [ne(0, SIGSYS as u32)],
        [null(1)],
    ] else EPERM;
    SYS_rt_sigprocmask: "signal.pthread_sigmask, thread start";
    SYS_rt_sigreturn: "the return from a handler";
    SYS_rt_sigtimedwait: "signal.sigwait";
    SYS_rt_sigsuspend: "sigsuspend";
    SYS_rt_sigpending: "signal.sigpending";
    SYS_sigaltstack: "faulthandler";
    SYS_kill: "os.kill on the own process" if [[own_pid(0)]] else EPERM;
    SYS_tgkill: "abort, signal.pthread_kill on own threads" if [[own_pid(0)]] else EPERM;
    SYS_wait4: "answers that there are no children";
    SYS_waitid: "answers that there are no children";

    // time
    SYS_clock_gettime: "time; mostly answered without the kernel; not of other processes" if [
        [masked(0, CLOCK_OF_A_PROCESS, 0)],
    ] else EINVAL;
    SYS_clock_getres: "time.get_clock_info; tells which processes there are" if [
        [masked(0, CLOCK_OF_A_PROCESS, 0)],
    ] else EINVAL;
    SYS_clock_nanosleep: "time.sleep; not by the clock of another process" if [
        [masked(0, CLOCK_OF_A_PROCESS, 0)],
    ] else EINVAL;
    SYS_nanosleep: "sleeping in C code";
    SYS_gettimeofday: "time in C code";
    SYS_getitimer: "signal.getitimer";
    SYS_setitimer: "signal.setitimer, signal.alarm";
    SYS_times: "os.times";
    SYS_timerfd_create: "os.timerfd_create";
    SYS_timerfd_settime: "os.timerfd_settime";
    SYS_timerfd_gettime: "os.timerfd_gettime";

    // waiting
    SYS_ppoll: "select.poll on newer libcs";
    SYS_pselect6: "select.select on newer libcs";
    SYS_epoll_create1: "asyncio";
    SYS_epoll_ctl: "asyncio";
    SYS_epoll_pwait: "asyncio on newer libcs";
    SYS_eventfd2: "os.eventfd, event loops";

    // local stream pairs, as asyncio's self-pipe
    SYS_socketpair: "socket.socketpair; only AF_UNIX streams, which can address nobody else" if [
        [eq(0, AF_UNIX as u32), masked(1, !SOCKET_FLAGS, SOCK_STREAM as u32)],
    ] else EPERM;
    SYS_recvfrom: "socket.recv; no byte out of band" if [[masked(3, MSG_OOB as u32, 0)]] else EPERM;
    SYS_recvmsg: "socket.recvmsg; no byte out of band" if [[masked(2, MSG_OOB as u32, 0)]] else EPERM;
    SYS_sendto: "socket.send; without an address, no byte out of band, and never to open a connection" if [
        [null(4), masked(3, (MSG_FASTOPEN | MSG_OOB) as u32, 0)],
    ] else EPERM;
    SYS_shutdown: "socket.shutdown";
    SYS_getsockname: "socket.getsockname";
    SYS_getpeername: "socket.getpeername";
    SYS_getsockopt: "socket objects ask for family and type; no hold on the peer's process" if [
        [eq(1, SOL_SOCKET as u32), eq(2, SO_TYPE as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_DOMAIN as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_PROTOCOL as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_ERROR as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_ACCEPTCONN as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_REUSEADDR as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_KEEPALIVE as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_SNDBUF as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_RCVBUF as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_LINGER as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_RCVTIMEO as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_SNDTIMEO as u32)],
    ] else EPERM;
    SYS_setsockopt: "buffer sizes and time-outs; no packet filters" if [
        [eq(1, SOL_SOCKET as u32), eq(2, SO_REUSEADDR as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_KEEPALIVE as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_SNDBUF as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_RCVBUF as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_LINGER as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_RCVTIMEO as u32)],
        [eq(1, SOL_SOCKET as u32), eq(2, SO_SNDTIMEO as u32)],
    ] else EPERM;

    // who and where am I
    SYS_getpid: "os.getpid";
    SYS_getppid: "os.getppid, the check for the supervisor";
    SYS_getuid: "os.getuid";
    SYS_geteuid: "os.geteuid";
    SYS_getgid: "os.getgid";
    SYS_getegid: "os.getegid";
    SYS_getgroups: "os.getgroups";
    SYS_getresuid: "os.getresuid";
    SYS_getresgid: "os.getresgid";
    SYS_getpgid: "os.getpgid";
    SYS_getsid: "os.getsid";
    SYS_uname: "platform";
    SYS_sysinfo: "physical memory, os.getloadavg";
    SYS_getrusage: "resource.getrusage";
    SYS_prlimit64: "reading the own limits; setting is the supervisor's" if [
        [eq(0, 0), null(2)],
        [own_pid(0), null(2)],
    ] else EPERM;
    SYS_getpriority: "os.getpriority, os.nice; that of others would be a channel" if [
        [eq(0, PRIO_PROCESS as u32), eq(1, 0)],
        [eq(0, PRIO_PROCESS as u32), own_pid(1)],
    ] else EPERM;
    SYS_setpriority: "os.nice on the own thread, which can only give way" if [
        [eq(0, PRIO_PROCESS as u32), eq(1, 0)],
    ] else EPERM;
    SYS_getrandom: "os.urandom, secrets, hash seeds";
    SYS_prctl: "thread names and questions; no change of what the seal decided" if [
        [eq(0, PR_SET_NAME as u32)],
        [eq(0, PR_GET_NAME as u32)],
        [eq(0, PR_SET_VMA)],
        [eq(0, PR_GET_DUMPABLE as u32)],
        [eq(0, PR_GET_PDEATHSIG as u32)],
        [eq(0, PR_GET_SECCOMP as u32)],
        [eq(0, PR_GET_NO_NEW_PRIVS as u32)],
        [eq(0, PR_GET_TIMERSLACK as u32)],
        [eq(0, PR_GET_THP_DISABLE as u32)],
        [eq(0, PR_GET_TID_ADDRESS as u32)],
        [eq(0, PR_CAPBSET_READ as u32)],
    ] else EPERM;

    // the older names that x86-64 kept
    SYS_open: "open in older C code; Landlock decides where";
    SYS_creat: "open in older C code; Landlock decides where";
    SYS_stat: "os.stat on older libcs";
    SYS_lstat: "os.lstat on older libcs";
    SYS_access: "os.access";
    SYS_readlink: "os.readlink";
    SYS_mkdir: "os.mkdir";
    SYS_mknod: "os.mkfifo; Landlock grants no devices or sockets";
    SYS_rmdir: "os.rmdir";
    SYS_unlink: "os.remove";
    SYS_rename: "os.rename";
    SYS_renameat: "os.rename";
    SYS_link: "os.link";
    SYS_symlink: "os.symlink";
    SYS_dup2: "os.dup2";
    SYS_pipe: "pipe in C code";
    SYS_poll: "select.poll";
    SYS_select: "select.select";
    SYS_epoll_create: "event loops of older C code";
    SYS_epoll_wait: "asyncio";
    SYS_eventfd: "event loops of older C code";
    SYS_alarm: "signal.alarm";
    SYS_pause: "signal.pause";
    SYS_time: "time in older C code";
    SYS_getpgrp: "os.getpgrp";
    SYS_arch_prctl: "thread-local storage and matrix registers of numeric libraries" if [
        [eq(0, ARCH_SET_FS)],
        [eq(0, ARCH_GET_FS)],
        [eq(0, ARCH_GET_XCOMP_SUPP)],
        [eq(0, ARCH_GET_XCOMP_PERM)],
        [eq(0, ARCH_REQ_XCOMP_PERM)],
    ] else EINVAL;
};

/// What [`CHILD`] allows, but a child's last filter answers with success and no effect: record
/// locks. A scratch directory has one process, which never conflicts with itself, so that nothing
/// is lost; on files that others can read a lock would be a channel, and each is kernel memory that
/// no limit counts.
pub(super) const QUIET: &[Decision] = &[Decision {
    name: "fcntl",
    why: "sqlite's locks, which nobody else could hold",
    when: When::Any(&[&[ne(1, F_SETLK as u32), ne(1, F_SETLKW as u32)]]),
    otherwise: 0,
}];
