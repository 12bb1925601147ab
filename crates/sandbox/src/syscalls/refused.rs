//! What is refused, sorted by how the refusal should look to the program.
//!
//! **Invariant:** these tables only choose the answer. A call left out of them is refused too, with
//! `ENOSYS`.

use libc::*;

use super::{Entry, table};

// numbers that libc does not name, or not for every architecture
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
#[cfg(target_arch = "aarch64")]
const SYS_setrlimit: c_long = 164;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_fchmodat2: c_long = 452;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_statmount: c_long = 457;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_listmount: c_long = 458;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_setxattrat: c_long = 463;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_removexattrat: c_long = 466;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_open_tree_attr: c_long = 467;
#[allow(non_upper_case_globals, reason = "libc\'s spelling")]
const SYS_file_setattr: c_long = 469;

/// What ordinary libraries try and expect to be refused: `EPERM`, in Python `PermissionError`.
pub const EPERM: &[Entry] = table! {
    SYS_execve: "subprocess; processes are refused";
    SYS_execveat: "subprocess; processes are refused";
    #[cfg(target_arch = "x86_64")]
    SYS_fork: "old C code; processes are refused";
    #[cfg(target_arch = "x86_64")]
    SYS_vfork: "posix_spawn; processes are refused";
    SYS_socket: "the network is refused";
    SYS_connect: "the network is refused, pathname sockets too";
    SYS_bind: "the network is refused";
    SYS_listen: "binds by itself when nothing is bound";
    SYS_accept: "the network is refused";
    SYS_accept4: "the network is refused";
    SYS_sendmmsg: "carries addresses and descriptors";
    SYS_setuid: "daemons drop privileges";
    SYS_setgid: "daemons drop privileges";
    SYS_setreuid: "daemons drop privileges";
    SYS_setregid: "daemons drop privileges";
    SYS_setresuid: "daemons drop privileges";
    SYS_setresgid: "daemons drop privileges";
    SYS_setfsuid: "file servers change identity";
    SYS_setfsgid: "file servers change identity";
    SYS_setgroups: "daemons drop privileges";
    SYS_capset: "daemons drop privileges";
    SYS_setpgid: "daemons leave their group";
    SYS_setsid: "daemons leave their session";
    SYS_personality: "emulators and debuggers ask";
    SYS_setrlimit: "resource.setrlimit; limits are the supervisor's";
    SYS_tkill: "signals by thread id alone can reach another process";
    SYS_rt_sigqueueinfo: "signals with a forged sender";
    SYS_rt_tgsigqueueinfo: "signals with a forged sender";
    SYS_pidfd_open: "asyncio's child watcher; there are no children";
    SYS_pidfd_send_signal: "signals to other processes";
    SYS_kcmp: "graphics libraries compare descriptors";
    SYS_get_robust_list: "looks into other threads";
    SYS_memfd_create: "memory that no limit counts";
    SYS_memfd_secret: "memory that no limit counts";
    SYS_inotify_init1: "watching shared files is a channel between executions";
    SYS_inotify_add_watch: "watching shared files is a channel between executions";
    SYS_inotify_rm_watch: "watching shared files is a channel between executions";
    #[cfg(target_arch = "x86_64")]
    SYS_inotify_init: "watching shared files is a channel between executions";
    SYS_shmget: "System V memory outlives and crosses executions";
    SYS_shmat: "System V memory outlives and crosses executions";
    SYS_shmctl: "System V memory outlives and crosses executions";
    SYS_shmdt: "System V memory outlives and crosses executions";
    SYS_semget: "System V semaphores outlive and cross executions";
    SYS_semop: "System V semaphores outlive and cross executions";
    SYS_semtimedop: "System V semaphores outlive and cross executions";
    SYS_semctl: "System V semaphores outlive and cross executions";
    SYS_msgget: "System V queues outlive and cross executions";
    SYS_msgsnd: "System V queues outlive and cross executions";
    SYS_msgrcv: "System V queues outlive and cross executions";
    SYS_msgctl: "System V queues outlive and cross executions";
    SYS_mq_open: "POSIX queues outlive and cross executions";
    SYS_mq_unlink: "POSIX queues outlive and cross executions";
    SYS_mq_timedsend: "POSIX queues outlive and cross executions";
    SYS_mq_timedreceive: "POSIX queues outlive and cross executions";
    SYS_mq_notify: "POSIX queues outlive and cross executions";
    SYS_mq_getsetattr: "POSIX queues outlive and cross executions";
    SYS_sched_setparam: "the target may be another process";
    SYS_sched_setscheduler: "the target may be another process";
    SYS_sched_setattr: "the target may be another process";
    SYS_sched_getattr: "asked together with its setter";
    SYS_ioprio_set: "the target may be another process";
    SYS_ioprio_get: "asked together with its setter";
    SYS_mbind: "numeric libraries place memory and live without";
    SYS_set_mempolicy: "numeric libraries place memory and live without";
    SYS_get_mempolicy: "numeric libraries place memory and live without";
    SYS_set_mempolicy_home_node: "numeric libraries place memory and live without";
    SYS_migrate_pages: "moves the memory of other processes";
    SYS_move_pages: "numeric libraries ask where memory lies";
    SYS_mlock: "cryptographic libraries lock keys and live without";
    SYS_mlock2: "cryptographic libraries lock keys and live without";
    SYS_mlockall: "cryptographic libraries lock keys and live without";
    SYS_munlock: "undoes what was refused";
    SYS_munlockall: "undoes what was refused";
    SYS_mincore: "shows which shared pages others have touched";
    SYS_process_madvise: "the target may be another process";
    SYS_process_mrelease: "the target is another process";
    SYS_perf_event_open: "profilers probe it";
    SYS_clock_settime: "time.clock_settime";
    SYS_settimeofday: "setting the clock";
    SYS_adjtimex: "setting the clock";
    SYS_clock_adjtime: "setting the clock";
    SYS_sethostname: "socket.sethostname";
    SYS_setdomainname: "setting the host's name";
    SYS_syslog: "reads the kernel's log";
};

/// What succeeds without effect, because a path or descriptor cannot be judged by a filter and
/// Landlock has no right for it, while refusing would break programs that mean no harm.
pub const NO_EFFECT: &[Entry] = table! {
    #[cfg(target_arch = "x86_64")]
    SYS_chmod: "would reach files outside the scratch directory";
    SYS_fchmod: "would reach read-only open files";
    SYS_fchmodat: "would reach files outside the scratch directory";
    SYS_fchmodat2: "would reach files outside the scratch directory";
    #[cfg(target_arch = "x86_64")]
    SYS_chown: "would reach files outside the scratch directory";
    #[cfg(target_arch = "x86_64")]
    SYS_lchown: "would reach files outside the scratch directory";
    SYS_fchown: "would reach read-only open files";
    SYS_fchownat: "would reach files outside the scratch directory";
    #[cfg(target_arch = "x86_64")]
    SYS_utime: "would reach files outside the scratch directory";
    #[cfg(target_arch = "x86_64")]
    SYS_utimes: "would reach files outside the scratch directory";
    #[cfg(target_arch = "x86_64")]
    SYS_futimesat: "would reach files outside the scratch directory";
    SYS_utimensat: "would reach files outside the scratch directory";
    SYS_setxattr: "would reach files outside the scratch directory";
    SYS_lsetxattr: "would reach files outside the scratch directory";
    SYS_fsetxattr: "would reach read-only open files";
    SYS_setxattrat: "would reach files outside the scratch directory";
    SYS_removexattr: "would reach files outside the scratch directory";
    SYS_lremovexattr: "would reach files outside the scratch directory";
    SYS_fremovexattr: "would reach read-only open files";
    SYS_removexattrat: "would reach files outside the scratch directory";
    SYS_file_setattr: "would reach files outside the scratch directory";
    SYS_sync: "stalls every file system of the host";
    SYS_syncfs: "stalls a file system of the host";
};

/// What only an attack asks for: the process ends with `SIGSYS`, and a reporter can say the name.
pub const TRAP: &[Entry] = table! {
    SYS_ptrace: "control of other processes";
    SYS_process_vm_readv: "memory of other processes";
    SYS_process_vm_writev: "memory of other processes";
    SYS_pidfd_getfd: "descriptors of other processes";
    SYS_bpf: "code in the kernel";
    SYS_userfaultfd: "stops the kernel in the middle of a copy";
    SYS_mount: "changes the file tree";
    SYS_umount2: "changes the file tree";
    SYS_pivot_root: "changes the file tree";
    SYS_chroot: "changes the file tree";
    SYS_move_mount: "changes the file tree";
    SYS_open_tree: "changes the file tree";
    SYS_open_tree_attr: "changes the file tree";
    SYS_mount_setattr: "changes the file tree";
    SYS_fsopen: "makes a file system";
    SYS_fsconfig: "makes a file system";
    SYS_fsmount: "makes a file system";
    SYS_fspick: "changes a file system";
    SYS_unshare: "new namespaces widen what the kernel exposes";
    SYS_setns: "enters namespaces of others";
    SYS_open_by_handle_at: "opens files past every path check";
    SYS_name_to_handle_at: "prepares opening files past every path check";
    SYS_fanotify_init: "watches and blocks the file access of others";
    SYS_fanotify_mark: "watches and blocks the file access of others";
    SYS_init_module: "code in the kernel";
    SYS_finit_module: "code in the kernel";
    SYS_delete_module: "code in the kernel";
    SYS_kexec_load: "replaces the kernel";
    SYS_kexec_file_load: "replaces the kernel";
    SYS_reboot: "stops the host";
    SYS_swapon: "administers the host";
    SYS_swapoff: "administers the host";
    SYS_acct: "administers the host";
    SYS_quotactl: "administers the host";
    SYS_quotactl_fd: "administers the host";
    SYS_vhangup: "takes terminals away";
    #[cfg(target_arch = "x86_64")]
    SYS_iopl: "touches devices directly";
    #[cfg(target_arch = "x86_64")]
    SYS_ioperm: "touches devices directly";
    #[cfg(target_arch = "x86_64")]
    SYS_modify_ldt: "opens a second, rarely tested way into the kernel";
    #[cfg(target_arch = "x86_64")]
    SYS_uselib: "long obsolete and often exploited";
    SYS_lookup_dcookie: "long obsolete and often exploited";
};

/// What programs fall back from when the kernel does not have it: `ENOSYS`. Named for the record;
/// calls in no table at all are answered the same way.
pub const ABSENT: &[Entry] = table! {
    SYS_clone3: "its flags lie in memory, out of a filter's sight; libc falls back to clone";
    SYS_io_uring_setup: "passes every filter; libuv falls back";
    SYS_io_uring_enter: "passes every filter";
    SYS_io_uring_register: "passes every filter";
    SYS_flock: "locks on shared files are a channel; file-lock libraries fall back on ENOSYS";
    SYS_keyctl: "keyrings are shared by the user; Kerberos falls back";
    SYS_add_key: "keyrings are shared by the user";
    SYS_request_key: "keyrings are shared by the user";
    SYS_openat2: "its flags lie in memory; callers fall back to openat";
    SYS_timer_create: "takes from the whole user's allowance of queued signals";
    SYS_splice: "rarely used, often exploited; callers copy instead";
    SYS_tee: "rarely used, often exploited; callers copy instead";
    SYS_vmsplice: "rarely used, often exploited; callers copy instead";
    SYS_io_setup: "the older asynchronous interface, rarely used";
    SYS_futex_waitv: "no library here waits for several locks; they fall back to futex";
    SYS_epoll_pwait2: "no event loop here needs it; they fall back to epoll_pwait";
    SYS_signalfd4: "no library here reads signals from a descriptor";
    SYS_statmount: "describes the host's mounts";
    SYS_listmount: "describes the host's mounts";
};
