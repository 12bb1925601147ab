//! `fetch` and `read_file`: bytes from elsewhere, through the core.
//!
//! **Invariant:** `source` is the plugin's name, whatever the script says.

use super::args::Args;
use super::error::{Call, HostError};
use super::link::{Link, client, unary};
use proto::protocol as wire;
use proto::protocol::fetch_service_client::FetchServiceClient;
use proto::protocol::file_service_client::FileServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

/// `fetch(url, subjects=None, predicate="http:get", context="", fresh=False,
/// actor="", source="")` → `{body, status_code, attestation_id}`. The core's
/// rate limits make it wait, not fail. `source` is taken for the sake of old
/// scripts and replaced.
pub(super) async fn fetch(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let default_actor = || call.context.glyph_id.as_ref().map(|id| format!("glyph:{id}"));
    let url = args.required_text("url")?;
    let subjects = args.words("subjects")?;
    let predicate = args.text("predicate")?.unwrap_or_else(|| "http:get".to_owned());
    let context = args.text("context")?.unwrap_or_default();
    let fresh = args.flag("fresh")?;
    let actor = args.text("actor")?.filter(|actor| !actor.is_empty()).or_else(default_actor);
    args.text("source")?;
    args.finish()?;
    let message = wire::FetchRequest {
        auth_token: token.to_owned(),
        url,
        subjects,
        predicate,
        context,
        fresh,
        actor: actor.unwrap_or_default(),
        source: call.context.plugin_name.clone(),
    };
    let mut client = client!(FetchServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.fetch(r).await }).await?;
    if !answer.success {
        return Err(call.refused(answer.error));
    }
    Ok(json!({
        "body": answer.body,
        "status_code": answer.status_code,
        "attestation_id": answer.attestation_id,
    }))
}

/// `read_file(id)` → `{mime_type, base64}`
pub(super) async fn read_file(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let file_id = args.required_text("id")?;
    args.finish()?;
    let message = wire::ReadFileRequest { auth_token: token.to_owned(), file_id };
    let mut client = client!(FileServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.read_file_base64(r).await }).await?;
    if !answer.success {
        return Err(call.refused(answer.error));
    }
    Ok(json!({ "mime_type": answer.mime_type, "base64": answer.base64_data }))
}
