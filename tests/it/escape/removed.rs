//! Each layer taken away in turn, under the corpus: what it stops has to come to something else
//! then, or it stops nothing.
//!
//! Which layers a header names is what is held against the kernel here. With `QNTX_PYTHON_FULL=1`
//! every attack meets every layer's absence, and `docs/attack-layers.md` is compared with what was
//! seen, or written anew with `QNTX_BLESS=1`.
//!
//! **Invariant:** an attack is only let loose without a layer when it has been run bare, which shows
//! that it is harmless, or when it aims at nothing but its own channel.

use super::attack::{Attack, BareExpect, Expect, shown};
use super::prefix::Prefix;
use super::sandboxed::Sandboxed;
use sandbox::trial::Layer;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const LANDLOCK: &[Layer] = &[Layer::ZygoteLandlock, Layer::ChildLandlock];
const SECCOMP: &[Layer] =
    &[Layer::Gate, Layer::AllowList, Layer::Answers, Layer::Trap, Layer::ChildFilter];
const BOTH: &[Layer] = &[
    Layer::ZygoteLandlock,
    Layer::ChildLandlock,
    Layer::Gate,
    Layer::AllowList,
    Layer::Answers,
    Layer::Trap,
    Layer::ChildFilter,
];
const LIMITS: &[Layer] = &[Layer::Rlimits, Layer::Watch, Layer::ScratchMount];

/// What an attack came to, and what each absence made of it.
type Seen = BTreeMap<String, BTreeMap<&'static str, String>>;

/// The untouched sandbox, in [`Seen`].
const WHOLE: &str = "whole";

/// Whether the attack can be let loose, and is no limit's business.
fn is_act(attack: &Attack) -> bool {
    let harmless = match &attack.bare {
        BareExpect::Comes(_) => true,
        BareExpect::NotShown(why) => why.contains("channel"),
    };
    harmless && !is_of_limits(attack) && attack.name != "channel_unread"
}

fn is_of_limits(attack: &Attack) -> bool {
    let named = |name: &str| attack.layer.split([',', ':', ' ']).any(|word| word == name);
    let measured = ["rlimit", "watch", "mount"].into_iter().any(named);
    measured && matches!(attack.bare, BareExpect::Comes(_))
}

/// What the header says it must come to in the sandbox.
fn declared(attack: &Attack) -> String {
    match &attack.sandboxed {
        Expect::Result(value, _) => shown(value),
        Expect::Outcome(outcome, _) => format!("outcome `{}`", outcome.replace('|', "` or `")),
    }
}

/// What a process comes to that has no privileges and no sandbox.
fn unprivileged(attack: &Attack) -> Option<String> {
    match attack.bare_unprivileged.as_ref().unwrap_or(&attack.bare) {
        BareExpect::Comes(value) => Some(shown(value)),
        BareExpect::NotShown(_) => None,
    }
}

/// Runs these attacks where these layers are missing.
fn without(prefix: &Prefix, layers: &[Layer], attacks: &[&Attack]) -> BTreeMap<String, String> {
    let mut sandbox = Sandboxed::start_without(prefix, layers);
    let mut seen = BTreeMap::new();
    for attack in attacks {
        let (text, intact) = sandbox.observe(attack, prefix);
        seen.insert(attack.name.clone(), text);
        if !intact {
            sandbox = Sandboxed::start_without(prefix, layers);
        }
    }
    seen
}

/// The layers whose absence the header says would be felt: all of them together.
fn claimed(attack: &Attack) -> Option<&'static [Layer]> {
    match attack.layer.as_str() {
        "landlock" => Some(LANDLOCK),
        "seccomp" | "seccomp (no effect)" => Some(SECCOMP),
        "seccomp, landlock" => Some(BOTH),
        "descriptors" => Some(&[Layer::Descriptors]),
        "rlimit" => Some(&[Layer::Rlimits]),
        "watch" => Some(&[Layer::Watch]),
        "mount" => Some(&[Layer::ScratchMount]),
        "rlimit, watch" | "mount, watch" => Some(LIMITS),
        _ => None,
    }
}

/// Complaints about attacks that come to the same without what their header names.
fn unmoved(prefix: &Prefix, attacks: &[Attack]) -> Vec<String> {
    let mut groups: Vec<(&'static [Layer], Vec<&Attack>)> = Vec::new();
    for attack in attacks.iter().filter(|attack| is_act(attack) || is_of_limits(attack)) {
        // what a process without privileges may not do anyway shows nothing here
        if unprivileged(attack) == Some(declared(attack)) {
            continue;
        }
        let Some(layers) = claimed(attack) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == layers) {
            Some((_, members)) => members.push(attack),
            None => groups.push((layers, vec![attack])),
        }
    }
    assert!(groups.len() >= 5, "{} groups", groups.len());
    let mut complaints = Vec::new();
    for (layers, members) in groups {
        let mut layers = layers.to_vec();
        // To a user other than root a process that is not dumpable is closed by that alone.
        if !prefix.is_root() {
            layers.push(Layer::Dumpable);
        }
        let seen = without(prefix, &layers, &members);
        for attack in members {
            if seen[&attack.name] == declared(attack) {
                let names: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
                complaints.push(format!(
                    "{}: {} also without {}",
                    attack.name,
                    seen[&attack.name],
                    names.join(", ")
                ));
            }
        }
    }
    complaints
}

#[test]
fn each_layer_taken_away_lets_through_what_relies_on_it() {
    let (prefix, attacks) = (Prefix::discovered(), Attack::all());
    let complaints = unmoved(&prefix, &attacks);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    if crate::support::full() {
        compare(&page(&attacks, &everything(&prefix, &attacks)));
    }
}

#[test]
fn what_a_test_takes_away_is_said() {
    let sandbox = Sandboxed::start_without(&Prefix::discovered(), &[Layer::ChildLandlock]);
    let said = sandbox.weakened();
    assert!(said.iter().any(|line| line.contains("`landlock-child`")), "{said:?}");
}

/// Every act under every absence.
fn everything(prefix: &Prefix, attacks: &[Attack]) -> Seen {
    let acts: Vec<&Attack> = attacks.iter().filter(|attack| is_act(attack)).collect();
    let bounded: Vec<&Attack> = attacks.iter().filter(|attack| is_of_limits(attack)).collect();
    let mut seen = Seen::new();
    let mut note = |name: &'static str, found: BTreeMap<String, String>| {
        for (attack, text) in found {
            seen.entry(attack).or_default().insert(name, text);
        }
    };
    let all: Vec<&Attack> = acts.iter().chain(&bounded).copied().collect();
    note(WHOLE, without(prefix, &[], &all));
    note("landlock", without(prefix, LANDLOCK, &acts));
    note("seccomp", without(prefix, SECCOMP, &acts));
    note("both", without(prefix, BOTH, &acts));
    for layer in Layer::ALL {
        let subjects = if LIMITS.contains(&layer) { &bounded } else { &acts };
        note(layer.name(), without(prefix, &[layer], subjects));
    }
    note("limits", without(prefix, LIMITS, &bounded));
    seen
}

const HEAD: &str = "# Which layer stops what\n\n\
Written by `QNTX_PYTHON_FULL=1 QNTX_BLESS=1 cargo test -p qntx-python-plugin --test it removed::` from \
what was seen: the\ncorpus of `tests/escape`, run as root in a debug build, once with the whole sandbox \
and once without each layer.\n`=` is what the whole sandbox makes of it. Attacks that could not be shown \
bare ([the matrix](attack-matrix.md) calls\nthem inconclusive) are not let loose here, other than those \
that aim at their own channel.\n\n\
A layer can be taken away in debug builds alone, by an environment variable that release builds do not \
hold\n(`crates/sandbox/src/trial.rs`).\n";

fn page(attacks: &[Attack], seen: &Seen) -> String {
    let mut text = HEAD.to_owned();
    let cell = |about: &BTreeMap<&'static str, String>, name: &str| {
        let (whole, found) = (&about[WHOLE], &about[name]);
        if whole == found { "=".to_owned() } else { found.clone() }
    };
    let stopped_by = |about: &BTreeMap<&'static str, String>| {
        let moved = |name: &str| about[WHOLE] != about[name];
        let mut by: Vec<&str> = Vec::new();
        if moved("landlock") {
            by.push("Landlock");
        }
        if moved("seccomp") {
            by.push("seccomp");
        }
        if by.is_empty() && moved("both") {
            by.push("Landlock and seccomp, each alone");
        }
        by.extend(
            [Layer::Capabilities, Layer::Dumpable, Layer::Descriptors]
                .map(Layer::name)
                .into_iter()
                .filter(|name| moved(name)),
        );
        if by.is_empty() { "neither alone nor these two".to_owned() } else { by.join(", ") }
    };
    text.push_str(
        "\n## Acts\n\n| Attack | Whole | Without Landlock | Without seccomp | Without both | Felt by |\n\
         |---|---|---|---|---|---|\n",
    );
    for attack in attacks.iter().filter(|attack| is_act(attack)) {
        let about = &seen[&attack.name];
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            attack.name,
            about[WHOLE],
            cell(about, "landlock"),
            cell(about, "seccomp"),
            cell(about, "both"),
            stopped_by(about)
        );
    }
    text.push_str(
        "\n## Limits\n\n| Attack | Whole | Without resource limits | Without the watch | Without the \
         scratch mount | Without all three |\n|---|---|---|---|---|---|\n",
    );
    for attack in attacks.iter().filter(|attack| is_of_limits(attack)) {
        let about = &seen[&attack.name];
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            attack.name,
            about[WHOLE],
            cell(about, "rlimits"),
            cell(about, "watch"),
            cell(about, "scratch-mount"),
            cell(about, "limits")
        );
    }
    text.push_str(
        "\n## One layer at a time\n\nWhere it says `nothing`, another layer stops all of these as well: \
         the zygote's rules and gate bind the zygote,\nwhose children have rules and filters of their own \
         on top.\n\n| Layer | What comes to something else without it |\n|---|---|\n",
    );
    for layer in Layer::ALL {
        let mut felt: Vec<String> = seen
            .iter()
            .filter(|(_, about)| {
                about.get(layer.name()).is_some_and(|found| *found != about[WHOLE])
            })
            .map(|(attack, _)| format!("`{attack}`"))
            .collect();
        felt.sort();
        let felt = if felt.is_empty() { "nothing".to_owned() } else { felt.join(", ") };
        let _ = writeln!(text, "| `{}` | {felt} |", layer.name());
    }
    text
}

fn compare(text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/attack-layers.md");
    if std::env::var("QNTX_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(path, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (written, seen) = (lines(&written), lines(text));
    let gone: Vec<&String> = written.iter().filter(|line| !seen.contains(line)).collect();
    let new: Vec<&String> = seen.iter().filter(|line| !written.contains(line)).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "docs/attack-layers.md is not what was seen (QNTX_BLESS=1 writes it anew):\n{gone:#?}\n→\n{new:#?}"
    );
}
