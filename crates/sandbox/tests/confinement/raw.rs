//! System calls without a wrapper's opinion, as an attacker makes them.
#![expect(unsafe_code, reason = "attacks call the kernel directly")]

use std::io;

/// Any system call by number.
pub(crate) fn syscall(nr: i64, args: &[usize]) -> io::Result<i64> {
    let arg = |index: usize| args.get(index).copied().unwrap_or(0);
    // SAFETY: callers pass numbers, null, or addresses of values that live across the call; what
    // the kernel does to this process is the point of the test.
    let result = unsafe { libc::syscall(nr, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `getpid` through the 32-bit entry.
#[cfg(target_arch = "x86_64")]
pub(crate) fn getpid_by_int80() -> io::Result<i64> {
    let result: i32;
    // SAFETY: call 20 of the 32-bit table, getpid, takes nothing and writes no memory.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20i32 => result, out("r8") _, out("r9") _,
            out("r10") _, out("r11") _);
    }
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result.into()) }
}

/// A system call without arguments made while the stack pointer leads nowhere.
#[cfg(target_arch = "x86_64")]
pub(crate) fn syscall_without_stack(nr: i64) -> io::Result<i64> {
    let result: i64;
    // SAFETY: the stack pointer is back before anything could use it: the kernel does not, except
    // for a signal, whose handler has a stack of its own.
    unsafe {
        std::arch::asm!("mov r12, rsp", "mov rsp, 64", "syscall", "mov rsp, r12",
            inlateout("rax") nr => result, in("rdi") 0, out("r12") _, out("rcx") _, out("r11") _);
    }
    let errno = i32::try_from(-result).unwrap_or(0);
    if result < 0 { Err(io::Error::from_raw_os_error(errno)) } else { Ok(result) }
}

/// Ends the process at once, without destructors or buffers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// The C library's `abort`.
pub(crate) fn abort() -> ! {
    // SAFETY: abort has no preconditions.
    unsafe { libc::abort() }
}

/// The C library's `raise`, which uses its cached thread id.
pub(crate) fn raise(signal: i32) -> io::Result<i64> {
    // SAFETY: raise has no preconditions.
    let result = unsafe { libc::raise(signal) };
    if result == 0 { Ok(0) } else { Err(io::Error::from_raw_os_error(result)) }
}

/// Signals the calling thread from another one, through the thread id that libc has cached.
pub(crate) fn signal_from_another_thread(signal: i32) -> io::Result<i64> {
    // SAFETY: pthread_self has no preconditions.
    let target = unsafe { libc::pthread_self() };
    let thread = std::thread::Builder::new().spawn(move || {
        // SAFETY: the target waits in `join` below, so it is alive.
        unsafe { libc::pthread_kill(target, signal) }
    })?;
    match thread.join() {
        Ok(0) => Ok(0),
        Ok(errno) => Err(io::Error::from_raw_os_error(errno)),
        Err(_) => Err(io::Error::other("the thread panicked")),
    }
}
