//! Text, vectors and models: `search`, `vector_search`, `embed`, `llm.chat`.
//!
//! **Invariant:** what a provider answers as JSON bytes is parsed before a
//! script sees it; bytes that are none are an error, not a string.

use super::args::Args;
use super::error::{Call, HostError};
use super::link::{Link, client, unary};
use proto::protocol as wire;
use proto::protocol::embedding_service_client::EmbeddingServiceClient;
use proto::protocol::llm_service_client::LlmServiceClient;
use proto::protocol::search_service_client::SearchServiceClient;
use proto::protocol::vector_search_service_client::VectorSearchServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

/// Hits when the script names no number.
const TOP_K: i32 = 10;

/// `search(query, index="", top_k=10, filters=None, facets=None)`
pub(super) async fn search(
    link: &Link,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let message = wire::SearchRequest {
        query: args.text("query")?.unwrap_or_default(),
        index: args.text("index")?.unwrap_or_default(),
        top_k: args.bounded("top_k", 1..=i32::MAX)?.unwrap_or(TOP_K),
        filters: args.json("filters"),
        facets: args.words("facets")?,
    };
    args.finish()?;
    let mut client = client!(SearchServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.search(r).await }).await?;
    let mut hits = Vec::with_capacity(answer.hits.len());
    for hit in answer.hits {
        hits.push(json!({
            "id": hit.id,
            "score": hit.score,
            "document": parsed(call, &hit.document)?,
            "highlighted": parsed(call, &hit.highlighted)?,
        }));
    }
    Ok(json!({
        "hits": hits,
        "total": answer.total,
        "processing_ms": answer.processing_ms,
        "facet_distribution": parsed(call, &answer.facet_distribution)?,
    }))
}

/// `vector_search(index, vector, top_k=10)` → `[{id, distance}]`
pub(super) async fn vector_search(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let message = wire::VectorSearchRequest {
        auth_token: token.to_owned(),
        index: args.required_text("index")?,
        query_vector: args.floats("vector")?,
        top_k: args.bounded("top_k", 1..=i32::MAX)?.unwrap_or(TOP_K),
    };
    args.finish()?;
    let mut client = client!(VectorSearchServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.search(r).await }).await?;
    let hits = answer.results.into_iter();
    Ok(hits.map(|hit| json!({ "id": hit.id, "distance": hit.distance })).collect())
}

/// `embed(text, model="")`: one text → `{vector, dimensions, model, tokens}`, a
/// list of texts → `{vectors, dimensions, model, tokens}`.
pub(super) async fn embed(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let many = args.is_list("text");
    let mut texts = args.required_words("text")?;
    let model = args.text("model")?.unwrap_or_default();
    args.finish()?;
    let auth_token = token.to_owned();
    let mut client = client!(EmbeddingServiceClient<Channel>, link.channel(call)?);
    if many {
        let wanted = texts.len();
        let message = wire::BatchEmbedRequest { auth_token, texts, model };
        let answer = unary(call, message, |r| async move { client.batch_embed(r).await }).await?;
        if answer.results.len() != wanted {
            let got = answer.results.len();
            return Err(call.garbage(format!("{got} vectors for {wanted} texts")));
        }
        let vectors: Vec<Vec<f32>> = answer.results.into_iter().map(|one| one.vector).collect();
        return Ok(json!({
            "vectors": vectors,
            "dimensions": answer.dimensions,
            "model": answer.model,
            "tokens": answer.total_tokens,
        }));
    }
    let text = texts.pop().unwrap_or_default();
    let message = wire::EmbedRequest { auth_token, text, model };
    let answer = unary(call, message, |r| async move { client.embed(r).await }).await?;
    Ok(json!({
        "vector": answer.vector,
        "dimensions": answer.dimensions,
        "model": answer.model,
        "tokens": answer.tokens,
    }))
}

/// `llm.chat(messages, model="", temperature=None, max_tokens=None, provider="",
/// attachments=None, priority=0)`. A string is one message of the user.
pub(super) async fn chat(
    link: &Link,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let messages = if args.is_list("messages") {
        let mut messages = Vec::new();
        for (index, item) in args.list("messages")?.into_iter().enumerate() {
            let mut item = Args::within(*call, &format!("messages[{index}]"), item)?;
            let role = item.required_text("role")?;
            let content = item.text("content")?.unwrap_or_default();
            item.finish()?;
            messages.push(wire::ChatMessage { role, content });
        }
        messages
    } else {
        let content = args.required_text("messages")?;
        vec![wire::ChatMessage { role: "user".to_owned(), content }]
    };
    if messages.is_empty() {
        return Err(call.invalid("`messages` is empty"));
    }
    let mut attachments = Vec::new();
    for (index, item) in args.list("attachments")?.into_iter().enumerate() {
        let mut item = Args::within(*call, &format!("attachments[{index}]"), item)?;
        attachments.push(wire::Attachment {
            mime_type: item.required_text("mime_type")?,
            data: item.required_text("data")?,
            filename: item.text("filename")?.unwrap_or_default(),
        });
        item.finish()?;
    }
    let message = wire::LlmChatRequest {
        model: args.text("model")?.unwrap_or_default(),
        temperature: args.float("temperature")?.unwrap_or_default(),
        max_tokens: args.bounded("max_tokens", 0..=i32::MAX)?.unwrap_or_default(),
        provider: args.text("provider")?.unwrap_or_default(),
        priority: args.bounded("priority", 0..=i32::MAX)?.unwrap_or_default(),
        attachments,
        messages,
        ..wire::LlmChatRequest::default()
    };
    args.finish()?;
    let mut client = client!(LlmServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.chat(r).await }).await?;
    Ok(json!({
        "content": answer.content,
        "model": answer.model,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "total_tokens": answer.total_tokens,
    }))
}

fn parsed(call: &Call<'_>, bytes: &[u8]) -> Result<Value, HostError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| call.garbage(error))
}
