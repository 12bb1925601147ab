//! The same interface on systems without Landlock and seccomp.
//!
//! **Invariant:** nothing here ever succeeds, so nothing runs unconfined by accident.

pub mod affinity;

use std::path::{Path, PathBuf};

use crate::{ChildPolicy, Enforced, Grants, SealError, ZygotePolicy, process::SingleThreaded};

/// Always [`SealError::Unsupported`].
///
/// # Errors
/// Always.
pub fn seal_zygote(_policy: &ZygotePolicy, _proof: SingleThreaded) -> Result<Enforced, SealError> {
    Err(SealError::Unsupported)
}

/// Cannot be made here.
#[derive(Debug)]
pub struct ChildSeal(std::convert::Infallible);

/// Cannot be made here.
#[derive(Debug)]
pub struct Confined(std::convert::Infallible);

impl ChildSeal {
    /// Always [`SealError::Unsupported`].
    ///
    /// # Errors
    /// Always.
    pub fn prepare(
        _policy: &ChildPolicy,
        _grants: &Grants,
        _zygote: &Enforced,
    ) -> Result<Self, SealError> {
        Err(SealError::Unsupported)
    }

    /// Unreachable: no value exists.
    ///
    /// # Errors
    /// None.
    pub fn confine(&self, _scratch: &Path, _proof: SingleThreaded) -> Result<Confined, SealError> {
        match self.0 {}
    }

    /// Unreachable: no value exists.
    ///
    /// # Errors
    /// None.
    pub fn apply(&self, _scratch: &Path, _proof: SingleThreaded) -> Result<Enforced, SealError> {
        match self.0 {}
    }
}

impl Confined {
    /// Unreachable: no value exists.
    ///
    /// # Errors
    /// None.
    pub fn narrow(self, _read: &[PathBuf], _scratch: &Path) -> Result<Self, SealError> {
        match self.0 {}
    }

    /// Unreachable: no value exists.
    ///
    /// # Errors
    /// None.
    pub fn finish(self) -> Result<Enforced, SealError> {
        match self.0 {}
    }
}

pub mod harden {
    //! Hardening of the calling process: not available here.
    use crate::SealError;

    /// Always [`SealError::Unsupported`].
    ///
    /// # Errors
    /// Always.
    pub fn harden_process(_expected_parent: Option<i32>) -> Result<(), SealError> {
        Err(SealError::Unsupported)
    }

    /// Always [`SealError::Unsupported`].
    ///
    /// # Errors
    /// Always.
    pub fn give_up_privileges() -> Result<(), SealError> {
        Err(SealError::Unsupported)
    }

    /// Always [`SealError::Unsupported`].
    ///
    /// # Errors
    /// Always.
    pub fn give_up_capabilities() -> Result<(), SealError> {
        Err(SealError::Unsupported)
    }

    /// Always `false`.
    #[must_use]
    pub fn capabilities_are_dropped() -> bool {
        false
    }

    /// Always [`SealError::Unsupported`].
    ///
    /// # Errors
    /// Always.
    pub fn die_with_parent(_expected_parent: i32) -> Result<(), SealError> {
        Err(SealError::Unsupported)
    }

    /// Always [`SealError::Unsupported`].
    ///
    /// # Errors
    /// Always.
    pub fn die_with_outer_parent() -> Result<(), SealError> {
        Err(SealError::Unsupported)
    }
}

pub mod report {
    //! Reporting of refused system calls: not available here.
    use std::io;
    use std::os::fd::RawFd;

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn install_sigsys_reporter(_fd: RawFd, _prefix: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn retarget_sigsys_report(_fd: RawFd, _prefix: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub mod process {
    //! Processes: not available here.
    use std::io;
    use std::marker::PhantomData;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::time::Duration;

    use crate::SealError;

    /// Nothing: the thread keeps its name.
    ///
    /// # Errors
    /// None.
    pub fn set_name(_name: &std::ffi::CStr) -> io::Result<()> {
        Ok(())
    }

    /// Proof that the calling process has one thread; cannot be made here.
    #[derive(Debug)]
    pub struct SingleThreaded(PhantomData<*const ()>);

    impl SingleThreaded {
        /// Always [`SealError::Unsupported`].
        ///
        /// # Errors
        /// Always.
        pub fn prove() -> Result<Self, SealError> {
            Err(SealError::Unsupported)
        }
    }

    /// Which side of a fork this is.
    #[derive(Debug)]
    pub enum Fork {
        /// In the zygote: the child's process id.
        Parent(i32),
        /// In the child.
        Child(SingleThreaded),
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn fork_as_sibling(_proof: SingleThreaded) -> io::Result<Fork> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn fork_as_child(_proof: SingleThreaded) -> io::Result<Fork> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn fork_into_namespace(_proof: SingleThreaded) -> io::Result<Fork> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn try_namespace(_proof: SingleThreaded) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How a process ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Exit {
        /// It exited with this status.
        Code(i32),
        /// This signal ended it.
        Signal(i32),
    }

    /// What a process used.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Usage {
        /// Processor time in user mode.
        pub user: Duration,
        /// Processor time in the kernel.
        pub system: Duration,
        /// Largest resident set.
        pub max_rss_bytes: u64,
    }

    /// A reaped process.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Reaped {
        /// How it ended.
        pub exit: Exit,
        /// What it used.
        pub usage: Usage,
    }

    /// A process held by descriptor; cannot be made here.
    #[derive(Debug)]
    pub struct Pidfd {
        fd: OwnedFd,
    }

    impl Pidfd {
        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn open_child(_pid: i32) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn open(_pid: i32) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// The process id.
        #[must_use]
        pub fn pid(&self) -> i32 {
            0
        }

        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn signal(&self, _signal: i32) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn kill(&self) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn wait(&self) -> io::Result<Reaped> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn try_wait(&self) -> io::Result<Option<Reaped>> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn cpu_time(_pid: i32) -> io::Result<Duration> {
        Err(io::ErrorKind::Unsupported.into())
    }

    impl std::os::fd::AsRawFd for Pidfd {
        fn as_raw_fd(&self) -> std::os::fd::RawFd {
            self.fd.as_raw_fd()
        }
    }

    impl AsFd for Pidfd {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }
    }
}

pub mod fds {
    //! Descriptors: not available here.
    use std::io;
    use std::os::fd::{AsFd, OwnedFd, RawFd};

    /// The most descriptors one message carries.
    pub const MAX_FDS: usize = 8;

    /// What one receive call brought.
    #[derive(Debug)]
    pub struct Received {
        /// Bytes written to the buffer; 0 with no descriptors means that the peer is gone.
        pub len: usize,
        /// Descriptors that came along, all close-on-exec.
        pub fds: Vec<OwnedFd>,
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn close_all_except(_keep: &[RawFd]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn widen(_pipe: impl AsFd, _bytes: usize) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn send_with_fds(
        _socket: impl AsFd,
        _bytes: &[u8],
        _fds: &[impl AsFd],
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn recv_with_fds(_socket: impl AsFd, _buffer: &mut [u8]) -> io::Result<Received> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub mod rlimit {
    //! Resource limits: not available here.
    use std::io;

    /// No limit.
    pub const UNLIMITED: u64 = u64::MAX;

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

    /// A soft and a hard limit.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Limit {
        /// What the kernel enforces.
        pub soft: u64,
        /// What the soft limit may be raised to.
        pub hard: u64,
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn set_for(_pid: i32, _limits: &[(Resource, u64, u64)]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn read_for(_pid: i32, _resource: Resource) -> io::Result<Limit> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The limits of one execution.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct ChildRlimits {
        /// Private writable memory beyond what the child had when it was forked.
        pub data_bytes: Option<u64>,
        /// Processor time.
        pub cpu_secs: Option<u64>,
        /// Size of one file.
        pub fsize_bytes: Option<u64>,
        /// Open descriptors.
        pub nofile: Option<u64>,
        /// Processes and threads of the whole user.
        pub nproc: Option<u64>,
    }

    impl ChildRlimits {
        /// Always an error.
        ///
        /// # Errors
        /// Always.
        pub fn apply_to(&self, _pid: i32) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
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
        /// Private writable mappings and stack: what `RLIMIT_DATA` counts.
        pub data: u64,
    }

    /// Always an error.
    ///
    /// # Errors
    /// Always.
    pub fn memory_of(_pid: i32) -> io::Result<Memory> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub mod syscalls {
    //! System call tables: none here.

    /// Always `None`.
    #[must_use]
    pub fn syscall_name(_nr: i64) -> Option<&'static str> {
        None
    }
}

pub mod kernel {
    //! What the kernel offers for confinement: nothing here.

    /// A confinement feature this system lacks.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Missing {
        /// Its name.
        pub feature: &'static str,
        /// What its absence costs.
        pub cost: &'static str,
        /// Whether the plugin refuses to start without it.
        pub required: bool,
    }

    /// What the kernel offers.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct KernelFeatures {
        /// Kernel release.
        pub release: String,
        /// 0 without Landlock.
        pub landlock_abi: u32,
        /// Seccomp filters with every action we use.
        pub seccomp: bool,
        /// Unprivileged user namespaces.
        pub userns: bool,
        /// PID namespaces.
        pub pidns: bool,
        /// A delegated cgroup v2 directory with memory and pids.
        pub cgroup2: Option<std::path::PathBuf>,
        /// Process descriptors.
        pub pidfd: bool,
        /// `PR_GET_TID_ADDRESS`.
        pub tid_address: bool,
    }

    impl KernelFeatures {
        /// Everything is missing.
        #[must_use]
        pub fn missing(&self) -> Vec<Missing> {
            vec![Missing {
                feature: "landlock and seccomp",
                cost: "executions cannot be confined on this system",
                required: true,
            }]
        }
    }

    /// Nothing is found.
    #[must_use]
    pub fn probe() -> KernelFeatures {
        KernelFeatures::default()
    }
}

pub mod mounts;
pub mod tool;

pub mod heap {
    //! The allocator is left as it is here.

    /// Does nothing.
    pub fn give_back() {}

    /// An empty vector with room for `capacity` bytes.
    #[must_use]
    pub fn room(capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }
}
