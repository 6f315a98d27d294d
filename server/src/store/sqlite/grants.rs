use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, jwk::Thumbprint, pkce::Challenge, scope::ScopeSet};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, audit,
    columns::{key_opt, scope, time, time_opt, unreadable},
    ends, key_rotation, partner, recovery,
};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::{
        code::{Code, Redeemed},
        grant::{EndReason, Family, Grant, Receipt},
        recovery::RecoveryRecord,
    },
    store::{
        AccessStanding, Grants, KeyRotation, NewFamily, Recovery, Redemption, Result, Rotation,
        Written,
    },
};

/// The most rows that one write of a sweep removes.
pub(super) const PORTION: u16 = 500;

/// The columns of a grant, with its company's name; `grant_row` reads them.
macro_rules! grant_columns {
    () => {
        "grants.id, grants.client_id, grants.company_id, company.name, grants.redeemed_at, grants.revoked_at"
    };
}

/// Joins and conditions of an access token that stands: ?1 its name, ?2 its grant, ?3 its family, ?4 the time.
macro_rules! standing {
    () => {
        "LEFT JOIN family ON family.id = ?3 AND family.grant_id = grants.id
         LEFT JOIN revoked_access ON revoked_access.jti = ?1
         WHERE grants.id = ?2 AND grants.revoked_at IS NULL AND revoked_access.jti IS NULL
         AND (?3 IS NULL OR (family.id IS NOT NULL AND family.revoked_at IS NULL AND coalesce(family.expires_at > ?4, 1)))"
    };
}
pub(super) use standing;

pub(super) const FAMILY: &str = concat!(
    "SELECT ", grant_columns!(), ", family.id, family.scope, family.resource, family.key, family.generation,
    family.token_hash, family.receipt, family.receipt_idempotency, family.receipt_kid, family.refreshed_at,
    family.expires_at, family.revoked_at, family.successor
    FROM family JOIN grants ON grants.id = family.grant_id JOIN company ON company.id = grants.company_id
    WHERE family.id = ?"
);

pub(super) const CODE: &str = concat!(
    "SELECT ", grant_columns!(), ", code.hash, code.redirect_uri, code.challenge, code.scope, code.resource, code.key,
    code.user_id, code.expires_at, code.revoked_at, code.redeemed_at, code.receipt, code.receipt_idempotency,
    code.receipt_kid, code.family, family.key, family.generation, family.revoked_at
    FROM code JOIN grants ON grants.id = code.grant_id JOIN company ON company.id = grants.company_id
    LEFT JOIN family ON family.id = code.family WHERE code.hash = ?"
);

pub(super) const STANDING: &str = concat!("SELECT 1 FROM grants ", standing!());

/// Ends every family of the client that has the grant ?3.
pub(super) const END_FAMILIES_BESIDE: &str =
    "UPDATE family SET revoked_at = ?1, revoked_reason = ?2 WHERE revoked_at IS NULL AND grant_id IN
     (SELECT id FROM grants WHERE client_id = (SELECT client_id FROM grants WHERE id = ?3))";

/// Ends the other grants of the client that has the grant ?3.
pub(super) const END_OTHER_GRANTS: &str =
    "UPDATE grants SET revoked_at = ?1, revoked_reason = ?2 WHERE revoked_at IS NULL AND id <> ?3
     AND client_id = (SELECT client_id FROM grants WHERE id = ?3)";

/// Marks as settled what ended for the reason ?1, of the client that has the grant ?2.
pub(super) const SETTLE: &str =
    "UPDATE family SET settled = 1 WHERE revoked_reason = ?1 AND NOT settled AND grant_id IN
     (SELECT id FROM grants WHERE client_id = (SELECT client_id FROM grants WHERE id = ?2))";

pub(super) const REUSES: &str =
    "SELECT family.revoked_at FROM grants JOIN family ON family.grant_id = grants.id
     WHERE grants.client_id = ?1 AND family.revoked_reason = ?2
     AND NOT family.settled ORDER BY 1 DESC";

const GRANT: &str = concat!(
    "SELECT ",
    grant_columns!(),
    " FROM grants JOIN company ON company.id = grants.company_id WHERE "
);

#[async_trait]
impl Grants for Sqlite {
    async fn code(&self, hash: &[u8; 32]) -> Result<Option<Code>> {
        self.read(|db| Ok(db.prepare_cached(CODE)?.query_row([hash], code).optional()?))
    }

    async fn redeem_code(&self, redemption: Redemption) -> Result<Written> {
        self.write(move |db| redeem(db, &redemption)).await
    }

    async fn family(&self, id: &[u8; 16]) -> Result<Option<Family>> {
        self.read(|db| Ok(db.prepare_cached(FAMILY)?.query_row([id], family).optional()?))
    }

    async fn rotate_refresh_token(&self, rotation: Rotation) -> Result<Written> {
        self.write(move |db| {
            let sql = "UPDATE family SET generation = ?, token_hash = ?, receipt = ?, receipt_idempotency = ?, receipt_kid = ?,
                       refreshed_at = ?, expires_at = ? WHERE id = ? AND generation = ? AND revoked_at IS NULL";
            let receipt = rotation.receipt.as_ref();
            let changed = db.prepare_cached(sql)?.execute(params![
                rotation.to, rotation.token_hash, receipt.map(|r| &r.sealed), receipt.and_then(|r| r.idempotency.as_ref()),
                receipt.map(|r| &r.kid), rotation.now.0, rotation.expires_at.map(|t| t.0), rotation.family, rotation.from
            ])?;
            if changed == 0 {
                return Ok(Written::Raced);
            }
            if rotation.to != rotation.from.saturating_add(1) {
                let detail = format!("from {} to {}", rotation.from, rotation.to);
                let family = (audit::FAMILY, &rotation.family as _);
                audit::by_holder(db, rotation.now, "adopted", &detail, family)?;
            }
            Ok(Written::Done)
        })
        .await
    }

    async fn end_family(
        &self,
        id: &[u8; 16],
        reason: EndReason,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()> {
        let (id, actor) = (*id, actor.clone());
        self.write(move |db| {
            let sql = "UPDATE family SET revoked_at = ?, revoked_reason = ? WHERE id = ? AND revoked_at IS NULL";
            if db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), id])? == 1 {
                let event = AuditEvent::new(now, "family_ended", &actor).detail(reason.as_str());
                audit::of_family(db, event, &id)?;
            }
            Ok(())
        })
        .await
    }

    async fn end_grant(
        &self,
        id: &str,
        reason: EndReason,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| ends::of_grant(db, &id, reason, &actor, now)).await
    }

    async fn forget_ended(&self, before: UnixTime) -> Result<()> {
        let reuse = EndReason::RefreshReuse.as_str();
        let forget = move |db: &Connection| {
            let values = params![before.0, reuse, PORTION];
            Ok(db.prepare_cached(recovery::FORGET)?.execute(values)?)
        };
        while self.write(forget).await? == usize::from(PORTION) {}
        Ok(())
    }

    #[cfg(test)]
    async fn grant(&self, id: &str) -> Result<Option<Grant>> {
        self.read(|db| {
            let sql = format!("{GRANT} grants.id = ?");
            Ok(db.prepare_cached(&sql)?.query_row([id], grant).optional()?)
        })
    }

    async fn redeemed_grant(&self, client_id: &str) -> Result<Option<Grant>> {
        self.read(|db| {
            let sql = format!("{GRANT} grants.client_id = ? AND grants.revoked_at IS NULL AND grants.redeemed_at IS NOT NULL");
            Ok(db.prepare_cached(&sql)?.query_row([client_id], grant).optional()?)
        })
    }

    async fn connected_companies(&self, client_id: &str, user_id: &str) -> Result<Vec<String>> {
        self.read(|db| {
            let sql = "SELECT grants.company_id FROM grants JOIN membership ON membership.company_id = grants.company_id
                       WHERE client_id = ? AND membership.user_id = ? AND revoked_at IS NULL AND redeemed_at IS NOT NULL";
            Ok(db.prepare_cached(sql)?.query_map([client_id, user_id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn granted_scope(&self, id: &str) -> Result<ScopeSet> {
        self.read(|db| {
            let sql = "SELECT scope FROM grants WHERE id = ?";
            Ok(db.prepare_cached(sql)?.query_row([id], |row| scope(row, 0))?)
        })
    }

    async fn own_grant(
        &self,
        client_id: &str,
        company_id: &str,
        new_id: &str,
        scope: &ScopeSet,
        now: UnixTime,
    ) -> Result<Grant> {
        let sql = format!(
            "{GRANT} grants.client_id = ? AND grants.company_id = ? AND grants.revoked_at IS NULL"
        );
        let keys = [client_id.to_owned(), company_id.to_owned()];
        let found = self.read(|db| {
            Ok(db.prepare_cached(&sql)?.query_row([&keys[0], &keys[1]], grant).optional()?)
        })?;
        if let Some(found) = found {
            return Ok(found);
        }
        let (new_id, scope) = (new_id.to_owned(), scope.to_string());
        self.write(move |db| {
            let insert = "INSERT INTO grants (id, client_id, company_id, scope, created_at, redeemed_at)
                          SELECT ?1, ?2, ?3, ?4, ?5, ?5 FROM client WHERE id = ?2 AND deleted_at IS NULL
                          ON CONFLICT DO NOTHING";
            if db.prepare_cached(insert)?.execute(params![new_id, keys[0], keys[1], scope, now.0])? == 1 {
                partner::inherit(db, &new_id)?;
            }
            Ok(db.prepare_cached(&sql)?.query_row([&keys[0], &keys[1]], grant)?)
        })
        .await
    }

    async fn reuses(&self, client_id: &str) -> Result<Vec<UnixTime>> {
        self.read(|db| {
            let reason = EndReason::RefreshReuse.as_str();
            let times = db
                .prepare_cached(REUSES)?
                .query_map(params![client_id, reason], |row| time(row, 0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(times)
        })
    }

    async fn recoveries(&self, client_id: &str, since: UnixTime) -> Result<Vec<RecoveryRecord>> {
        self.read(|db| {
            let sql = "SELECT recovery.idempotency, recovery.at, recovery.receipt, recovery.receipt_kid,
                       family.generation = 1 AND family.revoked_at IS NULL, recovery.after_reuse FROM recovery JOIN family ON family.id = recovery.family
                       WHERE recovery.client_id = ? AND recovery.at > ? ORDER BY recovery.at DESC";
            let record = |row: &Row<'_>| {
                let (idempotency, at) = (row.get(0)?, time(row, 1)?);
                let receipt = Receipt { idempotency: Some(idempotency), sealed: row.get(2)?, kid: row.get(3)?, given_at: at };
                Ok(RecoveryRecord { idempotency, at, receipt, untouched: row.get(4)?, after_reuse: row.get(5)? })
            };
            let records = db.prepare_cached(sql)?.query_map(params![client_id, since.0], record)?.collect::<rusqlite::Result<_>>()?;
            Ok(records)
        })
    }

    async fn recover(&self, given: Recovery) -> Result<Written> {
        self.write(move |db| recovery::recover(db, &given)).await
    }

    async fn rotate_key(&self, rotation: KeyRotation) -> Result<Written> {
        self.write(move |db| key_rotation::rotate(db, &rotation)).await
    }

    async fn revoke_access(&self, jti: &str, expires_at: UnixTime) -> Result<()> {
        let jti = jti.to_owned();
        self.write(move |db| {
            let sql =
                "INSERT INTO revoked_access (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
            db.prepare_cached(sql)?.execute(params![jti, expires_at.0])?;
            Ok(())
        })
        .await
    }

    async fn standing(
        &self,
        jti: &str,
        grant_id: &str,
        family: Option<&[u8; 16]>,
        now: UnixTime,
    ) -> Result<AccessStanding> {
        self.read(|db| {
            let good =
                db.prepare_cached(STANDING)?.exists(params![jti, grant_id, family, now.0])?;
            Ok(if good { AccessStanding::Good } else { AccessStanding::Ended })
        })
    }
}

/// Ends all grants of a company with their codes and families; answers how many grants.
pub(super) fn end_grants_of(
    db: &Connection,
    company_id: &str,
    reason: EndReason,
    actor: &Actor,
    now: UnixTime,
) -> Result<usize> {
    for sql in [
        "UPDATE family SET revoked_at = ?1, revoked_reason = ?2 WHERE revoked_at IS NULL AND grant_id IN (SELECT id FROM grants WHERE company_id = ?3)",
        "UPDATE code SET revoked_at = ?1 WHERE ?2 <> '' AND revoked_at IS NULL AND grant_id IN (SELECT id FROM grants WHERE company_id = ?3)",
    ] {
        db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), company_id])?;
    }
    let standing = "SELECT client_id FROM grants WHERE company_id = ? AND revoked_at IS NULL ORDER BY client_id";
    let clients: Vec<String> = db
        .prepare_cached(standing)?
        .query_map([company_id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for client_id in &clients {
        let event = AuditEvent::new(now, "grant_ended", actor).detail(reason.as_str());
        audit::note(db, &event.client(client_id).company(company_id))?;
    }
    let sql = "UPDATE grants SET revoked_at = ?, revoked_reason = ? WHERE company_id = ? AND revoked_at IS NULL";
    Ok(db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), company_id])?)
}

/// Ends all codes and families of a client, and its grants but the one of `spare_company`.
pub(super) fn end_everything(
    db: &Connection,
    client_id: &str,
    spare_company: Option<&str>,
    reason: EndReason,
    now: UnixTime,
) -> Result<()> {
    for sql in [
        "UPDATE family SET revoked_at = ?1, revoked_reason = ?2 WHERE revoked_at IS NULL AND grant_id IN (SELECT id FROM grants WHERE client_id = ?3)",
        "UPDATE code SET revoked_at = ?1 WHERE ?2 <> '' AND revoked_at IS NULL AND grant_id IN (SELECT id FROM grants WHERE client_id = ?3)",
    ] {
        db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), client_id])?;
    }
    let sql = "UPDATE grants SET revoked_at = ?, revoked_reason = ? WHERE client_id = ? AND revoked_at IS NULL AND company_id IS NOT ?";
    db.prepare_cached(sql)?.execute(params![now.0, reason.as_str(), client_id, spare_company])?;
    Ok(())
}

fn redeem(db: &Connection, redemption: &Redemption) -> Result<Written> {
    let Redemption { code, family, receipt, sole, now } = redemption;
    let sql = "UPDATE code SET redeemed_at = ?1, family = ?2, receipt = ?3, receipt_idempotency = ?4, receipt_kid = ?5
               WHERE hash = ?6 AND redeemed_at IS NULL AND revoked_at IS NULL AND expires_at > ?1
               AND EXISTS (SELECT 1 FROM grants WHERE grants.id = code.grant_id AND grants.revoked_at IS NULL)";
    let receipt = receipt.as_ref();
    let won = db.prepare_cached(sql)?.execute(params![
        now.0,
        family.id,
        receipt.map(|r| &r.sealed),
        receipt.and_then(|r| r.idempotency.as_ref()),
        receipt.map(|r| &r.kid),
        code
    ])?;
    if won == 0 {
        return Ok(Written::Raced);
    }
    if *sole {
        end_families_beside(db, &family.grant_id, *now)?;
        let reason = EndReason::Replaced.as_str();
        ends::note_other_grants(db, &family.grant_id, EndReason::Replaced, *now)?;
        db.prepare_cached(END_OTHER_GRANTS)?.execute(params![now.0, reason, family.grant_id])?;
        settle_reuses(db, &family.grant_id)?;
    }
    insert_family(db, family, None, *now)?;
    let sql = "UPDATE grants SET redeemed_at = coalesce(redeemed_at, ?1), scope = ?2 WHERE id = ?3";
    db.prepare_cached(sql)?.execute(params![now.0, family.scope.to_string(), family.grant_id])?;
    partner::inherit(db, &family.grant_id)?;
    audit::by_holder(db, *now, "code_redeemed", "", (audit::GRANT, &family.grant_id))?;
    Ok(Written::Done)
}

/// The merchant has approved anew: what was used twice before counts no longer. Told by marks and not by time, of which
/// one second can hold all.
fn settle_reuses(db: &Connection, grant_id: &str) -> Result<()> {
    let reason = EndReason::RefreshReuse.as_str();
    db.prepare_cached(SETTLE)?.execute(params![reason, grant_id])?;
    let recoveries = "UPDATE recovery SET after_reuse = 0
                      WHERE client_id = (SELECT client_id FROM grants WHERE id = ?)";
    db.prepare_cached(recoveries)?.execute([grant_id])?;
    Ok(())
}

/// Ends every family of the client that has this grant.
pub(super) fn end_families_beside(db: &Connection, grant_id: &str, now: UnixTime) -> Result<()> {
    db.prepare_cached(END_FAMILIES_BESIDE)?.execute(params![
        now.0,
        EndReason::Replaced.as_str(),
        grant_id
    ])?;
    Ok(())
}

pub(super) fn insert_family(
    db: &Connection,
    family: &NewFamily,
    receipt: Option<&Receipt>,
    now: UnixTime,
) -> Result<()> {
    let sql = "INSERT INTO family (id, grant_id, scope, resource, key, generation, token_hash, receipt, receipt_idempotency, receipt_kid,
               created_at, refreshed_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?10, ?11)";
    db.prepare_cached(sql)?.execute(params![
        family.id,
        family.grant_id,
        family.scope.to_string(),
        family.resource,
        family.key.map(|key| key.0),
        family.token_hash,
        receipt.map(|r| &r.sealed),
        receipt.and_then(|r| r.idempotency.as_ref()),
        receipt.map(|r| &r.kid),
        now.0,
        family.expires_at.map(|t| t.0)
    ])?;
    Ok(())
}

fn grant(row: &Row<'_>) -> rusqlite::Result<Grant> {
    Ok(Grant {
        id: row.get(0)?,
        client_id: row.get(1)?,
        company_id: row.get(2)?,
        company_name: row.get(3)?,
        redeemed_at: time_opt(row, 4)?,
        revoked_at: time_opt(row, 5)?,
    })
}

/// Reads sealed answer, idempotency key and kid from three columns that follow each other.
fn receipt(
    row: &Row<'_>,
    first: usize,
    given_at: Option<UnixTime>,
) -> rusqlite::Result<Option<Receipt>> {
    let (Some(sealed), Some(given_at)) = (row.get(first)?, given_at) else { return Ok(None) };
    let (idempotency, kid) = (row.get(first + 1)?, row.get::<_, Option<String>>(first + 2)?);
    Ok(Some(Receipt { idempotency, sealed, kid: kid.unwrap_or_default(), given_at }))
}

fn family(row: &Row<'_>) -> rusqlite::Result<Family> {
    Ok(Family {
        grant: grant(row)?,
        id: row.get(6)?,
        scope: scope(row, 7)?,
        resource: row.get(8)?,
        key: key_opt(row, 9)?,
        generation: row.get(10)?,
        token_hash: row.get(11)?,
        receipt: receipt(row, 12, Some(time(row, 15)?))?,
        expires_at: time_opt(row, 16)?,
        revoked_at: time_opt(row, 17)?,
        successor: row.get(18)?,
    })
}

fn code(row: &Row<'_>) -> rusqlite::Result<Code> {
    let grant = grant(row)?;
    let redeemed_at = time_opt(row, 15)?;
    let redeemed = match row.get::<_, Option<[u8; 16]>>(19)? {
        None => None,
        Some(family) => {
            let first_token_unused = row.get::<_, Option<u32>>(21)? == Some(1);
            let family_stands =
                row.get::<_, Option<i64>>(22)?.is_none() && grant.revoked_at.is_none();
            Some(Redeemed {
                family,
                key: row.get::<_, Option<[u8; 32]>>(20)?.map(Thumbprint),
                untouched: first_token_unused && family_stands,
                receipt: receipt(row, 16, redeemed_at)?,
            })
        }
    };
    Ok(Code {
        grant,
        hash: row.get(6)?,
        redirect_uri: row.get(7)?,
        challenge: Challenge::parse(row.get_ref(8)?.as_str()?).map_err(unreadable)?,
        scope: scope(row, 9)?,
        resource: row.get(10)?,
        key: key_opt(row, 11)?,
        user_id: row.get(12)?,
        expires_at: time(row, 13)?,
        revoked_at: time_opt(row, 14)?,
        redeemed,
    })
}
