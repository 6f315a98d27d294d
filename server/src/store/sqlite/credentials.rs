use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, accounts, audit,
    columns::{time, time_opt},
};
use crate::{
    audit::{Actor, AuditEvent},
    people::second_factor::{FactorOutcome, SecondFactor},
    store::{
        Credentials, FactorUse, PasswordChange, Result, Session, SessionEntry, StoreError, User,
    },
};

/// The sessions that a person is shown.
const MOST_SESSIONS: u32 = 100;

pub(super) const SESSIONS: &str =
    "SELECT hash, created_at, expires_at, browser, address, provider FROM session
     WHERE user_id = ? AND expires_at > ? AND half = 0 ORDER BY created_at DESC, hash LIMIT ?";

pub(super) const END_SESSIONS: &str = "DELETE FROM session WHERE user_id = ?1 AND (?2 IS NULL OR hash = ?2) AND (?3 IS NULL OR hash <> ?3)";

pub(super) const RESET: &str =
    "SELECT user.id, email, password_hash, disabled_at FROM password_reset JOIN user ON user.id = user_id
     WHERE hash = ? AND expires_at > ? AND disabled_at IS NULL";

pub(super) const FACTOR: &str = "SELECT secret, last_step, failures, locked_until, confirmed_at FROM second_factor WHERE user_id = ?";

#[async_trait]
impl Credentials for Sqlite {
    async fn change_password(&self, change: PasswordChange) -> Result<bool> {
        self.write(move |db| {
            let PasswordChange { user_id, was, becomes, session, now } = change;
            let sql = "UPDATE user SET password_hash = ? WHERE id = ? AND password_hash = ? AND disabled_at IS NULL";
            if db.prepare_cached(sql)?.execute([&becomes, &user_id, &was])? == 0 {
                return Ok(false);
            }
            note(db, now, "password_changed", &user_id)?;
            forget_links(db, &user_id)?;
            end_sessions(db, &user_id, None, None)?;
            accounts::start_session(db, &session, now)?;
            Ok(true)
        })
        .await
    }

    async fn start_reset(
        &self,
        user_id: &str,
        hash: [u8; 32],
        now: UnixTime,
        expires_at: UnixTime,
    ) -> Result<()> {
        let user_id = user_id.to_owned();
        self.write(move |db| {
            let sql = "INSERT INTO password_reset (user_id, hash, expires_at) VALUES (?, ?, ?)
                       ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at";
            db.prepare_cached(sql)?.execute(params![user_id, hash, expires_at.0])?;
            let event = AuditEvent::new(now, "password_reset_asked", &Actor::System);
            audit::note(db, &event.subject(&user_id))
        })
        .await
    }

    async fn reset_of(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<User>> {
        self.read(|db| {
            let mut statement = db.prepare_cached(RESET)?;
            Ok(statement.query_row(params![hash, now.0], accounts::user).optional()?)
        })
    }

    async fn finish_reset(
        &self,
        hash: &[u8; 32],
        password_hash: String,
        now: UnixTime,
    ) -> Result<Option<User>> {
        let hash = *hash;
        self.write(move |db| {
            let found = db
                .prepare_cached(RESET)?
                .query_row(params![hash, now.0], accounts::user)
                .optional()?;
            let Some(user) = found else { return Ok(None) };
            db.prepare_cached("UPDATE user SET password_hash = ? WHERE id = ?")?
                .execute([&password_hash, &user.id])?;
            note(db, now, "password_reset", &user.id)?;
            forget_links(db, &user.id)?;
            end_sessions(db, &user.id, None, None)?;
            Ok(Some(User { password_hash, ..user }))
        })
        .await
    }

    async fn sessions(&self, user_id: &str, now: UnixTime) -> Result<Vec<SessionEntry>> {
        self.read(|db| {
            let entry = |row: &Row<'_>| {
                Ok(SessionEntry {
                    hash: row.get(0)?,
                    created_at: time(row, 1)?,
                    expires_at: time(row, 2)?,
                    browser: row.get(3)?,
                    address: row.get(4)?,
                    provider: row.get(5)?,
                })
            };
            let mut statement = db.prepare_cached(SESSIONS)?;
            let entries = statement.query_map(params![user_id, now.0, MOST_SESSIONS], entry)?;
            Ok(entries.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn end_sessions(
        &self,
        user_id: &str,
        only: Option<[u8; 32]>,
        keep: Option<[u8; 32]>,
        now: UnixTime,
    ) -> Result<usize> {
        let user_id = user_id.to_owned();
        self.write(move |db| {
            let ended = end_sessions(db, &user_id, only.as_ref(), keep.as_ref())?;
            if ended > 0 {
                note(db, now, "sessions_ended", &user_id)?;
            }
            Ok(ended)
        })
        .await
    }

    async fn half_session(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Session>> {
        self.read(|db| accounts::find_session(db, hash, true, now))
    }

    async fn second_factor(&self, user_id: &str) -> Result<Option<SecondFactor>> {
        self.read(|db| factor(db, user_id))
    }

    async fn begin_second_factor(&self, user_id: &str, sealed: Vec<u8>) -> Result<bool> {
        let user_id = user_id.to_owned();
        self.write(move |db| {
            let sql = "INSERT INTO second_factor (user_id, secret) VALUES (?, ?) ON CONFLICT DO UPDATE
                       SET secret = excluded.secret, last_step = 0, failures = 0 WHERE confirmed_at IS NULL";
            Ok(db.prepare_cached(sql)?.execute(params![user_id, sealed])? == 1)
        })
        .await
    }

    async fn confirm_second_factor(
        &self,
        used: FactorUse,
        recovery_codes: Vec<[u8; 32]>,
        keep: [u8; 32],
    ) -> Result<bool> {
        self.write(move |db| {
            let FactorUse { user_id, now, .. } = &used;
            if used.seen.confirmed_at.is_some() || !use_factor(db, &used)? {
                return Ok(false);
            }
            if !used.becomes.is_right() {
                return Ok(true);
            }
            let sql = "UPDATE second_factor SET confirmed_at = ? WHERE user_id = ?";
            db.prepare_cached(sql)?.execute(params![now.0, user_id])?;
            for hash in recovery_codes {
                let sql = "INSERT INTO recovery_code (user_id, hash) VALUES (?, ?)";
                db.prepare_cached(sql)?.execute(params![user_id, hash])?;
            }
            note(db, *now, "second_factor_on", user_id)?;
            end_sessions(db, user_id, None, Some(&keep))?;
            prove(db, &keep, *now)?;
            Ok(true)
        })
        .await
    }

    async fn use_factor(&self, used: FactorUse) -> Result<bool> {
        self.write(move |db| use_factor(db, &used)).await
    }

    async fn prove_session(
        &self,
        hash: &[u8; 32],
        becomes: &[u8; 32],
        now: UnixTime,
    ) -> Result<bool> {
        let (hash, becomes) = (*hash, *becomes);
        self.write(move |db| {
            let is_there = accounts::rename_session(db, &hash, &becomes, now)?;
            prove(db, &becomes, now)?;
            Ok(is_there)
        })
        .await
    }

    async fn remove_second_factor(
        &self,
        user_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<bool> {
        let (user_id, actor) = (user_id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql =
                "DELETE FROM second_factor WHERE user_id = ? RETURNING confirmed_at IS NOT NULL";
            let removed: Option<bool> =
                db.prepare_cached(sql)?.query_row([&user_id], |row| row.get(0)).optional()?;
            if removed == Some(true) {
                let event = AuditEvent::new(now, "second_factor_off", &actor).subject(&user_id);
                audit::note(db, &event)?;
            }
            Ok(removed == Some(true))
        })
        .await
    }
}

/// Notes what a person did to himself.
fn note(db: &Connection, now: UnixTime, event: &str, user_id: &str) -> Result<()> {
    let actor = Actor::User(user_id.to_owned());
    audit::note(db, &AuditEvent::new(now, event, &actor).subject(user_id))
}

/// Kills the links to a new password that wait.
pub(super) fn forget_links(db: &Connection, user_id: &str) -> Result<()> {
    db.prepare_cached("DELETE FROM password_reset WHERE user_id = ?")?.execute([user_id])?;
    Ok(())
}

/// Ends sessions of a person: all, but for one, or only one. Answers how many.
pub(super) fn end_sessions(
    db: &Connection,
    user_id: &str,
    only: Option<&[u8; 32]>,
    keep: Option<&[u8; 32]>,
) -> Result<usize> {
    Ok(db.prepare_cached(END_SESSIONS)?.execute(params![user_id, only, keep])?)
}

fn prove(db: &Connection, session: &[u8; 32], now: UnixTime) -> Result<()> {
    db.prepare_cached("UPDATE session SET proved_at = ? WHERE hash = ?")?
        .execute(params![now.0, session])?;
    Ok(())
}

fn factor(db: &Connection, user_id: &str) -> Result<Option<SecondFactor>> {
    let read = |row: &Row<'_>| {
        Ok(SecondFactor {
            sealed: row.get(0)?,
            last_step: row.get(1)?,
            failures: row.get(2)?,
            locked_until: time(row, 3)?,
            confirmed_at: time_opt(row, 4)?,
            recovery_codes: Vec::new(),
        })
    };
    let found = db.prepare_cached(FACTOR)?.query_row([user_id], read).optional()?;
    let Some(factor) = found else { return Ok(None) };
    let sql = "SELECT hash FROM recovery_code WHERE user_id = ? ORDER BY hash";
    let mut statement = db.prepare_cached(sql)?;
    let codes = statement.query_map([user_id], |row| row.get(0))?;
    Ok(Some(SecondFactor { recovery_codes: codes.collect::<rusqlite::Result<_>>()?, ..factor }))
}

/// Writes what follows from a code, if the factor is as it was read: two who typed the same code are told apart here.
fn use_factor(db: &Connection, used: &FactorUse) -> Result<bool> {
    let FactorUse { user_id, seen, becomes, now } = used;
    let (last_step, failures, locked_until) = match *becomes {
        FactorOutcome::Step(step) => (step, 0, UnixTime(0)),
        FactorOutcome::Recovery(_) => (seen.last_step, 0, UnixTime(0)),
        FactorOutcome::Wrong { failures, locked_until } => (seen.last_step, failures, locked_until),
        FactorOutcome::Locked { .. } => return Err(StoreError::Corrupt("a code nobody looked at")),
    };
    let sql = "UPDATE second_factor SET last_step = ?, failures = ?, locked_until = ?
               WHERE user_id = ? AND secret = ? AND last_step = ? AND failures = ? AND locked_until = ?";
    let written = db.prepare_cached(sql)?.execute(params![
        last_step,
        failures,
        locked_until.0,
        user_id,
        seen.sealed,
        seen.last_step,
        seen.failures,
        seen.locked_until.0
    ])?;
    if written == 0 {
        return Ok(false);
    }
    if let FactorOutcome::Recovery(hash) = becomes {
        let sql = "DELETE FROM recovery_code WHERE user_id = ? AND hash = ?";
        if db.prepare_cached(sql)?.execute(params![user_id, hash])? == 0 {
            return Ok(false);
        }
        note(db, *now, "recovery_code_used", user_id)?;
    }
    if becomes.locks() {
        note(db, *now, "second_factor_locked", user_id)?;
    }
    Ok(true)
}
