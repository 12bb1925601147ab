//! From tables to filters, and the order in which they are loaded.
//!
//! Filters stack: the kernel asks all of them and takes the most severe answer, and among equally
//! severe ones the newest filter's. So the widest statement goes first, and each later one only
//! words the refusal better or takes more away:
//!
//! 1. the gate: other architectures and x32 → `KILL_PROCESS`;
//! 2. the allow-list, ZYGOTE ∪ CHILD with what is granted, compiled by seccompiler: everything else → `ENOSYS`;
//! 3. the answers: `EPERM`, "no effect", and each conditional call's own error;
//! 4. the trap, compiled by seccompiler: what only an attack asks for → `TRAP`;
//! 5. in the child: what the zygote may and a child may not.
//!
//! **Invariant:** filters 2 and 3 state each condition independently, through two compilers; both
//! have to agree before a conditional call passes.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::SealError;
use crate::bpf::{self, Case, Program, Template};
use crate::syscalls::{Arch, Entry, Op, Tables, Test, When, find};
use crate::trial::Layer;

/// The filters of the zygote in loading order, each with its name for errors.
pub(crate) fn zygote_stack(
    tables: &Tables,
) -> Result<Vec<(&'static str, Layer, Program)>, SealError> {
    Ok(vec![
        ("gate", Layer::Gate, bpf::gate(tables.arch)),
        ("allow-list", Layer::AllowList, allow_list(tables)?),
        ("answers", Layer::Answers, answers(tables).for_process(0)),
        ("trap", Layer::Trap, trap(tables)?),
    ])
}

fn allow_list(tables: &Tables) -> Result<BpfProgram, SealError> {
    let mut rules = BTreeMap::new();
    for entry in tables.allowed() {
        rules.insert(entry.nr, seccompiler_rules(entry)?);
    }
    compile(
        tables.arch,
        "allow-list",
        rules,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        SeccompAction::Allow,
    )
}

fn trap(tables: &Tables) -> Result<BpfProgram, SealError> {
    let rules = tables.trap.iter().map(|entry| (entry.nr, Vec::new())).collect();
    compile(tables.arch, "trap", rules, SeccompAction::Allow, SeccompAction::Trap)
}

fn answers(tables: &Tables) -> Template {
    let refused = |table: &'static [Entry], errno: i32| {
        table.iter().map(move |entry| Case {
            nr: number(entry),
            allow: None,
            refusal: bpf::errno(errno),
        })
    };
    let conditional = |entry: &&'static Entry| matches!(entry.when, When::Any(_));
    let conditional = tables.allowed().filter(conditional).map(|entry| Case {
        nr: number(entry),
        allow: Some(entry.when),
        refusal: bpf::errno(entry.otherwise),
    });
    let refused = refused(tables.eperm, libc::EPERM).chain(refused(tables.no_effect, 0));
    bpf::decide(refused.chain(conditional).collect())
}

/// The child's last filter: exactly the difference between what the zygote and a child may call,
/// and what is answered without being done.
pub(crate) fn child_removal(tables: &Tables) -> Template {
    let cases = tables.zygote.iter().map(|entry| match find(tables.child, entry.nr) {
        Some(kept) => {
            Case { nr: number(entry), allow: Some(kept.when), refusal: bpf::errno(kept.otherwise) }
        }
        None => Case { nr: number(entry), allow: None, refusal: bpf::errno(libc::EPERM) },
    });
    let quiet = tables.quiet.iter().map(|entry| Case {
        nr: number(entry),
        allow: Some(entry.when),
        refusal: bpf::errno(entry.otherwise),
    });
    bpf::decide(cases.chain(quiet).collect())
}

/// Loads a filter into the calling thread.
pub(crate) fn load(name: &'static str, program: &Program) -> Result<(), SealError> {
    seccompiler::apply_filter(program)
        .map_err(|error| SealError::Seccomp { step: name, reason: error.to_string() })
}

fn number(entry: &Entry) -> u32 {
    // tables hold small positive numbers; an absurd one decides about no call at all
    u32::try_from(entry.nr).unwrap_or(u32::MAX)
}

fn seccompiler_rules(entry: &Entry) -> Result<Vec<SeccompRule>, SealError> {
    let failed = |reason: String| SealError::Seccomp { step: entry.name, reason };
    let When::Any(rules) = entry.when else { return Ok(Vec::new()) };
    rules
        .iter()
        .map(|tests| {
            let conditions: Result<Vec<_>, SealError> =
                tests.iter().map(|test| condition(*test).map_err(failed)).collect();
            SeccompRule::new(conditions?).map_err(|error| failed(error.to_string()))
        })
        .collect()
}

fn condition(test: Test) -> Result<SeccompCondition, String> {
    let (width, operator, value) = match test.op {
        Op::Eq(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value)),
        Op::Ne(value) => (SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(value)),
        Op::Masked { mask, value } => {
            (SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(u64::from(mask)), u64::from(value))
        }
        Op::Null => (SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0),
        Op::OwnPid => return Err("the own process id is not known yet".to_owned()),
    };
    SeccompCondition::new(test.arg, width, operator, value).map_err(|error| error.to_string())
}

fn compile(
    arch: Arch,
    name: &'static str,
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    mismatch: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SealError> {
    let failed = |reason: String| SealError::Seccomp { step: name, reason };
    let arch = match arch {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
    };
    let filter = SeccompFilter::new(rules, mismatch, matched, arch)
        .map_err(|error| failed(error.to_string()))?;
    BpfProgram::try_from(filter).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests;
