//! Frames from an attacker: arbitrary, mutated, cut, repeated, out of order.
//!
//! Each property runs some hundreds of cases in every test run. `QNTX_FUZZ_FRAMES=10000000` makes
//! the last test run that many instead of 20,000.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use proptest::prelude::*;
use prost::Message as _;
use proto::claimed::{Checked, ClaimError};
use proto::codec::{self, CodecError, Decoder, MAX_FROM_CHILD, PREFIX};
use proto::frame::{
    Done, Fork, Forked, FromChild, FromZygote, HostCall, HostReply, Job, Log, Note, Progress,
    Raised, ToChild, ToZygote, Trapped, Variable, Warm, ZygoteFailed, done, from_child,
    from_zygote, host_reply, note, to_child, to_zygote,
};
use proto::{Claimed, Limits};

const GENERATION: u32 = 3;
const EXECUTION: u64 = 9;

/// Small, so that generated frames meet them.
fn limits() -> Limits {
    Limits { result_bytes: 100, ..Limits::default() }
}

fn frames() -> impl Strategy<Value = FromChild> {
    let text = "[a-z\u{e9}]{0,80}";
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let raised = (text, text, any::<bool>(), any::<u32>()).prop_map(
        |(kind, message, memory_error, line)| {
            done::End::Raised(Raised {
                r#type: kind,
                message: message.clone(),
                traceback: message,
                memory_error,
                line,
            })
        },
    );
    let variables = proptest::collection::vec((text, text), 0..5).prop_map(|pairs| {
        pairs.into_iter().map(|(name, repr)| Variable { name, repr }).collect::<Vec<_>>()
    });
    let kind = prop_oneof![
        Just(None),
        Just(Some(from_child::Kind::Warm(Warm::default()))),
        (any::<u64>(), text, bytes.clone()).prop_map(|(call, name, args)| Some(
            from_child::Kind::Call(HostCall { call, name, args })
        )),
        (proptest::option::of(bytes.clone()), variables, proptest::option::of(raised)).prop_map(
            |(result, variables, end)| {
                Some(from_child::Kind::Done(Done { result, variables, end, ..Done::default() }))
            }
        ),
        any::<u32>().prop_map(|syscall| Some(from_child::Kind::Trapped(Trapped { syscall }))),
        (text, text, bytes).prop_map(|(level, message, fields)| {
            let log = Log { level, message, fields, ..Log::default() };
            Some(from_child::Kind::Note(Note { kind: Some(note::Kind::Log(log)) }))
        }),
        text.prop_map(|message| {
            let progress = Progress { message, ..Progress::default() };
            Some(from_child::Kind::Note(Note { kind: Some(note::Kind::Progress(progress)) }))
        }),
    ];
    let generation = prop_oneof![4 => Just(GENERATION), 1 => any::<u32>()];
    let execution = prop_oneof![4 => Just(EXECUTION), 1 => any::<u64>()];
    (generation, execution, kind).prop_map(|(generation, execution, kind)| FromChild {
        generation,
        execution,
        kind,
    })
}

/// Decodes everything that `bytes` hold; at every step the decoder holds no more than was pushed.
fn drain(bytes: &[u8], cap: usize, step: usize) -> (Vec<FromChild>, Option<CodecError>) {
    let mut decoder = Decoder::<FromChild>::new(cap);
    let mut out = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        decoder.push(chunk);
        loop {
            match decoder.next_message() {
                Ok(Some(frame)) => out.push(frame),
                Ok(None) => break,
                Err(error) => return (out, Some(error)),
            }
        }
        assert!(decoder.pending() <= bytes.len());
        assert!(decoder.pending() < cap + PREFIX, "a whole frame was held back");
        assert!(decoder.missing() <= cap + PREFIX);
    }
    (out, None)
}

/// What a checked frame may hold, whatever was sent.
fn is_within(checked: &Checked, limits: &Limits) -> bool {
    match checked {
        Checked::Warm(_) | Checked::Trapped(_) => true,
        Checked::Call(call) => call.name.len() <= 64 && call.args.len() <= 5 << 20,
        Checked::Done(done) => {
            done.result.as_ref().is_none_or(|result| result.len() <= limits.result_bytes)
                && done.variables.iter().all(|one| one.repr.len() <= 4096)
        }
        Checked::Note(note) => note.kind.is_some(),
    }
}

/// Judges a frame the way the supervisor does.
fn judge(frame: FromChild) -> Result<(), TestCaseError> {
    let (generation, execution) = (frame.generation, frame.execution);
    let unknown = frame.kind.is_none();
    let limits = limits();
    match Claimed::new(frame).check(GENERATION, EXECUTION, &limits) {
        Ok(checked) => {
            prop_assert_eq!((generation, execution), (GENERATION, EXECUTION));
            prop_assert!(is_within(&checked, &limits), "{:?}", checked);
        }
        Err(ClaimError::Stale { .. }) => {
            prop_assert!(generation != GENERATION || execution != EXECUTION);
        }
        Err(ClaimError::Unknown | ClaimError::TooLarge { .. }) => {
            prop_assert!(unknown || generation == GENERATION);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_passes_the_check_belongs_here_and_is_within_its_limits(frame in frames()) {
        judge(frame)?;
    }

    #[test]
    fn frames_survive_the_wire_and_replays_are_as_many_as_were_sent(
        frame in frames(), times in 1usize..5, step in 1usize..50,
    ) {
        let once = codec::encode(&frame, MAX_FROM_CHILD).unwrap();
        let (out, error) = drain(&once.repeat(times), MAX_FROM_CHILD, step);
        prop_assert_eq!(error, None);
        prop_assert_eq!(out, vec![frame; times]);
    }

    #[test]
    fn mutated_frames_end_in_a_frame_or_an_error_and_never_in_a_panic(
        frame in frames(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        step in 1usize..50,
    ) {
        let mut bytes = codec::encode(&frame, MAX_FROM_CHILD).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (out, _) = drain(&bytes, 1 << 16, step);
        for frame in out {
            judge(frame)?;
        }
    }

    #[test]
    fn cut_frames_wait_for_the_rest_and_hold_no_more_than_came(
        frame in frames(), cut in any::<prop::sample::Index>(),
    ) {
        let bytes = codec::encode(&frame, MAX_FROM_CHILD).unwrap();
        let cut = cut.index(bytes.len());
        let (out, error) = drain(&bytes[..cut], MAX_FROM_CHILD, 7);
        prop_assert!(out.is_empty() && error.is_none());
    }

    #[test]
    fn a_frame_announced_but_never_sent_costs_nothing(announced in any::<u32>()) {
        let mut decoder = Decoder::<FromChild>::new(MAX_FROM_CHILD);
        decoder.push(&announced.to_le_bytes());
        match decoder.next_message() {
            Err(CodecError::TooLong { cap, .. }) => {
                prop_assert!(announced as usize > cap);
            }
            other => prop_assert!(announced as usize <= MAX_FROM_CHILD || other.is_err()),
        }
        prop_assert!(decoder.pending() <= PREFIX);
    }

    #[test]
    fn no_direction_s_decoder_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fn all<M: prost::Message + Default>(bytes: &[u8]) {
            let mut decoder = Decoder::<M>::new(1 << 12);
            decoder.push(bytes);
            while let Ok(Some(_)) = decoder.next_message() {}
            // the body alone, past the length
            let _ = M::decode(bytes);
        }
        all::<FromChild>(&bytes);
        all::<ToChild>(&bytes);
        all::<FromZygote>(&bytes);
        all::<ToZygote>(&bytes);
    }
}

/// Deep nesting, which prost bounds, and lengths within that lie.
#[test]
fn known_tricks_of_the_encoding_are_refused() {
    let framed = |body: &[u8]| {
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    };
    for body in [
        vec![0x0b; 4096],                         // groups within groups
        vec![0x2a, 0xff, 0xff, 0xff, 0xff, 0x0f], // a field of four gigabytes
        vec![0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // an endless number
        vec![0x2a, 0x02, 0x12, 0x05],             // a string past the end
        vec![0x00],                               // field number 0
        vec![0x2f],                               // a wire type nobody has
    ] {
        let (out, error) = drain(&framed(&body), 1 << 16, 3);
        assert!(out.is_empty(), "{body:x?} became {out:?}");
        assert!(matches!(error, Some(CodecError::Malformed { .. })), "{body:x?}: {error:?}");
    }
}

/// xorshift64*: quick, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() >> 33).unwrap() % most.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 => bytes[at] = dice.roll().to_le_bytes()[0],
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.insert(at, dice.roll().to_le_bytes()[0]),
            _ => bytes.truncate(at.max(1)),
        }
    }
}

type Decode = fn(&[u8]);

/// A message of each other direction, and what decodes it as its reader does.
fn other_directions() -> Vec<(Vec<u8>, Decode)> {
    fn decode<M: prost::Message + Default>(bytes: &[u8]) {
        let mut decoder = Decoder::<M>::new(1 << 12);
        decoder.push(bytes);
        while let Ok(Some(_)) = decoder.next_message() {}
        // the control socket has packets, without a length
        let _ = M::decode(bytes);
    }
    let job =
        Job { source: b"print(1)".to_vec(), python_paths: vec!["/x".into()], ..Job::default() };
    let job = ToChild { execution: 9, kind: Some(to_child::Kind::Job(job)), ..ToChild::default() };
    let value = host_reply::Kind::Value(b"{}".to_vec());
    let reply = to_child::Kind::Reply(HostReply { call: 1, kind: Some(value) });
    let reply = ToChild { execution: 9, kind: Some(reply), ..ToChild::default() };
    let fork = to_zygote::Kind::Fork(Fork { child: 3, scratch: "/x".into(), awaited: true });
    let fork = ToZygote { kind: Some(fork) };
    let forked = from_zygote::Kind::Forked(Forked { child: 3, pid: 4711 });
    let forked = FromZygote { generation: 2, kind: Some(forked) };
    let failed = ZygoteFailed { stage: "seal".into(), reason: "no".into() };
    let failed = FromZygote { generation: 2, kind: Some(from_zygote::Kind::Failed(failed)) };
    fn framed<M: prost::Message>(message: &M) -> Vec<u8> {
        codec::encode(message, MAX_FROM_CHILD).unwrap()
    }
    vec![
        (framed(&job), decode::<ToChild> as Decode),
        (framed(&reply), decode::<ToChild>),
        (framed(&fork), decode::<ToZygote>),
        (framed(&forked), decode::<FromZygote>),
        (failed.encode_to_vec(), decode::<FromZygote>),
    ]
}

#[test]
fn a_great_many_mutated_frames() {
    let full = std::env::var("QNTX_PYTHON_FULL").is_ok_and(|full| full == "1");
    let usual = if full { 10_000_000 } else { 20_000 };
    let wanted = std::env::var("QNTX_FUZZ_FRAMES").map_or(usual, |text| text.parse().unwrap());
    let seeds: Vec<Vec<u8>> = [
        from_child::Kind::Warm(Warm::default()),
        from_child::Kind::Call(HostCall { call: 1, name: "attest".into(), args: b"{}".to_vec() }),
        from_child::Kind::Trapped(Trapped { syscall: 101 }),
        from_child::Kind::Done(Done {
            result: Some(b"[1, 2]".to_vec()),
            variables: vec![Variable { name: "x".into(), repr: "1".into() }],
            end: Some(done::End::Raised(Raised { message: "m".into(), ..Raised::default() })),
            ..Done::default()
        }),
        from_child::Kind::Note(Note {
            kind: Some(note::Kind::Log(Log { message: "said".into(), ..Log::default() })),
        }),
    ]
    .into_iter()
    .map(|kind| FromChild { generation: GENERATION, execution: EXECUTION, kind: Some(kind) })
    .map(|frame| codec::encode(&frame, MAX_FROM_CHILD).unwrap())
    .collect();
    let others = other_directions();
    let (mut dice, mut accepted, mut refused) = (Dice(0x9e37_79b9_7f4a_7c15), 0u64, 0u64);
    let mut decoder = Decoder::<FromChild>::new(4096);
    let mut frames = 0u64;
    while frames < wanted {
        frames += 1;
        // one in eight goes the other ways: what a child or a zygote is told, and what that says
        if dice.below(8) == 0 {
            let (seed, decode) = &others[dice.below(others.len())];
            let mut bytes = seed.clone();
            mutate(&mut bytes, &mut dice);
            decode(&bytes);
            continue;
        }
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        mutate(&mut bytes, &mut dice);
        // mostly with an honest length, so that the body is what is attacked
        if dice.below(8) > 0 && bytes.len() >= PREFIX {
            let length = u32::try_from(bytes.len() - PREFIX).unwrap();
            bytes[..PREFIX].copy_from_slice(&length.to_le_bytes());
        }
        decoder.push(&bytes);
        loop {
            match decoder.next_message() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    match Claimed::new(frame).check(GENERATION, EXECUTION, &limits()) {
                        Ok(checked) => {
                            assert!(is_within(&checked, &limits()), "{checked:?}");
                            accepted += 1;
                        }
                        Err(_) => refused += 1,
                    }
                }
                Err(_) => {
                    // as the supervisor does: this channel is over
                    refused += 1;
                    decoder = Decoder::new(4096);
                    break;
                }
            }
        }
        assert!(decoder.pending() <= 4096 + PREFIX);
    }
    assert!(accepted > wanted / 100 && refused > wanted / 100, "{accepted} {refused} of {wanted}");
}
