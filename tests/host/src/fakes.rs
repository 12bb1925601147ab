//! Files, models, search and ground: services that answer something that can
//! be told from what was asked (CONTRACT 6.4 to 6.6).
//!
//! **Invariant:** a service with a token looks at it; LLM and search have none.

use crate::rpc::answer;
use crate::services::Services;
use crate::wire::*;
use axum::body::Body;
use std::future::ready;
use std::sync::Arc;
use tonic::Status;

const BAD_TOKEN: &str = "invalid authentication token";
/// "hello" as base64.
const HELLO: &str = "aGVsbG8=";

type Answer = http::Response<tonic::body::Body>;

/// One request of one of them.
pub(crate) async fn serve(
    s: Arc<Services>,
    service: &str,
    method: &str,
    request: http::Request<Body>,
) -> Answer {
    match (service, method) {
        ("FileService", "ReadFileBase64") => {
            answer(request, move |r: ReadFileRequest| ready(Ok(file(&s, &r)))).await
        }
        ("LLMService", "Chat") => {
            answer(request, move |r: LlmChatRequest| ready(Ok(chat(&r)))).await
        }
        ("EmbeddingService", "Embed") => {
            let method = move |r: EmbedRequest| {
                ready(allowed(&s, &r.auth_token).map(|()| EmbedResponse {
                    vector: vector(&r.text),
                    dimensions: 3,
                    model: r.model,
                    tokens: 1,
                }))
            };
            answer(request, method).await
        }
        ("EmbeddingService", "BatchEmbed") => {
            let method = move |r: BatchEmbedRequest| {
                let one = |text: &String| EmbeddingVector { vector: vector(text), tokens: 1 };
                ready(allowed(&s, &r.auth_token).map(|()| BatchEmbedResponse {
                    results: r.texts.iter().map(one).collect(),
                    dimensions: 3,
                    model: r.model,
                    total_tokens: 2,
                }))
            };
            answer(request, method).await
        }
        ("VectorSearchService", "Search") => {
            let method = move |r: VectorSearchRequest| {
                ready(allowed(&s, &r.auth_token).and_then(|()| nearest(&r)))
            };
            answer(request, method).await
        }
        ("SearchService", "Search") => {
            answer(request, move |r: SearchRequest| ready(Ok(search(&r)))).await
        }
        ("GroundService", "WriteToGround") => {
            let method = move |r: WriteToGroundRequest| {
                let error = refusal(&s, &r.auth_token);
                let success = error.is_empty();
                if success {
                    s.lock(&s.ground).push(r);
                }
                ready(Ok(WriteToGroundResponse { success, error }))
            };
            answer(request, method).await
        }
        ("GroundService", "ReadUndelivered") => {
            let method = move |r: ReadUndeliveredRequest| {
                let error = refusal(&s, &r.auth_token);
                let rows = s.lock(&s.ground).clone();
                let wanted = format!("deferred:{}", r.predicate_name);
                let found = rows.iter().rev().find(|row| row.predicates.contains(&wanted));
                let text =
                    found.and_then(|row| row.attributes.as_ref()?.to_json().get("text").cloned());
                let detail = text.and_then(|text| text.as_str().map(str::to_owned));
                let detail =
                    if error.is_empty() { detail.unwrap_or_default() } else { String::new() };
                ready(Ok(ReadUndeliveredResponse { detail, error }))
            };
            answer(request, method).await
        }
        (service, method) => Status::unimplemented(format!("{service}/{method}")).into_http(),
    }
}

fn refusal(s: &Services, token: &str) -> String {
    if token == s.token { String::new() } else { BAD_TOKEN.to_owned() }
}

/// These say no with a gRPC error.
fn allowed(s: &Services, token: &str) -> Result<(), Status> {
    if token == s.token { Ok(()) } else { Err(Status::unknown(BAD_TOKEN)) }
}

fn file(s: &Services, r: &ReadFileRequest) -> ReadFileResponse {
    let mut error = refusal(s, &r.auth_token);
    if error.is_empty() && r.file_id != "hello.txt" {
        error = format!("file not found: {}", r.file_id);
    }
    if !error.is_empty() {
        return ReadFileResponse { error, ..ReadFileResponse::default() };
    }
    ReadFileResponse {
        success: true,
        error,
        mime_type: "text/plain".to_owned(),
        base64_data: HELLO.to_owned(),
    }
}

fn chat(r: &LlmChatRequest) -> LlmChatResponse {
    let said: Vec<String> =
        r.messages.iter().map(|message| format!("{}: {}", message.role, message.content)).collect();
    LlmChatResponse {
        content: format!("{} (priority {})", said.join("; "), r.priority),
        model: "testhost".to_owned(),
        prompt_tokens: 2,
        completion_tokens: 3,
        total_tokens: 5,
    }
}

/// Its length, how many vowels, and one.
fn vector(text: &str) -> Vec<f32> {
    let count = |n: usize| f32::from(u16::try_from(n).unwrap_or(u16::MAX));
    let vowels = text.chars().filter(|c| "aeiou".contains(*c)).count();
    vec![count(text.len()), count(vowels), 1.0]
}

fn nearest(r: &VectorSearchRequest) -> Result<VectorSearchResponse, Status> {
    if r.index.is_empty() || r.query_vector.is_empty() {
        return Err(Status::invalid_argument("index and query_vector are required"));
    }
    let hit = |n: i32| VectorSearchHit { id: format!("{}-{n}", r.index), distance: 0.5 };
    Ok(VectorSearchResponse { results: (0..r.top_k.min(2)).map(hit).collect() })
}

fn search(r: &SearchRequest) -> SearchResponse {
    let document = serde_json::json!({ "title": r.query, "index": r.index });
    SearchResponse {
        hits: vec![SearchHit {
            id: "d1".to_owned(),
            score: 0.5,
            document: document.to_string().into_bytes(),
            highlighted: Vec::new(),
        }],
        total: 1,
        processing_ms: 1,
        facet_distribution: b"{\"kind\":{\"a\":1}}".to_vec(),
    }
}
