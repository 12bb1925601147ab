//! Criterion: the pieces that stand on every request's path and need no process.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::codec::{Decoder, MAX_FROM_CHILD, encode};
use proto::frame::{Done, FromChild, from_child};
use std::hint::black_box;

fn done(result: usize) -> FromChild {
    FromChild {
        generation: 1,
        execution: 1,
        kind: Some(from_child::Kind::Done(Done {
            result: Some(vec![b'7'; result]),
            run_us: 30,
            max_rss_bytes: 14 << 20,
            ..Done::default()
        })),
    }
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    for size in [1usize, 64 << 10, 1 << 20] {
        let frame = done(size);
        let bytes = encode(&frame, MAX_FROM_CHILD).expect("within the cap");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode {size} B"), |b| {
            b.iter(|| encode(black_box(&frame), MAX_FROM_CHILD));
        });
        group.bench_function(format!("decode {size} B"), |b| {
            b.iter(|| {
                let mut decoder = Decoder::<FromChild>::new(MAX_FROM_CHILD);
                decoder.push(black_box(&bytes));
                decoder.next_message()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
