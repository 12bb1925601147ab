//! `resolve`: names of hosts, looked up for executions that may connect to them.
//!
//! **Invariant:** who may not connect learns nothing here: a name looked up is a message to whoever
//! serves the name.

use super::args::Args;
use super::error::{Call, HostError, HostErrorKind};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Lookups under way at once, of all executions: each holds a thread while it waits.
static LOOKUPS: Semaphore = Semaphore::const_new(16);
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most addresses that are answered.
const MOST: usize = 32;
/// Longest name: RFC 1035, with a dot at the end.
const MAX_NAME: usize = 254;

/// `{host}` → `{addresses: […], error: null}`, or no addresses and why.
pub(super) async fn resolve(call: &Call<'_>, mut args: Args<'_>) -> Result<Value, HostError> {
    let host = args.required_text("host")?;
    args.finish()?;
    if !call.context.connects {
        let reason = "this execution is granted no network, so it may look up no names";
        return Err(call.error(HostErrorKind::Refused, reason));
    }
    if host.len() > MAX_NAME || !host.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(failed("this is no name of a host", false));
    }
    let left = call.context.deadline.saturating_duration_since(Instant::now()).min(PATIENCE);
    let lookup = async {
        let _turn = LOOKUPS.acquire().await;
        tokio::net::lookup_host((host.as_str(), 0)).await
    };
    Ok(match tokio::time::timeout(left, lookup).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<String> = Vec::new();
            for address in found.map(|found| found.ip().to_string()).take(MOST) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            json!({ "addresses": addresses, "error": null, "temporary": false })
        }
        Ok(Err(error)) => {
            let reason = error.to_string();
            let temporary = reason.contains("emporary failure");
            failed(&reason, temporary)
        }
        Err(_) => failed("no answer in time", true),
    })
}

fn failed(reason: &str, temporary: bool) -> Value {
    json!({ "addresses": [], "error": reason, "temporary": temporary })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{CallContext, Host};

    async fn ask(connects: bool, host: &str) -> Result<Value, HostError> {
        let mut context = CallContext::new("python", "0", Instant::now() + PATIENCE);
        context.connects = connects;
        let args = json!({ "host": host }).to_string();
        let answer = Host::new(None).call(&context, "resolve", args.as_bytes()).await;
        answer.map(|bytes| serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn names_are_looked_up_for_those_who_may_connect_alone() {
        let refusal = ask(false, "localhost").await.expect_err("a refusal");
        assert_eq!(refusal.kind, HostErrorKind::Refused);
        let answer = ask(true, "localhost").await.expect("an answer");
        assert!(answer["addresses"].to_string().contains("127.0.0.1"), "{answer}");
        for wrong in ["no such\nname", "\u{fc}mlaut", &"a".repeat(300)] {
            let answer = ask(true, wrong).await.expect("an answer");
            assert_eq!(answer["error"], "this is no name of a host");
        }
        let answer = ask(true, "no-such-host.invalid").await.expect("an answer");
        assert!(answer["error"].is_string() && answer["addresses"] == json!([]), "{answer}");
    }
}
