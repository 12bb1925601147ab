//! `attest`, `attest_many`, `last`, `query`, `exists`: over the embedded store,
//! or over the core's.
//!
//! **Invariant:** source, version and default actor are stamped here; a filter
//! is always sent set.

use super::args::Args;
use super::context::CallContext;
use super::cursor::{MAX_OPEN, Rows};
use super::error::{Call, HostError};
use super::link::{self, Link, MAX_REQUEST, client, request, unary};
use crate::store::{Attestation, Command, Filter, Store, normalise};
use prost::Message as _;
use proto::protocol as wire;
use proto::protocol::ats_store_service_client::AtsStoreServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

/// Rows and bytes (roughly) of one page of `query`.
const PAGE_ROWS: usize = 256;
const PAGE_BYTES: usize = 1 << 20;

/// The store behind the calls.
#[derive(Debug, Clone)]
pub(super) enum Attestations {
    Embedded(Store),
    Core { link: Link, token: String },
}

impl Attestations {
    pub(super) async fn create(
        &self,
        call: &Call<'_>,
        command: Command,
    ) -> Result<Attestation, HostError> {
        let (mut client, auth_token) = match self {
            Self::Embedded(store) => {
                return within(call, store.create(command)).await?.map_err(|e| call.store(&e));
            }
            Self::Core { link, token } => (core(link, call)?, token.clone()),
        };
        let command = Some(checked(call, command)?.into());
        let message = wire::GenerateAttestationRequest { auth_token, command };
        let answer =
            unary(
                call,
                message,
                |r| async move { client.generate_and_create_attestation(r).await },
            )
            .await?;
        if !answer.success {
            return Err(call.refused(answer.error));
        }
        let attestation = answer.attestation.ok_or_else(|| call.garbage("no attestation in it"))?;
        attestation.try_into().map_err(|error| call.garbage(error))
    }

    /// In order, up to the first failure. In one request where 4 MiB allow it.
    async fn create_many(&self, call: &Call<'_>, commands: Vec<Command>) -> Result<u32, HostError> {
        let (client, token) = match self {
            Self::Embedded(store) => {
                return within(call, store.create_many(commands)).await?.map_err(|error| {
                    let created = error.created;
                    HostError { created, ..call.store(&error.source) }
                });
            }
            Self::Core { link, token } => (core(link, call)?, token),
        };
        let mut created = 0;
        // all are looked at before the first is sent
        for message in split(call, token, commands)? {
            let mut client = client.clone();
            let failed = |error: HostError| HostError { created, ..error };
            let answer = unary(call, message, |r| async move {
                client.batch_generate_and_create_attestations(r).await
            })
            .await
            .map_err(failed)?;
            let written = u32::try_from(answer.created)
                .map_err(|_| failed(call.garbage(format!("{} created", answer.created))))?;
            created += written;
            if !answer.success {
                return Err(HostError { created, ..call.refused(answer.error) });
            }
        }
        Ok(created)
    }

    pub(super) async fn query(
        &self,
        call: &Call<'_>,
        filter: Filter,
    ) -> Result<Vec<Attestation>, HostError> {
        let (mut client, auth_token) = match self {
            Self::Embedded(store) => {
                return within(call, store.query(filter)).await?.map_err(|e| call.store(&e));
            }
            Self::Core { link, token } => (core(link, call)?, token.clone()),
        };
        let message = wire::GetAttestationsRequest { auth_token, filter: Some(filter.into()) };
        let answer =
            unary(call, message, |r| async move { client.get_attestations(r).await }).await?;
        if !answer.success {
            return Err(call.refused(answer.error));
        }
        answer
            .attestations
            .into_iter()
            .map(|row| row.try_into().map_err(|error| call.garbage(error)))
            .collect()
    }

    async fn exists(&self, call: &Call<'_>, id: String) -> Result<bool, HostError> {
        let (mut client, auth_token) = match self {
            Self::Embedded(store) => {
                return within(call, store.exists(id)).await?.map_err(|e| call.store(&e));
            }
            Self::Core { link, token } => (core(link, call)?, token.clone()),
        };
        let message = wire::AttestationExistsRequest { auth_token, id };
        let answer =
            unary(call, message, |r| async move { client.attestation_exists(r).await }).await?;
        Ok(answer.exists)
    }

    async fn open(&self, call: &Call<'_>, filter: Filter) -> Result<Rows, HostError> {
        let (mut client, auth_token) = match self {
            Self::Embedded(store) => return Ok(Rows::Embedded(Box::new(store.pages(filter)))),
            Self::Core { link, token } => (core(link, call)?, token.clone()),
        };
        let message = wire::GetAttestationsRequest { auth_token, filter: Some(filter.into()) };
        let message = request(call, message)?;
        let opened = within(call, client.get_attestations_stream(message)).await?;
        let stream = opened.map_err(|status| call.status(&status))?.into_inner();
        Ok(Rows::Core { stream: Box::new(stream), ahead: None })
    }
}

/// `attest(subjects, predicates, contexts=None, actors=None, attributes=None)`
pub(super) async fn attest(
    store: &Attestations,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let command = command(call.context, &mut args)?;
    args.finish()?;
    Ok(brief(&store.create(call, command).await?))
}

/// `attest_many(items)`
pub(super) async fn attest_many(
    store: &Attestations,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let items = args.list("items")?;
    args.finish()?;
    let mut commands = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("items[{index}]");
        let mut item = Args::within(*call, &at, item)?;
        let mut one = command(call.context, &mut item)?;
        item.finish()?;
        // checked here for the item's number in the message
        one.attributes = normalise(&one.attributes).map_err(|error| {
            call.invalid(error.to_string().replacen('`', &format!("`{at}."), 1))
        })?;
        commands.push(one);
    }
    Ok(json!({ "created": store.create_many(call, commands).await? }))
}

/// `last(subjects=None, predicates=None, contexts=None, actors=None)`
pub(super) async fn last(
    store: &Attestations,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let filter = Filter { limit: Some(1), ..filter(&mut args)? };
    args.finish()?;
    let found = store.query(call, filter).await?;
    Ok(found.into_iter().next().map_or(Value::Null, full))
}

/// `exists(id)`
pub(super) async fn exists(
    store: &Attestations,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let id = args.required_text("id")?;
    args.finish()?;
    Ok(Value::Bool(store.exists(call, id).await?))
}

/// `query(...)`: the first page for a filter, a further one for `cursor`.
/// The answer is `{"attestations": [...], "cursor": n}`, `cursor` null at the end.
pub(super) async fn query(
    store: &Attestations,
    call: &Call<'_>,
    mut args: Args<'_>,
) -> Result<Value, HostError> {
    let cursors = &call.context.cursors;
    let (cursor, mut rows) = if let Some(cursor) = args.integer("cursor")? {
        args.finish()?;
        let known = u64::try_from(cursor).ok();
        known.and_then(|cursor| Some((cursor, cursors.take(cursor)?))).ok_or_else(|| {
            call.invalid(format!(
                "query {cursor} is not open (any more): of more than {MAX_OPEN} under way the \
                     one unused for longest is closed"
            ))
        })?
    } else {
        let mut wanted = filter(&mut args)?;
        wanted.time_start = args.integer("since")?;
        wanted.time_end = args.integer("until")?;
        wanted.limit = args.bounded("limit", 0..=i32::MAX)?.map(i32::unsigned_abs);
        args.finish()?;
        (cursors.number(), store.open(call, wanted).await?)
    };
    let (page, more) = within(call, page(call, &mut rows)).await??;
    if more {
        cursors.put(cursor, rows);
    }
    let page: Vec<Value> = page.into_iter().map(full).collect();
    Ok(json!({ "attestations": page, "cursor": more.then_some(cursor) }))
}

/// The next page, and whether there may be more.
async fn page(call: &Call<'_>, rows: &mut Rows) -> Result<(Vec<Attestation>, bool), HostError> {
    let (stream, ahead) = match rows {
        Rows::Embedded(pages) => {
            let page = pages.next().await.map_err(|error| call.store(&error))?;
            let more = page.is_some() && !pages.is_done();
            return Ok((page.unwrap_or_default(), more));
        }
        Rows::Core { stream, ahead } => (stream, ahead),
    };
    let mut page: Vec<Attestation> = ahead.take().map(|row| *row).into_iter().collect();
    let mut bytes = 0;
    loop {
        let row = stream.message().await.map_err(|status| call.status(&status))?;
        let Some(row) = row else { return Ok((page, false)) };
        let size = row.encoded_len();
        let row: Attestation = row.try_into().map_err(|error| call.garbage(error))?;
        if page.len() >= PAGE_ROWS || (bytes + size > PAGE_BYTES && !page.is_empty()) {
            *ahead = Some(Box::new(row));
            return Ok((page, true));
        }
        bytes += size;
        page.push(row);
    }
}

fn command(context: &CallContext, args: &mut Args<'_>) -> Result<Command, HostError> {
    let mut contexts;
    let command = Command {
        subjects: args.required_words("subjects")?,
        predicates: args.required_words("predicates")?,
        contexts: {
            contexts = args.words("contexts")?;
            if let Some(handler) = &context.handler
                && !contexts.contains(handler)
            {
                contexts.push(handler.clone());
            }
            contexts
        },
        actors: args.words("actors")?,
        timestamp: args.integer("timestamp")?,
        attributes: args.object("attributes")?,
        source: context.plugin_name.clone(),
        source_version: context.plugin_version.clone(),
    };
    Ok(match &context.glyph_id {
        Some(glyph) if command.actors.is_empty() => {
            Command { actors: vec![format!("glyph:{glyph}")], ..command }
        }
        _ => command,
    })
}

fn filter(args: &mut Args<'_>) -> Result<Filter, HostError> {
    Ok(Filter {
        subjects: args.words("subjects")?,
        predicates: args.words("predicates")?,
        contexts: args.words("contexts")?,
        actors: args.words("actors")?,
        ..Filter::default()
    })
}

fn checked(call: &Call<'_>, mut command: Command) -> Result<Command, HostError> {
    command.attributes = normalise(&command.attributes).map_err(|error| call.attribute(&error))?;
    Ok(command)
}

/// Requests below the core's limit, each as full as can be.
fn split(
    call: &Call<'_>,
    token: &str,
    commands: Vec<Command>,
) -> Result<Vec<wire::BatchGenerateAttestationRequest>, HostError> {
    let empty = wire::BatchGenerateAttestationRequest {
        auth_token: token.to_owned(),
        commands: Vec::new(),
    };
    let base = empty.encoded_len();
    let (mut requests, mut current, mut size) = (Vec::new(), empty.clone(), base);
    for (index, command) in commands.into_iter().enumerate() {
        let command = wire::AttestationCommand::from(checked(call, command)?);
        let length = command.encoded_len();
        let cost = 1 + prost::length_delimiter_len(length) + length;
        if base + cost > MAX_REQUEST {
            let mut error = link::too_large(call, base + cost);
            error.reason = format!("`items[{index}]`: {}", error.reason);
            return Err(error);
        }
        if size + cost > MAX_REQUEST {
            requests.push(std::mem::replace(&mut current, empty.clone()));
            size = base;
        }
        size += cost;
        current.commands.push(command);
    }
    if !current.commands.is_empty() {
        requests.push(current);
    }
    Ok(requests)
}

/// What `attest` returns: as stored, without attributes.
fn brief(a: &Attestation) -> Value {
    json!({
        "id": a.id, "subjects": a.subjects, "predicates": a.predicates, "contexts": a.contexts,
        "actors": a.actors, "timestamp": a.timestamp, "source": a.source,
    })
}

/// What `last` and `query` return.
fn full(a: Attestation) -> Value {
    let mut value = brief(&a);
    value["attributes"] = Value::Object(a.attributes);
    value
}

fn core(link: &Link, call: &Call<'_>) -> Result<AtsStoreServiceClient<Channel>, HostError> {
    Ok(client!(AtsStoreServiceClient<Channel>, link.channel(call)?))
}

async fn within<F: Future>(call: &Call<'_>, work: F) -> Result<F::Output, HostError> {
    tokio::time::timeout_at(call.context.deadline.into(), work).await.map_err(|_| call.timeout())
}
