//! Real processes, really sealed: every act runs bare first and then confined.
//!
//! The binary is its own supervisor, zygote and child; `SANDBOX_TEST_ROLE` says which one it is.
//! **Invariant:** the supervisor never forks and never seals itself, and no case is skipped because
//! the host lacks something: `host_is_as_declared` fails instead.
#![expect(clippy::print_stdout, reason = "a test harness prints its results")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod granted;
mod layers;
mod lifecycle;
mod outside;
mod raw;
mod roles;
mod world;

use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use world::World;

/// Names the identity of a second run.
const IDENTITY: &str = "SANDBOX_TEST_IDENTITY";
const NOBODY: &str = "nobody";
const NOBODY_ID: u32 = 65_534;

/// A test of this binary.
type Test = (&'static str, fn(&World));

const TESTS: &[Test] = &[
    ("host_is_as_declared", host_is_as_declared),
    ("every_act_bare", layers::every_act_bare),
    ("every_act_sealed", layers::every_act_sealed),
    ("each_layer_is_what_denies", layers::each_layer_is_what_denies),
    ("a_narrowed_child_reads_only_its_own_list", layers::narrowed),
    ("a_scratch_directory_is_never_a_link", layers::linked_scratch),
    ("the_kernel_shows_the_seal_from_outside", outside::kernel_shows_the_seal),
    ("limits_set_from_outside_are_the_kernels", outside::limits_from_outside),
    ("a_sealed_child_holds_no_stray_descriptor", outside::no_stray_descriptor),
    ("a_refused_call_is_named_by_number", outside::refused_call_is_named),
    ("children_belong_to_the_supervisor", lifecycle::children_belong_to_the_supervisor),
    ("a_killed_child_is_reaped_as_killed", lifecycle::killed_child),
    ("a_strangers_pid_is_not_taken_for_a_child", lifecycle::strangers_pid),
    ("zygote_and_child_die_with_the_supervisor", lifecycle::die_with_the_supervisor),
    ("a_second_thread_forbids_the_seal", lifecycle::second_thread),
    ("old_kernels_are_refused_or_reported", lifecycle::old_kernels),
    ("a_seal_is_used_up", lifecycle::used_up),
    ("what_is_granted_works_and_nothing_else_does", granted::grants_and_nothing_else),
    ("acts_of_grants_bare", granted::acts_bare),
    ("what_a_child_started_ends_with_it", granted::descendants_end),
    ("a_grant_that_landlock_cannot_bound_is_refused", granted::unbounded),
];

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(roles::ROLE) {
        roles::play(&role);
    }
    // what `cargo test` and nextest ask of a harness: names, a filter, --list, --exact
    let args: Vec<String> = std::env::args().skip(1).collect();
    let exact = args.iter().any(|arg| arg == "--exact");
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| {
                if exact { name == filter.as_str() } else { name.contains(filter.as_str()) }
            })
    };
    let is_root = rustix::process::geteuid().is_root();
    let identity = std::env::var(IDENTITY).unwrap_or(if is_root { "root" } else { "user" }.into());
    let names = |identity: &str| -> Vec<(String, Test)> {
        let all = TESTS.iter().map(|test| (format!("{identity}::{}", test.0), *test));
        all.filter(|(name, _)| wanted(name)).collect()
    };
    let plan = names(&identity);
    if args.iter().any(|arg| arg == "--list") {
        let also = if is_root { names(NOBODY) } else { Vec::new() };
        if !args.iter().any(|arg| arg == "--ignored") {
            plan.iter().chain(&also).for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, (_, test)) in &plan {
        let world = World::new();
        let passed = catch_unwind(AssertUnwindSafe(|| test(&world))).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    println!("\ntest result: {} passed; {failed} failed ({identity})", plan.len() - failed);
    let others_passed = !is_root || run_as_nobody(&args);
    if failed == 0 && others_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same tests once more, as an unprivileged supervisor.
fn run_as_nobody(args: &[String]) -> bool {
    let copy = World::new();
    let mut command = std::process::Command::new(copy.path("binary"));
    command.args(args).env(IDENTITY, NOBODY).current_dir("/").uid(NOBODY_ID).gid(NOBODY_ID);
    command.status().is_ok_and(|status| status.success())
}

/// Fails, rather than letting the rest skip, where the host cannot show what the rest asserts.
fn host_is_as_declared(_: &World) {
    let features = sandbox::kernel::probe();
    assert!(features.landlock_abi >= sandbox::LANDLOCK_FLOOR, "{features:?}");
    assert!(features.seccomp && features.pidfd && features.tid_address, "{features:?}");
    assert!(features.missing().iter().all(|missing| !missing.required), "{features:?}");
}
