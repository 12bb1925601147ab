//! A compiler from decisions about system calls to classic BPF, with one answer per call.
//!
//! It exists beside seccompiler because that one knows a single answer per filter, has no test for
//! x32 and searches linearly; a child pays for its last filter on every start. What it emits can
//! only refuse: a mistake here never allows what the allow-list forbids.
//!
//! **Invariant:** conditional jumps reach at most the next two instructions, so no program can grow
//! past a jump's range.

use seccompiler::sock_filter;

use crate::syscalls::{Arch, Op, Test, When};

/// Instructions in the kernel's layout.
pub(crate) type Program = Vec<sock_filter>;

const LD_ABS: u16 = 0x20;
const AND_K: u16 = 0x54;
const JA: u16 = 0x05;
const JEQ_K: u16 = 0x15;
const JGE_K: u16 = 0x35;
const RET_K: u16 = 0x06;

const NR_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;
const ARGS_OFFSET: u32 = 16;

pub(crate) const RET_ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// The bit that marks an x32 call on x86-64.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// The filter action that fails a call with an error, or with 0 makes it succeed without effect.
pub(crate) fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | (number.unsigned_abs() & libc::SECCOMP_RET_DATA)
}

/// What happens to one system call: allowed where `allow` covers the arguments, else `refusal`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) nr: u32,
    pub(crate) allow: Option<When>,
    pub(crate) refusal: u32,
}

/// A program with the places where the running process's own id belongs.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    program: Program,
    own_pid_at: Vec<usize>,
}

impl Template {
    /// The program for the process `pid`.
    pub(crate) fn for_process(&self, pid: u32) -> Program {
        let mut program = self.program.clone();
        for at in &self.own_pid_at {
            program[*at].k = pid;
        }
        program
    }
}

/// Kills on any other architecture's calls, x32 included, whatever the number.
pub(crate) fn gate(arch: Arch) -> Program {
    let mut program = vec![
        op(LD_ABS, ARCH_OFFSET),
        jump(JEQ_K, arch.audit_number(), 1, 0),
        op(RET_K, libc::SECCOMP_RET_KILL_PROCESS),
    ];
    match arch {
        Arch::X86_64 => program.extend([
            op(LD_ABS, NR_OFFSET),
            jump(JGE_K, X32_BIT, 0, 1),
            op(RET_K, libc::SECCOMP_RET_KILL_PROCESS),
        ]),
        Arch::Aarch64 => {}
    }
    program.push(op(RET_K, RET_ALLOW));
    program
}

/// Decides the given calls and allows all others, by bisection over the numbers.
pub(crate) fn decide(mut cases: Vec<Case>) -> Template {
    cases.sort_by_key(|case| case.nr);
    let mut template = Template { program: vec![op(LD_ABS, NR_OFFSET)], own_pid_at: Vec::new() };
    template.bisect(&cases);
    template
}

impl Template {
    fn bisect(&mut self, cases: &[Case]) {
        if let [case] = cases {
            self.program.push(jump(JEQ_K, case.nr, 1, 0));
            self.program.push(op(RET_K, RET_ALLOW));
            self.case(case);
            return;
        }
        let (low, high) = cases.split_at(cases.len() / 2);
        let Some(first_high) = high.first() else {
            self.program.push(op(RET_K, RET_ALLOW));
            return;
        };
        // JGE first_high: fall into the far jump, else step over it
        self.program.push(jump(JGE_K, first_high.nr, 0, 1));
        let to_high = self.far_jump();
        self.bisect(low);
        self.land(to_high);
        self.bisect(high);
    }

    fn case(&mut self, case: &Case) {
        match case.allow {
            None => {}
            Some(When::Always) => {
                self.program.push(op(RET_K, RET_ALLOW));
                return;
            }
            Some(When::Any(rules)) => {
                // which word the accumulator holds unmasked, so that lists load it once
                let mut loaded = None;
                rules.iter().for_each(|rule| loaded = self.rule(rule, loaded));
            }
        }
        self.program.push(op(RET_K, case.refusal));
    }

    /// Returns "allow" when all tests hold, else goes on behind itself.
    fn rule(&mut self, tests: &[Test], loaded: Option<u32>) -> Option<u32> {
        if let [test] = tests
            && test.op != Op::Null
        {
            let (equal, loaded) = self.compare(*test, loaded);
            let (jt, jf) = if equal { (0, 1) } else { (1, 0) };
            self.aim(jt, jf);
            self.program.push(op(RET_K, RET_ALLOW));
            return loaded;
        }
        let mut failed = Vec::new();
        for test in tests {
            if test.op == Op::Null {
                let high = ARGS_OFFSET + u32::from(test.arg) * 8 + 4;
                self.program.extend([op(LD_ABS, high), jump(JEQ_K, 0, 1, 0)]);
                failed.push(self.far_jump());
            }
            let (equal, _) = self.compare(*test, None);
            let (jt, jf) = if equal { (1, 0) } else { (0, 1) };
            self.aim(jt, jf);
            failed.push(self.far_jump());
        }
        self.program.push(op(RET_K, RET_ALLOW));
        for from in failed {
            self.land(from);
        }
        None
    }

    /// Compares the low half of an argument; says whether the test wants equality, and which word
    /// is loaded afterwards. The jump still has to be [`aim`](Self::aim)ed.
    fn compare(&mut self, test: Test, loaded: Option<u32>) -> (bool, Option<u32>) {
        let low = ARGS_OFFSET + u32::from(test.arg) * 8;
        if loaded != Some(low) {
            self.program.push(op(LD_ABS, low));
        }
        let (value, equal, still_loaded) = match test.op {
            Op::Eq(value) => (value, true, Some(low)),
            Op::Ne(value) => (value, false, Some(low)),
            Op::Null => (0, true, Some(low)),
            Op::Masked { mask, value } => {
                self.program.push(op(AND_K, mask));
                (value, true, None)
            }
            Op::OwnPid => {
                self.own_pid_at.push(self.program.len());
                (0, true, Some(low))
            }
        };
        self.program.push(jump(JEQ_K, value, 0, 0));
        (equal, still_loaded)
    }

    fn aim(&mut self, jt: u8, jf: u8) {
        if let Some(last) = self.program.last_mut() {
            (last.jt, last.jf) = (jt, jf);
        }
    }

    /// An unconditional jump whose target is [`land`](Self::land)ed later.
    fn far_jump(&mut self) -> usize {
        self.program.push(op(JA, 0));
        self.program.len() - 1
    }

    fn land(&mut self, from: usize) {
        let distance = self.program.len() - from - 1;
        self.program[from].k = u32::try_from(distance).unwrap_or(u32::MAX);
    }
}

fn op(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
pub(crate) mod emulator {
    //! A classic-BPF interpreter with the kernel's rules for stacked filters.

    use super::*;

    /// What a filter sees.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Call {
        pub(crate) nr: u32,
        pub(crate) arch: u32,
        pub(crate) args: [u64; 6],
    }

    /// Runs one program; panics where the kernel's verifier would have refused it.
    pub(crate) fn run(program: &[sock_filter], call: &Call) -> u32 {
        let mut accumulator = 0u32;
        let mut at = 0;
        loop {
            let instruction = &program[at];
            at += 1;
            let k = instruction.k;
            let compare =
                |holds: bool| usize::from(if holds { instruction.jt } else { instruction.jf });
            match instruction.code {
                LD_ABS => accumulator = load(call, k),
                AND_K => accumulator &= k,
                JA => at += k as usize,
                JEQ_K => at += compare(accumulator == k),
                JGE_K => at += compare(accumulator >= k),
                0x25 => at += compare(accumulator > k),
                0x45 => at += compare(accumulator & k != 0),
                RET_K => return k,
                code => panic!("instruction {code:#x} at {}", at - 1),
            }
        }
    }

    fn load(call: &Call, offset: u32) -> u32 {
        match offset {
            NR_OFFSET => call.nr,
            ARCH_OFFSET => call.arch,
            16..64 if offset.is_multiple_of(4) => {
                let arg = call.args[(offset as usize - 16) / 8];
                let half = if offset.is_multiple_of(8) { arg } else { arg >> 32 };
                u32::try_from(half & u64::from(u32::MAX)).unwrap()
            }
            _ => panic!("load from {offset}"),
        }
    }

    /// Runs filters in the order they were loaded: the newest is asked first, and an older answer
    /// only counts when its action is strictly more severe.
    pub(crate) fn stack(programs: &[Program], call: &Call) -> u32 {
        let severity = |answer: u32| (answer & 0xffff_0000) as i32;
        programs.iter().rev().fold(RET_ALLOW, |so_far, program| {
            let answer = run(program, call);
            if severity(answer) < severity(so_far) { answer } else { so_far }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bisection_finds_every_case_and_nothing_else() {
        for count in 0..20u32 {
            let case = |nr: u32| Case { nr: nr * 3, allow: None, refusal: errno(1) };
            let program = decide((0..count).rev().map(case).collect()).for_process(7);
            for nr in 0..70 {
                let call = emulator::Call { nr, arch: 0, args: [0; 6] };
                let expected = if nr % 3 == 0 && nr / 3 < count { errno(1) } else { RET_ALLOW };
                assert_eq!(emulator::run(&program, &call), expected, "{nr} of {count}");
            }
        }
    }

    #[test]
    fn the_own_pid_is_compared_where_it_was_filled_in() {
        const RULES: &[&[Test]] = &[&[Test { arg: 0, op: Op::OwnPid }]];
        let case = Case { nr: 62, allow: Some(When::Any(RULES)), refusal: errno(1) };
        let template = decide(vec![case]);
        for (own, asked, expected) in [(41, 41, RET_ALLOW), (41, 42, errno(1)), (42, 41, errno(1))]
        {
            let call = emulator::Call { nr: 62, arch: 0, args: [asked, 0, 0, 0, 0, 0] };
            assert_eq!(emulator::run(&template.for_process(own), &call), expected);
        }
    }
}
