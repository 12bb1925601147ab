//! End to end: the real binary, started as its user starts it, over HTTP, gRPC
//! and the command line.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod allowlist;
mod attest;
mod cgroup;
mod chaos;
mod cli;
mod core;
mod errors;
mod escape;
mod execute;
mod frames;
mod hostile;
mod isolation;
mod learned;
mod lifecycle;
mod limits;
mod overshoot;
mod packages;
mod pool;
mod profiles;
mod programs;
mod readme;
mod sessions;
mod support;
mod tls;
mod unprivileged;
mod weak;
