//! Databases beside the one in use: a copy that is made of it, and one that is looked at and not changed.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{FILE_NAME, Result, StoreError, audit, connect, integrity, schema};
use crate::{audit::AuditRecord, store::AuditQuery};

impl super::Sqlite {
    /// Writes the database in `directory` to the file `to`, which is empty or not there: whole, as it is at one moment,
    /// while others go on reading and writing.
    pub fn copy(directory: &Path, to: &Path) -> Result<()> {
        let to = to.to_str().ok_or(StoreError::Corrupt("a path that is no text"))?;
        connect(&directory.join(FILE_NAME))?.execute("VACUUM INTO ?", [to])?;
        Ok(())
    }
}

/// A database that is only read.
pub struct Frozen(Connection);

impl Frozen {
    /// Opens a file. A backup's is `immutable`: nobody writes it, and nothing is made beside it.
    pub fn open(path: &Path, immutable: bool) -> Result<Self> {
        let mut uri = url::Url::from_file_path(path)
            .map_err(|()| StoreError::Corrupt("a path that is not absolute"))?;
        uri.set_query(immutable.then_some("immutable=1"));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        Ok(Self(Connection::open_with_flags(uri.as_str(), flags)?))
    }

    /// The number of its schema; an error when this program is too old for it.
    pub fn schema(&self) -> Result<i64> {
        let found = self.0.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let known = schema::known();
        if found > known { Err(StoreError::Newer { found, known }) } else { Ok(found) }
    }

    /// What SQLite finds wrong with the file; nothing when it is whole.
    pub fn problems(&self) -> Result<Vec<String>> {
        integrity::problems(&self.0)
    }

    /// The id and the hash of the last audit record; nothing when there is none, or the schema has no chain.
    pub fn last_audit(&self) -> Result<Option<(i64, [u8; 32])>> {
        if !schema::has_chain(self.schema()?) {
            return Ok(None);
        }
        let last = self.0.query_row(audit::LAST, [], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(last.optional()?)
    }

    /// The first `limit` audit records after the record `after`, oldest first.
    pub fn audit_after(&self, after: i64, limit: u32) -> Result<Vec<AuditRecord>> {
        if !schema::has_chain(self.schema()?) {
            return Ok(Vec::new());
        }
        audit::records(&self.0, &AuditQuery::default(), false, after, limit)
    }
}
