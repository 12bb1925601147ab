//! TLS on the port: what the handshake asks for, and what it leads to.
//!
//! TLS 1.3, with HTTP/2 and HTTP/1.1 announced by ALPN. Whether clients show a
//! certificate is decided by [`Files`]; the keys are read once, before the port
//! is bound.
//!
//! **Invariant:** nothing of HTTP is read from a connection whose handshake has
//! not succeeded, and none takes longer than [`HANDSHAKE`].

mod files;
mod stream;
#[cfg(test)]
mod tests;

pub use files::{Files, TlsError};
pub use stream::Stream;

use std::fmt;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;

/// How long a handshake may take.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// How much of TLS the port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Plain text.
    #[default]
    Off,
    /// The port shows a certificate; its clients need none.
    Server,
    /// Both sides show one.
    Mutual,
}

impl Mode {
    /// The word for it in health and in the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Server => "server",
            Self::Mutual => "mutual",
        }
    }
}

/// The port's side of every handshake; cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    names: Names,
    mutual: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("mutual", &self.mutual).finish_non_exhaustive()
    }
}

impl Tls {
    /// Whether nobody gets in without a certificate.
    #[must_use]
    pub fn mutual(&self) -> bool {
        self.mutual
    }

    /// The names that the port's certificate is for.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names.clone()
    }

    /// The handshake on a fresh connection.
    pub async fn handshake(&self, stream: TcpStream) -> io::Result<Stream> {
        let shaken = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await;
        let stream = shaken.map_err(|_| {
            let late = format!("not done within {} s", HANDSHAKE.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, late)
        })??;
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// The names a certificate is for.
#[derive(Clone)]
pub struct Names(CertificateDer<'static>);

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names(…)")
    }
}

impl Names {
    /// Whether a client that asked for `host` (a name, an address, or one in
    /// brackets) was right to take the certificate.
    #[must_use]
    pub fn hold(&self, host: &str) -> bool {
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let Ok(host) = ServerName::try_from(host) else { return false };
        ParsedCertificate::try_from(&self.0)
            .is_ok_and(|certificate| verify_server_name(&certificate, &host).is_ok())
    }
}
