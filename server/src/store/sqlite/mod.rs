//! The store on SQLite: one file in WAL mode, every commit on disk before it is answered.
//!
//! One thread writes. It takes whatever requests wait, runs each in a savepoint of its own, and commits them with one
//! sync; each request waits for that commit. Readers stand beside it and see the last commit.

mod accounts;
mod applications;
mod audit;
mod clients;
mod columns;
mod commerce;
mod connections;
mod credentials;
mod ends;
mod frozen;
mod grants;
mod identities;
mod integrity;
mod key_rotation;
mod operators;
mod partner;
mod people;
#[cfg(test)]
mod plans;
mod recovery;
mod requests;
mod schema;
mod webhooks;
mod writer;

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rusqlite::{Connection, config::DbConfig};

pub use self::frozen::{Contents, Frozen, Standing};
use self::writer::Writer;
use super::{Result, StoreError};

/// The name of the database file in the data directory.
pub const FILE_NAME: &str = "counterfoil.db";

/// Readers beside the writer. A read of a few rows takes microseconds, so few are enough.
const READERS: usize = 4;

/// The SQLite store.
pub struct Sqlite {
    writer: Writer,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
}

impl Sqlite {
    /// Opens the database in `directory`, making or migrating it as needed.
    pub fn open(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE_NAME);
        let mut connection = connect(&path)?;
        schema::migrate(&mut connection)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(&path)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(Mutex::new(reader))
            })
            .collect::<Result<_>>()?;
        Ok(Self { writer: Writer::start(connection)?, readers, next_reader: AtomicUsize::new(0) })
    }

    /// Reads on a connection of its own, on the calling thread: the pages are in memory, and a hop to another thread
    /// would cost more than the read.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let start = self.next_reader.fetch_add(1, Ordering::Relaxed);
        // A query that panicked has left nothing on its connection: it only reads, and its statement is reset.
        let free =
            (0..READERS).find_map(|i| match self.readers[(start + i) % READERS].try_lock() {
                Ok(reader) => Some(reader),
                Err(TryLockError::Poisoned(reader)) => Some(reader.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            });
        let wait = || self.readers[start % READERS].lock().unwrap_or_else(PoisonError::into_inner);
        query(&free.unwrap_or_else(wait))
    }

    /// Writes in a savepoint and returns once the commit is on disk. An error leaves nothing behind.
    async fn write<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.writer.run(operation).await
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(128);
    // Without this, binding a value to a cached statement can make SQLite plan the statement anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Operator commands write from a process of their own.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Backend(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::contract::{Place, every_story};

    fn fresh() -> Place {
        let directory = Arc::new(tempfile::tempdir().expect("a directory"));
        let keep = Box::new(Arc::clone(&directory));
        let open = move || Arc::new(Sqlite::open(directory.path()).expect("opens")) as _;
        Place { open: Box::new(open), keep }
    }

    every_story!(super::fresh);
}
