//! What a grant adds to a child's system calls, and to the zygote's.
//!
//! **Invariant:** a grant only adds: a call in [`CHILD`](super::CHILD) keeps the arguments it is
//! allowed with, and each entry here names the grant that needs it.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unnecessary_cast,
    reason = "libcs give these small constants different types"
)]

use libc::*;

use super::{Decision, Test, eq, masked, table};

/// `socket` types with their permitted flags masked away.
const SOCKET_FLAGS: u32 = (SOCK_CLOEXEC | SOCK_NONBLOCK) as u32;
/// Sends with the connection request, to an address that Landlock does not see on every kernel.
const FAST_OPEN: u32 = MSG_FASTOPEN as u32;
/// `clone` flags that a new process has no business with: it shares nothing of the caller but, for
/// the moment of a `vfork`, the memory, and it is nobody's child but the caller's.
const CLONE_REFUSED: u32 = (CLONE_THREAD
    | CLONE_FILES
    | CLONE_FS
    | CLONE_SIGHAND
    | CLONE_PARENT
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
/// Of the namespaces, those that a zygote makes for each child.
const CLONE_NAMESPACES: u32 = (CLONE_NEWUSER | CLONE_NEWPID) as u32;
/// What a zygote's `clone` is looked at for.
const CLONE_SEEN: u32 = (CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET
    | CLONE_PTRACE
    | CLONE_UNTRACED) as u32;

const fn stream(family: c_int) -> [Test; 2] {
    [eq(0, family as u32), masked(1, !SOCKET_FLAGS, SOCK_STREAM as u32)]
}

const V4: [Test; 2] = stream(AF_INET);
const V6: [Test; 2] = stream(AF_INET6);

const fn tcp(option: c_int) -> [Test; 2] {
    [eq(1, IPPROTO_TCP as u32), eq(2, option as u32)]
}

/// Added where TCP connections are granted.
///
/// `bind`, `listen` and `accept` stay refused, and with them every protocol but TCP: Landlock's
/// rules are about TCP ports alone, so that MPTCP (another protocol number), UDP (another type)
/// and SCTP would pass them by.
pub(super) const NETWORK: &[Decision] = table! {
    SYS_socket: "TCP over IPv4 and IPv6; no other protocol, which Landlock would not see" if [
        [V4[0], V4[1], eq(2, 0)],
        [V4[0], V4[1], eq(2, IPPROTO_TCP as u32)],
        [V6[0], V6[1], eq(2, 0)],
        [V6[0], V6[1], eq(2, IPPROTO_TCP as u32)],
    ] else EPERM;
    SYS_connect: "TCP connections; Landlock decides the port, pairs are connected already";
    SYS_sendmsg: "asyncio writes with it; descriptors sent to the supervisor are dropped unread" if [
        [masked(2, FAST_OPEN, 0)],
    ] else EPERM;
    SYS_setsockopt: "http.client sets TCP_NODELAY, pools keep connections alive" if [
        [tcp(TCP_NODELAY)[0], tcp(TCP_NODELAY)[1]],
        [tcp(TCP_KEEPIDLE)[0], tcp(TCP_KEEPIDLE)[1]],
        [tcp(TCP_KEEPINTVL)[0], tcp(TCP_KEEPINTVL)[1]],
        [tcp(TCP_KEEPCNT)[0], tcp(TCP_KEEPCNT)[1]],
        [tcp(TCP_USER_TIMEOUT)[0], tcp(TCP_USER_TIMEOUT)[1]],
        [tcp(TCP_QUICKACK)[0], tcp(TCP_QUICKACK)[1]],
        [tcp(TCP_CORK)[0], tcp(TCP_CORK)[1]],
    ] else EPERM;
    SYS_getsockopt: "the same, asked" if [
        [tcp(TCP_NODELAY)[0], tcp(TCP_NODELAY)[1]],
        [tcp(TCP_KEEPIDLE)[0], tcp(TCP_KEEPIDLE)[1]],
        [tcp(TCP_KEEPINTVL)[0], tcp(TCP_KEEPINTVL)[1]],
        [tcp(TCP_KEEPCNT)[0], tcp(TCP_KEEPCNT)[1]],
        [tcp(TCP_USER_TIMEOUT)[0], tcp(TCP_USER_TIMEOUT)[1]],
    ] else EPERM;
};

/// Added where processes are granted.
pub(super) const PROCESSES: &[Decision] = table! {
    SYS_clone: "fork and posix_spawn; no namespaces, nobody else's child" if [
        [masked(0, CLONE_REFUSED, 0)],
    ] else EPERM;
    SYS_fork: "fork in old C code";
    SYS_vfork: "subprocess, posix_spawn";
    SYS_execve: "subprocess; Landlock decides which files";
    SYS_execveat: "fexecve; Landlock decides which files";
    SYS_setsid: "subprocess with start_new_session";
    SYS_setpgid: "subprocess with process_group, shells";
    SYS_kill: "Popen.kill; Landlock keeps signals within the execution";
    SYS_tgkill: "abort in a started process; Landlock keeps signals within the execution";
};

/// Added where several processes may work on the same files.
pub(super) const LOCKS: &[Decision] = table! {
    SYS_flock: "files that several processes write need real locks";
};

/// Added to the zygote's calls where each child gets namespaces; a child's last filter takes it
/// away again.
pub(super) const NAMESPACES: &[Decision] = table! {
    SYS_clone: "forks a child into a PID namespace of its own" if [
        [masked(0, CLONE_SEEN, CLONE_NAMESPACES)],
    ] else EPERM;
    SYS_capset: "a child gives up what it holds in its new user namespace";
};
