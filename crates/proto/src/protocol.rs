//! The QNTX gRPC contract: messages, clients and servers generated from
//! `proto/protocol/*.proto`.
//!
//! **Invariant:** field numbers, names and types are the core's. They are
//! never renumbered, renamed or "improved" here: `tests/golden.rs` holds each
//! message to bytes worked out by hand.

#![allow(
    missing_debug_implementations,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    reason = "generated code, written by prost and tonic"
)]

tonic::include_proto!("protocol");

/// Every file of the contract, for gRPC reflection. `google.protobuf.Struct`
/// is included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/protocol.bin"));
