//! Which system calls a zygote and a child may make, as data with reasons.
//!
//! Every table is a list of [`Entry`], once for each [`Arch`]: [`Lists`]. The constants here are
//! those of the architecture that this is compiled for. [`CHILD`] is what user code may call.
//! [`ZYGOTE`] is what the zygote may call besides, or with fewer conditions; a child's last filter
//! takes exactly that difference away. [`Tables`] adds what an operator granted. What stands in
//! neither is refused: [`EPERM`] where ordinary libraries probe and expect a refusal, [`NO_EFFECT`]
//! where a refusal would break harmless programs, [`TRAP`] where only an attack would ask, and
//! everything else, [`ABSENT`] among it, answers `ENOSYS` as an older kernel would.
//!
//! **Invariant:** a call that no table names is never allowed, and no call stands in two tables
//! that disagree.

mod arch;
mod child;
mod granted;
mod lists;
mod numbers;
mod refused;
mod tables;
mod zygote;

pub use arch::Arch;
pub use lists::Lists;
pub use tables::Tables;

/// What a child may call.
pub const CHILD: &[Entry] = Lists::NATIVE.child;
/// What [`CHILD`] allows, but a child's last filter answers with success and no effect.
pub const QUIET: &[Entry] = Lists::NATIVE.quiet;
/// What the zygote may call besides; a child's last filter takes it away again.
pub const ZYGOTE: &[Entry] = Lists::NATIVE.zygote;
/// What ordinary libraries try and expect to be refused.
pub const EPERM: &[Entry] = Lists::NATIVE.eperm;
/// What succeeds without effect.
pub const NO_EFFECT: &[Entry] = Lists::NATIVE.no_effect;
/// What only an attack asks for.
pub const TRAP: &[Entry] = Lists::NATIVE.trap;
/// What programs fall back from when the kernel does not have it.
pub const ABSENT: &[Entry] = Lists::NATIVE.absent;

/// What is decided about a system call, on every architecture that has it.
#[derive(Clone, Copy, Debug)]
struct Decision {
    name: &'static str,
    why: &'static str,
    when: When,
    otherwise: i32,
}

/// One system call of an architecture and what is decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name as in the kernel's tables.
    pub name: &'static str,
    /// Its number on the architecture.
    pub nr: i64,
    /// The reason for the decision.
    pub why: &'static str,
    /// Which arguments the decision covers.
    pub when: When,
    /// The error for other arguments.
    pub otherwise: i32,
}

/// Which arguments a decision covers.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// All of them.
    Always,
    /// Those for which all tests of at least one of these rules hold.
    Any(&'static [&'static [Test]]),
}

/// A test of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// Which argument, from 0.
    pub arg: u8,
    /// What has to hold.
    pub op: Op,
}

/// What a [`Test`] compares. Numbers are compared as the kernel reads an `int`: the low 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Eq(u32),
    /// Not equal.
    Ne(u32),
    /// Equal under a mask.
    Masked {
        /// The bits that are looked at.
        mask: u32,
        /// What they have to be.
        value: u32,
    },
    /// A null pointer: all 64 bits.
    Null,
    /// The calling process's own id, filled in by the child itself.
    OwnPid,
}

impl Test {
    /// Whether the test holds.
    #[must_use]
    pub fn holds(self, args: &[u64; 6], own_pid: u32) -> bool {
        let full = args[usize::from(self.arg)];
        #[expect(clippy::cast_possible_truncation, reason = "the kernel truncates the same way")]
        let low = full as u32;
        match self.op {
            Op::Eq(value) => low == value,
            Op::Ne(value) => low != value,
            Op::Masked { mask, value } => low & mask == value,
            Op::Null => full == 0,
            Op::OwnPid => low == own_pid,
        }
    }
}

impl When {
    /// Whether these arguments are covered.
    #[must_use]
    pub fn holds(self, args: &[u64; 6], own_pid: u32) -> bool {
        match self {
            Self::Always => true,
            Self::Any(rules) => {
                rules.iter().any(|rule| rule.iter().all(|test| test.holds(args, own_pid)))
            }
        }
    }
}

const fn eq(arg: u8, value: u32) -> Test {
    Test { arg, op: Op::Eq(value) }
}

const fn ne(arg: u8, value: u32) -> Test {
    Test { arg, op: Op::Ne(value) }
}

const fn masked(arg: u8, mask: u32, value: u32) -> Test {
    Test { arg, op: Op::Masked { mask, value } }
}

const fn null(arg: u8) -> Test {
    Test { arg, op: Op::Null }
}

const fn own_pid(arg: u8) -> Test {
    Test { arg, op: Op::OwnPid }
}

/// `SYS_read` → `read`.
const fn bare(constant: &'static str) -> &'static str {
    constant.split_at(4).1
}

/// One line per system call: `SYS_name: "why"`, then optionally ` if [rule, …] else errno`.
macro_rules! table {
    ($($constant:ident: $why:literal
        $(if [$($rule:expr),+ $(,)?] else $otherwise:ident)?;)*) => {
        &[$($crate::syscalls::Decision {
            name: $crate::syscalls::bare(stringify!($constant)),
            why: $why,
            when: $crate::syscalls::when!($($($rule),+)?),
            otherwise: $crate::syscalls::otherwise!($($otherwise)?),
        }),*]
    };
}
macro_rules! when {
    () => {
        $crate::syscalls::When::Always
    };
    ($($rule:expr),+) => {
        $crate::syscalls::When::Any(&[$(&$rule),+])
    };
}
macro_rules! otherwise {
    () => {
        libc::EPERM
    };
    ($errno:ident) => {
        libc::$errno
    };
}
use {otherwise, table, when};

/// The entry for a number in a table.
#[must_use]
pub fn find(table: &'static [Entry], nr: i64) -> Option<&'static Entry> {
    table.iter().find(|entry| entry.nr == nr)
}

/// The name of a system call that a table mentions, for reports of what was refused.
#[must_use]
pub fn syscall_name(nr: i64) -> Option<&'static str> {
    [CHILD, ZYGOTE, EPERM, NO_EFFECT, TRAP, ABSENT]
        .into_iter()
        .find_map(|table| find(table, nr))
        .map(|entry| entry.name)
}

#[cfg(test)]
mod tests;
