//! What holds of the tables themselves, on every architecture.

use std::collections::BTreeMap;

use super::*;

fn every() -> [Lists; 2] {
    Arch::ALL.map(Lists::on)
}

fn refusals(lists: &Lists) -> [(&'static str, &'static [Entry]); 4] {
    [
        ("EPERM", lists.eperm),
        ("NO_EFFECT", lists.no_effect),
        ("TRAP", lists.trap),
        ("ABSENT", lists.absent),
    ]
}

#[test]
fn every_entry_has_a_name_and_a_reason() {
    for lists in every() {
        let allowed = [lists.child, lists.quiet, lists.zygote];
        let granted = [lists.network, lists.processes, lists.locks, lists.namespaces];
        let refused = refusals(&lists).map(|(_, table)| table);
        for entry in allowed.into_iter().chain(granted).chain(refused).flatten() {
            assert!(!entry.name.is_empty() && entry.nr >= 0, "{entry:?}");
            assert!(entry.why.len() > 5, "{} has no reason", entry.name);
        }
    }
}

#[test]
fn an_architecture_leaves_out_what_it_lacks_and_nothing_else() {
    let mut left_out = 0;
    for lists in every() {
        for (decisions, entries) in [
            (child::CHILD, lists.child),
            (child::QUIET, lists.quiet),
            (zygote::ZYGOTE, lists.zygote),
            (refused::EPERM, lists.eperm),
            (refused::NO_EFFECT, lists.no_effect),
            (refused::TRAP, lists.trap),
            (refused::ABSENT, lists.absent),
            (granted::NETWORK, lists.network),
            (granted::PROCESSES, lists.processes),
            (granted::LOCKS, lists.locks),
            (granted::NAMESPACES, lists.namespaces),
        ] {
            let number = |name: &str| numbers::number(name, lists.arch);
            let there: Vec<_> = decisions
                .iter()
                .filter_map(|d| Some((d.name, number(d.name)?, d.why, d.otherwise)))
                .collect();
            let found: Vec<_> =
                entries.iter().map(|e| (e.name, e.nr, e.why, e.otherwise)).collect();
            assert_eq!(there, found);
            left_out += decisions.len() - entries.len();
        }
    }
    assert!(left_out >= 40, "ARM lacks what x86-64 kept of its older calls, not {left_out}");
}

#[test]
fn no_table_names_a_call_twice_and_refusals_are_disjoint_from_grants() {
    for lists in every() {
        let mut seen: BTreeMap<i64, &str> = BTreeMap::new();
        let allowed = [("CHILD", lists.child)];
        for (name, table) in allowed.into_iter().chain(refusals(&lists)) {
            for entry in table {
                let before = seen.insert(entry.nr, name);
                assert_eq!(before, None, "{} is also in {name}", entry.name);
            }
        }
        let mut zygote = BTreeMap::new();
        for entry in lists.zygote {
            assert!(zygote.insert(entry.nr, entry.name).is_none(), "{} twice", entry.name);
            for (name, table) in refusals(&lists) {
                assert!(find(table, entry.nr).is_none(), "{} is also in {name}", entry.name);
            }
        }
    }
}

#[test]
fn what_is_answered_quietly_is_otherwise_a_child_s_own() {
    for lists in every() {
        for entry in lists.quiet {
            assert!(find(lists.child, entry.nr).is_some(), "{}", entry.name);
            assert!(find(lists.zygote, entry.nr).is_none(), "{} has two last words", entry.name);
        }
    }
}

#[test]
fn refusals_are_unconditional() {
    for (name, table) in every().iter().flat_map(refusals) {
        for entry in table {
            assert!(matches!(entry.when, When::Always), "{name}: {}", entry.name);
        }
    }
}

#[test]
fn own_pid_is_only_asked_for_where_the_zygote_has_a_wider_entry() {
    let asks = |entry: &&Entry| match entry.when {
        When::Always => false,
        When::Any(rules) => rules.iter().any(|rule| rule.iter().any(|test| test.op == Op::OwnPid)),
    };
    for lists in every() {
        assert!(lists.zygote.iter().find(asks).is_none());
        let mut found = 0;
        for entry in lists.child.iter().filter(asks) {
            assert!(find(lists.zygote, entry.nr).is_some(), "{}", entry.name);
            found += 1;
        }
        assert!(found >= 3, "kill, tgkill and prlimit64 are about the own process");
    }
}

#[test]
fn the_zygote_may_do_what_makes_a_child_and_a_child_may_not() {
    for lists in every() {
        for name in ["landlock_restrict_self", "seccomp", "sendmsg"] {
            assert!(lists.zygote.iter().any(|entry| entry.name == name), "{name}");
            assert!(lists.child.iter().all(|entry| entry.name != name), "{name}");
        }
        for name in ["execve", "execveat", "fork", "vfork", "socket", "connect", "ptrace"] {
            for table in [lists.zygote, lists.child] {
                assert!(table.iter().all(|entry| entry.name != name), "{name}");
            }
        }
    }
}

/// Conditions are written with the native libc's constants. These are the ones that it defines
/// anew for each architecture; while they agree, a condition is the same wherever it is compiled.
#[test]
fn conditions_mean_the_same_on_every_architecture() {
    for (name, native, everywhere) in [
        ("EPERM", libc::EPERM, 1),
        ("EINVAL", libc::EINVAL, 22),
        ("ENOTTY", libc::ENOTTY, 25),
        ("ENOSYS", libc::ENOSYS, 38),
        ("EOPNOTSUPP", libc::EOPNOTSUPP, 95),
        ("F_GETLK", libc::F_GETLK, 5),
        ("F_SETLK", libc::F_SETLK, 6),
        ("F_SETLKW", libc::F_SETLKW, 7),
        ("MAP_ANONYMOUS", libc::MAP_ANONYMOUS, 0x20),
        ("MAP_GROWSDOWN", libc::MAP_GROWSDOWN, 0x100),
        ("O_EXCL", libc::O_EXCL, 0x80),
        ("SIGSYS", libc::SIGSYS, 31),
        ("SOCK_STREAM", libc::SOCK_STREAM, 1),
        ("SOCK_CLOEXEC", libc::SOCK_CLOEXEC, 0x8_0000),
        ("SOCK_NONBLOCK", libc::SOCK_NONBLOCK, 0x800),
        ("SOL_SOCKET", libc::SOL_SOCKET, 1),
    ] {
        assert_eq!(native, everywhere, "{name}");
    }
}

#[test]
fn names_are_found_by_number() {
    assert_eq!(syscall_name(libc::SYS_ptrace), Some("ptrace"));
    assert_eq!(syscall_name(libc::SYS_read), Some("read"));
    assert_eq!(syscall_name(100_000), None);
}
