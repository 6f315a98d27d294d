use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, audit,
    columns::{time, unreadable},
    grants::end_everything,
};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::{
        grant::EndReason,
        installation::{STAGED_LIFETIME, Slot},
    },
    people::role::{Act, Role},
    store::{Approval, ApproveOutcome, Consent, PushedRequest, Requests, Result, StoreError},
};

#[async_trait]
impl Requests for Sqlite {
    async fn push_request(&self, pushed: PushedRequest) -> Result<()> {
        let request = to_json(&pushed.request)?;
        self.write(move |db| {
            let sql = "INSERT INTO pushed_request (hash, client_id, request, expires_at) VALUES (?, ?, ?, ?)";
            db.prepare_cached(sql)?.execute(params![pushed.hash, pushed.request.client_id, request, pushed.expires_at.0])?;
            Ok(())
        })
        .await
    }

    async fn pushed_request(
        &self,
        hash: &[u8; 32],
        now: UnixTime,
    ) -> Result<Option<PushedRequest>> {
        self.read(|db| {
            let sql = "SELECT hash, request, expires_at FROM pushed_request WHERE hash = ? AND expires_at > ? AND spent_at IS NULL";
            let pushed = |row: &Row<'_>| {
                let request = serde_json::from_str(row.get_ref(1)?.as_str()?).map_err(unreadable)?;
                Ok(PushedRequest { hash: row.get(0)?, request, expires_at: time(row, 2)? })
            };
            Ok(db.prepare_cached(sql)?.query_row(params![hash, now.0], pushed).optional()?)
        })
    }

    async fn show_consent(&self, consent: Consent) -> Result<()> {
        let request = to_json(&consent.request)?;
        self.write(move |db| {
            let sql = "INSERT INTO consent (hash, session_hash, user_id, client_id, request, pushed, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
            db.prepare_cached(sql)?.execute(params![
                consent.hash, consent.session_hash, consent.user_id, consent.request.client_id, request, consent.pushed,
                consent.expires_at.0
            ])?;
            Ok(())
        })
        .await
    }

    async fn consent(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Consent>> {
        self.read(|db| {
            let sql = "SELECT hash, session_hash, user_id, request, pushed, expires_at FROM consent
                       WHERE hash = ? AND expires_at > ? AND decided_at IS NULL";
            let consent = |row: &Row<'_>| {
                let request =
                    serde_json::from_str(row.get_ref(3)?.as_str()?).map_err(unreadable)?;
                Ok(Consent {
                    hash: row.get(0)?,
                    session_hash: row.get(1)?,
                    user_id: row.get(2)?,
                    request,
                    pushed: row.get(4)?,
                    expires_at: time(row, 5)?,
                })
            };
            Ok(db.prepare_cached(sql)?.query_row(params![hash, now.0], consent).optional()?)
        })
    }

    async fn approve(&self, approval: Approval) -> Result<ApproveOutcome> {
        self.write(move |db| approve(db, &approval)).await
    }

    async fn deny(
        &self,
        consent: &[u8; 32],
        pushed: Option<&[u8; 32]>,
        now: UnixTime,
    ) -> Result<bool> {
        let (consent, pushed) = (*consent, pushed.copied());
        self.write(move |db| spend(db, &consent, pushed.as_ref(), now)).await
    }
}

fn approve(db: &Connection, approval: &Approval) -> Result<ApproveOutcome> {
    let Approval { client_id, company_id, user_id, code, now, .. } = approval;
    let actor = Actor::User(user_id.clone());
    // The slot is looked at first, so that a refusal spends nothing: nobody else writes meanwhile.
    if let Some((slot, key)) = &approval.slot {
        let sql = match slot {
            Slot::Current => {
                "SELECT 1 FROM installation WHERE client_id = ?1 AND key = ?2 AND redirect_uri = ?3 AND ?4 IS NOT NULL"
            }
            // The address as well: the merchant was shown a move, or none.
            Slot::Staged => {
                "SELECT 1 FROM installation WHERE client_id = ?1 AND staged_key = ?2
                 AND coalesce(staged_redirect_uri, redirect_uri) = ?3 AND staged_at > ?4"
            }
        };
        let staged_since = now.0 - STAGED_LIFETIME;
        let slot = params![client_id, key.0, code.redirect_uri, staged_since];
        if !db.prepare_cached(sql)?.exists(slot)? {
            return Ok(ApproveOutcome::KeyGone);
        }
    }
    let closed = "SELECT 1 FROM company WHERE id = ? AND closed_at IS NOT NULL";
    let role = role_of(db, user_id, company_id)?;
    if !role.is_some_and(|role| role.may(Act::Approve)) {
        return Ok(ApproveOutcome::NotAllowed);
    }
    let deleted = "SELECT 1 FROM client WHERE id = ? AND deleted_at IS NOT NULL";
    if db.prepare_cached(closed)?.exists([company_id])?
        || db.prepare_cached(deleted)?.exists([client_id])?
        || !spend(db, &approval.consent, approval.pushed.as_ref(), *now)?
    {
        return Ok(ApproveOutcome::AlreadyDecided);
    }
    if let Some((slot, _)) = &approval.slot {
        if *slot == Slot::Staged {
            promote_staged_key(db, client_id)?;
            audit::note(
                db,
                &AuditEvent::new(*now, "key_promoted", &actor)
                    .client(client_id)
                    .company(company_id),
            )?;
            end_everything(db, client_id, Some(company_id), EndReason::Replaced, *now)?;
        }
        let sql =
            "UPDATE installation SET approved_at = coalesce(approved_at, ?) WHERE client_id = ?";
        db.prepare_cached(sql)?.execute(params![now.0, client_id])?;
    }
    let standing =
        "SELECT id FROM grants WHERE client_id = ? AND company_id = ? AND revoked_at IS NULL";
    let standing = db
        .prepare_cached(standing)?
        .query_row(params![client_id, company_id], |row| row.get(0))
        .optional()?;
    let grant_id = if let Some(id) = standing {
        id
    } else {
        let sql = "INSERT INTO grants (id, client_id, company_id, user_id, scope, created_at) VALUES (?, ?, ?, ?, ?, ?)";
        let id = approval.new_grant_id.clone();
        let scope = code.scope.to_string();
        db.prepare_cached(sql)?
            .execute(params![id, client_id, company_id, user_id, scope, now.0])?;
        id
    };
    let sql = "INSERT INTO code (hash, grant_id, user_id, redirect_uri, challenge, scope, resource, key, expires_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        code.hash,
        grant_id,
        user_id,
        code.redirect_uri,
        code.challenge.as_str(),
        code.scope.to_string(),
        code.resource,
        code.key.map(|key| key.0),
        code.expires_at.0
    ])?;
    let event = AuditEvent::new(*now, "approved", &actor).detail(user_id);
    audit::of_grant(db, event, &grant_id)?;
    Ok(ApproveOutcome::Approved { grant_id })
}

/// What the person is to the company at this moment; the page may have been open for a while.
pub(super) fn role_of(db: &Connection, user_id: &str, company_id: &str) -> Result<Option<Role>> {
    let sql = "SELECT role FROM membership JOIN user ON user.id = user_id
               WHERE user_id = ? AND company_id = ? AND disabled_at IS NULL";
    let role = db
        .prepare_cached(sql)?
        .query_row([user_id, company_id], |row| row.get::<_, String>(0))
        .optional()?;
    Ok(role.and_then(|word| Role::parse(&word)))
}

fn promote_staged_key(db: &Connection, client_id: &str) -> Result<()> {
    let sql = "UPDATE installation SET key = staged_key, site_url = coalesce(staged_site_url, site_url),
               redirect_uri = coalesce(staged_redirect_uri, redirect_uri),
               staged_key = NULL, staged_site_url = NULL, staged_redirect_uri = NULL, staged_at = NULL WHERE client_id = ?";
    db.prepare_cached(sql)?.execute([client_id])?;
    Ok(())
}

/// Spends a consent page and its pushed request. False, and nothing spent, when either was spent before.
fn spend(
    db: &Connection,
    consent: &[u8; 32],
    pushed: Option<&[u8; 32]>,
    now: UnixTime,
) -> Result<bool> {
    if let Some(pushed) = pushed {
        let open = "SELECT 1 FROM pushed_request WHERE hash = ? AND spent_at IS NULL";
        if !db.prepare_cached(open)?.exists([pushed])? {
            return Ok(false);
        }
    }
    let sql = "UPDATE consent SET decided_at = ?1 WHERE hash = ?2 AND decided_at IS NULL AND expires_at > ?1";
    if db.prepare_cached(sql)?.execute(params![now.0, consent])? == 0 {
        return Ok(false);
    }
    if let Some(pushed) = pushed {
        db.prepare_cached("UPDATE pushed_request SET spent_at = ? WHERE hash = ?")?
            .execute(params![now.0, pushed])?;
    }
    Ok(true)
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt("a request that is no JSON"))
}
