//! The database file: where it is, how it is opened, what is in it.
//!
//! **Durability.** Write-ahead log with `synchronous = NORMAL`. A commit has
//! then been handed to the kernel before its caller is answered, so `kill -9`
//! of this process right after an answer loses nothing. A power failure or
//! kernel crash may lose the commits since the last checkpoint, never the
//! consistency of the file. `FULL` would also survive that, at the price of an
//! `fsync` per commit, milliseconds on most disks, where `attest()` has some
//! three hundred microseconds; the core's own store makes the same choice.
//!
//! **Invariant:** a file is changed only after its application id and schema
//! version were looked at; a foreign or newer one is left as it was.

use super::BUSY;
use super::error::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// "QNTX" in ASCII.
const APPLICATION_ID: i32 = 0x514E_5458;
/// Raised with every change of the tables below.
const VERSION: i32 = 1;

/// `seq` is the order of insertion. `term` holds every value of the four
/// lists, folded for comparison, with the order of answers in its key, so that
/// the newest match of a value is found without sorting.
const TABLES: &str = "
CREATE TABLE attestation (
    seq        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    subjects   TEXT NOT NULL,
    predicates TEXT NOT NULL,
    contexts   TEXT NOT NULL,
    actors     TEXT NOT NULL,
    timestamp  INTEGER NOT NULL,
    source     TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    signature  BLOB NOT NULL,
    signer_did TEXT NOT NULL
) STRICT;
CREATE INDEX attestation_order ON attestation (created_at, seq);
CREATE INDEX attestation_time ON attestation (timestamp);
CREATE TABLE term (
    dimension  INTEGER NOT NULL,
    value      TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (dimension, value, created_at, seq)
) STRICT, WITHOUT ROWID;
";

/// Where attestations are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorePath {
    /// In this process's memory; gone with it.
    Memory,
    File(PathBuf),
}

impl StorePath {
    /// `:memory:`, or a path.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == ":memory:" { Self::Memory } else { Self::File(PathBuf::from(text)) }
    }

    /// For messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Memory => Path::new(":memory:"),
            Self::File(path) => path,
        }
    }
}

impl std::fmt::Display for StorePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path().display().fmt(f)
    }
}

/// The writing connection: makes directory, file and tables where missing.
pub(super) fn open_writer(place: &StorePath) -> Result<Connection, StoreError> {
    let path = place.path();
    let sort = |error| StoreError::sort(path, error);
    let connection = match place {
        StorePath::Memory => Connection::open_in_memory().map_err(sort)?,
        StorePath::File(file) => {
            make_file(file)?;
            Connection::open_with_flags(file, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))
                .map_err(sort)?
        }
    };
    connection.busy_timeout(BUSY).map_err(sort)?;
    prepare(&connection, path)?;
    Ok(connection)
}

/// A reading connection to a file that [`open_writer`] has prepared.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let sort = |error| StoreError::sort(file, error);
    let connection = Connection::open_with_flags(file, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))
        .map_err(sort)?;
    connection.busy_timeout(BUSY).map_err(sort)?;
    connection.pragma_update(None, "query_only", true).map_err(sort)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// A commit that changes nothing.
pub(super) fn touch(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection
        .pragma_update(None, "user_version", VERSION)
        .map_err(|error| StoreError::sort(path, error))
}

fn flags(access: OpenFlags) -> OpenFlags {
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// The directory is made for this user alone, and so is the file: what scripts
/// attest is nobody else's.
fn make_file(file: &Path) -> Result<(), StoreError> {
    if let Some(directory) = file.parent().filter(|path| !path.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(
            |source| StoreError::Directory { path: directory.to_owned(), source: Arc::new(source) },
        )?;
    }
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file);
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            Err(StoreError::Full { path: file.to_owned() })
        }
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Err(StoreError::ReadOnly { path: file.to_owned() })
        }
        Err(source) => Err(StoreError::Open { path: file.to_owned(), source: Arc::new(source) }),
    }
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sort = |error| StoreError::sort(path, error);
    let number = |name: &str| -> Result<i32, StoreError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(sort)
    };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sort)?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    let fresh = tables == 0 && application == 0;
    if !fresh && application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), found: application });
    }
    if version > VERSION {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: VERSION });
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(sort)?;
    tracing::debug!(target: "qntx_python::store", path = %path.display(), mode, "store opened");
    connection
        .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;")
        .map_err(sort)?;
    // a thread of its own checkpoints; this is the backstop
    connection.pragma_update(None, "wal_autocheckpoint", 20_000).map_err(sort)?;
    // a log that grew under load shrinks again when it begins anew
    connection
        .pragma_update_and_check(None, "journal_size_limit", 32 << 20, |_| Ok(()))
        .map_err(sort)?;
    connection.set_prepared_statement_cache_capacity(32);
    if fresh {
        // IMMEDIATE and looked at again: two processes may start on one new file
        connection.execute_batch("BEGIN IMMEDIATE").map_err(sort)?;
        let made = if number("application_id")? == APPLICATION_ID {
            Ok(())
        } else {
            connection.execute_batch(&format!(
                "{TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            ))
        };
        let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
        connection.execute_batch(end).map_err(sort)?;
        made.map_err(sort)?;
    }
    Ok(())
}
