//! The tables under a set of grants: the strict ones, with what each grant adds.
//!
//! **Invariant:** without grants these are the strict tables; a call that was refused before a grant
//! stands in no list of refusals after it.

use super::{Arch, Entry, Lists, When, find};
use crate::Grants;

/// What a zygote and its children may call.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// Whose numbers these are.
    pub arch: Arch,
    /// What a child may call.
    pub child: &'static [Entry],
    /// What the zygote may call besides, or with fewer conditions.
    pub zygote: &'static [Entry],
    /// What of the child's calls is answered without being done.
    pub quiet: &'static [Entry],
    /// What is refused with `EPERM`.
    pub eperm: &'static [Entry],
    /// What succeeds without effect.
    pub no_effect: &'static [Entry],
    /// What ends the process.
    pub trap: &'static [Entry],
}

impl Tables {
    /// The tables for these grants, of the architecture that this is compiled for.
    #[must_use]
    pub fn under(grants: &Grants) -> Self {
        Self::of(&Lists::NATIVE, grants)
    }

    /// The tables for these grants, of any architecture.
    #[must_use]
    pub fn on(arch: Arch, grants: &Grants) -> Self {
        Self::of(&Lists::on(arch), grants)
    }

    fn of(lists: &Lists, grants: &Grants) -> Self {
        let mut tables = Self {
            arch: lists.arch,
            child: lists.child,
            zygote: lists.zygote,
            quiet: lists.quiet,
            eperm: lists.eperm,
            no_effect: lists.no_effect,
            trap: lists.trap,
        };
        if !grants.connect.is_empty() {
            tables.child = with(tables.child, lists.network);
        }
        if grants.execute.is_some() {
            tables.child = with(tables.child, lists.processes);
        }
        if grants.shares_files() {
            tables.child = with(tables.child, lists.locks);
            tables.quiet = &[];
        }
        if grants.namespace {
            tables.zygote = with(tables.zygote, lists.namespaces);
        }
        let granted = |entry: &&Entry| {
            find(tables.child, entry.nr).is_some() || find(tables.zygote, entry.nr).is_some()
        };
        if lists.eperm.iter().any(|entry| granted(&entry)) {
            let kept: Vec<Entry> = lists.eperm.iter().filter(|e| !granted(e)).copied().collect();
            tables.eperm = kept.leak();
        }
        tables
    }

    /// What the zygote may call: its own entry where there is one, else the child's.
    pub(crate) fn allowed(self) -> impl Iterator<Item = &'static Entry> {
        let own = move |entry: &&'static Entry| find(self.zygote, entry.nr).is_none();
        self.zygote.iter().chain(self.child.iter().filter(own))
    }
}

/// The table with an addition; made once in the life of a zygote, and used until its end.
fn with(table: &'static [Entry], addition: &[Entry]) -> &'static [Entry] {
    let mut table = table.to_vec();
    for entry in addition {
        match table.iter_mut().find(|present| present.nr == entry.nr) {
            Some(present) => present.when = either(present.when, entry.when),
            None => table.push(*entry),
        }
    }
    table.leak()
}

/// Covers what one of the two covers.
fn either(one: When, other: When) -> When {
    match (one, other) {
        (When::Any(one), When::Any(other)) => When::Any(Vec::leak([one, other].concat())),
        (When::Always, _) | (_, When::Always) => When::Always,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Grants {
        Grants {
            write: vec!["/srv".into()],
            connect: vec![443],
            execute: Some(vec!["/bin/true".into()]),
            namespace: true,
        }
    }

    #[test]
    fn without_grants_the_tables_are_the_strict_ones() {
        for arch in Arch::ALL {
            let (tables, lists) = (Tables::on(arch, &Grants::default()), Lists::on(arch));
            let calls = |table: &[Entry]| table.iter().map(|e| (e.name, e.nr)).collect::<Vec<_>>();
            assert_eq!(calls(tables.child), calls(lists.child));
            assert_eq!(calls(tables.zygote), calls(lists.zygote));
            assert_eq!(calls(tables.quiet), calls(lists.quiet));
            assert_eq!(calls(tables.eperm), calls(lists.eperm));
        }
    }

    #[test]
    fn what_is_loaded_is_the_architecture_s_own() {
        for grants in [Grants::default(), all()] {
            let (loaded, own) = (Tables::under(&grants), Tables::on(Arch::NATIVE, &grants));
            assert_eq!(format!("{loaded:?}"), format!("{own:?}"));
        }
    }

    #[test]
    fn a_grant_never_takes_a_call_or_an_argument_away() {
        let both = Arch::ALL.map(|arch| [Grants::default(), all()].map(|g| Tables::on(arch, &g)));
        for (entry, loose) in both
            .iter()
            .flat_map(|[strict, loose]| strict.child.iter().map(move |entry| (entry, loose)))
        {
            let kept = find(loose.child, entry.nr).unwrap();
            let rules = |when: When| match when {
                When::Always => usize::MAX,
                When::Any(rules) => rules.len(),
            };
            assert!(rules(kept.when) >= rules(entry.when), "{}", entry.name);
        }
        for [_, loose] in both {
            for refused in loose.eperm {
                assert!(find(loose.child, refused.nr).is_none(), "{}", refused.name);
            }
        }
    }

    #[test]
    fn each_grant_brings_its_own_calls_and_no_other_s() {
        let has = |grants: &Grants, name: &str| {
            let found = Arch::ALL
                .map(|arch| Tables::on(arch, grants).child.iter().any(|entry| entry.name == name));
            assert_eq!(found[0], found[1], "{name} under {grants:?}");
            found[0]
        };
        let network = Grants { connect: vec![443], ..Grants::default() };
        let processes = Grants { execute: Some(Vec::new()), ..Grants::default() };
        let write = Grants { write: vec!["/srv".into()], ..Grants::default() };
        for (grants, name, expected) in [
            (&network, "socket", true),
            (&network, "connect", true),
            (&network, "execve", false),
            (&network, "flock", false),
            (&processes, "execve", true),
            (&processes, "socket", false),
            (&processes, "flock", true),
            (&write, "flock", true),
            (&write, "execve", false),
            (&all(), "bind", false),
            (&all(), "listen", false),
            (&all(), "accept4", false),
            (&all(), "sendmmsg", false),
            (&all(), "unshare", false),
            (&all(), "ptrace", false),
            (&all(), "capset", false),
        ] {
            assert_eq!(has(grants, name), expected, "{name} under {grants:?}");
        }
    }
}
