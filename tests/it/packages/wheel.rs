//! Wheels and an index for them, made by the test: nothing comes from a network.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A file in a wheel: its name, its text, its Unix mode.
pub(crate) type Entry<'a> = (&'a str, &'a str, u32);

const FILE: u32 = 0o100_644;
/// The mode of a symbolic link; the text is its target.
pub(crate) const LINK: u32 = 0o120_777;

/// A pure wheel: its file name and its bytes.
pub(crate) fn wheel(
    name: &str,
    version: &str,
    requires: &[&str],
    files: &[Entry<'_>],
) -> (String, Vec<u8>) {
    let info = format!("{name}-{version}.dist-info");
    let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    for requirement in requires {
        metadata.push_str(&format!("Requires-Dist: {requirement}\n"));
    }
    let tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut record = String::new();
    for (path, ..) in files {
        record.push_str(&format!("{path},,\n"));
    }
    for own in ["METADATA", "WHEEL", "RECORD"] {
        record.push_str(&format!("{info}/{own},,\n"));
    }
    let own = [
        (format!("{info}/METADATA"), metadata),
        (format!("{info}/WHEEL"), tag.to_owned()),
        (format!("{info}/RECORD"), record),
    ];
    let mut all: Vec<Entry<'_>> = files.to_vec();
    all.extend(own.iter().map(|(path, text)| (path.as_str(), text.as_str(), FILE)));
    (format!("{name}-{version}-py3-none-any.whl"), zip(&all))
}

/// A wheel with one module of that name.
pub(crate) fn module(name: &str, version: &str, source: &str) -> (String, Vec<u8>) {
    wheel(name, version, &[], &[(&format!("{name}.py"), source, FILE)])
}

/// What a package is built from: a file name and an archive.
pub(crate) fn source(name: &str, version: &str, files: &[(&str, &str)]) -> (String, Vec<u8>) {
    let top = format!("{name}-{version}");
    let info = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    let own = [("PKG-INFO", info.as_str())];
    let named: Vec<(String, &str)> =
        files.iter().chain(&own).map(|(path, text)| (format!("{top}/{path}"), *text)).collect();
    let entries: Vec<Entry<'_>> =
        named.iter().map(|(path, text)| (path.as_str(), *text, FILE)).collect();
    (format!("{top}.zip"), zip(&entries))
}

/// An archive without compression.
fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (path, text, mode) in entries {
        let offset = u32::try_from(out.len()).unwrap();
        let size = u32::try_from(text.len()).unwrap();
        let mut common = Vec::new();
        for word in [20u16, 0, 0, 0, 0x21] {
            common.extend(word.to_le_bytes());
        }
        for word in [crc32(text.as_bytes()), size, size] {
            common.extend(word.to_le_bytes());
        }
        common.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        common.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(path.as_bytes());
        out.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02");
        // Made by Unix, so that the mode counts.
        directory.extend([20, 3]);
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(path.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

/// A package index (PEP 503) on a port of its own, for as long as the test runs.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    port: u16,
    shelf: Arc<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    wheels: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Milliseconds that each download takes.
    slow: AtomicU64,
}

impl Index {
    pub(crate) fn of(wheels: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let shelf = Arc::new(Shelf::default());
        shelf.wheels.lock().unwrap().extend(wheels);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::clone(&shelf);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shelf = Arc::clone(&served);
                // A client that goes away is no failure of the index.
                std::thread::spawn(move || drop(serve(&stream, port, &shelf)));
            }
        });
        Self { port, shelf }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/simple/", self.port)
    }

    pub(crate) fn add(&self, wheel: (String, Vec<u8>)) {
        self.shelf.wheels.lock().unwrap().extend([wheel]);
    }

    pub(crate) fn slow(&self, download: Duration) {
        let ms = u64::try_from(download.as_millis()).unwrap();
        self.shelf.slow.store(ms, Ordering::Relaxed);
    }
}

fn serve(stream: &TcpStream, port: u16, shelf: &Shelf) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line)?;
        }
        let wheels = shelf.wheels.lock().unwrap().clone();
        if path.trim_end_matches('/').ends_with("/endless") {
            let mut stream = stream;
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n")?;
            loop {
                stream.write_all(&[b' '; 4096])?;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let (status, kind, body) = if let Some(name) = path.strip_prefix("/files/") {
            std::thread::sleep(Duration::from_millis(shelf.slow.load(Ordering::Relaxed)));
            match wheels.get(name) {
                Some(bytes) => ("200 OK", "application/octet-stream", bytes.clone()),
                None => ("404 Not Found", "text/plain", Vec::new()),
            }
        } else {
            let asked = path.trim_matches('/').strip_prefix("simple/").unwrap_or_default();
            let same = |file: &&String| {
                let name = file.split('-').next().unwrap_or_default();
                name.replace('_', "-").to_lowercase() == asked
            };
            let links: String = wheels
                .keys()
                .filter(same)
                .map(|file| {
                    // By its name, what the index says of a file.
                    let says = match file.split('-').next() {
                        Some("yanked") => " data-yanked=\"it was broken\"",
                        Some("future") => " data-requires-python=\"&gt;=4\"",
                        Some(_) | None => "",
                    };
                    let url = match file.split('-').next() {
                        Some("tampered") => {
                            format!("http://127.0.0.1:{port}/files/{file}#sha256={:064}", 0)
                        }
                        Some("local") => format!("file:///etc/{file}"),
                        Some(_) | None => format!("http://127.0.0.1:{port}/files/{file}"),
                    };
                    format!("<a href=\"{url}\"{says}>{file}</a>\n")
                })
                .collect();
            let status = if links.is_empty() { "404 Not Found" } else { "200 OK" };
            (
                status,
                "text/html",
                match asked {
                    "garbage" => (0..=255).cycle().take(1 << 16).collect(),
                    _ => format!("<!DOCTYPE html><html><body>{links}</body></html>").into(),
                },
            )
        };
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(&body)?;
    }
}
