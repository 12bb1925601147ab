//! The files of `--tls-cert`, `--tls-key` and `--tls-client-ca`, made into what
//! a handshake needs.
//!
//! **Invariant:** what can't serve every handshake stops the start, with the
//! file in the message; no message has anything of a key in it.

use super::{Names, Tls};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, InconsistentKeys, RootCertStore, ServerConfig};

/// In the order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// May be read or written by whoever has an account.
const OTHERS: u32 = 0o006;

/// What a file has to have in it.
const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";

/// Where the parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The port's certificate, then those that lead to its authority.
    pub cert: PathBuf,
    /// The key of the first of them.
    pub key: PathBuf,
    /// The authorities of clients; with one, every client needs a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Why the port can't speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file can't be read.
    #[error("can't read {} of {flag}", path.display())]
    Read {
        flag: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Something in it looks like PEM and is none.
    #[error("{} of {flag} is damaged: {reason}", path.display())]
    Damaged { flag: &'static str, path: PathBuf, reason: String },
    /// Nothing in it is what is wanted.
    #[error("{} of {flag} has no {wanted} in it", path.display())]
    Empty { flag: &'static str, path: PathBuf, wanted: &'static str },
    /// The key has a passphrase, and nobody is there to type it.
    #[error("the private key in {} of --tls-key is encrypted", path.display())]
    Encrypted { path: PathBuf },
    /// A certificate is none.
    #[error("a certificate in {} of {flag} can't be used", path.display())]
    Certificate {
        flag: &'static str,
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    /// A kind of key that nobody could check a signature of.
    #[error("the private key in {} of --tls-key can't be used", path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    /// Each is fine, but not with the other.
    #[error(
        "the private key in {} of --tls-key does not belong to the first certificate in {} of \
         --tls-cert", key.display(), cert.display()
    )]
    Mismatch { key: PathBuf, cert: PathBuf },
    /// The parts can't be put together.
    #[error("TLS can't be set up")]
    Setup {
        #[source]
        source: anyhow::Error,
    },
}

impl TlsError {
    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "name a file this user can read",
            Self::Damaged { .. } => "copy the file again, whole, as PEM",
            Self::Empty { wanted: KEY, .. } => {
                "name a PEM file with a section BEGIN PRIVATE KEY \
                 (`openssl pkey -inform DER -in KEY -out FILE` turns DER into PEM)"
            }
            Self::Empty { .. } => {
                "name a PEM file with a section BEGIN CERTIFICATE \
                 (`openssl x509 -inform DER -in CERT -out FILE` turns DER into PEM)"
            }
            Self::Encrypted { .. } => {
                "`openssl pkey -in KEY -out FILE` asks for the passphrase and writes the key \
                 without one; keep FILE readable by this user alone"
            }
            Self::Certificate { .. } => {
                "name X.509 certificates of version 3; `openssl x509 -text -in FILE` shows one"
            }
            Self::Key { .. } => {
                "use an ECDSA key on P-256 or P-384, an Ed25519 key, or an RSA key of 2048 bits \
                 or more"
            }
            Self::Mismatch { .. } => {
                "name the key the certificate was made with; the port's own certificate has to be \
                 the first in its file"
            }
            Self::Setup { .. } => "please report it",
        }
    }
}

impl Tls {
    /// Reads the files and tries them on each other.
    pub fn read(files: &Files) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates("--tls-cert", &files.cert)?;
        let key = key(&files.key, &provider)?;
        let Some(own) = chain.first().cloned() else {
            return Err(nothing("--tls-cert", &files.cert, CERTIFICATE));
        };
        let certified = CertifiedKey::new(chain, key);
        if let Err(source) = certified.keys_match() {
            let mismatch = rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
            let (key, path) = (files.key.clone(), files.cert.clone());
            return Err(if source == mismatch {
                TlsError::Mismatch { key, cert: path }
            } else {
                TlsError::Certificate { flag: "--tls-cert", path, source }
            });
        }
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(setup)?;
        let config = match &files.client_ca {
            None => config.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(authorities(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                config.with_client_cert_verifier(verifier.build().map_err(setup)?)
            }
        };
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        let mutual = files.client_ca.is_some();
        if mutual {
            // A session taken up again would outlive the certificate that began it.
            config.send_tls13_tickets = 0;
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, names: Names(own), mutual })
    }
}

fn setup(error: impl Into<anyhow::Error>) -> TlsError {
    TlsError::Setup { source: error.into() }
}

fn nothing(flag: &'static str, path: &Path, wanted: &'static str) -> TlsError {
    TlsError::Empty { flag, path: path.to_owned(), wanted }
}

fn content(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { flag, path: path.to_owned(), source })
}

/// At least one.
fn certificates(flag: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = content(flag, path)?;
    let all = CertificateDer::pem_slice_iter(&content);
    let all = all.collect::<Result<Vec<_>, _>>().map_err(|e| damaged(flag, path, &e))?;
    if all.is_empty() { Err(nothing(flag, path, CERTIFICATE)) } else { Ok(all) }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let flag = "--tls-client-ca";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(flag, path)? {
        roots.add(certificate).map_err(|source| TlsError::Certificate {
            flag,
            path: path.to_owned(),
            source,
        })?;
    }
    Ok(roots)
}

fn key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, TlsError> {
    let flag = "--tls-key";
    let content = content(flag, path)?;
    // A mode that can't be read is one nobody can be warned of.
    if let Ok(file) = std::fs::metadata(path)
        && file.permissions().mode() & OTHERS != 0
    {
        tracing::warn!(
            path = %path.display(),
            "every user of this machine may read or change the private key; `chmod 600` it"
        );
    }
    let key = match PrivateKeyDer::from_pem_slice(&content) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) if encrypted(&content) => {
            return Err(TlsError::Encrypted { path: path.to_owned() });
        }
        Err(pem::Error::NoItemsFound) => return Err(nothing(flag, path, KEY)),
        Err(e) => return Err(damaged(flag, path, &e)),
    };
    let loaded = provider.key_provider.load_private_key(key);
    loaded.map_err(|source| TlsError::Key { path: path.to_owned(), source })
}

/// A section of PKCS #8 with a passphrase.
fn encrypted(content: &[u8]) -> bool {
    let mark = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    content.windows(mark.len()).any(|window| window == mark)
}

/// Their own words print lines as numbers, and may quote the file.
fn damaged(flag: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let reason = if let pem::Error::MissingSectionEnd { end_marker } = error {
        format!("its line END {} is missing", String::from_utf8_lossy(end_marker))
    } else if matches!(error, pem::Error::IllegalSectionStart { .. }) {
        "a line that begins a section does not end with five dashes".to_owned()
    } else if matches!(error, pem::Error::Base64Decode(_)) {
        "a section is no base64".to_owned()
    } else {
        "it can't be read as PEM".to_owned()
    };
    TlsError::Damaged { flag, path: path.to_owned(), reason }
}
