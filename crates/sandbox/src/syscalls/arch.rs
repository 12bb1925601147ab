//! The architectures that there is a policy for.
//!
//! **Invariant:** what is loaded is [`Arch::NATIVE`]'s. The other one's filters can be compiled and
//! interpreted anywhere, so that a test on either machine looks at both.

/// An architecture that the tables have numbers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit calls of x86-64; its x32 and i386 calls have no policy and are killed.
    X86_64,
    /// 64-bit calls of ARM; its 32-bit calls have no policy and are killed.
    Aarch64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The one this is compiled for.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Self = Self::X86_64;
    /// The one this is compiled for.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Self = Self::Aarch64;

    /// What a filter finds as a call's architecture: `AUDIT_ARCH_…` of `linux/audit.h`.
    #[must_use]
    pub const fn audit_number(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
        }
    }
}
