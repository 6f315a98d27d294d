//! The end of a grant, with all that stands on it, and what is noted of it.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, params};

use super::{Result, audit};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::grant::EndReason,
};

/// The other grants of the client that has the grant ?1, which stand.
pub(super) const OTHER_GRANTS: &str =
    "SELECT client_id, company_id FROM grants WHERE revoked_at IS NULL AND id <> ?1
     AND client_id = (SELECT client_id FROM grants WHERE id = ?1)";

/// Ends a grant with its codes and families. One that has ended stays as it is.
pub(super) fn of_grant(
    db: &Connection,
    id: &str,
    reason: EndReason,
    actor: &Actor,
    now: UnixTime,
) -> Result<()> {
    let sql = "UPDATE grants SET revoked_at = ?1, revoked_reason = ?2 WHERE id = ?3 AND revoked_at IS NULL";
    if db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), id])? == 1 {
        let event = AuditEvent::new(now, "grant_ended", actor).detail(reason.as_str());
        audit::of_grant(db, event, id)?;
    }
    for sql in [
        "UPDATE family SET revoked_at = ?1, revoked_reason = ?2 WHERE grant_id = ?3 AND revoked_at IS NULL",
        "UPDATE code SET revoked_at = ?1 WHERE ?2 <> '' AND grant_id = ?3 AND revoked_at IS NULL",
    ] {
        db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), id])?;
    }
    Ok(())
}

/// Notes for their companies that the other grants of a client end, before they do.
pub(super) fn note_other_grants(
    db: &Connection,
    grant_id: &str,
    reason: EndReason,
    now: UnixTime,
) -> Result<()> {
    let others: Vec<(String, String)> = db
        .prepare_cached(OTHER_GRANTS)?
        .query_map([grant_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (client_id, company_id) in &others {
        let event = AuditEvent::new(now, "grant_ended", &Actor::System).detail(reason.as_str());
        audit::note(db, &event.client(client_id).company(company_id))?;
    }
    Ok(())
}

/// Disables what a grant was notified with.
pub(super) fn silence(db: &Connection, grant_id: &str, now: UnixTime) -> Result<()> {
    let sql = "UPDATE webhook_subscription SET active = 0, updated_at = ?1, version = version + 1 WHERE active AND grant_id = ?2";
    db.prepare_cached(sql)?.execute(params![now.0, grant_id])?;
    Ok(())
}
