//! Which webhook deliveries were taken: kept on the disk, so that a delivery played again is known after a restart too.
//!
//! A file of its own beside the journal, because losing it must not harm the connection. What is remembered is the
//! fingerprint and the time of signing, for as long as the same delivery could pass for fresh.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use counterfoil_protocol::{UnixTime, webhook::DEFAULT_TOLERANCE};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The name of the file in the state directory.
pub(crate) const FILE: &str = "deliveries.db";

/// The most deliveries that are remembered at a time: a platform that sends more within the window has to wait.
const MOST: i64 = 20_000;

/// How long a delivery is remembered after it was signed, in seconds: twice as long as it is fresh, because our clock
/// may be set back.
const REMEMBERED: i64 = 2 * DEFAULT_TOLERANCE;

/// `floor`: the newest delivery that was forgotten, and no older one is taken any more. `made_at`: when this memory
/// began.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS delivery (
        fingerprint BLOB PRIMARY KEY,
        signed_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS delivery_by_time ON delivery (signed_at);
    CREATE TABLE IF NOT EXISTS memory (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        floor INTEGER NOT NULL,
        made_at INTEGER NOT NULL
    ) STRICT;
";

/// What the memory says of a delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// It was taken before.
    Before,
    /// There is no room to remember it.
    Full,
    /// Never; it is remembered now.
    Never,
    /// It may have been taken before, in a time of which the memory is gone.
    Unknown,
}

/// A delivery, as far as the memory is concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fingerprint {
    /// By what it is known again.
    pub(crate) hash: [u8; 32],
    /// When it was signed, on the platform's clock.
    pub(crate) signed_at: UnixTime,
    /// Since when deliveries of this connection may have come, on our clock.
    pub(crate) connected_at: UnixTime,
}

/// The memory. Opened at the first use, and anew when the file was taken away.
#[derive(Debug)]
pub(crate) struct Deliveries {
    path: PathBuf,
    db: Mutex<Option<Connection>>,
}

impl Deliveries {
    /// The memory in a state directory. It is begun now, so that it is older than any connection to come; what stands
    /// in the way of that is told at the first delivery.
    pub(crate) fn within(state_dir: &Path, now: UnixTime) -> Arc<Self> {
        let deliveries = Self { path: state_dir.join(FILE), db: Mutex::default() };
        if let Err(error) = deliveries.with(now, |_| Ok(())) {
            tracing::warn!(%error, "the memory of webhook deliveries cannot be opened");
        }
        Arc::new(deliveries)
    }

    /// Remembers a delivery, durably, and says whether it was known. Blocks while the disk works.
    pub(crate) fn remember(
        &self,
        delivery: &Fingerprint,
        now: UnixTime,
    ) -> Result<Seen, rusqlite::Error> {
        self.with(now, |db| {
            let transaction = db.transaction()?;
            forget(&transaction, now)?;
            let seen = judge(&transaction, delivery)?;
            if seen == Seen::Never {
                transaction.execute(
                    "INSERT INTO delivery VALUES (?1, ?2)",
                    params![delivery.hash, delivery.signed_at.0],
                )?;
            }
            transaction.commit()?;
            Ok(seen)
        })
    }

    /// Works on the open file. After a failure it is opened anew.
    fn with<T>(
        &self,
        now: UnixTime,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut guard = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let mut db = match guard.take().filter(|_| self.path.exists()) {
            Some(db) => db,
            None => self.open(now)?,
        };
        let done = work(&mut db)?;
        *guard = Some(db);
        Ok(done)
    }

    fn open(&self, now: UnixTime) -> rusqlite::Result<Connection> {
        begin(&self.path, now).or_else(|error| {
            let damaged = matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
            );
            if !damaged {
                return Err(error);
            }
            tracing::warn!("the memory of webhook deliveries is damaged; it is begun anew");
            let _ = std::fs::remove_file(&self.path);
            begin(&self.path, now)
        })
    }
}

fn begin(path: &Path, now: UnixTime) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "TRUNCATE")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(SCHEMA)?;
    db.execute("INSERT OR IGNORE INTO memory VALUES (1, 0, ?1)", params![now.0])?;
    Ok(db)
}

/// Forgets what cannot pass for fresh any more, and remembers how far that went: a clock that is set back must not
/// make forgotten deliveries new.
fn forget(db: &Connection, now: UnixTime) -> rusqlite::Result<()> {
    let ended = now - REMEMBERED;
    db.execute(
        "UPDATE memory SET floor = max(floor, coalesce((SELECT max(signed_at) FROM delivery WHERE signed_at < ?1), 0))",
        params![ended.0],
    )?;
    db.execute("DELETE FROM delivery WHERE signed_at < ?1", params![ended.0])?;
    Ok(())
}

fn judge(db: &Connection, delivery: &Fingerprint) -> rusqlite::Result<Seen> {
    let known = db
        .query_row("SELECT 1 FROM delivery WHERE fingerprint = ?1", params![delivery.hash], |_| {
            Ok(())
        })
        .optional()?;
    if known.is_some() {
        return Ok(Seen::Before);
    }
    let (floor, made_at): (i64, i64) =
        db.query_row("SELECT floor, made_at FROM memory", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    // A memory that is younger than the connection was lost on the way.
    let lost = delivery.connected_at.0 < made_at
        && delivery.signed_at <= UnixTime(made_at) + DEFAULT_TOLERANCE;
    if lost || delivery.signed_at.0 <= floor {
        return Ok(Seen::Unknown);
    }
    let remembered: i64 = db.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0))?;
    Ok(if remembered < MOST { Seen::Never } else { Seen::Full })
}

#[cfg(test)]
mod tests;
