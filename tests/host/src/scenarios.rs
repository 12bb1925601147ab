//! The scenarios: what the core does to a plugin in its life, one sentence each.
//!
//! **Invariant:** a scenario starts from nothing and leaves nothing behind, so
//! that any of them runs alone.

mod config;
mod examples;
mod handlers;
mod lifecycle;
mod packages;
mod python;
mod restart;
mod services;
mod store;
mod wire;

use crate::bed::Bed;
use anyhow::{Context as _, bail};
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    run: fn(Bed) -> Running,
}

/// These do little but wait, and run beside the others.
const IDLE: &[&str] = &[
    "an_idle_plugin_answers_two_minutes_of_the_cores_pings",
    "a_service_sees_one_connection_and_no_pings",
];

impl Scenario {
    /// Whether it disturbs nobody, and takes long.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        IDLE.contains(&self.name)
    }
}

/// Its end.
#[derive(Debug)]
pub struct Outcome {
    pub name: &'static str,
    pub took: Duration,
    pub result: anyhow::Result<()>,
}

/// Longest any of them may take: a bound for what hangs, on machines that have
/// much else to do; two minutes have to pass in some.
const LIMIT: Duration = Duration::from_secs(240);

macro_rules! scenarios {
    ($($module:ident: $($name:ident)*;)*) => {
        /// All of them, in the order of a plugin's life.
        pub const ALL: &[Scenario] = &[
            $($(Scenario {
                name: stringify!($name),
                run: |bed| Box::pin($module::$name(bed)),
            },)*)*
        ];
    };
}

scenarios! {
    lifecycle:
        it_announces_its_port_before_any_python
        a_busy_port_is_passed_over
        unknown_arguments_do_not_stop_it
        it_is_called_what_its_file_is_called
        everything_else_answers_before_and_during_initialize
        health_follows_the_state_table
        health_is_good_while_initialize_runs
        health_answers_while_fifty_executions_run
        initialize_declares_a_set_the_core_survives
        initialize_succeeds_with_every_service_hanging
        initialize_again_leaves_running_executions_alone
        a_cancelled_initialize_counts_as_failed
        log_lines_carry_their_level
        broken_pipes_end_nothing
        no_descendant_holds_the_pipes_or_the_port
        a_process_left_behind_delays_no_disable
        the_shutdown_rpc_alone_ends_it
        an_interrupt_ends_it_within_three_seconds
        the_death_of_the_core_ends_it;
    config:
        every_key_is_taken_in_every_spelling
        every_old_key_has_its_effect;
    python:
        a_program_is_answered_as_an_execution_result
        a_failing_program_is_an_answer_not_an_error
        empty_code_and_the_watchers_prelude_succeed
        unknown_paths_are_404_three_times_over
        http_routes_answer_through_the_core
        a_body_of_fifty_mebibytes_passes
        an_endless_job_ends_at_its_time_limit
        an_unknown_handler_is_a_clear_failure
        a_cancelled_call_stops_its_execution
        methods_and_queries_arrive_as_they_were_sent
        a_404_costs_nothing_and_changes_nothing
        decorators_and_main_work_in_a_glyph
        a_glyphs_attestations_carry_its_actor;
    store:
        attest_reaches_the_core_with_its_identity
        eight_scripts_attest_at_once
        a_thousand_attestations_go_over_in_one_request
        query_reads_more_than_one_page
        the_reload_watcher_fires_on_new_handlers
        a_store_that_refuses_raises_its_reason
        a_store_that_talks_nonsense_raises
        a_slow_store_never_outlives_the_deadline
        a_store_that_goes_away_and_comes_back_is_used_again
        nothing_a_script_sends_kills_the_core;
    handlers:
        each_function_runs_on_its_own_trigger
        of_two_handlers_of_one_name_the_newest_runs
        a_broken_handler_is_told_and_touches_no_other
        with_the_store_stopped_the_last_declarations_stand
        a_store_slow_by_fifteen_seconds_loses_no_schedule
        new_handlers_run_at_once_and_the_rest_is_said_to_wait
        a_paused_schedule_stays_paused_through_a_reload
        schedules_made_by_scripts_survive_a_restart
        a_job_for_a_handler_the_core_does_not_know_is_refused
        no_name_is_declared_twice_whatever_the_store_holds
        a_tick_never_runs_a_watch_function
        a_days_ticks_drift_nowhere
        an_endless_handler_ends_at_the_jobs_time_limit
        a_cancelled_job_stops_its_handler
        initialize_again_and_again_under_load_declares_the_same;
    restart:
        a_plugin_in_limbo_is_restarted_and_whole
        a_restart_keeps_schedules_and_what_the_user_paused
        a_cancelled_initialize_ends_in_a_restart_that_loses_nothing
        a_settings_change_brings_watchers_and_the_rest_waits
        a_schedule_read_by_a_settings_change_comes_into_force
        other_endpoints_are_used_from_then_on
        a_second_core_in_the_same_place_shares_nothing
        with_python_broken_the_declarations_stand;
    services:
        files_models_and_search_answer
        ground_keeps_what_is_deferred
        an_answer_of_twenty_mebibytes_is_read
        many_queries_left_in_the_middle_are_no_limit
        every_call_works_from_threads
        every_call_to_a_sick_service_raises_a_typed_error
        a_wrong_token_is_a_refusal
        jobs_and_schedules_go_over_whole
        a_batch_that_stops_half_way_says_how_far_it_came;
    wire:
        an_idle_plugin_answers_two_minutes_of_the_cores_pings
        a_service_sees_one_connection_and_no_pings
        every_accepted_connection_sends_at_once
        answers_beyond_four_mebibytes_are_read
        a_request_beyond_four_mebibytes_is_refused_by_name;
    packages:
        packages_installed_through_the_core_are_there_for_the_next_execution
        a_handler_brings_what_it_declares
        a_glyph_script_brings_what_it_declares;
    examples:
        the_watcher_answers_orders
        the_schedule_counts
        the_ingest_script_attests_its_rows
        the_glyph_script_runs_by_hand_and_fired;
}

/// Runs those of `chosen` against `binary`, one after the other and the idle
/// ones beside them; `done` hears of each.
pub async fn run_all(chosen: &[Scenario], binary: &Path, done: impl Fn(&Outcome)) -> Vec<Outcome> {
    let (idle, busy): (Vec<Scenario>, Vec<Scenario>) =
        chosen.iter().partition(|scenario| scenario.is_idle());
    let done = &done;
    let one = |scenario: Scenario| async move {
        let outcome = run(scenario, binary).await;
        done(&outcome);
        outcome
    };
    let beside = futures_util::future::join_all(idle.into_iter().map(one));
    let in_turn = async {
        let mut outcomes = Vec::new();
        for scenario in busy {
            outcomes.push(one(scenario).await);
        }
        outcomes
    };
    let (mut outcomes, rest) = tokio::join!(in_turn, beside);
    outcomes.extend(rest);
    outcomes
}

/// Runs one of them in a bed of its own.
async fn run(scenario: Scenario, binary: &Path) -> Outcome {
    let started = Instant::now();
    let work = async { (scenario.run)(Bed::new(binary).await?).await };
    let result = match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("not done after {LIMIT:?}")),
    };
    Outcome { name: scenario.name, took: started.elapsed(), result }
}

/// Polls until `ready` says so.
async fn until(
    what: &str,
    limit: Duration,
    mut ready: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if ready().await.with_context(|| what.to_owned())? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("{what}: not within {limit:?}")
}
