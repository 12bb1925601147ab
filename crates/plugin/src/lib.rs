//! The supervisor's side of the plugin: ports, deadlines, limits, host services.
//!
//! **Invariant:** this library never names the interpreter side; only `main.rs`
//! does, to become the zygote.
#![forbid(unsafe_code)]

pub mod answer;
pub mod config;
pub mod error;
pub mod host;
pub mod request;
pub mod store;
pub mod supervisor;
