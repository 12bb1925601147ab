//! The corpus of `tests/escape`: every attack bare, where it does what it says, and in the
//! sandbox, where it comes to exactly what its header declares.
//!
//! **Invariant:** an attack whose bare run shows nothing counts as inconclusive, never as stopped.

mod attack;
mod bare;
mod matrix;
pub(crate) mod prefix;
mod removed;
mod sandboxed;
mod world;

use attack::Attack;
use bare::Bare;
use prefix::Prefix;
use sandboxed::Sandboxed;

/// Runs the whole corpus as one user; the complaints.
fn run(prefix: &Prefix) -> Vec<String> {
    let attacks = Attack::all();
    let mut complaints = Vec::new();
    for attack in &attacks {
        complaints.extend(Bare::run(attack, prefix).err());
    }
    let sandbox = Sandboxed::start(prefix);
    for attack in &attacks {
        complaints.extend(sandbox.run(attack).err());
    }
    complaints.extend(sandbox.leaves_nothing().err());
    complaints
}

fn check(prefix: &Prefix) {
    let complaints = run(prefix);
    assert!(
        complaints.is_empty(),
        "{} of the corpus:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn every_attack_is_what_it_says_bare_and_comes_to_what_it_must_sandboxed() {
    check(&Prefix::discovered());
    matrix::check(&Attack::all());
}

#[test]
fn the_corpus_holds_for_an_unprivileged_user() {
    // started by somebody who is not root, the test above has shown it already
    if rustix::process::geteuid().is_root() {
        check(&Prefix::for_nobody());
    }
}

#[test]
fn every_attack_declares_what_it_is() {
    let attacks = Attack::all();
    assert!(attacks.len() > 200, "{}", attacks.len());
    for attack in attacks {
        assert!(attack.title.ends_with('.'), "{}: {}", attack.name, attack.title);
        assert!(attack.row == "own" || attack.row.parse::<u32>().is_ok(), "{}", attack.name);
        assert!(attack.code.contains("_result"), "{}", attack.name);
    }
}
