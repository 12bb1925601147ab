//! A QNTX core in a box, to test the plugin against.
//!
//! It launches the real binary the way the core does, drives it by the
//! contract, serves the core's services to it, and misbehaves on request.
//!
//! **Invariant:** nothing of `crates/*` is used: the contract was typed a
//! second time, so that a mistake can't agree with itself.
#![forbid(unsafe_code)]

pub mod bed;
pub mod core;
mod fakes;
pub mod fault;
pub mod look;
pub mod plugin;
pub mod rpc;
pub mod scenarios;
pub mod services;
pub mod store;
pub mod tap;
pub mod wire;
