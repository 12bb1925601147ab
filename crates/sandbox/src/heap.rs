//! How the supervisor's allocator gives memory back.
//!
//! glibc raises its threshold for mapping a block by itself whenever such a block is freed, up to
//! 32 MiB, and keeps an arena per thread and core. Sixteen outputs of 8 MiB at once then stay with
//! the process for good: 20 MiB became 100 in a run of 1,000 executions, a fifth of them hostile.
//!
//! **Invariant:** nothing but the supervisor calls this: the zygote's heap is the interpreter's.

/// Large blocks are mapped by themselves and given back when they are freed, and two arenas serve
/// all threads. To be called before any thread exists.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    crate::sys::tune_allocator(2, 256 << 10);
}
