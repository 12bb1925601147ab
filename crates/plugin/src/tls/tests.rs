//! The files of TLS, and what a start makes of them.

use super::*;
use crate::http::Token;
use crate::serve::{BindError, bind};
use rcgen::{CertificateParams, KeyPair};
use std::path::{Path, PathBuf};

/// A folder with `cert.pem` and `key.pem` in it that belong together.
fn pair(folder: &Path, names: &[&str]) -> Files {
    let key = KeyPair::generate().unwrap();
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let cert = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Files {
        cert: write("cert.pem", cert.pem()),
        key: write("key.pem", key.serialize_pem()),
        client_ca: None,
    }
}

/// Everything a person would see of it.
fn said(files: &Files) -> String {
    let error = Tls::read(files).expect_err("it has to be refused");
    let mut text = format!("{error}\n");
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text.push_str(&format!("{next}\n"));
        cause = next.source();
    }
    text + error.remedy()
}

#[test]
fn a_file_that_is_no_good_is_named_with_the_reason_and_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let good = pair(folder.path(), &["localhost"]);
    assert!(!Tls::read(&good).unwrap().mutual());
    let (cert, key) =
        (std::fs::read_to_string(&good.cert).unwrap(), std::fs::read_to_string(&good.key).unwrap());
    let file = |text: &str| {
        let path = folder.path().join("wrong.pem");
        std::fs::write(&path, text).unwrap();
        path
    };
    let lines = cert.lines().count();
    let cut = cert.lines().take(lines - 1).collect::<Vec<_>>().join("\n");
    let bent = cert.replacen("\nMII", "\n!!!", 1);
    let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let odd = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let cases: [(&str, &str, &str, &str); 11] = [
        ("cert", "", "no certificate", "BEGIN CERTIFICATE"),
        ("cert", "just some text", "no certificate", "BEGIN CERTIFICATE"),
        ("cert", &key, "no certificate", "BEGIN CERTIFICATE"),
        ("cert", &cut, "line END CERTIFICATE is missing", "whole"),
        ("cert", &bent, "no base64", "whole"),
        ("cert", hollow, "can't be used", "version 3"),
        ("key", "", "no private key", "BEGIN PRIVATE KEY"),
        ("key", &cert, "no private key", "BEGIN PRIVATE KEY"),
        ("key", &locked, "encrypted", "openssl pkey"),
        ("key", odd, "can't be used", "ECDSA"),
        ("client_ca", hollow, "can't be used", "version 3"),
    ];
    for (which, text, reason, remedy) in cases {
        let path = file(text);
        let mut files = good.clone();
        match which {
            "cert" => files.cert = path.clone(),
            "key" => files.key = path.clone(),
            _ => files.client_ca = Some(path.clone()),
        }
        let said = said(&files);
        for part in [path.to_str().unwrap(), reason, remedy] {
            assert!(said.contains(part), "{which}: {part:?} is not in {said}");
        }
    }
    let missing = Files { key: PathBuf::from("/no/such/key.pem"), ..good.clone() };
    assert!(said(&missing).contains("/no/such/key.pem of --tls-key"), "{}", said(&missing));
    let empty = Files { client_ca: Some(file("")), ..good };
    assert!(said(&empty).contains("--tls-client-ca has no certificate"), "{}", said(&empty));
}

#[test]
fn a_key_of_another_certificate_is_told_with_both_files() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files =
        Files { key: pair(other.path(), &["localhost"]).key, ..pair(one.path(), &["localhost"]) };
    let said = said(&files);
    for path in [&files.key, &files.cert] {
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
    assert!(said.contains("does not belong"), "{said}");
}

#[test]
fn nothing_of_a_key_is_ever_said() {
    let folder = tempfile::tempdir().unwrap();
    let good = pair(folder.path(), &["localhost"]);
    let key = std::fs::read_to_string(&good.key).unwrap();
    let secret = key.lines().nth(1).unwrap().to_owned();
    for spoilt in [
        key.replace("-----END PRIVATE KEY-----", ""),
        key.replace("KEY-----\n", "KEY----\n"),
        key.replacen(&secret, &format!("{secret}!"), 1),
        key.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
    ] {
        std::fs::write(&good.key, spoilt).unwrap();
        let error = Tls::read(&good).expect_err("it has to be refused");
        let said = said(&good) + &format!("{error:?}");
        let numbers = format!("{:?}", secret.as_bytes());
        let part = numbers.get(1..40).unwrap();
        assert!(!said.contains(&secret) && !said.contains(part), "{said}");
    }
}

#[test]
fn tls_alone_opens_no_other_address_than_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let files = pair(folder.path(), &["localhost"]);
    let server = Tls::read(&files).unwrap();
    let mutual = Files { client_ca: Some(files.cert.clone()), ..files };
    let mutual = Tls::read(&mutual).unwrap();
    let token = || Token::parse(b"0123456789abcdef");
    let open = |tls: Option<&Tls>, token| bind("0.0.0.0", 0, token, tls);
    for refused in [open(None, None), open(Some(&server), None)] {
        let error = refused.expect_err("anybody could run code");
        assert!(matches!(error, BindError::Open { .. }), "{error}");
        assert!(
            error.remedy().contains("--token-file") && error.remedy().contains("--tls-client-ca")
        );
    }
    for fine in [open(Some(&mutual), None), open(Some(&server), token()), open(None, token())] {
        fine.unwrap();
    }
    bind("127.0.0.1", 0, None, Some(&server)).unwrap();
}

#[test]
fn a_certificate_is_for_its_names_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::read(&pair(folder.path(), &["box.test", "*.lab.test", "10.1.2.3", "fd00::1"]));
    let names = tls.unwrap().names();
    for host in ["box.test", "BOX.test", "a.lab.test", "10.1.2.3", "[fd00::1]"] {
        assert!(names.hold(host), "{host}");
    }
    for host in ["evil.test", "x.box.test", "lab.test", "a.b.lab.test", "10.1.2.4", "", "a b"] {
        assert!(!names.hold(host), "{host}");
    }
}
