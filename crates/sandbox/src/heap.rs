//! How the supervisor's allocator gives memory back, and how large room is had.
//!
//! glibc raises its threshold for mapping a block by itself whenever such a block is freed, up to
//! 32 MiB, and keeps an arena per thread and core. Sixteen outputs of 8 MiB at once then stay with
//! the process for good: 20 MiB became 100 in a run of 1,000 executions, a fifth of them hostile.
//!
//! **Invariant:** nothing but the supervisor calls this: the heap of a zygote is the interpreter's.

/// What a huge page holds where pages have 4 KiB.
const HUGE: usize = 2 << 20;

/// Large blocks are mapped by themselves and given back when they are freed, and two arenas serve
/// all threads. To be called before any thread exists.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    crate::sys::tune_allocator(2, 256 << 10);
}

/// An empty vector with room for `capacity` bytes; large room lies in huge pages where there are
/// any (`MADV_HUGEPAGE` of madvise(2)), which takes one fault for 2 MiB instead of 512.
#[must_use]
pub fn room(capacity: usize) -> Vec<u8> {
    let mut room = Vec::with_capacity(capacity);
    if capacity >= HUGE {
        crate::sys::prefer_huge(room.spare_capacity_mut(), HUGE);
    }
    room
}

#[cfg(test)]
mod tests {
    use super::{HUGE, room};

    #[test]
    fn room_of_any_size_is_empty_and_can_be_filled() {
        for capacity in [0, 1, HUGE - 1, HUGE, 3 * HUGE + 1] {
            let mut room = room(capacity);
            assert!(room.is_empty() && room.capacity() >= capacity);
            room.resize(capacity, b'x');
            assert!(room.iter().all(|byte| *byte == b'x'));
        }
    }
}
