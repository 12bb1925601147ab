//! The supervisor's side of the plugin: ports, deadlines, limits, host services.
//!
//! **Invariant:** this library never names the interpreter side; only `main.rs`
//! does, to become the zygote.
#![forbid(unsafe_code)]

pub mod admission;
pub mod answer;
pub mod api;
pub mod caller;
pub mod capture;
pub mod cli;
pub mod commands;
pub mod config;
pub mod declarations;
pub mod demand;
pub mod env;
pub mod error;
pub mod execution;
pub mod grpc;
pub mod handlers;
pub mod haste;
pub mod host;
pub mod http;
pub mod imports;
pub mod killing;
pub mod learning;
pub mod lifecycle;
pub mod memory;
pub mod nursery;
pub mod packages;
pub mod pool;
pub mod profile;
pub mod readiness;
pub mod reaper;
pub mod request;
pub mod routing;
pub mod scratch;
pub mod serve;
pub mod sessions;
pub mod settings;
pub mod spare;
pub mod spawner;
#[cfg(test)]
mod stand_in;
pub mod state;
pub mod store;
pub mod stream;
pub mod supervisor;
pub mod telemetry;
pub mod tier;
pub mod tiers;
pub mod tls;
pub mod verdict;
pub mod watchdog;
pub mod zygote;

/// The plugin's version; a release may set it at build time.
pub const VERSION: &str = match option_env!("QNTX_PLUGIN_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
