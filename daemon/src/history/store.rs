//! The history's file, and the only SQL about it.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, ErrorCode, OpenFlags, params};
use serde_json::{Map, Value};

use super::{
    Kind, Record, calls,
    calls::{Key, Tally},
};

/// Rows of each table that are kept.
const MAX_ROWS: i64 = 10_000;

/// How long a row is kept, in seconds.
const MAX_AGE: i64 = 90 * 24 * 3_600;

/// Calls that are alike are told together for as long as this, in seconds.
const TOGETHER: i64 = 3_600;

/// `CtrH` in SQLite's header: the file is ours.
const APPLICATION_ID: i64 = 0x4374_7248;

/// The layout.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        code TEXT,
        detail TEXT NOT NULL
    ) STRICT;
    CREATE TABLE call (
        hour INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        client TEXT NOT NULL,
        method TEXT NOT NULL,
        path TEXT NOT NULL,
        outcome TEXT NOT NULL,
        count INTEGER NOT NULL,
        first_at INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        PRIMARY KEY (hour, uid, client, method, path, outcome)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX call_by_time ON call (last_at);
";

/// Why the history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    /// The file is not a history of this daemon.
    #[error("the history is damaged: {0}")]
    Damaged(String),
    /// The file cannot be made or moved.
    #[error("the history: {0}")]
    Io(#[from] io::Error),
    /// SQLite does not do what it is asked.
    #[error("the history: {0}")]
    Storage(#[from] rusqlite::Error),
}

impl HistoryError {
    /// Whether only a new file helps.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Io(_) => false,
            Self::Storage(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
        }
    }
}

/// One event on its way to the disk.
pub(super) struct Row {
    pub(super) at: UnixTime,
    pub(super) kind: Kind,
    pub(super) code: Option<&'static str>,
    pub(super) detail: Map<String, Value>,
}

/// The open file, for writing.
pub(super) struct Store {
    db: Connection,
}

/// What of the history is wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Query {
    /// Nothing before this time.
    pub(crate) since: Option<UnixTime>,
    /// These kinds alone; all where none is named.
    pub(crate) kinds: Vec<Kind>,
    /// The newest so many.
    pub(crate) limit: usize,
}

impl Store {
    /// Opens the history at `path`; makes it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, HistoryError> {
        if fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
            let db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            check(&db)?;
            return Ok(Self { db });
        }
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut db = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let transaction = db.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        Ok(Self { db })
    }

    /// Moves a damaged file out of the way. The one that was set aside before it goes.
    pub(super) fn set_aside(path: &Path) -> Result<(), HistoryError> {
        let named = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let _ = fs::remove_file(named("-journal"));
        Ok(fs::rename(path, named(".damaged"))?)
    }

    /// Adds rows and drops the oldest, in one transaction.
    pub(super) fn add(
        &mut self,
        rows: &[Row],
        calls: &HashMap<Key, Tally>,
        now: UnixTime,
    ) -> Result<(), HistoryError> {
        let transaction = self.db.transaction()?;
        {
            let mut event = transaction.prepare_cached(
                "INSERT INTO event (at, kind, code, detail) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for Row { at, kind, code, detail } in rows {
                let detail = Value::Object(detail.clone()).to_string();
                event.execute(params![at.0, kind.name(), code, detail])?;
            }
            let mut call = transaction.prepare_cached(
                "INSERT INTO call VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT DO UPDATE SET count = count + excluded.count, last_at = excluded.last_at",
            )?;
            for (Key { uid, client, method, path, outcome }, tally) in calls {
                let uid = uid.map_or(-1, i64::from);
                let hour = tally.last_at.0.div_euclid(TOGETHER);
                let count = i64::try_from(tally.count).unwrap_or(i64::MAX);
                let (first_at, last_at) = (tally.first_at.0, tally.last_at.0);
                call.execute(params![
                    hour, uid, client, method, path, outcome, count, first_at, last_at
                ])?;
            }
            prune(&transaction, now)?;
        }
        Ok(transaction.commit()?)
    }
}

/// Reads the newest records that `query` wants, the oldest of them first. Never changes the file.
pub(crate) fn read(path: &Path, query: &Query) -> Result<Vec<Record>, HistoryError> {
    let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check(&db)?;
    let wanted = |kind: Kind| query.kinds.is_empty() || query.kinds.contains(&kind);
    let since = query.since.map_or(i64::MIN, |since| since.0);
    let mut records = Vec::new();
    let mut events = db.prepare(
        "SELECT at, kind, code, detail FROM event WHERE at >= ?1 ORDER BY at DESC, id DESC",
    )?;
    let mut rows = events.query([since])?;
    while let Some(row) = rows.next()? {
        let (at, name, code, detail): (i64, String, Option<String>, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        // A kind of another version is left out: nothing could be said about it.
        let Some(kind) = Kind::named(&name).filter(|kind| wanted(*kind)) else { continue };
        let detail = serde_json::from_str(&detail).unwrap_or_default();
        records.push(Record::new(UnixTime(at), kind, code, 1, detail));
        if records.len() >= query.limit {
            break;
        }
    }
    let calls = read_calls(&db, since, query.limit, wanted)?;
    records.splice(0..0, calls);
    records.reverse();
    records.sort_by_key(|record| record.at);
    let surplus = records.len().saturating_sub(query.limit);
    Ok(records.split_off(surplus))
}

fn read_calls(
    db: &Connection,
    since: i64,
    limit: usize,
    wanted: impl Fn(Kind) -> bool,
) -> Result<Vec<Record>, HistoryError> {
    let mut records = Vec::new();
    let mut calls = db.prepare(
        "SELECT last_at, uid, client, method, path, outcome, count, first_at FROM call
         WHERE last_at >= ?1 ORDER BY last_at DESC, client DESC, path DESC, outcome DESC",
    )?;
    let mut rows = calls.query([since])?;
    while let Some(row) = rows.next()? {
        let [client, method, path, outcome] = [2, 3, 4, 5].map(|at| row.get::<_, String>(at));
        let (client, method, path, outcome) = (client?, method?, path?, outcome?);
        let uid = u32::try_from(row.get::<_, i64>(1)?).ok();
        let (kind, mut detail) = calls::detail(uid, &client, &method, &path, &outcome);
        if !wanted(kind) {
            continue;
        }
        detail.insert("first_at".to_owned(), row.get::<_, i64>(7)?.into());
        let count = row.get::<_, i64>(6)?.unsigned_abs();
        records.push(Record::new(UnixTime(row.get(0)?), kind, None, count, detail));
        if records.len() >= limit {
            break;
        }
    }
    Ok(records)
}

fn prune(db: &Connection, now: UnixTime) -> Result<(), HistoryError> {
    let oldest = now.0.saturating_sub(MAX_AGE);
    db.execute(
        "DELETE FROM event WHERE at < ?1 OR id <= (SELECT max(id) FROM event) - ?2",
        params![oldest, MAX_ROWS],
    )?;
    db.execute("DELETE FROM call WHERE last_at < ?1", [oldest])?;
    let rows: i64 = db.query_row("SELECT count(*) FROM call", [], |row| row.get(0))?;
    if rows > MAX_ROWS {
        // A tenth more than needed, so that this is not done at every writing.
        db.execute(
            "DELETE FROM call WHERE last_at <= (SELECT last_at FROM call ORDER BY last_at LIMIT 1 OFFSET ?1)",
            [rows - MAX_ROWS + MAX_ROWS / 10],
        )?;
    }
    Ok(())
}

/// Whether the file is a whole history of this layout.
fn check(db: &Connection) -> Result<(), HistoryError> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if (number("application_id")?, number("user_version")?) != (APPLICATION_ID, SCHEMA_VERSION) {
        return Err(HistoryError::Damaged("it is not a history of this version".to_owned()));
    }
    let sound: String = db.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if sound == "ok" { Ok(()) } else { Err(HistoryError::Damaged(sound)) }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(2))?;
    if access.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        db.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
    }
    Ok(db)
}
