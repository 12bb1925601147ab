//! Connections and sizes: idle minutes, large messages, who pings whom
//! (CONTRACT 0.2 i and j, 2.4, 5.1).
//!
//! **Invariant:** what is claimed of a connection is read off the wire or from
//! the kernel, not from a client that would connect again in silence.

use super::handlers::{attest, handlers};
use super::until;
use crate::bed::Bed;
use crate::core::lock;
use crate::look::{accepted, connections_to};
use crate::tap::Tap;
use crate::wire::*;
use anyhow::{Context as _, ensure};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// As long as the contract's own scenario.
const IDLE: Duration = Duration::from_secs(120);
/// The core's keepalive: after so long a ping, and so long for its answer.
const INTERVAL: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(10);

const FRAME: usize = 9;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

pub(super) async fn an_idle_plugin_answers_two_minutes_of_the_cores_pings(
    bed: Bed,
) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let before = connections_to(plugin.port)?;
    ensure!(before.len() == 1, "{before:?}");
    // a connection that never has a stream, pinged by hand
    let mut raw = TcpStream::connect(("127.0.0.1", plugin.port)).await?;
    raw.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    raw.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await?;
    let (began, mut pings) = (Instant::now(), 0_u8);
    while began.elapsed() < IDLE {
        pings += 1;
        let mut frame = vec![0, 0, 8, PING, 0, 0, 0, 0, 0];
        frame.extend([pings; 8]);
        raw.write_all(&frame).await?;
        let answered = tokio::time::timeout(ANSWER, pong(&mut raw, pings)).await;
        answered.with_context(|| format!("ping {pings} got no answer within {ANSWER:?}"))??;
        tokio::time::sleep(INTERVAL.min(IDLE.saturating_sub(began.elapsed()))).await;
    }
    ensure!(pings >= 4, "{pings} pings");
    drop(raw);
    // the core's own channel, which pinged at the same pace, was not made anew
    ensure!(plugin.health().await?.healthy);
    let after = connections_to(plugin.port)?;
    ensure!(after.is_superset(&before), "connected again: {before:?} {after:?}");
    ensure!(bed.runs(&plugin, "print('awake')").await? == "awake\n");
    Ok(())
}

/// Reads frames until the ping's answer.
async fn pong(stream: &mut TcpStream, number: u8) -> anyhow::Result<()> {
    loop {
        let mut head = [0; FRAME];
        stream.read_exact(&mut head).await.context("the connection was closed")?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length)?];
        stream.read_exact(&mut body).await?;
        ensure!(head[3] != GOAWAY, "GOAWAY: {}", String::from_utf8_lossy(&body));
        if head[3] == SETTINGS && head[4] & ACK == 0 {
            stream.write_all(&[0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]).await?;
        }
        if head[3] == PING && head[4] & ACK != 0 {
            ensure!(body == [number; 8], "another ping's answer");
            return Ok(());
        }
    }
}

pub(super) async fn a_service_sees_one_connection_and_no_pings(bed: Bed) -> anyhow::Result<()> {
    let tap = Tap::before(&bed.core.ports[0].address).await?;
    let plugin = bed.launch().await?;
    let mut request = bed.core.request(&[]);
    request.ats_store_endpoint.clone_from(&tap.address);
    let answer = plugin.initialize(request.clone(), Duration::from_secs(30)).await?;
    bed.core.accept(&answer)?;
    let code = "for n in range(25): attest(f's{n}', 'p')";
    let runs = (0..4).map(|_| bed.runs(&plugin, code));
    for done in futures_util::future::join_all(runs).await {
        done?;
    }
    // the same endpoint again is the same connection
    plugin.initialize(request, Duration::from_secs(30)).await?;
    bed.runs(&plugin, code).await?;
    ensure!(tap.connections() == 1, "{} connections", tap.connections());
    // what was under way is done: acknowledgements, window updates
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = tap.sent();
    tokio::time::sleep(IDLE).await;
    let sent = tap.sent() - before;
    ensure!(sent == 0, "{sent} bytes with nothing to say: GOAWAY too_many_pings");
    bed.runs(&plugin, code).await?;
    ensure!(tap.connections() == 1, "{} connections", tap.connections());
    Ok(())
}

pub(super) async fn every_accepted_connection_sends_at_once(bed: Bed) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    let second = TcpStream::connect(("127.0.0.1", plugin.port)).await?;
    until("both are accepted", Duration::from_secs(2), async || {
        Ok(accepted(plugin.pid, plugin.port)?.len() == 2)
    })
    .await?;
    for connection in accepted(plugin.pid, plugin.port)? {
        ensure!(rustix::net::sockopt::tcp_nodelay(&connection)?, "Nagle holds small answers back");
    }
    drop(second);
    Ok(())
}

pub(super) async fn answers_beyond_four_mebibytes_are_read(bed: Bed) -> anyhow::Result<()> {
    let big = serde_json::json!({ "t": "x".repeat(8 << 20) });
    bed.core.services.store.put(Attestation {
        id: "AS-BIG".to_owned(),
        subjects: vec!["big".to_owned()],
        predicates: vec!["p".to_owned()],
        contexts: vec!["c".to_owned()],
        attributes: Some(Struct::from_json(&big)),
        ..Attestation::default()
    });
    // handlers of 6 MiB in all, read in one answer
    let padding = format!("@schedule(every=60)\ndef f(): pass\n# {}", "x".repeat(2 << 20));
    for name in ["one", "two", "three"] {
        attest(&bed, name, &padding);
    }
    let plugin = bed.boot_with(&[("timeout_secs", "120")]).await?;
    let found = handlers(&plugin).await?["handlers"].as_array().map(Vec::len);
    ensure!(found == Some(3), "{found:?}");
    let large = format!("http://example.org/{}", "y".repeat(3 << 20));
    let code = format!(
        "assert len(last('big')['attributes']['t']) == 8 << 20\n\
         assert [len(a['attributes']['t']) for a in query('big')] == [8 << 20]\n\
         url = {large:?}\n\
         assert len(fetch(url)['body']) == len(url) + 8\n\
         print('read')"
    );
    let said = bed.runs(&plugin, &code).await?;
    ensure!(said == "read\n", "{said}");
    Ok(())
}

pub(super) async fn a_request_beyond_four_mebibytes_is_refused_by_name(
    bed: Bed,
) -> anyhow::Result<()> {
    let plugin = bed.boot().await?;
    lock(&bed.core.services.seen).clear();
    for (call, name) in [
        ("attest('a', 'p', attributes={'t': t})", "attest"),
        (
            "attest_many([{'subjects': 's', 'predicates': 'p'}, {'subjects': t, 'predicates': 'p'}])",
            "attest_many",
        ),
        ("fetch(t)", "fetch"),
        ("qntx.enqueue('other/h', {'t': t})", "enqueue"),
        ("qntx.create_schedule('other/h', 5, {'t': t})", "create_schedule"),
        ("qntx.llm.chat(t)", "llm.chat"),
        ("qntx.embed(t)", "embed"),
        ("qntx.search(t)", "search"),
        ("qntx.ground.write(t, 'p')", "ground.write"),
        ("last(t)", "last"),
        ("list(query(t))", "query"),
    ] {
        let code = format!(
            "import qntx\nt = 'x' * (4_300_000)\ntry:\n    {call}\nexcept qntx.LimitExceeded as e:\n    \
             print(e.call, e.retryable, 'bytes' in e.reason and '4194304' in e.reason, e.reason[:20])"
        );
        let said = bed.runs(&plugin, &code).await.context(name)?;
        ensure!(said.starts_with(&format!("{name} False True")), "{name}: {said}");
        ensure!(name != "attest_many" || said.contains("`items[1]`"), "{said}");
    }
    let seen = lock(&bed.core.services.seen).clone();
    ensure!(seen.is_empty(), "sent all the same: {seen:?}");
    Ok(())
}
