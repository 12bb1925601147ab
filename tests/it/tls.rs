//! TLS on the port: both faces over it, who is let in, what can't start, and
//! that a bad handshake is nobody else's business.

use crate::support::{BINARY, Plugin, eventually};
use hyper_util::rt::TokioIo;
use proto::protocol::Empty;
use proto::protocol::PythonExecuteRequest;
use proto::protocol::domain_plugin_service_client::DomainPluginServiceClient;
use proto::protocol::python_service_client::PythonServiceClient;
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tonic::transport::{Channel, Endpoint};

/// The name the plugin's certificate is for, besides loopback.
const NAME: &str = "box.test";
/// How long a refusal may take: far below the time a handshake has.
const SOON: Duration = Duration::from_secs(3);

/// Somebody who signs certificates.
struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign_as(CertificateParams::new(names).unwrap())
    }

    fn sign_as(&self, params: CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A client that trusts us, and shows a certificate of `other` if one is given.
    fn client(&self, other: Option<&Self>, protocol: &[u8]) -> ClientConfig {
        self.client_with(other.map(|other| other.sign(&["somebody"])), protocol)
    }

    fn client_with(&self, shown: Option<(Certificate, KeyPair)>, protocol: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = match shown {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
                config.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }
}

/// An authority, and the files of a port that it signed for.
struct Place {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let place =
            Self { folder: tempfile::tempdir().unwrap(), authority: Authority::new("ours") };
        let (certificate, key) = place.authority.sign(&["localhost", "127.0.0.1", NAME]);
        place.write("cert.pem", &certificate.pem());
        place.write("key.pem", &key.serialize_pem());
        place.write("ca.pem", &place.authority.certificate.pem());
        place
    }

    fn write(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The flags of a port with a certificate; with `mutual`, clients need one, too.
    fn flags(&self, mutual: bool) -> Vec<String> {
        let mut flags = vec!["--store".to_owned(), ":memory:".to_owned()];
        flags.extend(["--tls-cert".to_owned(), self.path("cert.pem")]);
        flags.extend(["--tls-key".to_owned(), self.path("key.pem")]);
        if mutual {
            flags.extend(["--tls-client-ca".to_owned(), self.path("ca.pem")]);
        }
        flags
    }

    fn start(&self, mutual: bool, more: &[&str]) -> Plugin {
        let flags = self.flags(mutual);
        let flags: Vec<&str> =
            flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Plugin::start_with(&flags)
    }

    /// A client without a certificate.
    fn stranger(&self) -> ClientConfig {
        self.authority.client(None, b"http/1.1")
    }

    /// A client with one that our authority signed.
    fn friend(&self) -> ClientConfig {
        self.authority.client(Some(&self.authority), b"http/1.1")
    }
}

/// One request over HTTP/1.1 that names `host`.
fn call(
    plugin: &Plugin,
    client: ClientConfig,
    host: &str,
    request: &str,
    body: &Value,
) -> io::Result<(u16, Value)> {
    let socket = TcpStream::connect(("127.0.0.1", plugin.port()))?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut stream = StreamOwned::new(client, socket);
    let body = body.to_string();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert_eq!(stream.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok((status, serde_json::from_str(body).unwrap()))
}

fn evaluate(plugin: &Plugin, client: ClientConfig, expr: &str) -> io::Result<Value> {
    let answer = call(plugin, client, "localhost", "POST /evaluate", &json!({ "expr": expr }));
    answer.map(|(status, body)| {
        assert_eq!(status, 200, "{body:#}");
        body["result"].clone()
    })
}

fn health(plugin: &Plugin, client: ClientConfig) -> Value {
    call(plugin, client, "localhost", "GET /health", &Value::Null).unwrap().1
}

/// A gRPC channel over TLS, whose handshake chose HTTP/2.
async fn channel(port: u16, client: ClientConfig) -> Result<Channel, tonic::transport::Error> {
    let connector = TlsConnector::from(Arc::new(client));
    let connect = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move {
            let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            let name = ServerName::try_from("localhost").unwrap();
            let stream = connector.connect(name, socket).await?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The scheme is the connector's business.
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await
}

#[test]
fn both_faces_answer_over_tls() {
    let place = Place::new();
    let mut command = Command::new(BINARY);
    command.env("QNTX_PYTHON_TLS_CERT", place.path("cert.pem"));
    command.env("QNTX_PYTHON_TLS_KEY", place.path("key.pem"));
    let scratch = tempfile::tempdir().unwrap();
    let plugin = Plugin::start_command(command, &["--store", ":memory:"], scratch);
    assert_eq!(evaluate(&plugin, place.stranger(), "6 * 7").unwrap(), 42);
    let large = evaluate(&plugin, place.stranger(), "'x' * 3_000_000").unwrap();
    assert_eq!(large.as_str().unwrap().len(), 3_000_000);
    assert_eq!(health(&plugin, place.stranger())["tls"], "server");

    let client = place.authority.client(None, b"h2");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let channel = channel(plugin.port(), client).await.unwrap();
        let mut domain = DomainPluginServiceClient::new(channel.clone());
        assert_eq!(domain.metadata(Empty {}).await.unwrap().into_inner().name, "python");
        let health = domain.health(Empty {}).await.unwrap().into_inner();
        assert_eq!(health.details["tls"], "server");
        let code = "print(6 * 7)".to_owned();
        let request = PythonExecuteRequest { code, ..Default::default() };
        let answer = PythonServiceClient::new(channel).execute(request).await.unwrap();
        assert_eq!(answer.into_inner().output, "42\n");
    });
    let log = plugin.log();
    let line = log.lines().find(|line| line.contains("listening")).unwrap();
    assert!(line.contains("server"), "{line}");
    assert!(log.contains("a core speaks plain text"), "launched as a core launches it");
}

#[test]
fn with_client_certificates_nobody_else_is_served() {
    let place = Place::new();
    let plugin = place.start(true, &[]);
    assert_eq!(evaluate(&plugin, place.friend(), "6 * 7").unwrap(), 42);
    assert_eq!(health(&plugin, place.friend())["tls"], "mutual");
    let (elsewhere, namesake) = (Authority::new("theirs"), Authority::new("ours"));
    let mut late = CertificateParams::new(Vec::new()).unwrap();
    late.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let shows = |shown| place.authority.client_with(Some(shown), b"http/1.1");
    for (client, reason) in [
        (place.stranger(), "peer sent no certificates"),
        (shows(elsewhere.sign(&["somebody"])), "UnknownIssuer"),
        (shows(namesake.sign(&["somebody"])), "BadSignature"),
        (shows(place.authority.sign_as(late)), "certificate expired"),
    ] {
        let began = Instant::now();
        evaluate(&plugin, client, "1").expect_err("it has no certificate of ours");
        assert!(began.elapsed() < SOON, "{reason}");
        eventually(reason, || plugin.log().contains(reason));
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let metadata = async |client| {
            let channel = channel(plugin.port(), client).await.map_err(|e| e.to_string())?;
            let answer = DomainPluginServiceClient::new(channel).metadata(Empty {}).await;
            answer.map_err(|e| e.to_string())
        };
        let friend = place.authority.client(Some(&place.authority), b"h2");
        assert_eq!(metadata(friend).await.unwrap().into_inner().name, "python");
        for other in [None, Some(&elsewhere)] {
            metadata(place.authority.client(other, b"h2")).await.expect_err("not one of ours");
        }
    });
}

#[test]
fn the_token_is_asked_for_over_tls_too() {
    let place = Place::new();
    let token = place.write("token", "0123456789abcdef0123\n");
    let plugin = place.start(false, &["--token-file", &token, "--address", "0.0.0.0"]);
    let ask = |request: &str| {
        call(&plugin, place.stranger(), NAME, request, &json!({ "expr": "1" })).unwrap().0
    };
    assert_eq!(ask("POST /evaluate"), 401);
    let shown = "POST /evaluate HTTP/1.1\r\nauthorization: Bearer 0123456789abcdef0123\r\nx-rest:";
    assert_eq!(ask(shown), 200);
}

#[test]
fn a_public_address_is_served_to_certificates_under_its_own_names() {
    let place = Place::new();
    let plugin = place.start(true, &["--address", "0.0.0.0"]);
    let ask =
        |host: &str| call(&plugin, place.friend(), host, "GET /version", &Value::Null).unwrap();
    assert_eq!(ask("localhost").0, 200);
    assert_eq!(ask(&format!("{NAME}:9000")).0, 200);
    let (status, body) = ask("evil.test");
    assert_eq!(status, 403, "{body}");
    assert!(body["error"].as_str().unwrap().contains("those of its certificate"), "{body}");
}

#[test]
fn plain_text_to_a_port_with_tls_fails_at_once() {
    let place = Place::new();
    let plugin = place.start(false, &[]);
    for greeting in ["GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"] {
        let began = Instant::now();
        let mut socket = TcpStream::connect(("127.0.0.1", plugin.port())).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket.write_all(greeting.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let ended = socket.read_to_end(&mut answer);
        assert!(began.elapsed() < SOON, "{ended:?}");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    let of_it = |log: &str| -> Vec<String> {
        let lines = log.lines().filter(|line| line.contains("a TLS handshake failed"));
        lines.map(str::to_owned).collect()
    };
    eventually("each is one line", || of_it(&plugin.log()).len() == 2);
    for line in of_it(&plugin.log()) {
        assert!(line.contains("\"level\":\"debug\""), "{line}");
    }
    assert_eq!(evaluate(&plugin, place.stranger(), "1").unwrap(), 1);
}

#[test]
fn a_handshake_that_is_never_finished_disturbs_nobody_and_ends() {
    let place = Place::new();
    let plugin = place.start(false, &[]);
    assert_eq!(evaluate(&plugin, place.stranger(), "1").unwrap(), 1);
    let began = Instant::now();
    // Nothing at all, and the beginning of a greeting.
    let mut slow: Vec<TcpStream> = (0..60)
        .map(|at| {
            let mut socket = TcpStream::connect(("127.0.0.1", plugin.port())).unwrap();
            let greeting: &[u8] = if at % 2 == 0 { &[] } else { &[0x16, 3, 1, 2, 0, 1] };
            socket.write_all(greeting).unwrap();
            socket
        })
        .collect();
    for _ in 0..5 {
        let asked = Instant::now();
        assert_eq!(evaluate(&plugin, place.stranger(), "1").unwrap(), 1);
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    for socket in &mut slow {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = Vec::new();
        let ended = socket.read_to_end(&mut rest);
        assert!(!matches!(&ended, Err(e) if e.kind() == io::ErrorKind::WouldBlock), "{ended:?}");
    }
    let waited = began.elapsed();
    assert!((9..20).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn the_end_answers_what_runs_and_waits_for_no_handshake() {
    let place = Place::new();
    let mut plugin = place.start(false, &[]);
    assert_eq!(evaluate(&plugin, place.stranger(), "1").unwrap(), 1);
    let slow = TcpStream::connect(("127.0.0.1", plugin.port())).unwrap();
    std::thread::scope(|scope| {
        let code = json!({"code": "import time\nprint('begun')\ntime.sleep(0.7)"});
        let (plugin, client) = (&plugin, place.stranger());
        let run = scope.spawn(move || call(plugin, client, "localhost", "POST /execute", &code));
        eventually("it runs", || health(plugin, place.stranger())["running"] == 1);
        plugin.signal(15);
        let (status, body) = run.join().unwrap().unwrap();
        assert_eq!((status, &body["stdout"]), (200, &json!("begun\n")), "{body:#}");
    });
    assert_eq!(plugin.wait(SOON).code(), Some(0));
    drop(slow);
}

/// A start that has to be refused.
#[track_caller]
fn refused(arguments: &[String], code: i32, parts: &[&str]) {
    let mut command = Command::new(BINARY);
    command.args(["--port", "0"]).args(arguments).stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(code), "{arguments:?}: {said}");
    assert!(stdout.is_empty(), "a port was announced");
    for part in parts {
        assert!(said.contains(part), "{part:?} not in {said}");
    }
}

#[test]
fn tls_without_client_certificates_opens_no_public_address() {
    let place = Place::new();
    let mut flags = place.flags(false);
    flags.extend(["--address".to_owned(), "0.0.0.0".to_owned()]);
    refused(
        &flags,
        3,
        &["not a loopback address", "--token-file", "--tls-client-ca", "keep nobody out"],
    );
}

#[test]
fn files_that_don_t_fit_stop_the_start_and_are_named() {
    let place = Place::new();
    let (_, other) = place.authority.sign(&["localhost"]);
    let other = place.write("other.pem", &other.serialize_pem());
    let with = |more: &[&str]| {
        let mut flags = place.flags(false);
        flags.extend(more.iter().map(|flag| (*flag).to_owned()));
        flags
    };
    let cert = place.path("cert.pem");
    refused(&with(&["--tls-key", &other]), 3, &["does not belong", &other, &cert, "hint:"]);
    refused(&with(&["--tls-cert", "/no/such"]), 3, &["/no/such", "No such file", "hint:"]);
    refused(&with(&["--tls-client-ca", &other]), 3, &[&other, "no certificate", "hint:"]);
    let alone = ["--tls-cert".to_owned(), cert];
    refused(&alone, 2, &["--tls-cert needs --tls-key", "hint:"]);
}

#[test]
fn a_key_that_others_or_executions_may_read_is_said() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let key = PathBuf::from(place.path("key.pem"));
    let readable = |mode: u32, root: &Path| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let plugin = place.start(false, &["--file-root", root.to_str().unwrap()]);
        eventually("it says that it listens", || plugin.log().contains("listening"));
        let log = plugin.log();
        (log.contains("chmod 600"), log.contains("executions can read this secret"))
    };
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(readable(0o640, elsewhere.path()), (false, false));
    assert_eq!(readable(0o644, elsewhere.path()), (true, false));
    assert_eq!(readable(0o600, place.folder.path()), (false, true));
}
