//! Databases beside the one in use: a copy that is made of it, and one that is looked at and not changed.

use std::path::Path;

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::{FILE_NAME, Result, StoreError, audit, columns::time, connect, integrity, schema};
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

/// The most connections that are listed one by one.
const LISTED: u32 = 10_000;

// Columns of the first schema alone: a backup may be old.

const COUNTS: &str = "SELECT (SELECT count(*) FROM company), (SELECT count(*) FROM user),
    (SELECT count(*) FROM client WHERE kind = 'app'), (SELECT count(*) FROM installation),
    (SELECT count(*) FROM payment_link), (SELECT count(*) FROM grants WHERE revoked_at IS NULL)";

const STANDING: &str = "SELECT grants.id, client.id, client.name, installation.site_url, company.name, grants.created_at
    FROM grants JOIN client ON client.id = grants.client_id JOIN company ON company.id = grants.company_id
    LEFT JOIN installation ON installation.client_id = client.id
    WHERE revoked_at IS NULL ORDER BY company.name, client.name, grants.id LIMIT ?";

/// What a database holds, for whoever restores it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contents {
    /// Companies, closed ones as well.
    pub companies: u32,
    /// People.
    pub people: u32,
    /// Applications.
    pub applications: u32,
    /// Stores that registered.
    pub installations: u32,
    /// Payment links.
    pub payment_links: u32,
    /// Connections that stand.
    pub connections: u32,
    /// The first of these, by company.
    pub standing: Vec<Standing>,
}

/// A connection that stands in a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The grant.
    pub grant_id: String,
    /// The client.
    pub client_id: String,
    /// Its name.
    pub client_name: String,
    /// The store's address, if it is one.
    pub site_url: Option<String>,
    /// The company.
    pub company: String,
    /// When it was approved.
    pub approved_at: UnixTime,
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

    /// What is in it.
    pub fn contents(&self) -> Result<Contents> {
        let standing = |row: &Row<'_>| {
            Ok(Standing {
                grant_id: row.get(0)?,
                client_id: row.get(1)?,
                client_name: row.get(2)?,
                site_url: row.get(3)?,
                company: row.get(4)?,
                approved_at: time(row, 5)?,
            })
        };
        let mut statement = self.0.prepare(STANDING)?;
        let standing = statement.query_map([LISTED], standing)?.collect::<rusqlite::Result<_>>()?;
        Ok(self.0.query_row(COUNTS, [], |row| {
            Ok(Contents {
                companies: row.get(0)?,
                people: row.get(1)?,
                applications: row.get(2)?,
                installations: row.get(3)?,
                payment_links: row.get(4)?,
                connections: row.get(5)?,
                standing,
            })
        })?)
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
