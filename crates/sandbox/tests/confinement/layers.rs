//! Every act bare and sealed, and which layer it is that refuses.

use crate::cases::{CASES, Expect};
use crate::world::{World, Zygote};

fn check(mismatches: &[String]) {
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
}

/// Proves that each act can be told from its refusal: without a sandbox it comes to what it says.
pub(crate) fn every_act_bare(world: &World) {
    let mut mismatches = Vec::new();
    for case in CASES.iter().filter(|case| case.bare != Expect::Skip) {
        let sleeper = crate::world::Guard(world.command("sleeper").spawn().unwrap());
        let sibling = i32::try_from(sleeper.0.id()).unwrap();
        // a world of its own, because some acts remove what they act on
        let fresh = World::new();
        let outcome = fresh.bare(case.name, sibling).outcome();
        if outcome != Ok(case.bare) {
            mismatches.push(format!("{}: {outcome:?}, not {:?}", case.name, case.bare));
        }
    }
    check(&mismatches);
}

pub(crate) fn every_act_sealed(world: &World) {
    let zygote = Zygote::start(world);
    let sibling = zygote.sleeper("sibling");
    let mut mismatches = Vec::new();
    for case in CASES {
        let report = zygote.run("sealed", case.name, "own", sibling.process.pid());
        let outcome = report.outcome();
        if outcome != Ok(case.sealed) {
            mismatches.push(format!("{}: {outcome:?}, not {:?}", case.name, case.sealed));
        }
    }
    check(&mismatches);
    assert_eq!(sibling.process.try_wait().unwrap(), None, "the sibling is unharmed");
}

/// What a child may still do while a later layer is not there yet: each line fails when the layer
/// that it is about adds nothing.
pub(crate) fn each_layer_is_what_denies(world: &World) {
    use Expect::{Done, Errno};
    use libc::{EACCES, EPERM};
    const STEPS: &[(&str, &str, Expect)] = &[
        // the zygote's own layer does not tell its children apart
        ("first-layer", "read_sibling", Done),
        ("first-layer", "signal_sibling", Done),
        ("first-layer", "sibling_proc_status", Done),
        ("first-layer", "read_own_network", Done),
        // but it keeps the host out of reach
        ("first-layer", "read_outside", Errno(EACCES)),
        ("first-layer", "signal_supervisor", Errno(EPERM)),
        ("first-layer", "socket_tcp", Errno(EPERM)),
        ("first-layer", "exec", Errno(EPERM)),
        // the second layer tells them apart, without any help of seccomp
        ("confined", "read_sibling", Errno(EACCES)),
        ("confined", "signal_sibling", Errno(EPERM)),
        ("confined", "sibling_proc_status", Errno(EACCES)),
        ("confined", "read_own_network", Errno(EACCES)),
        ("confined", "write_scratch", Done),
        // and the last filter takes the rest
        ("confined", "fork", Done),
        ("confined", "own_layer", Done),
        ("confined", "dumpable", Done),
        ("confined", "replace_sigsys", Done),
        ("hiding", "read_own_status", Errno(EACCES)),
        ("hiding", "write_scratch", Done),
        ("sealed", "read_own_status", Done),
        ("sealed", "fork", Errno(EPERM)),
        ("sealed", "own_layer", Errno(EPERM)),
    ];
    let zygote = Zygote::start(world);
    let sibling = zygote.sleeper("sibling");
    let mut mismatches = Vec::new();
    for (mode, case, expected) in STEPS {
        let outcome = zygote.run(mode, case, "own", sibling.process.pid()).outcome();
        if outcome != Ok(*expected) {
            mismatches.push(format!("{mode} {case}: {outcome:?}, not {expected:?}"));
        }
    }
    check(&mismatches);
}

pub(crate) fn narrowed(world: &World) {
    let zygote = Zygote::start(world);
    let said = |mode| {
        let report = zygote.run(mode, "read_system", "own", 0);
        String::from_utf8_lossy(&report.bytes).into_owned()
    };
    assert_eq!(said("sealed"), "read");
    assert_eq!(said("narrowed"), "permission denied");
    let outcome = zygote.run("narrowed", "write_scratch", "own", 0).outcome();
    assert_eq!(outcome, Ok(Expect::Done));
}

/// A link in place of the scratch directory would make another child's writable.
pub(crate) fn linked_scratch(world: &World) {
    let link = world.path("scratch/link");
    std::os::unix::fs::symlink(world.path("scratch/sibling"), link).unwrap();
    let zygote = Zygote::start(world);
    for scratch in ["link", "missing", "sibling/secret"] {
        let report = zygote.run("sealed", "write_sibling", scratch, 0);
        let text = String::from_utf8_lossy(&report.bytes).into_owned();
        assert!(text.starts_with("refused: cannot open /"), "{scratch}: {text}");
    }
}
