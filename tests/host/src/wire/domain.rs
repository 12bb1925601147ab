//! What the plugin serves, typed from CONTRACT 3.1 and 3.2.
//!
//! **Invariant:** never taken from `crates/proto`: one slip must not hide on both sides.

use prost::Message;
use std::collections::HashMap;

#[derive(Clone, PartialEq, Message)]
pub struct InitializeResponse {
    #[prost(string, repeated, tag = "1")]
    pub handler_names: Vec<String>,
    #[prost(message, repeated, tag = "2")]
    pub schedules: Vec<ScheduleInfo>,
    #[prost(bool, tag = "3")]
    pub llm_provider: bool,
    #[prost(message, repeated, tag = "4")]
    pub watchers: Vec<WatcherRegistration>,
    #[prost(bool, tag = "5")]
    pub vector_search_provider: bool,
    #[prost(bool, tag = "6")]
    pub search_provider: bool,
    #[prost(bool, tag = "7")]
    pub embedding_provider: bool,
    #[prost(message, repeated, tag = "8")]
    pub http_routes: Vec<RouteInfo>,
    #[prost(bool, tag = "9")]
    pub python_provider: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub struct InitializeRequest {
    #[prost(string, tag = "1")]
    pub ats_store_endpoint: String,
    #[prost(string, tag = "2")]
    pub queue_endpoint: String,
    #[prost(string, tag = "3")]
    pub auth_token: String,
    #[prost(map = "string, string", tag = "4")]
    pub config: HashMap<String, String>,
    #[prost(string, tag = "5")]
    pub schedule_endpoint: String,
    #[prost(string, tag = "6")]
    pub file_service_endpoint: String,
    #[prost(string, tag = "7")]
    pub llm_endpoint: String,
    #[prost(string, tag = "8")]
    pub embedding_endpoint: String,
    #[prost(string, tag = "9")]
    pub vector_search_endpoint: String,
    #[prost(string, tag = "10")]
    pub ground_endpoint: String,
    #[prost(string, tag = "11")]
    pub search_endpoint: String,
    #[prost(string, tag = "12")]
    pub fetch_endpoint: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct MetadataResponse {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(string, tag = "3")]
    pub qntx_version: String,
    #[prost(string, tag = "4")]
    pub description: String,
    #[prost(string, tag = "5")]
    pub author: String,
    #[prost(string, tag = "6")]
    pub license: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    #[prost(string, tag = "1")]
    pub method: String,
    #[prost(string, tag = "2")]
    pub path: String,
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<HttpHeader>,
    #[prost(bytes = "vec", tag = "4")]
    pub body: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpResponse {
    #[prost(int32, tag = "1")]
    pub status_code: i32,
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HttpHeader>,
    #[prost(bytes = "vec", tag = "3")]
    pub body: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct HealthResponse {
    #[prost(bool, tag = "1")]
    pub healthy: bool,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(map = "string, string", tag = "3")]
    pub details: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConfigSchemaResponse {
    #[prost(map = "string, message", tag = "1")]
    pub fields: HashMap<String, ConfigFieldSchema>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GlyphDef {
    #[prost(string, tag = "1")]
    pub symbol: String,
    #[prost(string, tag = "2")]
    pub title: String,
    #[prost(string, tag = "3")]
    pub label: String,
    #[prost(string, tag = "4")]
    pub content_path: String,
    #[prost(string, tag = "5")]
    pub css_path: String,
    #[prost(int32, tag = "6")]
    pub default_width: i32,
    #[prost(int32, tag = "7")]
    pub default_height: i32,
    #[prost(string, tag = "8")]
    pub module_path: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GlyphDefResponse {
    #[prost(message, repeated, tag = "1")]
    pub glyphs: Vec<GlyphDef>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecuteJobRequest {
    #[prost(string, tag = "1")]
    pub job_id: String,
    #[prost(string, tag = "2")]
    pub handler_name: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    #[prost(int64, optional, tag = "4")]
    pub timeout_secs: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecuteJobResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub error: String,
    #[prost(bytes = "vec", tag = "3")]
    pub result: Vec<u8>,
    #[prost(int32, tag = "4")]
    pub progress_current: i32,
    #[prost(int32, tag = "5")]
    pub progress_total: i32,
    #[prost(double, tag = "6")]
    pub cost_actual: f64,
    #[prost(message, repeated, tag = "7")]
    pub log_entries: Vec<JobLogEntry>,
    #[prost(string, tag = "8")]
    pub plugin_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScheduleInfo {
    #[prost(string, tag = "1")]
    pub handler_name: String,
    #[prost(int32, tag = "2")]
    pub interval_seconds: i32,
    #[prost(bool, tag = "3")]
    pub enabled_by_default: bool,
    #[prost(string, tag = "4")]
    pub description: String,
    #[prost(string, tag = "5")]
    pub ats_code: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct WatcherRegistration {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub handler_name: String,
    #[prost(string, repeated, tag = "3")]
    pub subjects: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub predicates: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub contexts: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    pub actors: Vec<String>,
    #[prost(int32, tag = "7")]
    pub max_fires_per_second: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct RouteInfo {
    #[prost(string, tag = "1")]
    pub method: String,
    #[prost(string, tag = "2")]
    pub path: String,
    #[prost(string, tag = "3")]
    pub description: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct HttpHeader {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, repeated, tag = "2")]
    pub values: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConfigFieldSchema {
    #[prost(string, tag = "1")]
    pub r#type: String,
    #[prost(string, tag = "2")]
    pub description: String,
    #[prost(string, tag = "3")]
    pub default_value: String,
    #[prost(bool, tag = "4")]
    pub required: bool,
    #[prost(string, tag = "5")]
    pub min_value: String,
    #[prost(string, tag = "6")]
    pub max_value: String,
    #[prost(string, tag = "7")]
    pub pattern: String,
    #[prost(string, tag = "8")]
    pub element_type: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct JobLogEntry {
    #[prost(string, tag = "1")]
    pub timestamp: String,
    #[prost(string, tag = "2")]
    pub level: String,
    #[prost(string, tag = "3")]
    pub message: String,
    #[prost(string, tag = "4")]
    pub stage: String,
    #[prost(string, tag = "5")]
    pub metadata: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct PythonExecuteRequest {
    #[prost(string, tag = "1")]
    pub code: String,
    #[prost(string, tag = "2")]
    pub glyph_id: String,
    #[prost(bytes = "vec", tag = "3")]
    pub upstream_attestation: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PythonExecuteResponse {
    #[prost(bool, tag = "1")]
    pub success: bool,
    #[prost(string, tag = "2")]
    pub output: String,
    #[prost(string, tag = "3")]
    pub error: String,
    #[prost(bytes = "vec", tag = "4")]
    pub result: Vec<u8>,
}
