//! The history of connections: each event is written in the transaction in which it happens.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, Row, params};

use super::columns::time;
use crate::store::{AuditRecord, Result};

const OF_GRANT: &str = "INSERT INTO audit (at, event, client_id, company_id, detail)
    SELECT ?1, ?2, client_id, company_id, ?3 FROM grants WHERE id = ?4";

pub(super) const OF_FAMILY: &str =
    "INSERT INTO audit (at, event, client_id, company_id, detail)
    SELECT ?1, ?2, client_id, company_id, ?3 FROM grants WHERE id = (SELECT grant_id FROM family WHERE id = ?4)";

pub(super) const HISTORY: &str =
    "SELECT at, event, company_id, detail FROM audit WHERE client_id = ? ORDER BY id DESC LIMIT ?";

/// Notes what happened to a client, to no company in particular.
pub(super) fn of_client(
    db: &Connection,
    now: UnixTime,
    event: &str,
    client_id: &str,
) -> Result<()> {
    let sql = "INSERT INTO audit (at, event, client_id, detail) VALUES (?, ?, ?, '')";
    db.prepare_cached(sql)?.execute(params![now.0, event, client_id])?;
    Ok(())
}

/// Notes what happened to a grant.
pub(super) fn of_grant(
    db: &Connection,
    now: UnixTime,
    event: &str,
    grant_id: &str,
    detail: &str,
) -> Result<()> {
    db.prepare_cached(OF_GRANT)?.execute(params![now.0, event, detail, grant_id])?;
    Ok(())
}

/// Notes what happened to a family.
pub(super) fn of_family(
    db: &Connection,
    now: UnixTime,
    event: &str,
    family: &[u8; 16],
    detail: &str,
) -> Result<()> {
    db.prepare_cached(OF_FAMILY)?.execute(params![now.0, event, detail, family])?;
    Ok(())
}

/// The newest events of a client, newest first.
pub(super) fn history(db: &Connection, client_id: &str, limit: u32) -> Result<Vec<AuditRecord>> {
    let record = |row: &Row<'_>| {
        Ok(AuditRecord {
            at: time(row, 0)?,
            event: row.get(1)?,
            company_id: row.get(2)?,
            detail: row.get(3)?,
        })
    };
    let mut statement = db.prepare_cached(HISTORY)?;
    let records = statement.query_map(params![client_id, limit], record)?;
    Ok(records.collect::<rusqlite::Result<_>>()?)
}
