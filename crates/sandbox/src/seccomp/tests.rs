//! Runs the whole compiled stack of every architecture over every system call number and compares
//! with the tables.

use std::collections::BTreeSet;

use super::*;
use crate::Grants;
use crate::bpf::emulator::{Call, stack};
use crate::bpf::{RET_ALLOW, X32_BIT, errno};
use crate::syscalls::Lists;

mod arguments;
mod decisions;

use arguments::Boundaries;

const I386_ARCH: u32 = 0x4000_0003;
const ARM_ARCH: u32 = 0x4000_0028;
const PID: u32 = 4711;

/// Every mixture of grants, the empty one first.
fn mixtures() -> impl Iterator<Item = Grants> {
    let chosen = |mixture: u8, grant: u8| mixture & (1 << grant) != 0;
    let mixture = move |mixture: u8| Grants {
        connect: if chosen(mixture, 0) { vec![443] } else { Vec::new() },
        write: if chosen(mixture, 1) { vec!["/srv".into()] } else { Vec::new() },
        execute: chosen(mixture, 2).then(|| vec!["/bin/true".into()]),
        namespace: chosen(mixture, 3),
    };
    (0..16).map(mixture)
}

/// Numbers worth asking for: all that kernels have, and those around every bit.
fn numbers() -> impl Iterator<Item = u32> {
    let around = |bit: u32| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1];
    (0..=600).chain((10..32).flat_map(around)).chain([u32::MAX - 1, u32::MAX])
}

/// Whether a number is that of an x32 call, which an x86-64 kernel takes as such by this bit alone.
fn is_x32(arch: Arch, nr: u32) -> bool {
    arch == Arch::X86_64 && nr >= X32_BIT
}

fn zygote(tables: &Tables) -> Vec<Program> {
    zygote_stack(tables).unwrap().into_iter().map(|(_, _, program)| program).collect()
}

fn child(tables: &Tables) -> Vec<Program> {
    let mut programs = zygote(tables);
    programs.push(child_removal(tables).for_process(PID));
    programs
}

/// The tables' own word on a call, without any filter.
fn expected(tables: &Tables, nr: i64, args: &[u64; 6], in_child: bool) -> u32 {
    let own: &[&'static [Entry]] =
        if in_child { &[tables.child] } else { &[tables.zygote, tables.child] };
    if let Some(entry) = own.iter().find_map(|table| find(table, nr)) {
        let holds = entry.when.holds(args, PID);
        let quiet = find(tables.quiet, nr).filter(|e| in_child && !e.when.holds(args, PID));
        if let (true, Some(quiet)) = (holds, quiet) {
            return errno(quiet.otherwise);
        }
        return if holds { RET_ALLOW } else { errno(entry.otherwise) };
    }
    if find(tables.zygote, nr).is_some() || find(tables.eperm, nr).is_some() {
        return errno(libc::EPERM);
    }
    if find(tables.no_effect, nr).is_some() {
        return errno(0);
    }
    if find(tables.trap, nr).is_some() {
        return libc::SECCOMP_RET_TRAP;
    }
    errno(libc::ENOSYS)
}

/// All that the tables of some grants say about a call.
fn words(tables: &Tables, nr: i64) -> String {
    let lists = [tables.child, tables.zygote, tables.quiet, tables.eperm];
    format!("{:?}", lists.map(|table| find(table, nr)))
}

#[test]
fn the_stack_says_what_the_tables_say_for_every_number() {
    for arch in Arch::ALL {
        let mut looked_at = BTreeSet::new();
        for grants in mixtures() {
            let tables = Tables::on(arch, &grants);
            let (zygote, child) = (zygote(&tables), child(&tables));
            let is_strict = grants == Grants::default();
            let mut compared = 0u64;
            for nr in numbers().filter(|nr| !is_x32(arch, *nr)) {
                let boundaries = Boundaries::of(&tables, i64::from(nr));
                // closely once: what further grants leave alone needs it no more
                let close = looked_at.insert((nr, words(&tables, i64::from(nr))));
                for args in if close { boundaries.lists() } else { boundaries.singly() } {
                    let call = Call { nr, arch: arch.audit_number(), args };
                    let answers = [(&zygote, false), (&child, true)].map(|(programs, in_child)| {
                        let answer = stack(programs, &call);
                        let wanted = expected(&tables, i64::from(nr), &args, in_child);
                        assert_eq!(answer, wanted, "{call:x?} in_child={in_child} {grants:?}");
                        compared += 1;
                        answer
                    });
                    let child_alone = answers[1] == RET_ALLOW && answers[0] != RET_ALLOW;
                    assert!(!child_alone, "{call:x?} only in child, {grants:?}");
                }
            }
            let least = if is_strict { 200_000 } else { 10_000 };
            assert!(compared > least, "only {compared} calls on {arch:?} under {grants:?}");
        }
    }
}

#[test]
fn other_architectures_and_x32_are_killed_whatever_the_number() {
    for (arch, grants) in Arch::ALL.iter().flat_map(|arch| mixtures().map(|g| (*arch, g))) {
        let (tables, own) = (Tables::on(arch, &grants), arch.audit_number());
        let stacks = [zygote(&tables), child(&tables)];
        let known = Arch::ALL.map(Arch::audit_number);
        let foreign: Vec<u32> = [I386_ARCH, ARM_ARCH, 0, own ^ 1, own ^ (1 << 31), own ^ (1 << 30)]
            .into_iter()
            .chain(known.into_iter().filter(|known| *known != own))
            .collect();
        let mut killed = 0u64;
        let mut kills = |nr: u32, audit_number: u32, args: [u64; 6]| {
            let call = Call { nr, arch: audit_number, args };
            for programs in &stacks {
                let answer = stack(programs, &call);
                assert_eq!(answer, libc::SECCOMP_RET_KILL_PROCESS, "{call:x?} on {arch:?}");
                killed += 1;
            }
        };
        for nr in numbers() {
            let close = grants == Grants::default();
            let lists = if close {
                Boundaries::of(&tables, i64::from(nr)).singly()
            } else {
                vec![[0; 6], [u64::MAX; 6]]
            };
            for args in lists {
                foreign.iter().for_each(|foreign| kills(nr, *foreign, args));
                if is_x32(arch, nr | X32_BIT) {
                    kills(nr | X32_BIT, own, args);
                }
            }
        }
        assert!(killed > 10_000, "{killed} on {arch:?} under {grants:?}");
    }
}

/// Without the look at its number an x32 call would be taken for the one whose number it carries.
#[test]
fn the_x32_bit_is_looked_at_where_a_kernel_does() {
    for arch in Arch::ALL {
        let child = child(&Tables::on(arch, &Grants::default()));
        let call = Call { nr: X32_BIT, arch: arch.audit_number(), args: [0; 6] };
        let answer = match arch {
            Arch::X86_64 => libc::SECCOMP_RET_KILL_PROCESS,
            Arch::Aarch64 => errno(libc::ENOSYS),
        };
        assert_eq!(stack(&child, &call), answer, "{arch:?}");
    }
}

#[test]
fn every_program_fits_the_kernel() {
    let every = Arch::ALL.iter().flat_map(|arch| mixtures().map(|g| Tables::on(*arch, &g)));
    for program in every.flat_map(|tables| child(&tables)) {
        assert!(program.len() <= 4096, "{}", program.len());
        for (at, instruction) in program.iter().enumerate() {
            let furthest = usize::from(instruction.jt.max(instruction.jf));
            assert!(instruction.code & 7 != 5 || at + 1 + furthest < program.len());
        }
    }
    for arch in Arch::ALL {
        let last = child_removal(&Tables::on(arch, &Grants::default())).for_process(PID);
        assert!(last.len() < 160, "the child pays for {} instructions on {arch:?}", last.len());
    }
}
