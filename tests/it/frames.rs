//! Frames that a program forges, of every kind in every state: what comes of each sequence is what a
//! model of the protocol says, and the next execution knows nothing of it.
//!
//! Forty sequences; 2,000 with `QNTX_PYTHON_FULL=1`.
//!
//! **Invariant:** the forged frames carry the ids that the supervisor expects, so that what is
//! judged is the frame and not its address.

use crate::support::{Answer, Plugin, eventually};
use proto::codec::{MAX_FROM_CHILD, encode};
use proto::frame::{
    Done, Exited, FromChild, HostCall, Log, Note, Raised, Trapped, Warm, done, from_child, note,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Finds the channel, writes to it what is put in, and comes to its own end unless it is ended.
const FORGER: &str = "import os, stat, time\ndef sock(f):\n  try: return stat.S_ISSOCK(os.fstat(f).st_mode)\n  \
                      except OSError: return False\nfd = next(f for f in range(3, 256) if sock(f))\n\
                      os.write(fd, bytes.fromhex('@FRAMES@'))\ntime.sleep(0.15)\n'own end'";

/// One forged frame.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Forged {
    Warm,
    Call,
    LongCall,
    Note,
    EmptyNote,
    Trapped,
    Nothing,
    Closing,
    Value,
    Raised,
    Exited,
    TwoValues,
    Injected,
}

const ALL: [Forged; 13] = [
    Forged::Warm,
    Forged::Call,
    Forged::LongCall,
    Forged::Note,
    Forged::EmptyNote,
    Forged::Trapped,
    Forged::Nothing,
    Forged::Closing,
    Forged::Value,
    Forged::Raised,
    Forged::Exited,
    Forged::TwoValues,
    Forged::Injected,
];

impl Forged {
    fn kind(self) -> Option<from_child::Kind> {
        let ended = |end| from_child::Kind::Done(Done { end, run_us: 1, ..Done::default() });
        let result = |json: &[u8]| {
            let result = Some(json.to_vec());
            from_child::Kind::Done(Done { result, run_us: 1, ..Done::default() })
        };
        let call =
            |name: String| from_child::Kind::Call(HostCall { call: 1, name, args: Vec::new() });
        Some(match self {
            Self::Warm => from_child::Kind::Warm(Warm::default()),
            Self::Call => call("no_such_call".to_owned()),
            Self::LongCall => call("x".repeat(65)),
            Self::Note => {
                let log = Log { level: "info".into(), message: "forged".into(), ..Log::default() };
                from_child::Kind::Note(Note { kind: Some(note::Kind::Log(log)) })
            }
            Self::EmptyNote => from_child::Kind::Note(Note { kind: None }),
            Self::Trapped => from_child::Kind::Trapped(Trapped { syscall: 101 }),
            Self::Nothing => return None,
            Self::Closing => from_child::Kind::Done(Done { closing: true, ..Done::default() }),
            Self::Value => result(b"\"forged\""),
            Self::Raised => ended(Some(done::End::Raised(Raised {
                r#type: "Forged".into(),
                message: "forged".into(),
                ..Raised::default()
            }))),
            Self::Exited => ended(Some(done::End::Exited(Exited { code: 7, ..Exited::default() }))),
            Self::TwoValues => result(b"1 2"),
            Self::Injected => result(b"1,\"success\":true,\"weakened\":[]"),
        })
    }

    fn frame(self, generation: u32, execution: u64) -> Vec<u8> {
        encode(&FromChild { generation, execution, kind: self.kind() }, MAX_FROM_CHILD).unwrap()
    }
}

/// What a sequence comes to, by the protocol: the outcome, and the result where it is a value.
fn model(sequence: &[Forged]) -> (&'static str, Value) {
    let mut calling = false;
    for forged in sequence {
        match forged {
            Forged::Warm
            | Forged::LongCall
            | Forged::EmptyNote
            | Forged::Nothing
            | Forged::TwoValues
            | Forged::Injected => return ("protocol", Value::Null),
            Forged::Call if calling => return ("protocol", Value::Null),
            Forged::Call => calling = true,
            Forged::Note | Forged::Trapped | Forged::Closing => {}
            Forged::Value => return ("value", json!("forged")),
            Forged::Raised => return ("raised", Value::Null),
            Forged::Exited => return ("exited", Value::Null),
        }
    }
    ("value", json!("own end"))
}

/// Runs a sequence under the ids that the supervisor will give the run; again where it gave others.
fn forge(plugin: &Plugin, sequence: &[Forged]) -> Answer {
    for attempt in 0..40 {
        let last = plugin.evaluate("1").expect(200, "value").body["execution_id"].as_u64().unwrap();
        let newest = plugin.get("/health").body["generation"].as_u64().unwrap();
        // one of the generations that are alive
        let generation = u32::try_from(newest.saturating_sub(attempt % 3)).unwrap();
        let bytes = sequence.iter().flat_map(|forged| forged.frame(generation, last + 1));
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        let code = FORGER.replace("@FRAMES@", &hex);
        let answer = plugin.execute_with(&code, json!({"timeout_secs": 5}));
        let error = answer.body["error"].as_str().unwrap_or_default();
        if !error.contains("arrived here") {
            return answer;
        }
    }
    panic!("no attempt met the ids of its run: {sequence:?}");
}

fn check(plugin: &Plugin, sequence: &[Forged]) {
    let answer = forge(plugin, sequence);
    let (outcome, result) = model(sequence);
    assert_eq!(answer.body["outcome"], outcome, "{sequence:?}: {:#}", answer.body);
    if outcome == "value" {
        assert_eq!(answer.body["result"], result, "{sequence:?}");
    }
    let success = answer.body["success"].as_bool();
    assert_eq!(success, Some(outcome == "value"), "{sequence:?}");
}

#[test]
fn forged_frames_of_every_kind_in_every_state_come_to_what_the_protocol_says() {
    let plugin = Plugin::start();
    plugin.settle();
    for forged in ALL {
        check(&plugin, &[forged]);
        // after its end nobody listens: not in this run, not in the next one
        check(&plugin, &[Forged::Value, forged]);
    }
    let full = crate::support::full();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |most: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % most
    };
    for _ in 0..if full { 2000 } else { 40 } {
        let length = 1 + below(6);
        let sequence: Vec<Forged> = (0..length)
            .map(|_| match below(3) {
                // mostly such as let the sequence go on
                0 => ALL[below(ALL.len())],
                1 => Forged::Note,
                _ => [Forged::Trapped, Forged::Closing, Forged::Call][below(3)],
            })
            .collect();
        check(&plugin, &sequence);
    }
    eventually("all is as it was", || plugin.get("/health").body["running"] == 0);
}

/// A child that does not read, or says a byte at a time, costs the supervisor what its channel
/// holds, and no more.
#[test]
fn a_child_costs_the_supervisor_no_more_than_its_channel_holds() {
    let plugin = Plugin::start();
    plugin.settle();
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", plugin.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let find = FORGER.split("os.write").next().unwrap();
    for (what, code) in [
        // announces the largest frame there may be, and sends a byte now and then
        (
            "slow",
            "os.write(fd, (16 << 20).to_bytes(4, 'little'))\nwhile True:\n  os.write(fd, b'x'); time.sleep(0.1)",
        ),
        // sends most of the largest frame, and stops
        (
            "most of a frame",
            "os.write(fd, (8 << 20).to_bytes(4, 'little'))\nleft = b'x' * (7 << 20)\nwhile left: left = left[os.write(fd, left):]\ntime.sleep(9)",
        ),
    ] {
        let before = resident();
        let most = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..8)
                .map(|_| {
                    let code = format!("{find}{code}");
                    let plugin = &plugin;
                    scope.spawn(move || plugin.execute_with(&code, json!({"timeout_secs": 2})))
                })
                .collect();
            let mut most = 0;
            while runs.iter().any(|run| !run.is_finished()) {
                most = most.max(resident());
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            for run in runs {
                let answer = run.join().unwrap();
                let outcome = answer.body["outcome"].as_str().unwrap_or_default().to_owned();
                assert!(
                    ["timed_out", "protocol", "raised"].contains(&outcome.as_str()),
                    "{what}: {outcome}"
                );
            }
            most
        });
        // eight children, one frame each
        let bound = before + 8 * (u64::try_from(MAX_FROM_CHILD).unwrap() >> 10) + (32 << 10);
        assert!(most < bound, "{what}: {before} KiB → {most} KiB, above {bound}");
    }
}
