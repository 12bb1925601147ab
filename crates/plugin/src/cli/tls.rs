//! The flags about TLS on the port.
//!
//! **Invariant:** a part without those it needs stops the start; the port never
//! speaks less than what was asked for.

use super::{Failure, absolute_one};
use crate::env;
use crate::tls::{Files, Mode};
use clap::Args;
use std::path::PathBuf;

/// The files of TLS, read once at start.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsOptions {
    /// Speak TLS 1.3 and nothing else: a file with the port's certificate and those that lead to its
    /// authority, PEM; not under a core, which speaks plain text
    #[arg(long, global = true, value_name = "FILE", env = env::TLS_CERT)]
    pub tls_cert: Option<PathBuf>,
    /// A file with the private key of --tls-cert, PEM without a passphrase
    #[arg(long, global = true, value_name = "FILE", env = env::TLS_KEY)]
    pub tls_key: Option<PathBuf>,
    /// Ask every client for a certificate that an authority in this file signed, PEM
    #[arg(long, global = true, value_name = "FILE", env = env::TLS_CLIENT_CA)]
    pub tls_client_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// What the port will speak.
    pub(super) fn mode(&self) -> Mode {
        match (&self.tls_cert, &self.tls_client_ca) {
            (None, _) => Mode::Off,
            (Some(_), None) => Mode::Server,
            (Some(_), Some(_)) => Mode::Mutual,
        }
    }

    /// The files to read; `None` = plain text.
    pub(super) fn files(&self) -> Result<Option<Files>, Failure> {
        let (cert, key) = match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (None, None, None) => return Ok(None),
            (Some(cert), Some(key), _) => (cert, key),
            (Some(_), None, _) => {
                let hint =
                    "--tls-key FILE names the private key that the certificate was made with";
                return Err(Failure::usage("--tls-cert needs --tls-key").hint(hint));
            }
            (None, Some(_), _) => {
                let hint = "--tls-cert FILE names the certificate that was made with the key";
                return Err(Failure::usage("--tls-key needs --tls-cert").hint(hint));
            }
            (None, None, Some(_)) => {
                let hint =
                    "clients show certificates to a port that has one itself; name its files";
                let failure = Failure::usage("--tls-client-ca needs --tls-cert and --tls-key");
                return Err(failure.hint(hint));
            }
        };
        Ok(Some(Files {
            cert: absolute_one(cert)?,
            key: absolute_one(key)?,
            client_ca: self.tls_client_ca.as_deref().map(absolute_one).transpose()?,
        }))
    }
}
