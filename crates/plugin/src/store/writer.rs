//! The writer: one thread, one connection, group commit.
//!
//! Callers put their wish on a channel. The thread takes whatever waits there,
//! writes all of it in one transaction, commits, and only then answers. A lone
//! caller pays for its own commit; a hundred at once pay for one.
//!
//! **Invariant:** nobody is told "written" before the commit that wrote it.

use super::attestation::{Attestation, Command};
use super::error::{BatchError, StoreError};
use super::insert;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, oneshot};

/// Most wishes in one transaction.
const GROUP: usize = 512;
/// Rows of a batch per transaction, as the core does it.
const CHUNK: usize = 500;
/// Rows between two checkpoints of the log: some 4 MB.
const CHECKPOINT: usize = 4_000;

/// Something to be written, and whom to tell.
pub(super) enum Wish {
    Create(Box<Command>, oneshot::Sender<Result<Attestation, StoreError>>),
    Keep(Box<Attestation>, oneshot::Sender<Result<Attestation, StoreError>>),
    Batch(Vec<Command>, oneshot::Sender<Result<u32, BatchError>>),
    /// Reads of a database in memory, which has one connection only.
    Read(Box<dyn FnOnce(&Connection) + Send>),
    /// Ends the thread; what came before is done.
    Close(oneshot::Sender<()>),
}

/// What was written but not yet committed.
enum Pending {
    One(oneshot::Sender<Result<Attestation, StoreError>>, Box<Attestation>),
    Refused(oneshot::Sender<Result<Attestation, StoreError>>, StoreError),
}

/// The life of the writer thread.
pub(super) fn run(connection: &Connection, path: PathBuf, mut wishes: mpsc::Receiver<Wish>) {
    let mut writer = Writer { connection, path, rows: 0 };
    while let Some(first) = wishes.blocking_recv() {
        if let Some(done) = writer.group(first, &mut wishes) {
            writer.checkpoint("TRUNCATE");
            // whoever closes may have stopped waiting
            let _ = done.send(());
            return;
        }
        if writer.rows >= CHECKPOINT && wishes.is_empty() {
            writer.checkpoint("PASSIVE");
        }
    }
    writer.checkpoint("TRUNCATE");
}

struct Writer<'a> {
    connection: &'a Connection,
    path: PathBuf,
    /// Written since the last checkpoint.
    rows: usize,
}

impl Writer<'_> {
    /// Does `first` and what waits behind it. `Some` when asked to close.
    fn group(
        &mut self,
        first: Wish,
        wishes: &mut mpsc::Receiver<Wish>,
    ) -> Option<oneshot::Sender<()>> {
        let mut next = Some(first);
        while let Some(wish) = next.take() {
            match wish {
                Wish::Close(done) => return Some(done),
                Wish::Read(read) => read(self.connection),
                Wish::Batch(commands, answer) => {
                    // a caller that gave up still has its batch written
                    let _ = answer.send(self.batch(commands));
                }
                wish @ (Wish::Create(..) | Wish::Keep(..)) => next = self.singles(wish, wishes),
            }
        }
        None
    }

    /// One transaction for `first` and the single wishes right behind it.
    /// Returns the first wish of another kind it met.
    fn singles(&mut self, first: Wish, wishes: &mut mpsc::Receiver<Wish>) -> Option<Wish> {
        let mut pending: Vec<Pending> = Vec::new();
        let mut other = None;
        let begun = self.begin();
        let mut next = Some(first);
        while let Some(wish) = next.take() {
            let (answer, written) = match wish {
                Wish::Create(command, answer) => {
                    let write = |w: &Self| insert::generate(w.connection, &w.path, *command);
                    (answer, begun.clone().and_then(|()| self.atomically(write)))
                }
                Wish::Keep(attestation, answer) => {
                    let write = |w: &Self| insert::keep(w.connection, &w.path, *attestation);
                    (answer, begun.clone().and_then(|()| self.atomically(write)))
                }
                wish @ (Wish::Batch(..) | Wish::Read(_) | Wish::Close(_)) => {
                    other = Some(wish);
                    break;
                }
            };
            pending.push(match written {
                Ok(attestation) => Pending::One(answer, Box::new(attestation)),
                Err(error) => Pending::Refused(answer, error),
            });
            if pending.len() < GROUP {
                next = wishes.try_recv().ok();
            }
        }
        let committed = begun.and_then(|()| self.commit());
        self.rows += pending.len();
        for one in pending {
            // a caller that gave up is not waiting any more; its row stays
            let _ = match (one, &committed) {
                (Pending::One(answer, attestation), Ok(())) => answer.send(Ok(*attestation)),
                (Pending::One(answer, _), Err(error)) => answer.send(Err(error.clone())),
                (Pending::Refused(answer, error), _) => answer.send(Err(error)),
            };
        }
        other
    }

    /// Chunks of [`CHUNK`]; at the first failure what was written before stays.
    fn batch(&mut self, commands: Vec<Command>) -> Result<u32, BatchError> {
        let total = commands.len();
        let mut created: u32 = 0;
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let stop = |created, source| BatchError { created, total, source };
            self.begin().map_err(|error| stop(created, error))?;
            let (mut written, mut failure) = (0, None);
            for command in commands.by_ref().take(CHUNK) {
                let write = |w: &Self| insert::generate(w.connection, &w.path, command);
                match self.atomically(write) {
                    Ok(_) => written += 1,
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            self.commit().map_err(|error| stop(created, error))?;
            created += written;
            self.rows += CHUNK;
            if let Some(error) = failure {
                return Err(stop(created, error));
            }
        }
        Ok(created)
    }

    /// A savepoint around one attestation: a failure half-way leaves no rows.
    fn atomically<T>(
        &self,
        write: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.sql("SAVEPOINT one")?;
        let written = write(self);
        match &written {
            Ok(_) => self.sql("RELEASE one")?,
            // a full disk may have ended the whole transaction already
            Err(_) if self.connection.is_autocommit() => {}
            Err(_) => self.sql("ROLLBACK TO one")?,
        }
        written
    }

    fn begin(&self) -> Result<(), StoreError> {
        self.sql("BEGIN IMMEDIATE")
    }

    fn commit(&self) -> Result<(), StoreError> {
        let committed = if self.connection.is_autocommit() {
            // SQLite rolled everything back by itself: the disk is full or failing
            Err(StoreError::Full { path: self.path.clone() })
        } else {
            self.sql("COMMIT")
        };
        if committed.is_err() && !self.connection.is_autocommit() {
            // the commit's own error is what callers are told
            if let Err(error) = self.sql("ROLLBACK") {
                tracing::error!(target: "qntx_python::store", %error, "rollback failed");
            }
        }
        committed
    }

    fn sql(&self, text: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|error| StoreError::sort(&self.path, error))
    }

    /// Moves the log into the database file, after everybody was answered.
    fn checkpoint(&mut self, mode: &str) {
        self.rows = 0;
        let path: &Path = &self.path;
        let moved =
            self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                row.get::<_, i64>(0)
            });
        if let Err(error) = moved {
            // nothing is lost: the log is read as well, and tried again later
            tracing::warn!(target: "qntx_python::store", path = %path.display(), %error,
                "checkpoint failed");
        }
    }
}
