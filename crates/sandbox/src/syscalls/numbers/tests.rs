//! The numbers, held against those of others: of the libc crate, which knows the architecture it is
//! compiled for, and of seccompiler, which knows both by name.

use std::collections::BTreeMap;

use seccompiler::{TargetArch, compile_from_json};

use super::*;
use crate::bpf::emulator::{Call, run};

/// From here on the kernel gives a new call the same number everywhere.
const ALIKE_FROM: i32 = 424;

/// Calls that are younger than seccompiler's tables.
const NEWER_THAN_SECCOMPILER: [&str; 4] =
    ["file_setattr", "open_tree_attr", "removexattrat", "setxattrat"];

/// Calls that the libc crate does not name, or not for every libc and architecture.
const UNNAMED_BY_LIBC: [&str; 8] = [
    "fchmodat2",
    "file_setattr",
    "kexec_file_load",
    "listmount",
    "open_tree_attr",
    "removexattrat",
    "setxattrat",
    "statmount",
];

#[test]
fn names_are_sorted_and_unique() {
    assert!(NUMBERS.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn numbers_are_unique_within_an_architecture() {
    for (arch, least) in [(Arch::X86_64, 330), (Arch::Aarch64, 290)] {
        let mut seen = BTreeMap::new();
        for (name, ..) in NUMBERS {
            if let Some(number) = number(name, arch) {
                assert_eq!(seen.insert(number, name), None, "{name} on {arch:?}");
            }
        }
        assert!(seen.len() >= least, "{} on {arch:?}", seen.len());
    }
}

#[test]
fn the_newer_calls_have_one_number_everywhere() {
    for (name, x86_64, aarch64) in NUMBERS {
        let newer = *x86_64.max(aarch64) >= ALIKE_FROM;
        assert_eq!(newer, x86_64 == aarch64, "{name}");
    }
}

#[test]
fn seccompiler_knows_the_same_numbers_for_both_architectures() {
    let mut unknown = 0;
    for arch in Arch::ALL {
        for (name, ..) in NUMBERS {
            match (seccompiler_s_numbers(name, arch), number(name, arch)) {
                (None, Some(newer)) => {
                    assert!(NEWER_THAN_SECCOMPILER.contains(name), "{name} on {arch:?}");
                    assert!(newer >= i64::from(ALIKE_FROM), "{name} on {arch:?}");
                    unknown += 1;
                }
                (None, None) => {}
                (Some(theirs), ours) => {
                    assert_eq!(theirs, Vec::from_iter(ours), "{name} on {arch:?}");
                }
            }
        }
    }
    assert_eq!(unknown, 2 * NEWER_THAN_SECCOMPILER.len());
}

/// What a filter that seccompiler compiles from a name alone matches, or `None` where it knows no
/// such call.
fn seccompiler_s_numbers(name: &str, arch: Arch) -> Option<Vec<i64>> {
    let target = match arch {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
    };
    let filter = format!(
        r#"{{"one": {{"mismatch_action": "allow", "match_action": "trap",
            "filter": [{{"syscall": "{name}"}}]}}}}"#
    );
    let program = compile_from_json(filter.as_bytes(), target).ok()?.remove("one").unwrap();
    let matches = |nr: &u32| {
        let call = Call { nr: *nr, arch: arch.audit_number(), args: [0; 6] };
        run(&program, &call) == libc::SECCOMP_RET_TRAP
    };
    Some((0..=600).filter(matches).map(i64::from).collect())
}

#[test]
fn libc_knows_the_same_numbers_for_the_architecture_it_is_compiled_for() {
    let named: BTreeMap<&str, i64> =
        LIBC.iter().chain(LIBC_X86_64).map(|(name, nr)| (super::super::bare(name), *nr)).collect();
    for (name, ..) in NUMBERS {
        match (named.get(name), number(name, Arch::NATIVE)) {
            (None, Some(_)) => assert!(UNNAMED_BY_LIBC.contains(name), "{name} goes unlooked at"),
            (theirs, ours) => assert_eq!(theirs.copied(), ours, "{name}"),
        }
    }
}

macro_rules! of_libc {
    ($($constant:ident)*) => { &[$((stringify!($constant), libc::$constant as i64)),*] };
}

/// Those that libc names on both architectures.
const LIBC: &[(&str, i64)] = of_libc! {
    SYS_accept SYS_accept4 SYS_acct SYS_add_key SYS_adjtimex SYS_bind SYS_bpf SYS_brk SYS_capget
    SYS_capset SYS_chdir SYS_chroot SYS_clock_adjtime SYS_clock_getres SYS_clock_gettime
    SYS_clock_nanosleep SYS_clock_settime SYS_clone SYS_clone3 SYS_close SYS_close_range
    SYS_connect SYS_copy_file_range SYS_delete_module SYS_dup SYS_dup3 SYS_epoll_create1
    SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_execveat SYS_exit
    SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fanotify_init
    SYS_fanotify_mark SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl
    SYS_fdatasync SYS_fgetxattr SYS_finit_module SYS_flistxattr SYS_flock SYS_fremovexattr
    SYS_fsconfig SYS_fsetxattr SYS_fsmount SYS_fsopen SYS_fspick SYS_fstat SYS_fstatfs SYS_fsync
    SYS_ftruncate SYS_futex SYS_futex_waitv SYS_get_mempolicy SYS_get_robust_list SYS_getcpu
    SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer
    SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom
    SYS_getresgid SYS_getresuid SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt
    SYS_gettid SYS_gettimeofday SYS_getuid SYS_getxattr SYS_init_module SYS_inotify_add_watch
    SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_setup SYS_io_uring_enter SYS_io_uring_register
    SYS_io_uring_setup SYS_ioctl SYS_ioprio_get SYS_ioprio_set SYS_kcmp SYS_kexec_load
    SYS_keyctl SYS_kill SYS_landlock_add_rule SYS_landlock_create_ruleset
    SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat SYS_listen SYS_listxattr SYS_llistxattr
    SYS_lookup_dcookie SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_mbind
    SYS_membarrier SYS_memfd_create SYS_memfd_secret SYS_migrate_pages SYS_mincore SYS_mkdirat
    SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap SYS_mount SYS_mount_setattr
    SYS_move_mount SYS_move_pages SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open
    SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink SYS_mremap SYS_msgctl SYS_msgget
    SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_munmap SYS_name_to_handle_at
    SYS_nanosleep SYS_newfstatat SYS_open_by_handle_at SYS_open_tree SYS_openat SYS_openat2
    SYS_perf_event_open SYS_personality SYS_pidfd_getfd SYS_pidfd_open SYS_pidfd_send_signal
    SYS_pipe2 SYS_pivot_root SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2
    SYS_prlimit64 SYS_process_madvise SYS_process_mrelease SYS_process_vm_readv
    SYS_process_vm_writev SYS_pselect6 SYS_ptrace SYS_pwrite64 SYS_pwritev SYS_pwritev2
    SYS_quotactl SYS_quotactl_fd SYS_read SYS_readlinkat SYS_readv SYS_reboot SYS_recvfrom
    SYS_recvmsg SYS_removexattr SYS_renameat SYS_renameat2 SYS_request_key SYS_restart_syscall
    SYS_rseq SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask SYS_rt_sigqueueinfo
    SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo
    SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_getaffinity
    SYS_sched_getattr SYS_sched_getparam SYS_sched_getscheduler SYS_sched_rr_get_interval
    SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam SYS_sched_setscheduler
    SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_sendfile
    SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_mempolicy SYS_set_mempolicy_home_node
    SYS_set_robust_list SYS_set_tid_address SYS_setdomainname SYS_setfsgid SYS_setfsuid
    SYS_setgid SYS_setgroups SYS_sethostname SYS_setitimer SYS_setns SYS_setpgid SYS_setpriority
    SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid SYS_setrlimit SYS_setsid
    SYS_setsockopt SYS_settimeofday SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt
    SYS_shmget SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket SYS_socketpair SYS_splice
    SYS_statfs SYS_statx SYS_swapoff SYS_swapon SYS_symlinkat SYS_sync SYS_syncfs SYS_sysinfo
    SYS_syslog SYS_tee SYS_tgkill SYS_timer_create SYS_timerfd_create SYS_timerfd_gettime
    SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask SYS_umount2 SYS_uname
    SYS_unlinkat SYS_unshare SYS_userfaultfd SYS_utimensat SYS_vhangup SYS_vmsplice SYS_wait4
    SYS_waitid SYS_write SYS_writev
};

/// Those that it names on x86-64.
#[cfg(target_arch = "x86_64")]
const LIBC_X86_64: &[(&str, i64)] = of_libc! {
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create
    SYS_epoll_wait SYS_eventfd SYS_fchmodat2 SYS_fork SYS_futimesat SYS_getpgrp SYS_inotify_init
    SYS_ioperm SYS_iopl SYS_kexec_file_load SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod
    SYS_modify_ldt SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename SYS_rmdir
    SYS_select SYS_stat SYS_symlink SYS_time SYS_unlink SYS_uselib SYS_utime SYS_utimes
    SYS_vfork
};
#[cfg(not(target_arch = "x86_64"))]
const LIBC_X86_64: &[(&str, i64)] = &[];
