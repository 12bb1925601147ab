//! The tables as one architecture has them: its own calls, with its own numbers.
//!
//! **Invariant:** an architecture's tables leave out what it lacks and change nothing else, and
//! they are made while compiling: no process pays for the numbers it does not need.

use super::{Arch, Decision, Entry, When, child, granted, numbers, refused, zygote};

/// Every table, on one architecture.
#[derive(Clone, Copy, Debug)]
pub struct Lists {
    /// Whose numbers these are.
    pub arch: Arch,
    /// What user code may call.
    pub child: &'static [Entry],
    /// What of it is answered without being done.
    pub quiet: &'static [Entry],
    /// What the zygote may call besides.
    pub zygote: &'static [Entry],
    /// What is refused with `EPERM`.
    pub eperm: &'static [Entry],
    /// What succeeds without effect.
    pub no_effect: &'static [Entry],
    /// What ends the process.
    pub trap: &'static [Entry],
    /// What answers `ENOSYS`, for the record.
    pub absent: &'static [Entry],
    /// Added where TCP connections are granted.
    pub network: &'static [Entry],
    /// Added where processes are granted.
    pub processes: &'static [Entry],
    /// Added where several processes may work on the same files.
    pub locks: &'static [Entry],
    /// Added to the zygote's calls where each child gets namespaces.
    pub namespaces: &'static [Entry],
}

/// Those decisions of a table that an architecture has a call for, as a table of its own.
macro_rules! entries {
    ($table:path, $arch:path) => {{
        const ENTRIES: &[Entry] = &numbered::<{ count($table, $arch) }>($table, $arch);
        ENTRIES
    }};
}

macro_rules! lists {
    ($arch:path) => {
        Lists {
            arch: $arch,
            child: entries!(child::CHILD, $arch),
            quiet: entries!(child::QUIET, $arch),
            zygote: entries!(zygote::ZYGOTE, $arch),
            eperm: entries!(refused::EPERM, $arch),
            no_effect: entries!(refused::NO_EFFECT, $arch),
            trap: entries!(refused::TRAP, $arch),
            absent: entries!(refused::ABSENT, $arch),
            network: entries!(granted::NETWORK, $arch),
            processes: entries!(granted::PROCESSES, $arch),
            locks: entries!(granted::LOCKS, $arch),
            namespaces: entries!(granted::NAMESPACES, $arch),
        }
    };
}

impl Lists {
    /// Those of the architecture that this is compiled for.
    pub const NATIVE: Self = lists!(Arch::NATIVE);

    /// Those of an architecture, wherever this runs.
    #[must_use]
    pub const fn on(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => lists!(Arch::X86_64),
            Arch::Aarch64 => lists!(Arch::Aarch64),
        }
    }
}

const fn count(table: &[Decision], arch: Arch) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < table.len() {
        if numbers::number(table[at].name, arch).is_some() {
            count += 1;
        }
        at += 1;
    }
    count
}

const fn numbered<const COUNT: usize>(table: &[Decision], arch: Arch) -> [Entry; COUNT] {
    let blank = Entry { name: "", nr: 0, why: "", when: When::Always, otherwise: 0 };
    let mut entries = [blank; COUNT];
    let (mut at, mut filled) = (0, 0);
    while at < table.len() {
        let Decision { name, why, when, otherwise } = table[at];
        if let Some(nr) = numbers::number(name, arch) {
            entries[filled] = Entry { name, nr, why, when, otherwise };
            filled += 1;
        }
        at += 1;
    }
    entries
}
