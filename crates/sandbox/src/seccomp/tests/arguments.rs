//! Arguments worth asking with: around every value that a call's conditions compare with.

use super::*;

/// Values that every argument is given.
const PLAIN: [u64; 5] = [0, 1, u64::MAX, 1 << 31, 1 << 32];

/// What each argument of a call is to be tried with.
pub(super) struct Boundaries {
    values: [Vec<u64>; 6],
    /// For each rule, arguments that satisfy it.
    satisfying: Vec<([u64; 6], usize)>,
}

impl Boundaries {
    /// Those of the tables' conditions on a call.
    pub(super) fn of(tables: &Tables, nr: i64) -> Self {
        let mut own = Self { values: [(); 6].map(|()| PLAIN.to_vec()), satisfying: Vec::new() };
        for table in [tables.child, tables.zygote, tables.quiet] {
            let Some(When::Any(rules)) = find(table, nr).map(|entry| entry.when) else { continue };
            for rule in rules {
                let mut args = [0; 6];
                for test in *rule {
                    own.values[usize::from(test.arg)].extend(around(test.op));
                    args[usize::from(test.arg)] = satisfying(test.op);
                }
                own.satisfying.push((args, rule.len()));
            }
        }
        for values in &mut own.values {
            values.sort_unstable();
            values.dedup();
        }
        own
    }

    /// All lists to ask with. Without conditions the plain values do. Else every pair of arguments
    /// is given every pair of their values while the rest is 0, and each of what satisfies a rule
    /// is changed in one argument, or in two where the rule looks at more.
    pub(super) fn lists(&self) -> Vec<[u64; 6]> {
        if self.satisfying.is_empty() {
            return PLAIN.map(|value| [value; 6]).to_vec();
        }
        let mut lists = vec![[0; 6], [u64::MAX; 6]];
        self.pairs([0; 6], &mut lists);
        for (args, tests) in &self.satisfying {
            self.singles(*args, &mut lists);
            if *tests > 2 {
                self.pairs(*args, &mut lists);
            }
        }
        lists
    }

    /// Every argument changed alone.
    pub(super) fn singly(&self) -> Vec<[u64; 6]> {
        let mut lists = vec![[0; 6], [1; 6], [u64::MAX; 6]];
        self.singles([0; 6], &mut lists);
        self.satisfying.iter().for_each(|(args, _)| lists.push(*args));
        lists
    }

    fn singles(&self, base: [u64; 6], lists: &mut Vec<[u64; 6]>) {
        for (at, values) in self.values.iter().enumerate() {
            for value in values {
                let mut args = base;
                args[at] = *value;
                lists.push(args);
            }
        }
    }

    fn pairs(&self, base: [u64; 6], lists: &mut Vec<[u64; 6]>) {
        for first in 0..6 {
            for second in first + 1..6 {
                for value in &self.values[first] {
                    for other in &self.values[second] {
                        let mut args = base;
                        args[first] = *value;
                        args[second] = *other;
                        lists.push(args);
                    }
                }
            }
        }
    }
}

/// Values on both sides of where a test's answer changes, and with the half that an `int` lacks.
fn around(op: Op) -> Vec<u64> {
    let near = |value: u32| {
        let value = u64::from(value);
        let low = [value, value ^ 1, value.wrapping_add(1), value.wrapping_sub(1)];
        low.into_iter().chain([value | 1 << 32, value | 1 << 63, value ^ (1 << 31)])
    };
    match op {
        Op::Eq(value) | Op::Ne(value) => near(value).collect(),
        Op::Masked { mask, value } => {
            let flipped = (0..32).flat_map(|bit| near(value ^ (1 << bit)));
            flipped.chain(near(value | !mask)).collect()
        }
        Op::Null => near(0).collect(),
        Op::OwnPid => near(PID).collect(),
    }
}

fn satisfying(op: Op) -> u64 {
    match op {
        Op::Eq(value) | Op::Masked { value, .. } => u64::from(value),
        Op::Ne(value) => u64::from(!value),
        Op::Null => 0,
        Op::OwnPid => u64::from(PID),
    }
}

#[test]
fn what_is_to_satisfy_a_rule_does() {
    let mut rules_seen = 0;
    for tables in Arch::ALL.iter().flat_map(|arch| mixtures().map(|g| Tables::on(*arch, &g))) {
        for entry in tables.child {
            let When::Any(rules) = entry.when else { continue };
            for rule in rules {
                let mut args = [0; 6];
                rule.iter().for_each(|test| args[usize::from(test.arg)] = satisfying(test.op));
                assert!(entry.when.holds(&args, PID), "{} {rule:?}", entry.name);
                rules_seen += 1;
            }
        }
    }
    assert!(rules_seen > 1000, "{rules_seen}");
}
