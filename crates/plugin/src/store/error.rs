//! What can go wrong with a store, and what helps.
//!
//! **Invariant:** every error names the file it is about, and [`StoreError::remedy`]
//! says what a person can do.

use super::attributes::AttributeError;
use rusqlite::ErrorCode;
use std::path::PathBuf;
use std::sync::Arc;

/// A failure of the embedded store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The directory of the database can't be made.
    #[error("can't make the directory {}", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The database file can't be made or opened.
    #[error("can't open the attestation store {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Another process holds the database for longer than we wait.
    #[error("the attestation store {} is locked by another process", path.display())]
    Locked { path: PathBuf },
    /// The file is no SQLite database, or a damaged one.
    #[error("the attestation store {} is damaged or not a database: {detail}", path.display())]
    Corrupt { path: PathBuf, detail: String },
    /// No space left.
    #[error("no space left for the attestation store {}", path.display())]
    Full { path: PathBuf },
    /// The file or its directory can't be written.
    #[error("the attestation store {} can't be written", path.display())]
    ReadOnly { path: PathBuf },
    /// A database of some other program.
    #[error("{} is a database, but not an attestation store (application id {found:#x})", path.display())]
    Foreign { path: PathBuf, found: i32 },
    /// Written by a newer version of this program.
    #[error("the attestation store {} has schema {found}, this version knows up to {known}", path.display())]
    Newer { path: PathBuf, found: i32, known: i32 },
    /// A value that no store can hold.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// `CreateAttestation` with an id that is already there.
    #[error("attestation {id} already exists")]
    Duplicate { id: String },
    /// `CreateAttestation` without an id.
    #[error("an attestation needs an id")]
    NoId,
    /// Ten random ids were all taken.
    #[error("no free id found for {prefix} in ten tries")]
    NoFreeId { prefix: String },
    /// The writer thread has ended.
    #[error("the attestation store {} is closed", path.display())]
    Closed { path: PathBuf },
    /// Anything else SQLite says.
    #[error("the attestation store {} failed", path.display())]
    Sqlite {
        path: PathBuf,
        #[source]
        source: Arc<rusqlite::Error>,
    },
}

/// A batch that stopped: what was written before stays written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("batch write failed after {created}/{total}")]
pub struct BatchError {
    pub created: u32,
    pub total: usize,
    pub source: StoreError,
}

impl StoreError {
    /// Sorts an error of SQLite about the file at `path`.
    pub(super) fn sort(path: &std::path::Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, detail: error.to_string() }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            _ => Self::Sqlite { path, source: Arc::new(error) },
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Full { .. })
    }

    /// Whether the caller's values were at fault, not the store.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        matches!(self, Self::Attribute(_) | Self::Duplicate { .. } | Self::NoId)
    }

    /// What a person can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Directory { .. } | Self::Open { .. } | Self::ReadOnly { .. } => {
                "make it writable for this user, or name another place with --store PATH"
            }
            Self::Locked { .. } => {
                "stop the other process that uses this file, or give this one its own with --store PATH"
            }
            Self::Corrupt { .. } => {
                "move the file away (with its -wal and -shm beside it) and start again; `sqlite3 FILE .recover` saves what can be saved"
            }
            Self::Full { .. } => {
                "free some space, or name a place on another disk with --store PATH"
            }
            Self::Foreign { .. } => "name a file of its own with --store PATH",
            Self::Newer { .. } => "use the newer version, or name another file with --store PATH",
            Self::Attribute(_) | Self::Duplicate { .. } | Self::NoId => "change what is attested",
            Self::NoFreeId { .. } => "try again",
            Self::Closed { .. } => "restart the plugin",
            Self::Sqlite { .. } => "see the reason; --store PATH names another file",
        }
    }
}
