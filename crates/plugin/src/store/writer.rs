//! The writer: one connection, group commit.
//!
//! A lone caller writes by itself, on its own thread: its two wake-ups of
//! another thread would cost four times the write. As soon as two want to
//! write at once, they put their wishes on a channel; the writer thread takes
//! whatever waits there, writes all of it in one transaction, commits, and
//! only then answers. A hundred at once pay for one commit.
//!
//! Measured (two cores, µs, p50): a write 20–30; through the thread 130,
//! inline 45; 100 callers at once 37 each.
//!
//! **Invariant:** nobody is told "written" before the commit that wrote it.

use super::attestation::{Attestation, Command};
use super::error::{BatchError, StoreError};
use super::schema::{self, StorePath};
use super::{BUSY, insert};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError, Weak, mpsc as blocking};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Most wishes in one transaction.
const GROUP: usize = 512;
/// Rows of a batch per transaction, as the core does it.
const CHUNK: usize = 500;
/// Rows between two checkpoints of the log. A row written alone touches some
/// nine pages, so that the log stays below 20 MB.
const CHECKPOINT: usize = 500;

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

/// The connection that writes, and who may use it.
pub(super) struct Desk {
    connection: Mutex<Connection>,
    path: PathBuf,
    /// Written since the last checkpoint was asked for.
    rows: AtomicUsize,
    /// Wakes the thread that moves the log into the file. Unset in memory.
    checkpoints: OnceLock<blocking::SyncSender<()>>,
}

impl Desk {
    /// Opens the writing connection at `place`.
    pub(super) fn open(place: &StorePath) -> Result<Arc<Self>, StoreError> {
        let desk = Arc::new(Self {
            connection: Mutex::new(schema::open_writer(place)?),
            path: place.path().to_owned(),
            rows: AtomicUsize::new(0),
            checkpoints: OnceLock::new(),
        });
        if let StorePath::File(file) = place {
            let checkpoints = checkpointer(file, Arc::downgrade(&desk))?;
            desk.checkpoints.get_or_init(|| checkpoints);
        }
        Ok(desk)
    }

    /// Writes `command` here and now; gives it back when somebody else writes.
    pub(super) fn try_create(
        &self,
        command: Box<Command>,
    ) -> Result<Result<Attestation, StoreError>, Box<Command>> {
        let connection = match self.connection.try_lock() {
            Ok(connection) => connection,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(command),
        };
        let writer = Writer { connection: &connection, desk: self };
        // another process's lock is not waited for on the caller's thread
        let begun = writer.patience(Duration::ZERO).and_then(|()| writer.begin());
        let begun = writer.patience(BUSY).and(begun);
        match begun {
            Ok(()) => {}
            Err(StoreError::Locked { .. }) => return Err(command),
            Err(error) => return Ok(Err(error)),
        }
        let written = insert::generate(&connection, &self.path, *command);
        let ended = match &written {
            Ok(_) => writer.commit(),
            Err(_) => writer.rollback(),
        };
        self.wrote(1);
        Ok(written.and_then(|attestation| ended.map(|()| attestation)))
    }

    /// The life of the writer thread.
    pub(super) fn serve(&self, mut wishes: mpsc::Receiver<Wish>) {
        let mut closing = None;
        while closing.is_none()
            && let Some(first) = wishes.blocking_recv()
        {
            let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
            closing = Writer { connection: &connection, desk: self }.group(first, &mut wishes);
        }
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        checkpoint(&connection, &self.path, "TRUNCATE");
        if let Some(done) = closing {
            // whoever closes may have stopped waiting
            let _ = done.send(());
        }
    }

    /// Moves what is left and begins the log anew. The first commit after a
    /// complete checkpoint syncs the log's header: it is made here, so that no
    /// caller's thread has to wait for the disk.
    fn restart_log(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        checkpoint(&connection, &self.path, "PASSIVE");
        if let Err(error) = schema::touch(&connection, &self.path) {
            // the next commit does the same, only more slowly
            tracing::warn!(target: "qntx_python::store", %error, "log not restarted");
        }
    }

    fn wrote(&self, rows: usize) {
        if self.rows.fetch_add(rows, Ordering::Relaxed) + rows < CHECKPOINT {
            return;
        }
        self.rows.store(0, Ordering::Relaxed);
        if let Some(checkpoints) = self.checkpoints.get() {
            // full: one is due already
            let _ = checkpoints.try_send(());
        }
    }
}

/// The thread that moves the log into the database file, on a connection of
/// its own: its `fsync`s take tens of milliseconds.
fn checkpointer(file: &Path, desk: Weak<Desk>) -> Result<blocking::SyncSender<()>, StoreError> {
    let (sender, due) = blocking::sync_channel::<()>(1);
    let connection = schema::open_reader(file)?;
    let path = file.to_owned();
    std::thread::Builder::new()
        .name("store-log".to_owned())
        .spawn(move || {
            // ends with the desk that holds the sender
            while due.recv().is_ok() {
                // most of it while others go on writing
                checkpoint(&connection, &path, "PASSIVE");
                let Some(desk) = desk.upgrade() else { return };
                desk.restart_log();
            }
        })
        .map(|_| sender)
        .map_err(|source| StoreError::Open { path: file.to_owned(), source: source.into() })
}

fn checkpoint(connection: &Connection, path: &Path, mode: &str) {
    let moved = connection
        .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get::<_, i64>(0));
    if let Err(error) = moved {
        // nothing is lost: the log is read as well, and tried again later
        tracing::warn!(target: "qntx_python::store", path = %path.display(), %error,
            "checkpoint failed");
    }
}

/// The use of the connection for one group.
struct Writer<'a> {
    connection: &'a Connection,
    desk: &'a Desk,
}

impl Writer<'_> {
    /// Does `first` and what waits behind it. `Some` when asked to close.
    fn group(&self, first: Wish, wishes: &mut mpsc::Receiver<Wish>) -> Option<oneshot::Sender<()>> {
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
    fn singles(&self, first: Wish, wishes: &mut mpsc::Receiver<Wish>) -> Option<Wish> {
        let mut pending: Vec<Pending> = Vec::new();
        let mut other = None;
        let begun = self.begin();
        let mut next = Some(first);
        while let Some(wish) = next.take() {
            let (answer, written) = match wish {
                Wish::Create(command, answer) => {
                    let write = |w: &Self| insert::generate(w.connection, &w.desk.path, *command);
                    (answer, begun.clone().and_then(|()| self.atomically(write)))
                }
                Wish::Keep(attestation, answer) => {
                    let write = |w: &Self| insert::keep(w.connection, &w.desk.path, *attestation);
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
        self.desk.wrote(pending.len());
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
    fn batch(&self, commands: Vec<Command>) -> Result<u32, BatchError> {
        let total = commands.len();
        let mut created: u32 = 0;
        let mut commands = commands.into_iter().peekable();
        while commands.peek().is_some() {
            let stop = |created, source| BatchError { created, total, source };
            self.begin().map_err(|error| stop(created, error))?;
            let (mut written, mut failure) = (0, None);
            for command in commands.by_ref().take(CHUNK) {
                let write = |w: &Self| insert::generate(w.connection, &w.desk.path, command);
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
            self.desk.wrote(CHUNK);
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
        if self.connection.is_autocommit() {
            // SQLite rolled everything back by itself: the disk is full or failing
            return Err(StoreError::Full { path: self.desk.path.clone() });
        }
        let committed = self.sql("COMMIT");
        if committed.is_err()
            && let Err(error) = self.rollback()
        {
            // the commit's own error is what callers are told
            tracing::error!(target: "qntx_python::store", %error, "rollback failed");
        }
        committed
    }

    fn rollback(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() { Ok(()) } else { self.sql("ROLLBACK") }
    }

    /// How long another process's lock is waited for.
    fn patience(&self, time: Duration) -> Result<(), StoreError> {
        self.connection.busy_timeout(time).map_err(|error| StoreError::sort(&self.desk.path, error))
    }

    fn sql(&self, text: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute([]))
            .map(|_| ())
            .map_err(|error| StoreError::sort(&self.desk.path, error))
    }
}
