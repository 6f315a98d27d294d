//! What must survive: who this installation is, and the facts of its connection, intents included.
//!
//! One SQLite file with a rollback journal that is truncated at commit, so that a copied file is whole. The facts
//! are one document with a checksum: every change is one transaction, and what was written is read back whole or
//! not at all. Whoever changes something on the server saves the intent first, sends, and saves the result before
//! anybody is told.

mod cover;
mod layout;

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterfoil_protocol::{UnixTime, encoding::sha256, jwk::Thumbprint, secret::Secret};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};
use serde_json::Value;
use zeroize::Zeroizing;

use self::cover::{Cover, Part};
use crate::{
    files,
    key::{Seal, StaysClosed},
    session::Facts,
};

/// The name of the journal's file in the state directory.
pub(crate) const FILE: &str = "journal.db";

/// The name of SQLite's file beside it, by which a change that was cut short is taken back.
pub(crate) const ROLLBACK_FILE: &str = "journal.db-journal";

/// `CtrF` in SQLite's header: the file is ours.
const APPLICATION_ID: i64 = 0x4374_7246;

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
        "the journal was written by a newer counterfoild (layout {found}, this one knows {}); install that version again",
        layout::CURRENT
    )]
    Newer {
        /// The layout found.
        found: i64,
    },
    /// Sealed, and there is nothing to open it with.
    #[error("the journal {} is sealed, and the credential that opens it is not given", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// Sealed, and what is given does not open it.
    #[error("the journal {} stays closed: {why}", path.display())]
    StaysClosed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: StaysClosed,
    },
    /// There, and neither readable nor known to be damaged: permissions, or the disk.
    #[error("the journal {} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
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
}

/// The open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    db: Connection,
    cover: Cover,
}

impl Journal {
    /// Makes the journal of a new installation. There must be none.
    pub(crate) fn create(
        path: &Path,
        identity: &Identity,
        facts: &Facts,
        seal: Option<Arc<Seal>>,
        now: UnixTime,
    ) -> Result<Self, JournalError> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut journal = Self { db: connect(path)?, cover: Cover(seal) };
        let registration_id =
            journal.cover.put_on(Part::RegistrationId, identity.registration_id.expose());
        let transaction = journal.db.transaction()?;
        transaction.execute_batch(layout::SCHEMA)?;
        transaction
            .execute("INSERT INTO identity VALUES (1, ?1, ?2)", params![*registration_id, now.0])?;
        transaction.execute("INSERT INTO facts VALUES (1, 0, '', x'', ?1)", params![now.0])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", layout::CURRENT)?;
        transaction.commit()?;
        journal.save(facts, now)?;
        files::sync_parent(path)?;
        Ok(journal)
    }

    /// Opens the journal of an installation that exists, brings an older layout forward, and seals what was not.
    ///
    /// Nothing is written to a file that is not whole.
    pub(crate) fn open(
        path: &Path,
        seal: Option<Arc<Seal>>,
    ) -> Result<(Self, Identity, Facts), JournalError> {
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        // SQLite takes an empty file for a new database. Ours was never empty.
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(damaged(path, "it is no file"));
        }
        if metadata.len() == 0 {
            return Err(damaged(path, "it is empty"));
        }
        let mut journal = Self { db: connect(path).map_err(unusable)?, cover: Cover(seal) };
        let found = journal.layout(path)?;
        // The last page may be cut within bytes that mean nothing, yet what cut it may come again.
        let length = journal.length().map_err(unusable)?;
        if std::fs::metadata(path).ok().map(|metadata| metadata.len()) != Some(length) {
            return Err(damaged(path, "its end is missing"));
        }
        let document = journal.document(path)?;
        if found < layout::CURRENT {
            layout::bring_forward(&mut journal.db, &document)?;
            tracing::info!(
                from = found,
                to = layout::CURRENT,
                "the journal's layout is brought forward"
            );
        }
        let written = journal.document(path)?;
        let named: String = journal
            .db
            .query_row("SELECT registration_id FROM identity", [], |row| row.get(0))
            .optional()
            .map_err(unusable)?
            .ok_or_else(|| damaged(path, "it does not say whose it is"))?;
        let bare = journal.cover.is_missing_on(&written) || journal.cover.is_missing_on(&named);
        let document = journal.cover.take_off(path, Part::Facts, written)?;
        let registration_id = journal.cover.take_off(path, Part::RegistrationId, named)?;
        let facts = serde_json::from_str(&document)
            .map_err(|_| damaged(path, "its facts cannot be read"))?;
        if bare {
            match journal.seal(&document, &registration_id) {
                Ok(()) => tracing::info!("the journal is sealed with the credential now"),
                // A disk that refuses is no reason to leave a journal unused that can be read.
                Err(error) => tracing::warn!(%error, "the journal cannot be sealed yet"),
            }
        }
        let identity = Identity { registration_id: Secret::new(registration_id.as_str()) };
        Ok((journal, identity, facts))
    }

    /// Looks at a journal without changing anything: whether it is whole, and which key it names, if it is not sealed.
    pub(crate) fn look(path: &Path) -> Result<Option<Thumbprint>, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db =
            Connection::open_with_flags(path, flags).map_err(|error| unusable(path, &error))?;
        let journal = Self { db, cover: Cover(None) };
        journal.layout(path)?;
        // Facts that are whole and no JSON are sealed; what they say is for whoever has the credential.
        let document: Value = serde_json::from_str(&journal.document(path)?).unwrap_or_default();
        let current = document.pointer("/keys/current").and_then(Value::as_str);
        Ok(current.and_then(|current| current.parse().ok()))
    }

    /// Replaces the facts. When this returns, they are on the disk.
    pub(crate) fn save(&mut self, facts: &Facts, now: UnixTime) -> Result<(), JournalError> {
        let document = serde_json::to_string(facts)
            .map(Zeroizing::new)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let document = self.cover.put_on(Part::Facts, &document);
        let changed = self.db.execute(
            "UPDATE facts SET generation = generation + 1, document = ?1, checksum = ?2, saved_at = ?3",
            params![*document, sha256(document.as_bytes()), now.0],
        )?;
        if changed == 1 {
            Ok(())
        } else {
            Err(rusqlite::Error::StatementChangedRows(changed).into())
        }
    }

    /// Writes both again, sealed. SQLite overwrites what was there (`secure_delete`).
    fn seal(&mut self, document: &str, registration_id: &str) -> rusqlite::Result<()> {
        let document = self.cover.put_on(Part::Facts, document);
        let registration_id = self.cover.put_on(Part::RegistrationId, registration_id);
        let transaction = self.db.transaction()?;
        transaction.execute(
            "UPDATE facts SET generation = generation + 1, document = ?1, checksum = ?2",
            params![*document, sha256(document.as_bytes())],
        )?;
        transaction
            .execute("UPDATE identity SET registration_id = ?1", params![*registration_id])?;
        transaction.commit()
    }

    /// How long the file must be.
    fn length(&self) -> rusqlite::Result<u64> {
        let number = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        Ok(u64::from(number("page_count")?) * u64::from(number("page_size")?))
    }

    /// The layout of a file that is ours and whose pages fit together.
    fn layout(&self, path: &Path) -> Result<i64, JournalError> {
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        let number = |name| self.db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let ours = number("application_id").map_err(unusable)? == APPLICATION_ID;
        let found = number("user_version").map_err(unusable)?;
        if ours && found > layout::CURRENT {
            return Err(JournalError::Newer { found });
        }
        if !ours || found < layout::OLDEST {
            return Err(damaged(path, "it is not a journal of this daemon"));
        }
        let check: String = self
            .db
            .pragma_query_value(None, "integrity_check", |row| row.get(0))
            .map_err(unusable)?;
        if check != "ok" {
            return Err(damaged(path, "its pages do not fit together"));
        }
        Ok(found)
    }

    /// The facts as they were written, which their checksum proves.
    fn document(&self, path: &Path) -> Result<String, JournalError> {
        let (document, checksum): (String, Vec<u8>) = self
            .db
            .query_row("SELECT document, checksum FROM facts", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(|error| unusable(path, &error))?
            .ok_or_else(|| damaged(path, "its facts are missing"))?;
        if checksum != sha256(document.as_bytes()) {
            return Err(damaged(path, "its facts do not have their checksum"));
        }
        Ok(document)
    }
}

/// Why a file that is there cannot be used: the disk or its permissions, else what is in it.
fn damaged(path: &Path, why: &str) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), why: why.to_owned() }
}

fn unusable(path: &Path, error: &rusqlite::Error) -> JournalError {
    let (path, why) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DiskFull
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure,
        ) => JournalError::Unreadable { path, why },
        _ => JournalError::Damaged { path, why },
    }
}

fn unreadable(path: &Path, error: &io::Error) -> JournalError {
    JournalError::Unreadable { path: path.to_owned(), why: error.to_string() }
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
