//! The embedded attestation store: SQLite in one file, for a plugin without a
//! core, and behind the host that tests run against.
//!
//! It keeps the core's rules (ids, actors replaced by the id, `_` for nothing,
//! OR within a list and AND across, case-insensitive, newest first), but keeps
//! everything: the core's distillation of old rows is not applied. It has no
//! node key, so signatures are empty.
//!
//! **Invariant:** a create that was answered survives `kill -9` of this
//! process (see `schema.rs` for what a power failure may take).

mod attestation;
mod attributes;
mod error;
mod id;
mod insert;
mod query;
mod schema;
mod service;
mod writer;

#[cfg(test)]
mod tests;

pub use attestation::{Attestation, Command, Filter, is_zero_time};
pub use attributes::{
    AttributeError, Attributes, MAX_DEPTH, check_integers, from_struct, normalise, to_struct,
};
pub use error::{BatchError, StoreError};
pub use schema::StorePath;
pub use service::StoreService;

use query::{Page, Position};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use writer::{Desk, Wish};

/// Longest wait for another process's lock.
const BUSY: Duration = Duration::from_secs(2);
/// Wishes waiting for the writer before callers wait in front of it.
const BACKLOG: usize = 1024;
/// Reading connections kept open.
const READERS: usize = 4;
/// Rows of a page of [`Store::pages`].
const PAGE: u64 = 256;

/// Handle to an open store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    place: StorePath,
    desk: Arc<Desk>,
    writer: mpsc::Sender<Wish>,
    /// Idle reading connections. Empty for a store in memory.
    readers: Mutex<Vec<Connection>>,
}

/// An answer in pages, as it was when the first one was read.
#[derive(Debug)]
pub struct Pages {
    store: Store,
    filter: Filter,
    after: Option<Position>,
    newest: Option<i64>,
    /// Rows still wanted.
    left: Option<u64>,
    done: bool,
}

impl Store {
    /// Opens the store at `place`, making directory, file and tables where
    /// missing. Blocks for the time of a few file operations.
    pub fn open(place: &StorePath) -> Result<Self, StoreError> {
        let desk = Desk::open(place)?;
        let (sender, wishes) = mpsc::channel(BACKLOG);
        let serving = Arc::clone(&desk);
        // it ends with the last sender
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || serving.serve(wishes))
            .map_err(|source| StoreError::Open {
                path: place.path().to_owned(),
                source: Arc::new(source),
            })?;
        Ok(Self {
            inner: Arc::new(Inner {
                place: place.clone(),
                desk,
                writer: sender,
                readers: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &StorePath {
        &self.inner.place
    }

    /// Attests: the store makes id, actors and times. Some 40 µs of it may be
    /// spent on the caller's thread.
    pub async fn create(&self, command: Command) -> Result<Attestation, StoreError> {
        if self.inner.writer.is_closed() {
            return Err(self.closed());
        }
        match self.inner.desk.try_create(Box::new(command)) {
            Ok(done) => done,
            Err(command) => self.write(|answer| Wish::Create(command, answer)).await?,
        }
    }

    /// Keeps an attestation under the id and actors it has.
    pub async fn keep(&self, attestation: Attestation) -> Result<Attestation, StoreError> {
        self.write(|answer| Wish::Keep(Box::new(attestation), answer)).await?
    }

    /// Attests many, in order, up to the first failure.
    pub async fn create_many(&self, commands: Vec<Command>) -> Result<u32, BatchError> {
        let total = commands.len();
        if total == 0 {
            return Ok(0);
        }
        self.write(|answer| Wish::Batch(commands, answer))
            .await
            .unwrap_or_else(|source| Err(BatchError { created: 0, total, source }))
    }

    /// All matches up to the filter's limit, newest first.
    pub async fn query(&self, filter: Filter) -> Result<Vec<Attestation>, StoreError> {
        self.read(move |connection, path| {
            let rows = limit(&filter);
            let page = Page { filter: &filter, after: None, newest: None, rows };
            query::select(connection, path, &page).map(|(found, _)| found)
        })
        .await
    }

    /// The same, some hundred at a time.
    #[must_use]
    pub fn pages(&self, filter: Filter) -> Pages {
        let left = limit(&filter);
        Pages { store: self.clone(), filter, after: None, newest: None, left, done: false }
    }

    /// Whether an attestation of this id is there.
    pub async fn exists(&self, id: String) -> Result<bool, StoreError> {
        self.read(move |connection, path| query::exists(connection, path, &id)).await
    }

    /// Waits for what is being written, folds the log into the file and ends
    /// the writer. Later calls on any clone are refused.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.write(Wish::Close).await
    }

    async fn write<T>(
        &self,
        wish: impl FnOnce(oneshot::Sender<T>) -> Wish,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.inner.writer.send(wish(answer)).await.map_err(|_| self.closed())?;
        answered.await.map_err(|_| self.closed())
    }

    /// Runs `read` on a connection of its own, off the async threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let StorePath::File(file) = &self.inner.place else {
            return self
                .write(|answer| {
                    Wish::Read(Box::new(move |connection| {
                        // the caller may be gone
                        let _ = answer.send(read(connection, StorePath::Memory.path()));
                    }))
                })
                .await?;
        };
        if self.inner.writer.is_closed() {
            return Err(self.closed());
        }
        let (inner, file): (Arc<Inner>, PathBuf) = (Arc::clone(&self.inner), file.clone());
        let task = tokio::task::spawn_blocking(move || {
            let idle = inner.idle().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => schema::open_reader(&file)?,
            };
            let done = read(&connection, &file);
            let mut readers = inner.idle();
            if readers.len() < READERS {
                readers.push(connection);
            }
            drop(readers);
            done
        });
        // a panic in there, or a runtime that is going down
        task.await.unwrap_or_else(|_| Err(self.closed()))
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.inner.place.path().to_owned() }
    }
}

impl Inner {
    /// Connections are whole at any time, so a poisoned lock is no reason to stop.
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// Whether the last page was given. May be found out only by asking for
    /// one more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Attestation>>, StoreError> {
        if self.done {
            return Ok(None);
        }
        let filter = self.filter.clone();
        let (after, newest) = (self.after, self.newest);
        let rows = self.left.unwrap_or(PAGE).min(PAGE);
        let (newest, found, last) = self
            .store
            .read(move |connection, path| {
                let newest = match newest {
                    Some(newest) => newest,
                    None => query::newest(connection, path)?,
                };
                let page = Page { filter: &filter, after, newest: Some(newest), rows: Some(rows) };
                let (found, last) = query::select(connection, path, &page)?;
                Ok((newest, found, last))
            })
            .await?;
        let count = found.len() as u64;
        self.newest = Some(newest);
        self.after = last;
        self.left = self.left.map(|left| left.saturating_sub(count));
        self.done = count < rows || self.left == Some(0);
        Ok((!found.is_empty()).then_some(found))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("place", &self.inner.place).finish_non_exhaustive()
    }
}

fn limit(filter: &Filter) -> Option<u64> {
    filter.limit.filter(|limit| *limit > 0).map(u64::from)
}
