//! The other services of the core, typed from CONTRACT 3.4 to 3.12.
//!
//! **Invariant:** never taken from `crates/proto`: one slip must not hide on both sides.

use super::value::Struct;
use prost::Message;
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
pub struct Job {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub handler_name: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    #[prost(string, tag = "4")]
    pub source: String,
    #[prost(string, tag = "5")]
    pub status: String,
    #[prost(message, optional, tag = "6")]
    pub progress: Option<Progress>,
    #[prost(double, tag = "7")]
    pub cost_estimate: f64,
    #[prost(double, tag = "8")]
    pub cost_actual: f64,
    #[prost(message, optional, tag = "9")]
    pub pulse_state: Option<PulseState>,
    #[prost(string, tag = "10")]
    pub error: String,
    #[prost(string, tag = "11")]
    pub parent_job_id: String,
    #[prost(int32, tag = "12")]
    pub retry_count: i32,
    #[prost(int64, tag = "13")]
    pub created_at: i64,
    #[prost(int64, tag = "14")]
    pub started_at: i64,
    #[prost(int64, tag = "15")]
    pub completed_at: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Progress {
    #[prost(int32, tag = "1")]
    pub current: i32,
    #[prost(int32, tag = "2")]
    pub total: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct PulseState {
    #[prost(int32, tag = "1")]
    pub calls_this_minute: i32,
    #[prost(int32, tag = "2")]
    pub calls_remaining: i32,
    #[prost(double, tag = "3")]
    pub spend_today: f64,
    #[prost(double, tag = "4")]
    pub spend_this_month: f64,
    #[prost(double, tag = "5")]
    pub budget_remaining: f64,
    #[prost(bool, tag = "6")]
    pub is_paused: bool,
    #[prost(string, tag = "7")]
    pub pause_reason: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct EnqueueRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(message, optional, tag = "2")]
    pub job: Option<Job>,
}

#[derive(Clone, PartialEq, Message)]
pub struct EnqueueResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(string, tag = "3")]
    pub job_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateScheduleRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub handler_name: String,
    #[prost(int32, tag = "3")]
    pub interval_seconds: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub payload: Vec<u8>,
    #[prost(map = "string, string", tag = "5")]
    pub metadata: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateScheduleResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(string, tag = "3")]
    pub schedule_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PauseScheduleRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub schedule_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResumeScheduleRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub schedule_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeleteScheduleRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub schedule_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetScheduleRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub schedule_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PauseScheduleResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResumeScheduleResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct DeleteScheduleResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetScheduleResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(message, optional, tag = "3")]
    pub job: Option<ScheduledJob>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScheduledJob {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub ats_code: String,
    #[prost(string, tag = "3")]
    pub handler_name: String,
    #[prost(bytes = "vec", tag = "4")]
    pub payload: Vec<u8>,
    #[prost(string, tag = "5")]
    pub source_url: String,
    #[prost(int32, tag = "6")]
    pub interval_seconds: i32,
    #[prost(string, tag = "7")]
    pub next_run_at: String,
    #[prost(string, tag = "8")]
    pub last_run_at: String,
    #[prost(string, tag = "9")]
    pub last_execution_id: String,
    #[prost(string, tag = "10")]
    pub state: String,
    #[prost(string, tag = "11")]
    pub metadata: String,
    #[prost(string, tag = "12")]
    pub created_at: String,
    #[prost(string, tag = "13")]
    pub updated_at: String,
    #[prost(string, tag = "14")]
    pub created_from_doc: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct FetchRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub url: String,
    #[prost(string, repeated, tag = "3")]
    pub subjects: Vec<String>,
    #[prost(string, tag = "4")]
    pub predicate: String,
    #[prost(string, tag = "5")]
    pub context: String,
    #[prost(bool, tag = "6")]
    pub fresh: bool,
    #[prost(string, tag = "7")]
    pub actor: String,
    #[prost(string, tag = "8")]
    pub source: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct FetchResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(string, tag = "3")]
    pub body: String,
    #[prost(int32, tag = "4")]
    pub status_code: i32,
    #[prost(string, tag = "5")]
    pub attestation_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadFileRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub file_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadFileResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(string, tag = "3")]
    pub mime_type: String,
    #[prost(string, tag = "4")]
    pub base64_data: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct LlmChatRequest {
    #[prost(string, tag = "1")]
    pub system_prompt: String,
    #[prost(string, tag = "2")]
    pub user_prompt: String,
    #[prost(string, tag = "3")]
    pub model: String,
    #[prost(double, tag = "4")]
    pub temperature: f64,
    #[prost(int32, tag = "5")]
    pub max_tokens: i32,
    #[prost(string, tag = "6")]
    pub provider: String,
    #[prost(message, repeated, tag = "7")]
    pub attachments: Vec<Attachment>,
    #[prost(message, repeated, tag = "8")]
    pub messages: Vec<ChatMessage>,
    #[prost(int32, tag = "9")]
    pub priority: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Attachment {
    #[prost(string, tag = "1")]
    pub mime_type: String,
    #[prost(string, tag = "2")]
    pub data: String,
    #[prost(string, tag = "3")]
    pub filename: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ChatMessage {
    #[prost(string, tag = "1")]
    pub role: String,
    #[prost(string, tag = "2")]
    pub content: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct LlmChatResponse {
    #[prost(string, tag = "1")]
    pub content: String,
    #[prost(string, tag = "2")]
    pub model: String,
    #[prost(int32, tag = "3")]
    pub prompt_tokens: i32,
    #[prost(int32, tag = "4")]
    pub completion_tokens: i32,
    #[prost(int32, tag = "5")]
    pub total_tokens: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct EmbedRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub text: String,
    #[prost(string, tag = "3")]
    pub model: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct EmbedResponse {
    #[prost(float, repeated, tag = "1")]
    pub vector: Vec<f32>,
    #[prost(int32, tag = "2")]
    pub dimensions: i32,
    #[prost(string, tag = "3")]
    pub model: String,
    #[prost(int32, tag = "4")]
    pub tokens: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct BatchEmbedRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, repeated, tag = "2")]
    pub texts: Vec<String>,
    #[prost(string, tag = "3")]
    pub model: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct BatchEmbedResponse {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<EmbeddingVector>,
    #[prost(int32, tag = "2")]
    pub dimensions: i32,
    #[prost(string, tag = "3")]
    pub model: String,
    #[prost(int32, tag = "4")]
    pub total_tokens: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct EmbeddingVector {
    #[prost(float, repeated, tag = "1")]
    pub vector: Vec<f32>,
    #[prost(int32, tag = "2")]
    pub tokens: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct VectorSearchRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub index: String,
    #[prost(float, repeated, tag = "3")]
    pub query_vector: Vec<f32>,
    #[prost(int32, tag = "4")]
    pub top_k: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct SearchRequest {
    #[prost(string, tag = "1")]
    pub query: String,
    #[prost(string, tag = "2")]
    pub index: String,
    #[prost(int32, tag = "3")]
    pub top_k: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub filters: Vec<u8>,
    #[prost(string, repeated, tag = "5")]
    pub facets: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct VectorSearchResponse {
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<VectorSearchHit>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SearchResponse {
    #[prost(message, repeated, tag = "1")]
    pub hits: Vec<SearchHit>,
    #[prost(int32, tag = "2")]
    pub total: i32,
    #[prost(int32, tag = "3")]
    pub processing_ms: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub facet_distribution: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct VectorSearchHit {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(float, tag = "2")]
    pub distance: f32,
}

#[derive(Clone, PartialEq, Message)]
pub struct SearchHit {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(float, tag = "2")]
    pub score: f32,
    #[prost(bytes = "vec", tag = "3")]
    pub document: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub highlighted: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct WriteToGroundRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, repeated, tag = "2")]
    pub subjects: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub predicates: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub contexts: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub actors: Vec<String>,
    #[prost(message, optional, tag = "6")]
    pub attributes: Option<Struct>,
    #[prost(string, tag = "7")]
    pub source: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct WriteToGroundResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadUndeliveredRequest {
    #[prost(string, tag = "1")]
    pub auth_token: String,
    #[prost(string, tag = "2")]
    pub predicate_name: String,
    #[prost(string, tag = "3")]
    pub project_context: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadUndeliveredResponse {
    #[prost(string, tag = "1")]
    pub detail: String,
    #[prost(string, tag = "2")]
    pub error: String,
}
