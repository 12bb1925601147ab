//! The raw calls that no safe wrapper offers.
//!
//! **Invariant:** every `unsafe` of this crate is in this file; nothing here decides policy.
#![expect(unsafe_code, reason = "system calls and a signal handler have no safe form")]

use std::ffi::{CString, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering};

use crate::process::SingleThreaded;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const LANDLOCK_VERSION_QUERY: libc::c_uint = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const LANDLOCK_RULE_PATH_BENEATH: libc::c_int = 1;
/// `LANDLOCK_RULE_NET_PORT`.
const LANDLOCK_RULE_NET_PORT: libc::c_int = 2;
/// `P_PIDFD` of `waitid(2)`.
const P_PIDFD: libc::c_int = 3;
/// `si_code` of a SIGSYS that a filter caused.
const SYS_SECCOMP: libc::c_int = 1;
/// Room for the caller's prefix of a report.
pub(crate) const REPORT_PREFIX_MAX: usize = 252;
const REPORT_MAX: usize = REPORT_PREFIX_MAX + 4;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

impl SingleThreaded {
    /// Claims without looking that the process has one thread.
    ///
    /// # Safety
    /// No other thread of this process may exist now or be started while the value lives: a fork
    /// would copy locks that a thread, absent in the copy, holds for ever, and a seal would leave
    /// that thread unconfined.
    #[must_use]
    pub unsafe fn assume() -> Self {
        Self::token()
    }
}

/// `clone(2)` without a new stack: the child returns from the same call with 0.
///
/// `tid_address` is where libc caches the thread's id; the kernel writes the child's own id there.
pub(crate) fn clone_process(
    _proof: &SingleThreaded,
    flags: libc::c_int,
    tid_address: Option<NonNull<c_void>>,
) -> io::Result<i32> {
    let null = std::ptr::null_mut::<c_void>();
    let (flags, child_tid) = match tid_address {
        Some(address) => {
            (flags | libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID, address.as_ptr())
        }
        None => (flags, null),
    };
    #[cfg(target_arch = "x86_64")]
    let (fourth, fifth) = (child_tid, null);
    #[cfg(not(target_arch = "x86_64"))]
    let (fourth, fifth) = (null, child_tid);
    // SAFETY: without CLONE_VM the child gets a copy of this address space and of this stack, so
    // both sides may return from here. The caller's `SingleThreaded` shows that no other thread's
    // lock is copied in a locked state. `child_tid` is null or what PR_GET_TID_ADDRESS returned:
    // the int that libc itself registered with the kernel for exactly this use.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone, libc::c_long::from(flags), null, null, fourth, fifth)
    };
    check(pid).and_then(|pid| i32::try_from(pid).map_err(io::Error::other))
}

/// Ends the process without destructors or buffers.
pub(crate) fn exit_now(code: libc::c_int) -> ! {
    // SAFETY: _exit(2) has no preconditions.
    unsafe { libc::_exit(code) }
}

/// What `waitid(2)` says about an ended process.
pub(crate) struct Waited {
    pub(crate) code: i32,
    pub(crate) status: i32,
    pub(crate) usage: libc::rusage,
}

/// `waitid(P_PIDFD)` with the raw call's fifth argument, which libc's wrapper hides.
pub(crate) fn waitid_pidfd(
    pidfd: BorrowedFd<'_>,
    options: libc::c_int,
) -> io::Result<Option<Waited>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live, writable values of the types that waitid(2) fills, and
    // the descriptor is borrowed for the whole call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            P_PIDFD,
            pidfd.as_raw_fd(),
            info.as_mut_ptr(),
            options,
            usage.as_mut_ptr(),
        )
    };
    check(result)?;
    // SAFETY: zeroed above and at most overwritten by the kernel; all-zero is a valid siginfo_t.
    let info = unsafe { info.assume_init() };
    // SAFETY: waitid(2) fills the SIGCHLD fields, or leaves the zeroes when nothing has ended.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: as above, the SIGCHLD fields are filled.
    let status = unsafe { info.si_status() };
    // SAFETY: zeroed above and at most overwritten by the kernel; all-zero is a valid rusage.
    let usage = unsafe { usage.assume_init() };
    Ok(Some(Waited { code: info.si_code, status, usage }))
}

/// Closes every descriptor in `first..=last`.
pub(crate) fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointers. That no owner in this process still uses a descriptor in
    // the range is the documented duty of `fds::close_all_except`'s caller.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Reads a resource limit of another process: `(soft, hard)`.
pub(crate) fn prlimit_get(pid: i32, resource: libc::c_int) -> io::Result<(u64, u64)> {
    let mut limit = MaybeUninit::<libc::rlimit64>::zeroed();
    let new = std::ptr::null::<libc::rlimit64>();
    // SAFETY: a null new limit means read only, and `limit` is a live value of the type that
    // prlimit64(2) fills.
    let result =
        unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, new, limit.as_mut_ptr()) };
    check(result)?;
    // SAFETY: zeroed above and overwritten by the kernel; every bit pattern is valid.
    let limit = unsafe { limit.assume_init() };
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Sets a resource limit of another process.
pub(crate) fn prlimit_set(pid: i32, resource: libc::c_int, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let old = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: `limit` is live for the call, and a null old limit is allowed.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const limit, old) })
        .map(drop)
}

/// The kernel's Landlock ABI, 0 where Landlock is absent or switched off.
pub(crate) fn landlock_abi() -> u32 {
    let no_attributes = std::ptr::null::<c_void>();
    // SAFETY: with the version flag the kernel demands a null pointer and size 0 and reads nothing.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            no_attributes,
            0usize,
            LANDLOCK_VERSION_QUERY,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

/// Which rights a Landlock layer governs: `struct landlock_ruleset_attr`, as of ABI 6.
#[repr(C)]
pub(crate) struct LandlockHandled {
    pub(crate) file: u64,
    pub(crate) network: u64,
    pub(crate) scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct LandlockPathBeneath {
    allowed: u64,
    parent: RawFd,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct LandlockNetPort {
    allowed: u64,
    port: u64,
}

/// Makes an empty ruleset. Trailing zero fields that an older kernel does not know are accepted.
pub(crate) fn landlock_create(handled: &LandlockHandled) -> io::Result<OwnedFd> {
    let size = size_of::<LandlockHandled>();
    // SAFETY: the pointer is to a live value of the given size, which the kernel only reads.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::from_ref(handled), size, 0)
    })?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Grants rights beneath an open path.
pub(crate) fn landlock_allow(
    ruleset: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    allowed: u64,
) -> io::Result<()> {
    let rule = LandlockPathBeneath { allowed, parent: parent.as_raw_fd() };
    // SAFETY: rule type 1 reads one landlock_path_beneath_attr, which `rule` is, live and packed.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            LANDLOCK_RULE_PATH_BENEATH,
            &raw const rule,
            0,
        )
    })
    .map(drop)
}

/// Grants rights on a TCP port.
pub(crate) fn landlock_allow_port(
    ruleset: BorrowedFd<'_>,
    port: u16,
    allowed: u64,
) -> io::Result<()> {
    let rule = LandlockNetPort { allowed, port: u64::from(port) };
    // SAFETY: rule type 2 reads one landlock_net_port_attr, which `rule` is, live for the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            LANDLOCK_RULE_NET_PORT,
            &raw const rule,
            0,
        )
    })
    .map(drop)
}

/// Enters the layer.
pub(crate) fn landlock_restrict(ruleset: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointers, and the descriptor is borrowed for its duration.
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })
        .map(drop)
}

/// Whether the kernel knows a seccomp action.
pub(crate) fn seccomp_action_available(action: u32) -> bool {
    // SAFETY: SECCOMP_GET_ACTION_AVAIL reads one u32 from the pointer, which is live.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action)
    };
    result == 0
}

static REPORT_FD: AtomicI32 = AtomicI32::new(-1);
static REPORT_LEN: AtomicUsize = AtomicUsize::new(0);
static REPORT: [AtomicU8; REPORT_PREFIX_MAX] = [const { AtomicU8::new(0) }; REPORT_PREFIX_MAX];

/// The kernel's layout of `siginfo_t` for SIGSYS, which libc does not expose.
#[repr(C)]
struct SigsysInfo {
    signo: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    call_address: *mut c_void,
    syscall: libc::c_int,
    arch: libc::c_uint,
}

/// Writes the report and lets the signal have its default effect.
extern "C" fn on_sigsys(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: SA_SIGINFO handlers get a pointer to a siginfo_t, whose SIGSYS layout is this one.
    let info = unsafe { &*info.cast::<SigsysInfo>() };
    if info.code == SYS_SECCOMP {
        let prefix_len = REPORT_LEN.load(Ordering::Acquire).min(REPORT_PREFIX_MAX);
        let mut report = [0u8; REPORT_MAX];
        for (to, from) in report.iter_mut().zip(&REPORT[..prefix_len]) {
            *to = from.load(Ordering::Relaxed);
        }
        report[prefix_len..prefix_len + 4].copy_from_slice(&info.syscall.to_le_bytes());
        let fd = REPORT_FD.load(Ordering::Acquire);
        // SAFETY: write(2) is async-signal-safe and reads initialised bytes of a live array.
        unsafe { libc::write(fd, report.as_ptr().cast(), prefix_len + 4) };
    }
    // SAFETY: getpid(2) takes nothing and is async-signal-safe.
    let pid = unsafe { libc::syscall(libc::SYS_getpid) };
    // SAFETY: gettid(2) takes nothing and is async-signal-safe.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: tgkill(2) takes no pointers. SA_RESETHAND has already restored the default action
    // and SA_NODEFER left the signal unblocked, so this ends the process.
    unsafe { libc::syscall(libc::SYS_tgkill, pid, tid, signal) };
    // Still here: the first process of a PID namespace is spared its own signals, but not one that
    // a filter forces on it.
    // SAFETY: unshare(2) of nothing changes nothing where no filter traps it.
    unsafe { libc::syscall(libc::SYS_unshare, 0) };
    // SAFETY: _exit(2) is async-signal-safe and does not return; it stands here in case the signal
    // was blocked meanwhile by another handler.
    unsafe { libc::_exit(128 + signal) };
}

/// Points the reporter at `fd`, with the bytes that precede the number.
pub(crate) fn set_report(fd: RawFd, prefix: &[u8]) {
    REPORT_FD.store(-1, Ordering::Release);
    for (to, from) in REPORT.iter().zip(prefix) {
        to.store(*from, Ordering::Relaxed);
    }
    REPORT_LEN.store(prefix.len().min(REPORT_PREFIX_MAX), Ordering::Release);
    REPORT_FD.store(fd, Ordering::Release);
}

/// Installs [`on_sigsys`] on an alternate stack, making one when the thread has none.
pub(crate) fn install_sigsys_handler() -> io::Result<()> {
    let mut stack = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: a null first argument only queries, and `stack` is a live value to fill.
    check(unsafe { libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) }.into())?;
    // SAFETY: zeroed above and filled by the successful call.
    let stack = unsafe { stack.assume_init() };
    if stack.ss_flags & libc::SS_DISABLE != 0 {
        // SAFETY: getauxval(3) takes a number and has no preconditions.
        let least = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
        let size = usize::try_from(least).unwrap_or(0).max(16 << 10) + (16 << 10);
        let memory: &'static mut [u8] = Box::leak(vec![0u8; size].into_boxed_slice());
        let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: size };
        // SAFETY: the memory is leaked, so it outlives the thread, and nothing else refers to it.
        check(unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) }.into())?;
    }
    // SAFETY: an all-zero sigaction is valid: no handler, empty mask, no flags.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut c_void) = on_sigsys;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND | libc::SA_NODEFER;
    // SAFETY: `action` is live and names a handler of the SA_SIGINFO signature that calls only
    // async-signal-safe functions and touches only atomics.
    check(unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) }.into())
        .map(drop)
}

/// CPU time of all threads of another process, by its CPU clock: clock_getcpuclockid(3).
pub(crate) fn process_cpu_time(pid: libc::pid_t) -> io::Result<libc::timespec> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: clock_getcpuclockid writes one clockid_t to the pointer, which is live.
    let error = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime writes one timespec to the pointer, which is live.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time)
}

/// `unshare(2)`.
pub(crate) fn unshare(_proof: &SingleThreaded, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: no memory is involved; the proof says that no other thread is left behind.
    let result = unsafe { libc::unshare(flags) };
    check(result.into()).map(drop)
}

/// `mount(2)`.
pub(crate) fn mount(
    source: Option<&str>,
    target: &Path,
    kind: Option<&str>,
    flags: libc::c_ulong,
    options: &str,
) -> io::Result<()> {
    let source = source.map(CString::new).transpose()?;
    let kind = kind.map(CString::new).transpose()?;
    let target = CString::new(target.as_os_str().as_bytes())?;
    let options = CString::new(options)?;
    let pointer = |text: &Option<CString>| text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
    // SAFETY: the strings live until the call returns, and end with a zero byte.
    let result = unsafe {
        libc::mount(
            pointer(&source),
            target.as_ptr(),
            pointer(&kind),
            flags,
            options.as_ptr().cast(),
        )
    };
    check(result.into()).map(drop)
}

/// `umount2(2)`, not through a link.
pub(crate) fn unmount(target: &Path, flags: libc::c_int) -> io::Result<()> {
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: the string lives until the call returns, and ends with a zero byte.
    let result = unsafe { libc::umount2(target.as_ptr(), flags | libc::UMOUNT_NOFOLLOW) };
    check(result.into()).map(drop)
}

/// `mallopt(3)`: most arenas, and the size from which a block is mapped by itself, fixed.
#[cfg(target_env = "gnu")]
pub(crate) fn tune_allocator(arenas: libc::c_int, mapped_from: libc::c_int) {
    for (option, value) in [(libc::M_ARENA_MAX, arenas), (libc::M_MMAP_THRESHOLD, mapped_from)] {
        // SAFETY: no memory is passed; the values are within what the manual allows. A refusal
        // leaves the defaults in force, which are safe as well.
        unsafe { libc::mallopt(option, value) };
    }
}

/// `madvise(2)`: whole pages of `page` bytes within `room` are to be huge ones. A hint: a refusal
/// leaves them small.
pub(crate) fn prefer_huge(room: &mut [MaybeUninit<u8>], page: usize) {
    let before = room.as_ptr().addr().next_multiple_of(page) - room.as_ptr().addr();
    let Some(inner) = room.get_mut(before..) else { return };
    let length = inner.len() / page * page;
    if length > 0 {
        // SAFETY: within memory that is ours; MADV_HUGEPAGE changes no content.
        unsafe { libc::madvise(inner.as_mut_ptr().cast(), length, libc::MADV_HUGEPAGE) };
    }
}
