//! Which system calls a zygote and a child may make, as data with reasons.
//!
//! Every table is a list of [`Entry`]. [`CHILD`] is what user code may call. [`ZYGOTE`] is what the
//! zygote may call besides, or with fewer conditions; a child's last filter takes exactly that
//! difference away. [`Tables`] adds what an operator granted. What stands in neither is refused: [`EPERM`] where ordinary libraries probe and
//! expect a refusal, [`NO_EFFECT`] where a refusal would break harmless programs, [`TRAP`] where
//! only an attack would ask, and everything else, [`ABSENT`] among it, answers `ENOSYS` as an older
//! kernel would.
//!
//! **Invariant:** a call that no table names is never allowed, and no call stands in two tables
//! that disagree.

mod child;
mod granted;
mod refused;
mod tables;
mod zygote;

pub use child::{CHILD, QUIET};
pub use granted::{LOCKS, NAMESPACES, NETWORK, PROCESSES};
pub use refused::{ABSENT, EPERM, NO_EFFECT, TRAP};
pub use tables::Tables;
pub use zygote::ZYGOTE;

/// One system call and what is decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name as in the kernel's tables.
    pub name: &'static str,
    /// Its number on this architecture.
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
    ($($(#[$meta:meta])* $constant:ident: $why:literal
        $(if [$($rule:expr),+ $(,)?] else $otherwise:ident)?;)*) => {
        &[$($(#[$meta])* $crate::syscalls::Entry {
            name: $crate::syscalls::bare(stringify!($constant)),
            nr: $constant as i64,
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
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const REFUSALS: [(&str, &[Entry]); 4] =
        [("EPERM", EPERM), ("NO_EFFECT", NO_EFFECT), ("TRAP", TRAP), ("ABSENT", ABSENT)];

    #[test]
    fn every_entry_has_a_name_and_a_reason() {
        let granted = [NETWORK, PROCESSES, LOCKS, NAMESPACES];
        let strict = [CHILD, QUIET, ZYGOTE, EPERM, NO_EFFECT, TRAP, ABSENT];
        for table in strict.into_iter().chain(granted) {
            for entry in table {
                assert!(!entry.name.is_empty() && entry.nr >= 0, "{entry:?}");
                assert!(entry.why.len() > 5, "{} has no reason", entry.name);
            }
        }
    }

    #[test]
    fn no_table_names_a_call_twice_and_refusals_are_disjoint_from_grants() {
        let mut seen: BTreeMap<i64, &str> = BTreeMap::new();
        let allowed = [("CHILD", CHILD)];
        for (name, table) in allowed.into_iter().chain(REFUSALS) {
            for entry in table {
                let before = seen.insert(entry.nr, name);
                assert_eq!(before, None, "{} is also in {name}", entry.name);
            }
        }
        let mut zygote = BTreeMap::new();
        for entry in ZYGOTE {
            assert!(zygote.insert(entry.nr, entry.name).is_none(), "{} twice", entry.name);
            for (name, table) in REFUSALS {
                assert!(find(table, entry.nr).is_none(), "{} is also in {name}", entry.name);
            }
        }
    }

    #[test]
    fn what_is_answered_quietly_is_otherwise_a_child_s_own() {
        for entry in QUIET {
            assert!(find(CHILD, entry.nr).is_some(), "{}", entry.name);
            assert!(find(ZYGOTE, entry.nr).is_none(), "{} has two last words", entry.name);
        }
    }

    #[test]
    fn refusals_are_unconditional() {
        for (name, table) in REFUSALS {
            for entry in table {
                assert!(matches!(entry.when, When::Always), "{name}: {}", entry.name);
            }
        }
    }

    #[test]
    fn own_pid_is_only_asked_for_where_the_zygote_has_a_wider_entry() {
        let asks = |entry: &&Entry| match entry.when {
            When::Always => false,
            When::Any(rules) => {
                rules.iter().any(|rule| rule.iter().any(|test| test.op == Op::OwnPid))
            }
        };
        assert!(ZYGOTE.iter().find(asks).is_none());
        let mut found = 0;
        for entry in CHILD.iter().filter(asks) {
            assert!(find(ZYGOTE, entry.nr).is_some(), "{}", entry.name);
            found += 1;
        }
        assert!(found >= 3, "kill, tgkill and prlimit64 are about the own process");
    }

    #[test]
    fn the_zygote_may_do_what_makes_a_child_and_a_child_may_not() {
        for name in ["landlock_restrict_self", "seccomp", "sendmsg"] {
            assert!(ZYGOTE.iter().any(|entry| entry.name == name), "{name}");
            assert!(CHILD.iter().all(|entry| entry.name != name), "{name}");
        }
        for name in ["execve", "execveat", "fork", "vfork", "socket", "connect", "ptrace"] {
            for table in [ZYGOTE, CHILD] {
                assert!(table.iter().all(|entry| entry.name != name), "{name}");
            }
        }
    }

    #[test]
    fn names_are_found_by_number() {
        assert_eq!(syscall_name(libc::SYS_ptrace), Some("ptrace"));
        assert_eq!(syscall_name(libc::SYS_read), Some("read"));
        assert_eq!(syscall_name(100_000), None);
    }
}
