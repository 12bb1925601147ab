//! Decisions that matter most, by name and in numbers of their own: a table that forgot one would
//! agree with its filter all the same.

use super::*;

/// A child's answer to the call of that name.
fn ask(child: &[Program], arch: Arch, name: &str, args: [u64; 6]) -> u32 {
    let lists = Lists::on(arch);
    let tables =
        [lists.child, lists.zygote, lists.eperm, lists.no_effect, lists.trap, lists.absent];
    let entry = tables.into_iter().flatten().find(|entry| entry.name == name).unwrap();
    stack(child, &Call { nr: number(entry), arch: arch.audit_number(), args })
}

#[test]
fn decisions_that_the_design_names_hold() {
    let stacks = Arch::ALL.map(|arch| (arch, child(&Tables::on(arch, &Grants::default()))));
    let with = |first: i32, second: i32| {
        let wide = |value: i32| u64::from(value.unsigned_abs());
        [wide(first), wide(second), 0, 0, 0, 0]
    };
    let eperm = errno(libc::EPERM);
    let (af_unix, af_inet) = (libc::AF_UNIX, libc::AF_INET);
    let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    for (name, args, answer, what) in [
        ("clone3", [0; 6], errno(libc::ENOSYS), "threads fall back to clone"),
        ("io_uring_setup", [0; 6], errno(libc::ENOSYS), "libuv falls back"),
        ("execve", [0; 6], eperm, "no processes"),
        ("clone", with(libc::SIGCHLD, 0), eperm, "fork"),
        ("clone", [0x3d_0f00, 0, 0, 0, 0, 0], RET_ALLOW, "glibc's pthread_create"),
        ("clone", [0x7d_0f00, 0, 0, 0, 0, 0], RET_ALLOW, "musl's pthread_create"),
        ("clone", [0x4111, 0, 0, 0, 0, 0], eperm, "posix_spawn's vfork"),
        ("clone", [0x1000_0000 | 0x3d_0f00, 0, 0, 0, 0, 0], eperm, "user namespace"),
        ("socket", with(af_unix, stream), eperm, "no sockets"),
        ("socketpair", with(af_unix, stream), RET_ALLOW, "asyncio's self-pipe"),
        ("socketpair", with(af_unix, libc::SOCK_DGRAM), eperm, "can address anyone"),
        ("socketpair", with(af_unix, libc::SOCK_SEQPACKET), eperm, "not needed"),
        ("socketpair", with(af_inet, stream), eperm, "only local"),
        ("sendto", [3, 1, 1, 0, 0x7fff_0000_0000, 16], eperm, "with an address"),
        ("sendto", [3, 1, 1, 0, 0, 0], RET_ALLOW, "without one"),
        ("sendmsg", [3, 1, 0, 0, 0, 0], eperm, "could pass descriptors"),
        ("getsockopt", [3, 1, 77, 0, 0, 0], eperm, "SO_PEERPIDFD holds the supervisor"),
        ("getsockopt", [3, 1, 3, 0, 0, 0], RET_ALLOW, "SO_TYPE"),
        ("setsockopt", [3, 1, 26, 0, 0, 0], eperm, "SO_ATTACH_FILTER"),
        ("prctl", with(libc::PR_SET_NAME, 0), RET_ALLOW, "thread names"),
        ("prctl", with(libc::PR_SET_DUMPABLE, 1), eperm, "stays sealed"),
        ("prctl", with(libc::PR_SET_SECCOMP, 2), eperm, "stays sealed"),
        ("prctl", with(libc::PR_SET_PDEATHSIG, 0), eperm, "dies with its parent"),
        ("seccomp", [1, 0, 1, 0, 0, 0], eperm, "no filters by user code"),
        ("seccomp", [1, 8, 1, 0, 0, 0], eperm, "no listener"),
        ("landlock_restrict_self", [0; 6], eperm, "no layers by user code"),
        ("rt_sigaction", [31, 0x1000, 0, 8, 0, 0], eperm, "SIGSYS stays ours"),
        ("rt_sigaction", [31, 0, 0x1000, 8, 0, 0], RET_ALLOW, "asking is fine"),
        ("rt_sigaction", [11, 0x1000, 0, 8, 0, 0], RET_ALLOW, "faulthandler"),
        ("kill", [u64::from(PID), 15, 0, 0, 0, 0], RET_ALLOW, "itself"),
        ("kill", [0, 15, 0, 0, 0, 0], eperm, "its process group is the zygote's"),
        ("kill", [u64::MAX, 15, 0, 0, 0, 0], eperm, "everyone"),
        ("ioctl", [0, 0x5412, 0, 0, 0, 0], errno(libc::ENOTTY), "TIOCSTI"),
        ("ioctl", [0, 0x1_0000_5412, 0, 0, 0, 0], errno(libc::ENOTTY), "TIOCSTI, wide"),
        ("ioctl", [0, 0x5401, 0, 0, 0, 0], RET_ALLOW, "isatty"),
        ("fcntl", [0, 8, 0, 0, 0, 0], eperm, "F_SETOWN"),
        ("fcntl", [0, 1024, 0, 0, 0, 0], eperm, "F_SETLEASE"),
        ("fcntl", [0, 1026, 0, 0, 0, 0], eperm, "F_NOTIFY"),
        ("fcntl", [0, 6, 0, 0, 0, 0], errno(0), "F_SETLK succeeds without effect"),
        ("fcntl", [0, 7, 0, 0, 0, 0], errno(0), "F_SETLKW"),
        ("fcntl", [0, 5, 0, 0, 0, 0], RET_ALLOW, "F_GETLK finds nobody's"),
        ("clone", [0x3d_0b00, 0, 0, 0, 0, 0], eperm, "a thread without CLONE_FILES"),
        ("close_range", [3, 9, 2, 0, 0, 0], errno(libc::EINVAL), "CLOSE_RANGE_UNSHARE"),
        ("close_range", [3, 9, 4, 0, 0, 0], RET_ALLOW, "CLOSE_RANGE_CLOEXEC"),
        ("mmap", [0, 4096, 3, 0x21, 0, 0], eperm, "shared and anonymous"),
        ("mmap", [0, 4096, 3, 0x23, 0, 0], eperm, "shared, validated and anonymous"),
        ("mmap", [0, 4096, 3, 0x22, 0, 0], RET_ALLOW, "malloc"),
        ("mmap", [0, 4096, 3, 0x2_0022, 0, 0], RET_ALLOW, "MAP_STACK of threads"),
        ("mmap", [0, 4096, 3, 0x122, 0, 0], eperm, "MAP_GROWSDOWN counts as a stack"),
        ("futex", [0, 393, 0, 0, 0, 0], RET_ALLOW, "a lock with a time-out"),
        ("futex", [0, 134, 0, 0, 0, 0], errno(libc::ENOSYS), "FUTEX_LOCK_PI"),
        ("membarrier", [8, 0, 0, 0, 0, 0], RET_ALLOW, "its own threads"),
        ("membarrier", [1, 0, 0, 0, 0, 0], errno(libc::EINVAL), "every processor"),
        ("sendto", [3, 1, 1, 1, 0, 0], eperm, "MSG_OOB"),
        ("mmap", [0, 4096, 3, 0x1, 4, 0], RET_ALLOW, "a file in scratch"),
        ("madvise", [0, 4096, 4, 0, 0, 0], RET_ALLOW, "MADV_DONTNEED"),
        ("madvise", [0, 4096, 12, 0, 0, 0], errno(libc::EINVAL), "MADV_MERGEABLE"),
        ("madvise", [0, 4096, 21, 0, 0, 0], errno(libc::EINVAL), "MADV_PAGEOUT"),
        ("clock_gettime", [1, 0, 0, 0, 0, 0], RET_ALLOW, "the time"),
        ("clock_gettime", [!7, 0, 0, 0, 0, 0], errno(libc::EINVAL), "a process's"),
        ("getpriority", [0, 0, 0, 0, 0, 0], RET_ALLOW, "its own"),
        ("getpriority", [0, 1, 0, 0, 0, 0], eperm, "another's"),
        ("preadv2", [3, 0, 1, 0, 0, 8], errno(libc::EOPNOTSUPP), "RWF_NOWAIT"),
        ("prlimit64", [0, 7, 0x1000, 0, 0, 0], eperm, "limits are the supervisor's"),
        ("prlimit64", [1, 7, 0, 0x1000, 0, 0], eperm, "limits of others"),
        ("prlimit64", [0, 7, 0, 0x1000, 0, 0], RET_ALLOW, "reading its own"),
        ("fchmodat", [0; 6], errno(0), "succeeds without effect"),
        ("utimensat", [0; 6], errno(0), "succeeds without effect"),
        ("memfd_create", [0; 6], eperm, "uncounted memory"),
        ("inotify_init1", [0; 6], eperm, "a channel"),
        ("flock", [0; 6], errno(libc::ENOSYS), "a channel"),
        ("ptrace", [0; 6], libc::SECCOMP_RET_TRAP, "an attack"),
        ("bpf", [0; 6], libc::SECCOMP_RET_TRAP, "an attack"),
        ("unshare", [0; 6], libc::SECCOMP_RET_TRAP, "an attack"),
    ] {
        for (arch, child) in &stacks {
            assert_eq!(ask(child, *arch, name, args), answer, "{what}: {name} {args:x?} {arch:?}");
        }
    }
}

#[test]
fn decisions_about_grants_hold() {
    let network = Grants { connect: vec![443], ..Grants::default() };
    let write = Grants { write: vec!["/srv".into()], ..Grants::default() };
    let processes =
        Grants { execute: Some(vec!["/bin/true".into()]), namespace: true, ..Grants::default() };
    let wide = |value: i32| u64::from(value.unsigned_abs());
    let socket = |family, kind, protocol| ("socket", [wide(family), wide(kind), protocol, 0, 0, 0]);
    let on = |name: &'static str, args: &[u64]| {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        (name, all)
    };
    let (stream, eperm) = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC, errno(libc::EPERM));
    let fork = wide(libc::SIGCHLD);
    let spawn = wide(libc::CLONE_VM | libc::CLONE_VFORK) | fork;
    let parent = wide(libc::CLONE_PARENT) | fork;
    let user = wide(libc::CLONE_NEWUSER) | fork;
    let files = wide(libc::CLONE_FILES) | fork;
    for (grants, (name, args), answer, what) in [
        (&network, socket(libc::AF_INET, stream, 0), RET_ALLOW, "TCP"),
        (&network, socket(libc::AF_INET6, stream, 6), RET_ALLOW, "TCP by number"),
        (&network, socket(libc::AF_INET, stream, 262), eperm, "MPTCP"),
        (&network, socket(libc::AF_INET, stream, 132), eperm, "SCTP"),
        (&network, socket(libc::AF_INET, libc::SOCK_DGRAM, 0), eperm, "UDP"),
        (&network, socket(libc::AF_INET, libc::SOCK_RAW, 6), eperm, "raw"),
        (&network, socket(libc::AF_UNIX, stream, 0), eperm, "a Unix socket"),
        (&network, socket(libc::AF_NETLINK, libc::SOCK_RAW, 0), eperm, "netlink"),
        (&network, socket(libc::AF_VSOCK, stream, 0), eperm, "vsock"),
        (&network, on("bind", &[3]), eperm, "bind"),
        (&network, on("listen", &[3]), eperm, "listen"),
        (&network, on("sendto", &[3, 1, 1, 0x2000_0000, 0, 0]), eperm, "fast open"),
        (&network, on("sendto", &[3, 1, 1, 0, 0x1000, 16]), eperm, "an address"),
        (&network, on("sendmsg", &[3, 1, 0x2000_0000]), eperm, "fast open"),
        (&network, on("sendmsg", &[3, 1, 0x4000]), RET_ALLOW, "MSG_NOSIGNAL"),
        (&network, on("setsockopt", &[3, 6, 1]), RET_ALLOW, "TCP_NODELAY"),
        (&network, on("setsockopt", &[3, 6, 31]), eperm, "TCP_ULP"),
        (&network, on("setsockopt", &[3, 6, 30]), eperm, "TCP_FASTOPEN_CONNECT"),
        (&network, on("clone", &[fork]), eperm, "fork"),
        (&network, on("fcntl", &[3, 6]), errno(0), "locks without effect"),
        (&write, on("fcntl", &[3, 6]), RET_ALLOW, "real locks"),
        (&write, on("flock", &[3, 2]), RET_ALLOW, "real locks"),
        (&write, on("fchmod", &[3, 0]), errno(0), "still without effect"),
        (&write, socket(libc::AF_INET, stream, 0), eperm, "no network"),
        (&processes, on("clone", &[fork]), RET_ALLOW, "fork"),
        (&processes, on("clone", &[spawn]), RET_ALLOW, "posix_spawn"),
        (&processes, on("clone", &[parent]), eperm, "a child of the supervisor's"),
        (&processes, on("clone", &[user]), eperm, "a user namespace"),
        (&processes, on("clone", &[files]), eperm, "shared descriptors"),
        (&processes, on("execve", &[0x1000]), RET_ALLOW, "exec"),
        (&processes, on("kill", &[77, 15]), RET_ALLOW, "what it started"),
        (&processes, on("capset", &[0x1000]), eperm, "privileges"),
        (&processes, on("unshare", &[0]), libc::SECCOMP_RET_TRAP, "an attack"),
        (&processes, on("clone3", &[]), errno(libc::ENOSYS), "falls back"),
        (&processes, socket(libc::AF_INET, stream, 0), eperm, "no network"),
    ] {
        for arch in Arch::ALL {
            let child = child(&Tables::on(arch, grants));
            assert_eq!(ask(&child, arch, name, args), answer, "{what}: {name} {args:x?} {arch:?}");
        }
    }
}
