//! Runs the whole compiled stack over every system call number and compares with the tables.

use super::*;
use crate::bpf::emulator::{Call, stack};
use crate::bpf::{NATIVE_ARCH, RET_ALLOW, X32_BIT, errno};

const I386_ARCH: u32 = 0x4000_0003;
const ARM_ARCH: u32 = 0x4000_0028;
const PID: u32 = 4711;

fn zygote() -> Vec<Program> {
    zygote_stack().unwrap().into_iter().map(|(_, program)| program).collect()
}

fn child() -> Vec<Program> {
    let mut programs = zygote();
    programs.push(child_removal().for_process(PID));
    programs
}

/// The tables' own word on a call, without any filter.
fn expected(nr: i64, args: &[u64; 6], in_child: bool) -> u32 {
    let tables: &[&'static [Entry]] = if in_child { &[CHILD] } else { &[ZYGOTE, CHILD] };
    if let Some(entry) = tables.iter().find_map(|table| find(table, nr)) {
        let holds = entry.when.holds(args, PID);
        let quiet = find(QUIET, nr).filter(|entry| in_child && !entry.when.holds(args, PID));
        if let (true, Some(quiet)) = (holds, quiet) {
            return errno(quiet.otherwise);
        }
        return if holds { RET_ALLOW } else { errno(entry.otherwise) };
    }
    if find(ZYGOTE, nr).is_some() || find(EPERM, nr).is_some() {
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

/// Argument lists around every boundary that an entry's tests have.
fn boundary_args(nr: i64) -> Vec<[u64; 6]> {
    let mut values: [Vec<u64>; 6] = Default::default();
    for list in &mut values {
        list.extend([0, 1, u64::MAX, 1 << 31, 1 << 32]);
    }
    for table in [CHILD, ZYGOTE] {
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
    let conditional = [CHILD, ZYGOTE]
        .into_iter()
        .any(|table| find(table, nr).is_some_and(|entry| matches!(entry.when, When::Any(_))));
    if !conditional {
        return values[0].iter().map(|value| [*value; 6]).collect();
    }
    // every value of one argument against all values of another: conditions name at most two
    let mut lists = vec![[0; 6], [u64::MAX; 6]];
    for first in 0..6 {
        for second in 0..6 {
            for value in &values[first] {
                for other in &values[second] {
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
    let (zygote, child) = (zygote(), child());
    let mut compared = 0u64;
    for nr in 0..=600u32 {
        for args in boundary_args(i64::from(nr)) {
            let call = Call { nr, arch: NATIVE_ARCH, args };
            let answers = [(&zygote, false), (&child, true)].map(|(programs, in_child)| {
                let answer = stack(programs, &call);
                let wanted = expected(i64::from(nr), &args, in_child);
                assert_eq!(answer, wanted, "{call:x?} in_child={in_child}");
                compared += 1;
                answer
            });
            assert!(answers[1] != RET_ALLOW || answers[0] == RET_ALLOW, "{call:x?} only in child");
        }
    }
    assert!(compared > 900_000, "only {compared} calls were compared");
}

#[test]
fn other_architectures_and_x32_are_killed_whatever_the_number() {
    let child = child();
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
    let child = child();
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
fn every_program_fits_the_kernel() {
    for program in child() {
        assert!(program.len() <= 4096, "{}", program.len());
        for (at, instruction) in program.iter().enumerate() {
            let furthest = usize::from(instruction.jt.max(instruction.jf));
            assert!(instruction.code & 7 != 5 || at + 1 + furthest < program.len());
        }
    }
    let last = child_removal().for_process(PID);
    assert!(last.len() < 150, "the child pays for {} instructions", last.len());
}
