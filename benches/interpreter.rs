//! Criterion: the pieces of the interpreter's side: value conversion, compile,
//! compile and run, fork, seal.
//!
//! **Invariant:** one thread, as in a zygote: the forks ask for the proof.

use criterion::Criterion;
use proto::frame::{Job, job};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use runtime::convert::{Mode, Rules, to_json};
use runtime::execute::{End, Tools};
use runtime::{execute, ffi, interpreter, natives, qntx};
use sandbox::process::{Fork, Pidfd, SingleThreaded, fork_as_child, fork_as_sibling};
use sandbox::{ChildPolicy, ChildSeal, Grants, ZygotePolicy};
use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

const RULES: Rules<'_> =
    Rules { max_bytes: 8 << 20, max_depth: 100, mode: Mode::Result, root: "result" };

fn conversion(py: Python<'_>, criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("value to JSON");
    for (name, expression) in [
        ("7", c"7"),
        ("a list of 1,000 integers", c"list(range(1000))"),
        (
            "100 records",
            c"[{'id': i, 'name': f'n{i}', 'ok': True, 'x': i / 7} for i in range(100)]",
        ),
        ("1 MiB of text", c"'x' * (1 << 20)"),
    ] {
        let value = py.eval(expression, None, None).expect("a value");
        group.bench_function(name, |b| b.iter(|| to_json(black_box(&value), &RULES)));
    }
    group.finish();
}

fn compile(py: Python<'_>, tools: &Tools, qntx: &qntx::Module, criterion: &mut Criterion) {
    let builtin = py.import("builtins").and_then(|m| m.getattr("compile")).expect("compile");
    let mut group = criterion.benchmark_group("compile");
    let long = "x = [i * i for i in range(3)]\n".repeat(1000);
    for (name, text, mode) in [
        ("1 + 2 * 3", "1 + 2 * 3", "eval"),
        ("hello", "print('Hello, World!')", "exec"),
        ("1,000 lines", long.as_str(), "exec"),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| builtin.call1((black_box(text), "<execution>", mode)).expect("compiled"));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group("compile and run");
    for (name, kind, text) in
        [("1 + 2 * 3", job::Kind::Expression, "1 + 2 * 3"), ("x = 1", job::Kind::Code, "x = 1\nx")]
    {
        let job = Job { kind: kind.into(), source: text.into(), ..Job::default() };
        group.bench_function(name, |b| {
            b.iter(|| {
                let globals = tools.new_main(py, &PyDict::new(py)).expect("globals");
                match execute::run(py, tools, qntx, &job, &globals) {
                    End::Value(value) => black_box(value),
                    End::Raised(error) => panic!("{error}"),
                }
            });
        });
    }
    group.finish();
}

/// Forks `count` children that end at once; what `timed` says of each.
fn forks(py: Python<'_>, count: u64, whole_life: bool) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..count {
        let proof = SingleThreaded::prove().expect("one thread");
        let began = Instant::now();
        ffi::before_fork(py);
        let pid = match fork_as_child(proof).expect("forked") {
            Fork::Child(_) => ffi::exit_now(0),
            Fork::Parent(pid) => pid,
        };
        ffi::after_fork_parent(py);
        let forked = began.elapsed();
        let ended = Pidfd::open_child(pid).and_then(|child| child.wait());
        ended.expect("reaped");
        total += if whole_life { began.elapsed() } else { forked };
    }
    total
}

/// What sealing costs a child, as `count` children of a sealed zygote measured it
/// themselves.
fn seals(py: Python<'_>, scratch: &Path, count: u64) -> Duration {
    let (mut reading, writing) = std::io::pipe().expect("a pipe");
    let proof = SingleThreaded::prove().expect("one thread");
    let zygote = match fork_as_child(proof).expect("forked") {
        Fork::Child(proof) => {
            ffi::after_fork_child(py);
            sealed_zygote(scratch, writing, count, proof)
        }
        Fork::Parent(pid) => pid,
    };
    drop(writing);
    let mut total = Duration::ZERO;
    for _ in 0..count {
        let mut nanos = [0; 8];
        reading.read_exact(&mut nanos).expect("the zygote or a child has failed");
        total += Duration::from_nanos(u64::from_ne_bytes(nanos));
    }
    // The zygote's children are siblings of it, and so are ours to reap.
    for _ in 0..=count {
        rustix::process::wait(rustix::process::WaitOptions::empty()).expect("reaped");
    }
    black_box(zygote);
    total
}

fn sealed_zygote(
    scratch: &Path,
    writing: std::io::PipeWriter,
    count: u64,
    proof: SingleThreaded,
) -> ! {
    let read = sandbox::default_read_paths();
    let policy = ZygotePolicy {
        read: read.clone(),
        write_root: Some(scratch.to_owned()),
        ..ZygotePolicy::default()
    };
    let enforced = sandbox::seal_zygote(&policy, proof).expect("sealed");
    let policy = ChildPolicy { read, ..ChildPolicy::default() };
    let seal = ChildSeal::prepare(&policy, &Grants::default(), &enforced).expect("prepared");
    for _ in 0..count {
        let proof = SingleThreaded::prove().expect("one thread");
        match fork_as_sibling(proof).expect("forked") {
            Fork::Child(proof) => {
                let began = Instant::now();
                seal.apply(scratch, proof).expect("sealed");
                let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                rustix::io::write(&writing, &nanos.to_ne_bytes()).expect("written");
                ffi::exit_now(0)
            }
            Fork::Parent(_) => {}
        }
    }
    ffi::exit_now(0)
}

fn fork(py: Python<'_>, name: &str, criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("fork, {name}"));
    group.sample_size(10).measurement_time(Duration::from_millis(500));
    group.bench_function("until the parent goes on", |b| {
        b.iter_custom(|count| forks(py, count, false));
    });
    group.bench_function("whole life, with an exit at once", |b| {
        b.iter_custom(|count| forks(py, count, true));
    });
    group.finish();
}

fn seal(py: Python<'_>, criterion: &mut Criterion) {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("seal");
    group.sample_size(10).measurement_time(Duration::from_millis(100));
    group.bench_function("a child, before its job", |b| {
        b.iter_custom(|count| seals(py, scratch.path(), count));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    interpreter::start("").expect("an interpreter");
    Python::attach(|py| {
        let qntx = natives::install(py).expect("the module qntx");
        runtime::errors::prepare(py).expect("tracebacks");
        runtime::convert::prepare(py).expect("conversion");
        let tools = Tools::new(py).expect("tools");
        conversion(py, &mut criterion);
        compile(py, &tools, qntx, &mut criterion);
        fork(py, "bare", &mut criterion);
        seal(py, &mut criterion);
        for module in ["json", "re", "decimal", "logging", "urllib.parse", "tempfile", "csv"] {
            py.import(module).expect("of the standard library");
        }
        fork(py, "standard library", &mut criterion);
    });
    criterion.final_summary();
}
