//! The attestation store, typed from CONTRACT 3.3.
//!
//! **Invariant:** never taken from `crates/proto`: one slip must not hide on both sides.

use super::value::Struct;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Attestation {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, repeated, tag = "2")]
    pub subjects: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub predicates: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub contexts: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub actors: Vec<String>,
    #[prost(int64, tag = "6")]
    pub timestamp: i64,
    #[prost(string, tag = "7")]
    pub source: String,
    #[prost(message, optional, tag = "8")]
    pub attributes: Option<Struct>,
    #[prost(int64, tag = "9")]
    pub created_at: i64,
    #[prost(bytes = "vec", tag = "10")]
    pub signature: Vec<u8>,
    #[prost(string, tag = "11")]
    pub signer_did: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateAttestationRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(message, optional, tag = "2")]
    pub attestation: Option<Attestation>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateAttestationResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AttestationExistsRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AttestationExistsResponse {
    #[prost(bool, tag = "1")]
    pub exists: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct GenerateAttestationRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(message, optional, tag = "2")]
    pub command: Option<AttestationCommand>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GenerateAttestationResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(message, optional, tag = "3")]
    pub attestation: Option<Attestation>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BatchGenerateAttestationRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(message, repeated, tag = "2")]
    pub commands: Vec<AttestationCommand>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BatchGenerateAttestationResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(int32, tag = "3")]
    pub created: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetAttestationsRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(message, optional, tag = "2")]
    pub filter: Option<AttestationFilter>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetAttestationsResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(message, repeated, tag = "3")]
    pub attestations: Vec<Attestation>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AttestationCommand {
    #[prost(string, repeated, tag = "1")]
    pub subjects: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub predicates: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub contexts: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub actors: Vec<String>,
    #[prost(int64, optional, tag = "5")]
    pub timestamp: Option<i64>,
    #[prost(message, optional, tag = "6")]
    pub attributes: Option<Struct>,
    #[prost(string, tag = "7")]
    pub source: String,
    #[prost(string, tag = "8")]
    pub source_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AttestationFilter {
    #[prost(string, repeated, tag = "1")]
    pub subjects: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub predicates: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub contexts: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub actors: Vec<String>,
    #[prost(int64, optional, tag = "5")]
    pub time_start: Option<i64>,
    #[prost(int64, optional, tag = "6")]
    pub time_end: Option<i64>,
    #[prost(int32, optional, tag = "7")]
    pub limit: Option<i32>,
}
