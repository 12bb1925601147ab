//! `ground.write` and `ground.read`: the core's ground database.
//!
//! **Invariant:** attributes go through the same check as an attestation's.

use super::args::Args;
use super::error::{Call, HostError};
use super::link::{Link, client, unary};
use crate::store::{normalise, to_struct};
use proto::protocol as wire;
use proto::protocol::ground_service_client::GroundServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

/// `ground.write(subjects, predicates, contexts=None, actors=None, attributes=None)`
pub(super) async fn write(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let subjects = args.required_words("subjects")?;
    let predicates = args.required_words("predicates")?;
    let contexts = args.words("contexts")?;
    let mut actors = args.words("actors")?;
    let attributes =
        normalise(&args.object("attributes")?).map_err(|error| call.attribute(&error))?;
    args.finish()?;
    if let Some(glyph) = &call.context.glyph_id
        && actors.is_empty()
    {
        actors.push(format!("glyph:{glyph}"));
    }
    let message = wire::WriteToGroundRequest {
        auth_token: token.to_owned(),
        subjects,
        predicates,
        contexts,
        actors,
        attributes: (!attributes.is_empty()).then(|| to_struct(&attributes)),
        source: call.context.plugin_name.clone(),
    };
    let mut client = client!(GroundServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.write_to_ground(r).await }).await?;
    if answer.success { Ok(Value::Null) } else { Err(call.refused(answer.error)) }
}

/// `ground.read(predicate, context)` → the newest text not yet given to
/// anybody, or null.
pub(super) async fn read(
    link: &Link,
    token: &str,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let predicate = args.required_text("predicate")?;
    let project_context = args.text("context")?.unwrap_or_default();
    args.finish()?;
    let message = wire::ReadUndeliveredRequest {
        auth_token: token.to_owned(),
        predicate_name: predicate
            .strip_prefix("deferred:")
            .map_or_else(|| predicate.clone(), str::to_owned),
        project_context,
    };
    let mut client = client!(GroundServiceClient<Channel>, link.channel(call)?);
    let answer = unary(call, message, |r| async move { client.read_undelivered(r).await }).await?;
    if !answer.error.is_empty() {
        return Err(call.refused(answer.error));
    }
    Ok(if answer.detail.is_empty() { Value::Null } else { json!(answer.detail) })
}
