//! Criterion: what the supervisor does on every request's path: frames, and the
//! hand-over to a warm spare. `interpreter.rs` has the other side's pieces.
//!
//! It takes the zygote's role when the supervisor in it starts one.

use criterion::{Criterion, Throughput};
use plugin::config::Config;
use plugin::host::Host;
use plugin::request::{Request, Source};
use plugin::supervisor::Supervisor;
use proto::Limits;
use proto::codec::{Decoder, MAX_FROM_CHILD, encode};
use proto::frame::{Done, FromChild, from_child};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// From a request in the supervisor to its answer, without gRPC and JSON: a job
/// frame to a spare that is warm, its run, its answer. 5 ms apart, so that the
/// next spare is there.
fn hand_over(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let supervisor = runtime.block_on(async {
        let host = Arc::new(Host::new(None));
        let supervisor = Supervisor::start(Config::default(), host).await.expect("started");
        supervisor.settled().await.expect("Python is up");
        supervisor
    });
    let mut group = criterion.benchmark_group("spare");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for (name, expression) in [("1 + 2 * 3", "1 + 2 * 3"), ("a list", "list(range(100))")] {
        group.bench_function(format!("hand-over to answer, {name}"), |b| {
            b.iter_custom(|count| {
                runtime.block_on(async {
                    let mut total = Duration::ZERO;
                    for _ in 0..count {
                        let source = Source::Expression(expression.to_owned());
                        let request = Request::new(source, Limits::default());
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        let began = Instant::now();
                        let answer = supervisor.execute(request).await.expect("an answer");
                        total += began.elapsed();
                        black_box(answer);
                    }
                    total
                })
            });
        });
    }
    group.finish();
    drop(supervisor);
    runtime.shutdown_timeout(Duration::from_secs(2));
}

fn main() {
    if std::env::args_os().nth(1).is_some_and(|role| role == runtime::ZYGOTE_ARG) {
        runtime::zygote_main();
    }
    let mut criterion = Criterion::default().configure_from_args();
    codec(&mut criterion);
    hand_over(&mut criterion);
    criterion.final_summary();
}
