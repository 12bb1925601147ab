//! The services against in-process servers that behave, misbehave and vanish.

mod core;
mod garbage;
mod standalone;

use super::{CallContext, Endpoints, Host, HostError, HostErrorKind};
use serde_json::Value;
use std::time::{Duration, Instant};

const TOKEN: &str = "0123456789abcdef";

/// A context with `time` left.
fn within(time: Duration) -> CallContext {
    CallContext::new("python", "1.2.3", Instant::now() + time)
}

fn soon() -> CallContext {
    within(Duration::from_secs(10))
}

async fn call(
    host: &Host,
    context: &CallContext,
    name: &str,
    args: Value,
) -> Result<Value, HostError> {
    let answer = host.call(context, name, args.to_string().as_bytes()).await?;
    Ok(serde_json::from_slice(&answer).expect("answers are JSON"))
}

/// The call fails with `kind`, names itself, and its reason has `words` in it.
async fn refused(
    host: &Host,
    context: &CallContext,
    name: &str,
    args: Value,
    kind: HostErrorKind,
    words: &str,
) -> HostError {
    let error = call(host, context, name, args).await.expect_err("must fail");
    assert_eq!(error.kind, kind, "{error}");
    assert_eq!(error.call, name);
    assert!(error.reason.contains(words), "{error}");
    error
}

/// A host connected to a store service at `address`.
fn connected(address: &str) -> Host {
    let host = Host::new(None);
    host.connect(&Endpoints {
        ats_store: address.to_owned(),
        auth_token: TOKEN.to_owned(),
        ..Endpoints::default()
    });
    host
}
