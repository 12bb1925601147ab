//! Resource limits, set and read from outside the limited process.
//!
//! **Invariant:** a child never sets its own limits; they are set by the supervisor, which reads
//! them back from the kernel.

use std::io;

use crate::sys;

/// No limit.
pub const UNLIMITED: u64 = u64::MAX;

/// Signals that a child may have queued. The kernel counts those of the whole user, so that without
/// a limit one child could take what all others need.
const PENDING_SIGNALS: u64 = 128;

/// The limits that executions meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Private writable memory.
    Data,
    /// Address space.
    AddressSpace,
    /// Processor seconds.
    Cpu,
    /// Size of one file.
    FileSize,
    /// Open descriptors.
    OpenFiles,
    /// Processes and threads of the whole user.
    Processes,
    /// Size of a core file.
    Core,
    /// Memory locked in RAM.
    LockedMemory,
    /// Bytes in POSIX message queues.
    MessageQueues,
    /// Queued signals of the whole user.
    PendingSignals,
    /// Real-time priority.
    RealTimePriority,
}

impl Resource {
    fn number(self) -> libc::c_int {
        // musl and glibc disagree on the type of these constants, not on their values
        let number = match self {
            Self::Data => libc::RLIMIT_DATA,
            Self::AddressSpace => libc::RLIMIT_AS,
            Self::Cpu => libc::RLIMIT_CPU,
            Self::FileSize => libc::RLIMIT_FSIZE,
            Self::OpenFiles => libc::RLIMIT_NOFILE,
            Self::Processes => libc::RLIMIT_NPROC,
            Self::Core => libc::RLIMIT_CORE,
            Self::LockedMemory => libc::RLIMIT_MEMLOCK,
            Self::MessageQueues => libc::RLIMIT_MSGQUEUE,
            Self::PendingSignals => libc::RLIMIT_SIGPENDING,
            Self::RealTimePriority => libc::RLIMIT_RTPRIO,
        };
        libc::c_int::try_from(number).unwrap_or(libc::c_int::MAX)
    }
}

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What the kernel enforces.
    pub soft: u64,
    /// What the soft limit may be raised to.
    pub hard: u64,
}

/// Sets limits of a process of the same user. A hard limit can only be lowered.
///
/// # Errors
/// `EPERM` when a hard limit would rise or the process is another user's, `ESRCH` when it is gone.
pub fn set_for(pid: i32, limits: &[(Resource, u64, u64)]) -> io::Result<()> {
    limits.iter().try_for_each(|(resource, soft, hard)| {
        sys::prlimit_set(pid, resource.number(), *soft, *hard)
    })
}

/// Reads a limit of a process of the same user.
///
/// # Errors
/// `EPERM` when the process is another user's, `ESRCH` when it is gone.
pub fn read_for(pid: i32, resource: Resource) -> io::Result<Limit> {
    let (soft, hard) = sys::prlimit_get(pid, resource.number())?;
    Ok(Limit { soft, hard })
}

/// The limits of one execution; `None` leaves what was inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildRlimits {
    /// Private writable memory beyond what the child has at the moment of setting.
    pub data_bytes: Option<u64>,
    /// Processor time: `SIGXCPU` at this many seconds.
    pub cpu_secs: Option<u64>,
    /// Size of one file.
    pub fsize_bytes: Option<u64>,
    /// Open descriptors.
    pub nofile: Option<u64>,
    /// Processes and threads of the whole user, so only of use where each child has a user of its
    /// own.
    pub nproc: Option<u64>,
}

impl ChildRlimits {
    /// Sets these, and takes away what no execution needs: core files, locked memory, message
    /// queues, real-time priority.
    ///
    /// Only soft limits are set, so that an unprivileged supervisor can raise them again for a later
    /// request; the child's filter refuses `prlimit64` and `setrlimit` with a new value, so it
    /// cannot.
    ///
    /// # Errors
    /// As [`set_for`]; also when the child's memory cannot be read.
    pub fn apply_to(&self, pid: i32) -> io::Result<()> {
        let none = [
            Resource::Core,
            Resource::LockedMemory,
            Resource::MessageQueues,
            Resource::RealTimePriority,
        ];
        set_for(pid, &none.map(|resource| (resource, 0, 0)))?;
        let data = match self.data_bytes {
            Some(bytes) => Some(memory_of(pid)?.data.saturating_add(bytes)),
            None => None,
        };
        for (resource, soft) in [
            (Resource::Data, data),
            (Resource::Cpu, self.cpu_secs),
            (Resource::FileSize, self.fsize_bytes),
            (Resource::OpenFiles, self.nofile),
            (Resource::Processes, self.nproc),
            (Resource::PendingSignals, Some(PENDING_SIGNALS)),
        ] {
            if let Some(soft) = soft {
                let hard = read_for(pid, resource)?.hard;
                // a wish above an inherited hard limit is met by that limit, not by an error
                set_for(pid, &[(resource, soft.min(hard), hard)])?;
            }
        }
        Ok(())
    }
}

/// Memory of a process in bytes, as the kernel counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Address space.
    pub size: u64,
    /// Resident.
    pub resident: u64,
    /// Resident and backed by files or shared memory.
    pub shared: u64,
    /// Private writable mappings and stack: what `RLIMIT_DATA` counts, plus the stack.
    pub data: u64,
}

/// Reads `/proc/PID/statm`, which stays readable when the process is not dumpable.
///
/// # Errors
/// `NotFound` when the process is gone.
pub fn memory_of(pid: i32) -> io::Result<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let page = rustix::param::page_size() as u64;
    let mut fields = text.split_ascii_whitespace().map(str::parse::<u64>);
    let mut bytes = |skip: usize| {
        let pages = fields.nth(skip).and_then(Result::ok);
        pages.map(|pages| pages.saturating_mul(page)).ok_or(io::ErrorKind::InvalidData)
    };
    Ok(Memory { size: bytes(0)?, resident: bytes(0)?, shared: bytes(0)?, data: bytes(2)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_this_process_is_plausible() {
        let memory = memory_of(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
        assert!(memory.size >= memory.resident && memory.resident >= memory.shared);
        assert!(memory.data > 0 && memory.data < memory.size);
    }

    #[test]
    fn limits_are_read_as_proc_shows_them() {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let limit = read_for(pid, Resource::OpenFiles).unwrap();
        let text = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let shown: Vec<&str> = line.split_ascii_whitespace().skip(3).take(2).collect();
        assert_eq!(shown, [limit.soft.to_string(), limit.hard.to_string()]);
    }
}
