//! A key and a family put in the place of others: one transaction, so that one of the two keys always works.

use rusqlite::{Connection, params};

use super::{audit, grants::insert_family};
use crate::{
    oauth::grant::EndReason,
    store::{KeyRotation, Result, StoreError, Written},
};

/// Ends the family ?4, if it and the installation are as they were read, and names the family that follows.
const END: &str = "UPDATE family SET revoked_at = ?1, revoked_reason = ?2, successor = ?3
    WHERE id = ?4 AND generation = ?5 AND key = ?6 AND revoked_at IS NULL
    AND EXISTS (SELECT 1 FROM installation WHERE client_id = ?7 AND installation.key = ?6)";

/// What was staged goes: the old key had vouched for it, and from now on that vouches for nothing.
const REPLACE_KEY: &str =
    "UPDATE installation SET key = ?, staged_key = NULL, staged_site_url = NULL,
    staged_redirect_uri = NULL, staged_at = NULL WHERE client_id = ?";

/// A code that only the old key can redeem would give it a family again.
const END_CODES: &str =
    "UPDATE code SET revoked_at = ?1 WHERE key = ?2 AND redeemed_at IS NULL AND revoked_at IS NULL
    AND grant_id IN (SELECT id FROM grants WHERE client_id = ?3)";

pub(super) fn rotate(db: &Connection, rotation: &KeyRotation) -> Result<Written> {
    let KeyRotation { client_id, old_key, family, receipt, now, .. } = rotation;
    let new_key = family.key.ok_or(StoreError::Corrupt("a rotated key has a family of its own"))?;
    let won = db.prepare_cached(END)?.execute(params![
        now.0,
        EndReason::KeyRotated.as_str(),
        family.id,
        rotation.ended,
        rotation.generation,
        old_key.0,
        client_id
    ])?;
    if won == 0 {
        return Ok(Written::Raced);
    }
    db.prepare_cached(REPLACE_KEY)?.execute(params![new_key.0, client_id])?;
    db.prepare_cached(END_CODES)?.execute(params![now.0, old_key.0, client_id])?;
    insert_family(db, family, Some(receipt), *now)?;
    let (detail, grant) = (new_key.to_string(), (audit::GRANT, &family.grant_id as _));
    audit::by_holder(db, *now, "key_rotated", &detail, grant)?;
    Ok(Written::Done)
}
