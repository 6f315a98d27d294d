//! What must survive: who this installation is, and the facts of its connection, intents included.
//!
//! One SQLite file with a rollback journal that is truncated at commit, so that a copied file is whole. The facts
//! are one document with a checksum: every change is one transaction, and what was written is read back whole or
//! not at all. Whoever changes something on the server saves the intent first, sends, and saves the result before
//! anybody is told.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use counterfoil_protocol::{UnixTime, encoding::sha256, jwk::Thumbprint, secret::Secret};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::{files, session::Facts};

/// The name of the journal's file in the state directory.
pub(crate) const FILE: &str = "journal.db";

/// The layout this daemon writes. A file of a newer one is refused, never guessed at.
const SCHEMA_VERSION: i64 = 1;

/// `CtrF` in SQLite's header: the file is ours.
const APPLICATION_ID: i64 = 0x4374_7246;

const SCHEMA: &str = "
    CREATE TABLE identity (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        registration_id TEXT NOT NULL,
        thumbprint TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE facts (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        generation INTEGER NOT NULL,
        document TEXT NOT NULL,
        checksum BLOB NOT NULL,
        saved_at INTEGER NOT NULL
    ) STRICT;
";

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// Torn, empty, or not a journal of ours.
    #[error("the journal {} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// Written by a newer daemon.
    #[error(
        "the journal was written by a newer counterfoild (layout {found}, this one knows {SCHEMA_VERSION}); install that version again"
    )]
    Newer {
        /// The layout found.
        found: i64,
    },
    /// The disk does not do what it is asked.
    #[error("the journal cannot be written: {0}")]
    Storage(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error("the journal cannot be made: {0}")]
    Unmakeable(#[from] io::Error),
}

/// Who this installation is. Made once, kept for ever.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    /// The store's secret name for itself.
    pub(crate) registration_id: Secret,
    /// The key that belongs to it.
    pub(crate) thumbprint: Thumbprint,
}

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    db: Connection,
}

impl Journal {
    /// Makes the journal of a new installation. There must be none.
    pub(crate) fn create(
        path: &Path,
        identity: &Identity,
        now: UnixTime,
    ) -> Result<Self, JournalError> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut journal = Self { db: connect(path)? };
        let transaction = journal.db.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute(
            "INSERT INTO identity VALUES (1, ?1, ?2, ?3)",
            params![identity.registration_id.expose(), identity.thumbprint.to_string(), now.0],
        )?;
        transaction.execute("INSERT INTO facts VALUES (1, 0, '', x'', ?1)", params![now.0])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        journal.save(&Facts::default(), now)?;
        files::sync_parent(path)?;
        Ok(journal)
    }

    /// Opens the journal of an installation that exists.
    pub(crate) fn open(path: &Path) -> Result<(Self, Identity, Facts), JournalError> {
        let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), why };
        // SQLite takes an empty file for a new database. Ours was never empty.
        let length = std::fs::metadata(path).map_err(|error| damaged(error.to_string()))?.len();
        if length == 0 {
            return Err(damaged("it is empty".to_owned()));
        }
        let read = |db: &Connection| -> rusqlite::Result<_> {
            let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            Ok((number("application_id")?, number("user_version")?))
        };
        let db = connect(path).map_err(|error| damaged(error.to_string()))?;
        match read(&db).map_err(|error| damaged(error.to_string()))? {
            (APPLICATION_ID, SCHEMA_VERSION) => {}
            (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
                return Err(JournalError::Newer { found });
            }
            _ => return Err(damaged("it is not a journal of this daemon".to_owned())),
        }
        let journal = Self { db };
        let (identity, facts) = journal.read().map_err(damaged)?;
        // The last page may be cut within bytes that mean nothing, yet what cut it may come again.
        let pages = journal.length().map_err(|error| damaged(error.to_string()))?;
        if std::fs::metadata(path).ok().map(|metadata| metadata.len()) != Some(pages) {
            return Err(damaged("its end is missing".to_owned()));
        }
        Ok((journal, identity, facts))
    }

    /// Replaces the facts. When this returns, they are on the disk.
    pub(crate) fn save(&mut self, facts: &Facts, now: UnixTime) -> Result<(), JournalError> {
        let document = serde_json::to_string(facts)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let changed = self.db.execute(
            "UPDATE facts SET generation = generation + 1, document = ?1, checksum = ?2, saved_at = ?3",
            params![document, sha256(document.as_bytes()), now.0],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(rusqlite::Error::StatementChangedRows(changed).into())
        }
    }

    /// How long the file must be.
    fn length(&self) -> rusqlite::Result<u64> {
        let number = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        Ok(u64::from(number("page_count")?) * u64::from(number("page_size")?))
    }

    fn read(&self) -> Result<(Identity, Facts), String> {
        let words = |error: rusqlite::Error| error.to_string();
        let check: String =
            self.db.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(words)?;
        if check != "ok" {
            return Err("its pages do not fit together".to_owned());
        }
        let (registration_id, thumbprint): (String, String) = self
            .db
            .query_row("SELECT registration_id, thumbprint FROM identity", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(words)?
            .ok_or("it does not say whose it is")?;
        let (document, checksum): (String, Vec<u8>) = self
            .db
            .query_row("SELECT document, checksum FROM facts", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(words)?
            .ok_or("its facts are missing")?;
        if checksum != sha256(document.as_bytes()) {
            return Err("its facts do not have their checksum".to_owned());
        }
        let facts = serde_json::from_str(&document).map_err(|_| "its facts cannot be read")?;
        let thumbprint = thumbprint.parse().map_err(|_| "it names no key")?;
        Ok((Identity { registration_id: Secret::new(registration_id), thumbprint }, facts))
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    // Freed pages would keep what was a token.
    db.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    Ok(db)
}

#[cfg(test)]
mod tests;
