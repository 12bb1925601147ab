//! Runs the whole compiled stack over every system call number and compares with the tables.

use super::*;
use crate::Grants;
use crate::bpf::emulator::{Call, stack};
use crate::bpf::{NATIVE_ARCH, RET_ALLOW, X32_BIT, errno};

const I386_ARCH: u32 = 0x4000_0003;
const ARM_ARCH: u32 = 0x4000_0028;
const PID: u32 = 4711;

fn strict() -> Tables {
    Tables::under(&Grants::default())
}

/// Every mixture of grants that changes what may be called.
fn mixtures() -> Vec<Grants> {
    let network = Grants { connect: vec![443], ..Grants::default() };
    let write = Grants { write: vec!["/srv".into()], ..Grants::default() };
    let processes =
        Grants { execute: Some(vec!["/bin/true".into()]), namespace: true, ..Grants::default() };
    let all = Grants { connect: vec![443], write: vec!["/srv".into()], ..processes.clone() };
    vec![Grants::default(), network, write, processes, all]
}

fn zygote(tables: &Tables) -> Vec<Program> {
    zygote_stack(tables).unwrap().into_iter().map(|(_, _, program)| program).collect()
}

fn child(tables: &Tables) -> Vec<Program> {
    let mut programs = zygote(tables);
    programs.push(child_removal(tables).for_process(PID));
    programs
}

/// The tables' own word on a call, without any filter.
fn expected(tables: &Tables, nr: i64, args: &[u64; 6], in_child: bool) -> u32 {
    let own: &[&'static [Entry]] =
        if in_child { &[tables.child] } else { &[tables.zygote, tables.child] };
    if let Some(entry) = own.iter().find_map(|table| find(table, nr)) {
        let holds = entry.when.holds(args, PID);
        let quiet = find(tables.quiet, nr).filter(|e| in_child && !e.when.holds(args, PID));
        if let (true, Some(quiet)) = (holds, quiet) {
            return errno(quiet.otherwise);
        }
        return if holds { RET_ALLOW } else { errno(entry.otherwise) };
    }
    if find(tables.zygote, nr).is_some() || find(tables.eperm, nr).is_some() {
        return errno(libc::EPERM);
    }
    if find(NO_EFFECT, nr).is_some() {
        return errno(0);
    }
    if find(TRAP, nr).is_some() {
        return libc::SECCOMP_RET_TRAP;
    }
    errno(libc::ENOSYS)
}

/// Whether these tables decide about a call in other words than the strict ones.
fn changed(tables: &Tables, nr: i64) -> bool {
    let strict = strict();
    let words = |tables: &Tables| {
        let lists = [tables.child, tables.zygote, tables.quiet, tables.eperm];
        lists.map(|table| format!("{:?}", find(table, nr)))
    };
    words(tables) != words(&strict)
}

/// Values that every argument is given.
const PLAIN: [u64; 5] = [0, 1, u64::MAX, 1 << 31, 1 << 32];

/// Argument lists around every boundary that an entry's tests have.
fn boundary_args(tables: &Tables, nr: i64) -> Vec<[u64; 6]> {
    let mut values: [Vec<u64>; 6] = Default::default();
    for list in &mut values {
        list.extend(PLAIN);
    }
    for table in [tables.child, tables.zygote] {
        let Some(When::Any(rules)) = find(table, nr).map(|entry| entry.when) else { continue };
        for test in rules.iter().copied().flatten() {
            let list = &mut values[usize::from(test.arg)];
            let mut around = |value: u32| {
                let value = u64::from(value);
                list.extend([value, value ^ 1, value.wrapping_add(1), value.wrapping_sub(1)]);
                list.extend([value | 1 << 32, value | 1 << 63, value ^ (1 << 31)]);
            };
            match test.op {
                Op::Eq(value) | Op::Ne(value) => around(value),
                Op::Masked { mask, value } => {
                    (0..32).for_each(|bit| around(value ^ (1 << bit)));
                    around(value | !mask);
                }
                Op::Null => around(0),
                Op::OwnPid => around(PID),
            }
        }
    }
    let conditional = [tables.child, tables.zygote]
        .into_iter()
        .any(|table| find(table, nr).is_some_and(|entry| matches!(entry.when, When::Any(_))));
    if !conditional {
        return values[0].iter().map(|value| [*value; 6]).collect();
    }
    // every value of one argument against all values of another that is tested too, and against
    // the plain ones of the rest: conditions name at most two, apart from those of grants
    let tested: Vec<bool> = values.iter().map(|list| list.len() > PLAIN.len()).collect();
    for list in &mut values {
        list.sort_unstable();
        list.dedup();
    }
    let mut lists = vec![[0; 6], [u64::MAX; 6]];
    for first in 0..6 {
        for second in (0..6).filter(|second| *second != first) {
            let others = if tested[second] { values[second].as_slice() } else { &PLAIN };
            for value in &values[first] {
                for other in others {
                    let mut args = [0; 6];
                    args[second] = *other;
                    args[first] = *value;
                    lists.push(args);
                }
            }
        }
    }
    lists
}

#[test]
fn the_stack_says_what_the_tables_say_for_every_number() {
    for grants in mixtures() {
        let tables = Tables::under(&grants);
        let (zygote, child) = (zygote(&tables), child(&tables));
        let is_strict = grants == Grants::default();
        let mut compared = 0u64;
        for nr in 0..=600u32 {
            // what a grant leaves alone was looked at closely without it
            let close = is_strict || changed(&tables, i64::from(nr));
            let lists = if close {
                boundary_args(&tables, i64::from(nr))
            } else {
                vec![[0; 6], [1; 6], [u64::MAX; 6]]
            };
            for args in lists {
                let call = Call { nr, arch: NATIVE_ARCH, args };
                let answers = [(&zygote, false), (&child, true)].map(|(programs, in_child)| {
                    let answer = stack(programs, &call);
                    let wanted = expected(&tables, i64::from(nr), &args, in_child);
                    assert_eq!(answer, wanted, "{call:x?} in_child={in_child} {grants:?}");
                    compared += 1;
                    answer
                });
                let child_alone = answers[1] == RET_ALLOW && answers[0] != RET_ALLOW;
                assert!(!child_alone, "{call:x?} only in child, {grants:?}");
            }
        }
        let least = if is_strict { 400_000 } else { 5_000 };
        assert!(compared > least, "only {compared} calls were compared, {grants:?}");
    }
}

#[test]
fn other_architectures_and_x32_are_killed_whatever_the_number() {
    let child = child(&strict());
    for nr in (0..=600).chain([0x7fff_ffff, 0x8000_0000, u32::MAX]) {
        for args in [[0; 6], [1; 6], [u64::MAX; 6]] {
            for arch in [I386_ARCH, ARM_ARCH, 0, NATIVE_ARCH ^ 1] {
                let call = Call { nr, arch, args };
                assert_eq!(stack(&child, &call), libc::SECCOMP_RET_KILL_PROCESS, "{call:x?}");
            }
            let x32 = Call { nr: nr | X32_BIT, arch: NATIVE_ARCH, args };
            if cfg!(target_arch = "x86_64") {
                assert_eq!(stack(&child, &x32), libc::SECCOMP_RET_KILL_PROCESS, "{x32:x?}");
            }
        }
    }
}

#[test]
fn decisions_that_the_design_names_hold() {
    let child = child(&strict());
    let ask = |nr: i64, args: [u64; 6]| {
        stack(&child, &Call { nr: u32::try_from(nr).unwrap(), arch: NATIVE_ARCH, args })
    };
    let with = |first: i32, second: i32| {
        let wide = |value: i32| u64::from(value.unsigned_abs());
        [wide(first), wide(second), 0, 0, 0, 0]
    };
    let eperm = errno(libc::EPERM);
    let (af_unix, af_inet) = (libc::AF_UNIX, libc::AF_INET);
    let stream = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    for (nr, args, answer, what) in [
        (libc::SYS_clone3, [0; 6], errno(libc::ENOSYS), "threads fall back to clone"),
        (libc::SYS_io_uring_setup, [0; 6], errno(libc::ENOSYS), "libuv falls back"),
        (libc::SYS_execve, [0; 6], eperm, "no processes"),
        (libc::SYS_clone, with(libc::SIGCHLD, 0), eperm, "fork"),
        (libc::SYS_clone, [0x3d_0f00, 0, 0, 0, 0, 0], RET_ALLOW, "glibc's pthread_create"),
        (libc::SYS_clone, [0x7d_0f00, 0, 0, 0, 0, 0], RET_ALLOW, "musl's pthread_create"),
        (libc::SYS_clone, [0x4111, 0, 0, 0, 0, 0], eperm, "posix_spawn's vfork"),
        (libc::SYS_clone, [0x1000_0000 | 0x3d_0f00, 0, 0, 0, 0, 0], eperm, "user namespace"),
        (libc::SYS_socket, with(af_unix, stream), eperm, "no sockets"),
        (libc::SYS_socketpair, with(af_unix, stream), RET_ALLOW, "asyncio's self-pipe"),
        (libc::SYS_socketpair, with(af_unix, libc::SOCK_DGRAM), eperm, "can address anyone"),
        (libc::SYS_socketpair, with(af_unix, libc::SOCK_SEQPACKET), eperm, "not needed"),
        (libc::SYS_socketpair, with(af_inet, stream), eperm, "only local"),
        (libc::SYS_sendto, [3, 1, 1, 0, 0x7fff_0000_0000, 16], eperm, "with an address"),
        (libc::SYS_sendto, [3, 1, 1, 0, 0, 0], RET_ALLOW, "without one"),
        (libc::SYS_sendmsg, [3, 1, 0, 0, 0, 0], eperm, "could pass descriptors"),
        (libc::SYS_getsockopt, [3, 1, 77, 0, 0, 0], eperm, "SO_PEERPIDFD holds the supervisor"),
        (libc::SYS_getsockopt, [3, 1, 3, 0, 0, 0], RET_ALLOW, "SO_TYPE"),
        (libc::SYS_setsockopt, [3, 1, 26, 0, 0, 0], eperm, "SO_ATTACH_FILTER"),
        (libc::SYS_prctl, with(libc::PR_SET_NAME, 0), RET_ALLOW, "thread names"),
        (libc::SYS_prctl, with(libc::PR_SET_DUMPABLE, 1), eperm, "stays sealed"),
        (libc::SYS_prctl, with(libc::PR_SET_SECCOMP, 2), eperm, "stays sealed"),
        (libc::SYS_prctl, with(libc::PR_SET_PDEATHSIG, 0), eperm, "dies with its parent"),
        (libc::SYS_seccomp, [1, 0, 1, 0, 0, 0], eperm, "no filters by user code"),
        (libc::SYS_seccomp, [1, 8, 1, 0, 0, 0], eperm, "no listener"),
        (libc::SYS_landlock_restrict_self, [0; 6], eperm, "no layers by user code"),
        (libc::SYS_rt_sigaction, [31, 0x1000, 0, 8, 0, 0], eperm, "SIGSYS stays ours"),
        (libc::SYS_rt_sigaction, [31, 0, 0x1000, 8, 0, 0], RET_ALLOW, "asking is fine"),
        (libc::SYS_rt_sigaction, [11, 0x1000, 0, 8, 0, 0], RET_ALLOW, "faulthandler"),
        (libc::SYS_kill, [u64::from(PID), 15, 0, 0, 0, 0], RET_ALLOW, "itself"),
        (libc::SYS_kill, [0, 15, 0, 0, 0, 0], eperm, "its process group is the zygote's"),
        (libc::SYS_kill, [u64::MAX, 15, 0, 0, 0, 0], eperm, "everyone"),
        (libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0], errno(libc::ENOTTY), "TIOCSTI"),
        (libc::SYS_ioctl, [0, 0x1_0000_5412, 0, 0, 0, 0], errno(libc::ENOTTY), "TIOCSTI, wide"),
        (libc::SYS_ioctl, [0, 0x5401, 0, 0, 0, 0], RET_ALLOW, "isatty"),
        (libc::SYS_fcntl, [0, 8, 0, 0, 0, 0], eperm, "F_SETOWN"),
        (libc::SYS_fcntl, [0, 1024, 0, 0, 0, 0], eperm, "F_SETLEASE"),
        (libc::SYS_fcntl, [0, 1026, 0, 0, 0, 0], eperm, "F_NOTIFY"),
        (libc::SYS_fcntl, [0, 6, 0, 0, 0, 0], errno(0), "F_SETLK succeeds without effect"),
        (libc::SYS_fcntl, [0, 7, 0, 0, 0, 0], errno(0), "F_SETLKW"),
        (libc::SYS_fcntl, [0, 5, 0, 0, 0, 0], RET_ALLOW, "F_GETLK finds nobody's"),
        (libc::SYS_clone, [0x3d_0b00, 0, 0, 0, 0, 0], eperm, "a thread without CLONE_FILES"),
        (libc::SYS_close_range, [3, 9, 2, 0, 0, 0], errno(libc::EINVAL), "CLOSE_RANGE_UNSHARE"),
        (libc::SYS_close_range, [3, 9, 4, 0, 0, 0], RET_ALLOW, "CLOSE_RANGE_CLOEXEC"),
        (libc::SYS_mmap, [0, 4096, 3, 0x21, 0, 0], eperm, "shared and anonymous"),
        (libc::SYS_mmap, [0, 4096, 3, 0x23, 0, 0], eperm, "shared, validated and anonymous"),
        (libc::SYS_mmap, [0, 4096, 3, 0x22, 0, 0], RET_ALLOW, "malloc"),
        (libc::SYS_mmap, [0, 4096, 3, 0x2_0022, 0, 0], RET_ALLOW, "MAP_STACK of threads"),
        (libc::SYS_mmap, [0, 4096, 3, 0x122, 0, 0], eperm, "MAP_GROWSDOWN counts as a stack"),
        (libc::SYS_futex, [0, 393, 0, 0, 0, 0], RET_ALLOW, "a lock with a time-out"),
        (libc::SYS_futex, [0, 134, 0, 0, 0, 0], errno(libc::ENOSYS), "FUTEX_LOCK_PI"),
        (libc::SYS_membarrier, [8, 0, 0, 0, 0, 0], RET_ALLOW, "its own threads"),
        (libc::SYS_membarrier, [1, 0, 0, 0, 0, 0], errno(libc::EINVAL), "every processor"),
        (libc::SYS_sendto, [3, 1, 1, 1, 0, 0], eperm, "MSG_OOB"),
        (libc::SYS_mmap, [0, 4096, 3, 0x1, 4, 0], RET_ALLOW, "a file in scratch"),
        (libc::SYS_madvise, [0, 4096, 4, 0, 0, 0], RET_ALLOW, "MADV_DONTNEED"),
        (libc::SYS_madvise, [0, 4096, 12, 0, 0, 0], errno(libc::EINVAL), "MADV_MERGEABLE"),
        (libc::SYS_madvise, [0, 4096, 21, 0, 0, 0], errno(libc::EINVAL), "MADV_PAGEOUT"),
        (libc::SYS_clock_gettime, [1, 0, 0, 0, 0, 0], RET_ALLOW, "the time"),
        (libc::SYS_clock_gettime, [!7, 0, 0, 0, 0, 0], errno(libc::EINVAL), "a process's"),
        (libc::SYS_getpriority, [0, 0, 0, 0, 0, 0], RET_ALLOW, "its own"),
        (libc::SYS_getpriority, [0, 1, 0, 0, 0, 0], eperm, "another's"),
        (libc::SYS_preadv2, [3, 0, 1, 0, 0, 8], errno(libc::EOPNOTSUPP), "RWF_NOWAIT"),
        (libc::SYS_prlimit64, [0, 7, 0x1000, 0, 0, 0], eperm, "limits are the supervisor's"),
        (libc::SYS_prlimit64, [1, 7, 0, 0x1000, 0, 0], eperm, "limits of others"),
        (libc::SYS_prlimit64, [0, 7, 0, 0x1000, 0, 0], RET_ALLOW, "reading its own"),
        (libc::SYS_fchmodat, [0; 6], errno(0), "succeeds without effect"),
        (libc::SYS_utimensat, [0; 6], errno(0), "succeeds without effect"),
        (libc::SYS_memfd_create, [0; 6], eperm, "uncounted memory"),
        (libc::SYS_inotify_init1, [0; 6], eperm, "a channel"),
        (libc::SYS_flock, [0; 6], errno(libc::ENOSYS), "a channel"),
        (libc::SYS_ptrace, [0; 6], libc::SECCOMP_RET_TRAP, "an attack"),
        (libc::SYS_bpf, [0; 6], libc::SECCOMP_RET_TRAP, "an attack"),
        (libc::SYS_unshare, [0; 6], libc::SECCOMP_RET_TRAP, "an attack"),
    ] {
        assert_eq!(ask(nr, args), answer, "{what}: {nr} {args:x?}");
    }
}

#[test]
fn decisions_about_grants_hold() {
    let grants = |index: usize| Tables::under(&mixtures()[index]);
    let (network, write, processes) = (grants(1), grants(2), grants(3));
    let wide = |value: i32| u64::from(value.unsigned_abs());
    let socket =
        |family, kind, protocol| (libc::SYS_socket, [wide(family), wide(kind), protocol, 0, 0, 0]);
    let on = |nr: i64, args: &[u64]| {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        (nr, all)
    };
    let (stream, eperm) = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC, errno(libc::EPERM));
    let fork = wide(libc::SIGCHLD);
    let spawn = wide(libc::CLONE_VM | libc::CLONE_VFORK) | fork;
    let parent = wide(libc::CLONE_PARENT) | fork;
    let user = wide(libc::CLONE_NEWUSER) | fork;
    let files = wide(libc::CLONE_FILES) | fork;
    for (tables, (nr, args), answer, what) in [
        (&network, socket(libc::AF_INET, stream, 0), RET_ALLOW, "TCP"),
        (&network, socket(libc::AF_INET6, stream, 6), RET_ALLOW, "TCP by number"),
        (&network, socket(libc::AF_INET, stream, 262), eperm, "MPTCP"),
        (&network, socket(libc::AF_INET, stream, 132), eperm, "SCTP"),
        (&network, socket(libc::AF_INET, libc::SOCK_DGRAM, 0), eperm, "UDP"),
        (&network, socket(libc::AF_INET, libc::SOCK_RAW, 6), eperm, "raw"),
        (&network, socket(libc::AF_UNIX, stream, 0), eperm, "a Unix socket"),
        (&network, socket(libc::AF_NETLINK, libc::SOCK_RAW, 0), eperm, "netlink"),
        (&network, socket(libc::AF_VSOCK, stream, 0), eperm, "vsock"),
        (&network, on(libc::SYS_bind, &[3]), eperm, "bind"),
        (&network, on(libc::SYS_listen, &[3]), eperm, "listen"),
        (&network, on(libc::SYS_sendto, &[3, 1, 1, 0x2000_0000, 0, 0]), eperm, "fast open"),
        (&network, on(libc::SYS_sendto, &[3, 1, 1, 0, 0x1000, 16]), eperm, "an address"),
        (&network, on(libc::SYS_sendmsg, &[3, 1, 0x2000_0000]), eperm, "fast open"),
        (&network, on(libc::SYS_sendmsg, &[3, 1, 0x4000]), RET_ALLOW, "MSG_NOSIGNAL"),
        (&network, on(libc::SYS_setsockopt, &[3, 6, 1]), RET_ALLOW, "TCP_NODELAY"),
        (&network, on(libc::SYS_setsockopt, &[3, 6, 31]), eperm, "TCP_ULP"),
        (&network, on(libc::SYS_setsockopt, &[3, 6, 30]), eperm, "TCP_FASTOPEN_CONNECT"),
        (&network, on(libc::SYS_clone, &[fork]), eperm, "fork"),
        (&network, on(libc::SYS_fcntl, &[3, 6]), errno(0), "locks without effect"),
        (&write, on(libc::SYS_fcntl, &[3, 6]), RET_ALLOW, "real locks"),
        (&write, on(libc::SYS_flock, &[3, 2]), RET_ALLOW, "real locks"),
        (&write, on(libc::SYS_fchmod, &[3, 0]), errno(0), "still without effect"),
        (&write, socket(libc::AF_INET, stream, 0), eperm, "no network"),
        (&processes, on(libc::SYS_clone, &[fork]), RET_ALLOW, "fork"),
        (&processes, on(libc::SYS_clone, &[spawn]), RET_ALLOW, "posix_spawn"),
        (&processes, on(libc::SYS_clone, &[parent]), eperm, "a child of the supervisor's"),
        (&processes, on(libc::SYS_clone, &[user]), eperm, "a user namespace"),
        (&processes, on(libc::SYS_clone, &[files]), eperm, "shared descriptors"),
        (&processes, on(libc::SYS_execve, &[0x1000]), RET_ALLOW, "exec"),
        (&processes, on(libc::SYS_kill, &[77, 15]), RET_ALLOW, "what it started"),
        (&processes, on(libc::SYS_capset, &[0x1000]), eperm, "privileges"),
        (&processes, on(libc::SYS_unshare, &[0]), libc::SECCOMP_RET_TRAP, "an attack"),
        (&processes, on(libc::SYS_clone3, &[]), errno(libc::ENOSYS), "falls back"),
        (&processes, socket(libc::AF_INET, stream, 0), eperm, "no network"),
    ] {
        let call = Call { nr: u32::try_from(nr).unwrap(), arch: NATIVE_ARCH, args };
        assert_eq!(stack(&child(tables), &call), answer, "{what}: {call:x?}");
    }
}

#[test]
fn every_program_fits_the_kernel() {
    for program in mixtures().iter().flat_map(|grants| child(&Tables::under(grants))) {
        assert!(program.len() <= 4096, "{}", program.len());
        for (at, instruction) in program.iter().enumerate() {
            let furthest = usize::from(instruction.jt.max(instruction.jf));
            assert!(instruction.code & 7 != 5 || at + 1 + furthest < program.len());
        }
    }
    let last = child_removal(&strict()).for_process(PID);
    assert!(last.len() < 160, "the child pays for {} instructions", last.len());
}
