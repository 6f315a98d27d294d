//! A new family for a proof of the installation's key: one transaction, which counts what was given before. And the families that are over.

use rusqlite::{Connection, params};

use super::{
    audit,
    grants::{end_families_beside, insert_family},
};
use crate::{
    oauth::{grant::EndReason, recovery::PERIOD},
    store::{Recovery, Result, Written},
};

/// Ended families up to a time, but those whose reuse still counts.
pub(super) const FORGET: &str = "DELETE FROM family WHERE id IN (SELECT id FROM family
    WHERE revoked_at < ?1 AND (settled OR revoked_reason <> ?2) ORDER BY revoked_at LIMIT ?3)";

pub(super) fn recover(db: &Connection, recovery: &Recovery) -> Result<Written> {
    let Recovery { client_id, family, idempotency, receipt, counted, now } = recovery;
    let since = now.0 - PERIOD;
    let given: i64 = db
        .prepare_cached("SELECT count(*) FROM recovery WHERE client_id = ? AND at > ?")?
        .query_row(params![client_id, since], |row| row.get(0))?;
    // The key as well: it may have been rotated since the proof was judged.
    let stands = "SELECT 1 FROM grants JOIN installation ON installation.client_id = grants.client_id
                  WHERE grants.id = ? AND revoked_at IS NULL AND redeemed_at IS NOT NULL AND installation.key = ?";
    let key = family.key.map(|key| key.0);
    if usize::try_from(given) != Ok(*counted)
        || !db.prepare_cached(stands)?.exists(params![family.grant_id, key])?
    {
        return Ok(Written::Raced);
    }
    // Families alone: an approval whose code is still on its way is not undone by a daemon that helps itself.
    end_families_beside(db, &family.grant_id, *now)?;
    insert_family(db, family, None, *now)?;
    // What no longer counts goes, and its Idempotency-Key is free again.
    db.prepare_cached("DELETE FROM recovery WHERE client_id = ? AND at <= ?")?
        .execute(params![client_id, since])?;
    let sql = "INSERT INTO recovery (client_id, idempotency, family, at, receipt, receipt_kid, after_reuse) VALUES (?1, ?2, ?3, ?4, ?5, ?6,
               EXISTS (SELECT 1 FROM family JOIN grants ON grants.id = family.grant_id
               WHERE grants.client_id = ?1 AND family.revoked_reason = ?7 AND NOT family.settled))";
    db.prepare_cached(sql)?.execute(params![
        client_id,
        idempotency,
        family.id,
        now.0,
        receipt.sealed,
        receipt.kid,
        EndReason::RefreshReuse.as_str()
    ])?;
    audit::by_holder(db, *now, "recovered", "", (audit::GRANT, &family.grant_id))?;
    Ok(Written::Done)
}
