//! An install that tells how far it is.

use super::fixture::{Bed, left_over};
use super::wheel::{Index, module};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Sends a POST that accepts `kind`; the response's head, and what follows it.
fn post(port: u16, path: &str, kind: &str, body: &Value) -> (String, BufReader<TcpStream>) {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         accept: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "no head: {head}");
    }
    (head, reader)
}

/// The rest, without the marks of its chunks.
fn rest(mut reader: BufReader<TcpStream>) -> String {
    let mut text = String::new();
    loop {
        let mut size = String::new();
        if reader.read_line(&mut size).unwrap() == 0 {
            return text;
        }
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        text.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
    }
}

#[test]
fn lines_of_progress_come_before_the_answer() {
    let bed = Bed::new(Index::of([module("told", "1.0", "x = 1"), module("more", "1.0", "x = 1")]));
    let install = |package: &str, kind: &str| {
        post(bed.plugin.port(), "/uv/install", kind, &json!({ "package": package }))
    };
    let (head, reader) = install("told", "application/x-ndjson");
    assert!(head.contains("200 OK") && head.contains("application/x-ndjson"), "{head}");
    let lines: Vec<Value> =
        rest(reader).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, told) = lines.split_last().unwrap();
    let told: Vec<&str> = told.iter().map(|line| line["progress"].as_str().unwrap()).collect();
    let at = |word: &str| told.iter().position(|line| line.contains(word));
    let steps = [at("resolving"), at("Resolved 1 package"), at("Installed 1 package")];
    assert!(steps[0].is_some() && steps.is_sorted(), "{told:?}");
    assert!(bed.plugin.log().contains("uv: Resolved 1 package"), "{}", bed.plugin.log());
    assert_eq!((&last["status"], &last["body"]["success"]), (&json!(200), &json!(true)));

    let (head, reader) = install("more", "text/event-stream");
    assert!(head.contains("text/event-stream"), "{head}");
    let events = rest(reader);
    assert!(events.starts_with("event: progress\ndata: {\"progress\":"), "{events}");
    assert!(events.contains("\n\nevent: result\ndata: {\"status\":200,"), "{events}");

    // What fails after it began says so at the end; what is refused at once is a plain answer.
    let (head, reader) = install("nosuch", "application/x-ndjson");
    assert!(head.contains("200 OK"), "{head}");
    let last: Value = serde_json::from_str(rest(reader).lines().last().unwrap()).unwrap();
    assert_eq!((&last["status"], &last["body"]["success"]), (&json!(400), &json!(false)));
    let (head, _) = install("-x", "application/x-ndjson");
    assert!(head.contains("400 Bad Request") && head.contains("application/json"), "{head}");
}

#[test]
fn a_caller_that_stops_listening_stops_its_install() {
    let index = Index::of([module("slow", "1.0", "x = 1")]);
    index.slow(Duration::from_secs(20));
    let bed = Bed::new(index);
    let wanted = json!({"package": "slow"});
    let (_, mut reader) = post(bed.plugin.port(), "/uv/install", "application/x-ndjson", &wanted);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    crate::support::eventually("it is under way", || !left_over(&bed.root()).is_empty());
    drop(reader);
    crate::support::eventually("nothing of it is left", || {
        left_over(&bed.root()).is_empty()
            && crate::support::processes_of(bed.plugin.pid(), "uv").is_empty()
    });
}
