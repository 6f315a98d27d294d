use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, audit,
    columns::{time, time_opt},
    grants::end_grants_of,
};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::grant::EndReason,
    people::role::Role,
    store::{Accounts, Company, HandOver, Membership, Result, Session, StoreError, User},
};

/// The developers' host goes on with a session that has another name.
pub(super) const RENAME_AT_PORTAL: &str =
    "UPDATE portal_key SET session_hash = ? WHERE session_hash = ?";

/// The session that a cookie of the developers' host names.
pub(super) const AT_PORTAL: &str = "SELECT session.hash, user_id, session.expires_at, half, proved_at, session.browser, address, provider, confirmed_at
    FROM portal_key JOIN session ON session.hash = session_hash JOIN user ON user.id = user_id
    WHERE portal_key.hash = ? AND portal_key.browser IS NULL AND session.expires_at > ? AND half = ? AND disabled_at IS NULL";

/// The session that a cookie of the issuer's names.
const AT_ISSUER: &str =
    "SELECT session.hash, user_id, expires_at, half, proved_at, browser, address, provider, confirmed_at FROM session
    JOIN user ON user.id = user_id
    WHERE session.hash = ? AND expires_at > ? AND half = ? AND disabled_at IS NULL";

#[async_trait]
impl Accounts for Sqlite {
    #[cfg(test)]
    async fn add_company(&self, company: Company, now: UnixTime) -> Result<bool> {
        self.write(move |db| add_company(db, &company, now)).await
    }

    async fn company(&self, name_or_id: &str) -> Result<Option<Company>> {
        self.read(|db| {
            let sql =
                "SELECT id, name FROM company WHERE (name = ?1 OR id = ?1) AND closed_at IS NULL";
            let company = |row: &Row<'_>| Ok(Company { id: row.get(0)?, name: row.get(1)? });
            Ok(db.prepare_cached(sql)?.query_row([name_or_id], company).optional()?)
        })
    }

    async fn close_company(
        &self,
        name_or_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>> {
        let (name_or_id, actor) = (name_or_id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "UPDATE company SET closed_at = ?1 WHERE (name = ?2 OR id = ?2) AND closed_at IS NULL RETURNING id";
            let closed = db
                .prepare_cached(sql)?
                .query_row(params![now.0, name_or_id], |row| row.get::<_, String>(0))
                .optional()?;
            closed.map(|id| close(db, &id, &actor, now)).transpose()
        })
        .await
    }

    #[cfg(test)]
    async fn add_user(&self, user: User, now: UnixTime) -> Result<bool> {
        self.write(move |db| add_user(db, &user, now)).await
    }

    #[cfg(test)]
    async fn add_membership(&self, user_id: &str, company_id: &str, role: Role) -> Result<()> {
        let (user_id, company_id) = (user_id.to_owned(), company_id.to_owned());
        self.write(move |db| place_in_company(db, &user_id, &company_id, role)).await
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        self.read(|db| {
            let sql = "SELECT id, email, password_hash, disabled_at FROM user WHERE email = ?";
            Ok(db.prepare_cached(sql)?.query_row([email], user).optional()?)
        })
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        self.read(|db| {
            let sql = "SELECT id, email, password_hash, disabled_at FROM user WHERE id = ?";
            Ok(db.prepare_cached(sql)?.query_row([id], user).optional()?)
        })
    }

    async fn memberships(&self, user_id: &str) -> Result<Vec<Membership>> {
        self.read(|db| memberships(db, user_id))
    }

    async fn start_session(&self, session: Session, now: UnixTime) -> Result<()> {
        self.write(move |db| start_session(db, &session, now)).await
    }

    async fn session(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Session>> {
        self.read(|db| find_session(db, hash, false, now))
    }

    async fn end_session(&self, hash: &[u8; 32]) -> Result<()> {
        let hash = *hash;
        self.write(move |db| {
            db.prepare_cached("DELETE FROM session WHERE hash = ?")?.execute([hash])?;
            Ok(())
        })
        .await
    }

    async fn hand_over(&self, code: HandOver, now: UnixTime) -> Result<()> {
        self.write(move |db| {
            let sql = "INSERT INTO portal_key (hash, session_hash, browser, expires_at)
                       SELECT ?1, hash, ?3, ?4 FROM session WHERE hash = ?2 AND half = 0 AND expires_at > ?5";
            let values = params![code.hash, code.session, code.browser, code.expires_at.0, now.0];
            db.prepare_cached(sql)?.execute(values)?;
            Ok(())
        })
        .await
    }

    async fn take_over(
        &self,
        code: &[u8; 32],
        browser: &[u8; 32],
        cookie: &[u8; 32],
        now: UnixTime,
    ) -> Result<bool> {
        let (code, browser, cookie) = (*code, *browser, *cookie);
        self.write(move |db| {
            let sql = "UPDATE portal_key SET hash = ?3, browser = NULL
                       WHERE hash = ?1 AND browser = ?2 AND expires_at > ?4";
            let taken = db.prepare_cached(sql)?.execute(params![code, browser, cookie, now.0])?;
            Ok(taken == 1)
        })
        .await
    }

    async fn portal_session(&self, cookie: &[u8; 32], now: UnixTime) -> Result<Option<Session>> {
        self.read(|db| session_by(db, AT_PORTAL, cookie, false, now))
    }
}

/// The open companies a person acts for, by name.
pub(super) fn memberships(db: &Connection, user_id: &str) -> Result<Vec<Membership>> {
    let sql = "SELECT company.id, company.name, membership.role FROM membership
               JOIN company ON company.id = membership.company_id
               WHERE membership.user_id = ? AND company.closed_at IS NULL ORDER BY company.name";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([user_id])?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        let role = Role::parse(&row.get::<_, String>(2)?);
        let role = role.ok_or(StoreError::Corrupt("a role that there is not"))?;
        places.push(Membership { company: Company { id: row.get(0)?, name: row.get(1)? }, role });
    }
    Ok(places)
}

fn close(db: &Connection, company_id: &str, actor: &Actor, now: UnixTime) -> Result<usize> {
    let event = AuditEvent::new(now, "company_closed", actor).company(company_id);
    audit::note(db, &event)?;
    end_grants_of(db, company_id, EndReason::Closed, actor, now)
}

/// Adds a company. False when the name is taken.
pub(super) fn add_company(db: &Connection, company: &Company, now: UnixTime) -> Result<bool> {
    let sql = "INSERT INTO company (id, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    Ok(db.prepare_cached(sql)?.execute(params![company.id, company.name, now.0])? == 1)
}

/// Adds a person. False when the address is taken.
pub(super) fn add_user(db: &Connection, user: &User, now: UnixTime) -> Result<bool> {
    let sql = "INSERT INTO user (id, email, password_hash, created_at, disabled_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let disabled_at = user.disabled_at.map(|t| t.0);
    let values = params![user.id, user.email, user.password_hash, now.0, disabled_at];
    Ok(db.prepare_cached(sql)?.execute(values)? == 1)
}

/// Gives a person a place in a company, or another role there.
pub(super) fn place_in_company(
    db: &Connection,
    user_id: &str,
    company_id: &str,
    role: Role,
) -> Result<()> {
    let sql = "INSERT INTO membership (user_id, company_id, role) VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET role = excluded.role";
    db.prepare_cached(sql)?.execute(params![user_id, company_id, role.as_str()])?;
    Ok(())
}

/// Starts a session.
pub(super) fn start_session(db: &Connection, session: &Session, now: UnixTime) -> Result<()> {
    let sql = "INSERT INTO session (hash, user_id, created_at, expires_at, half, proved_at, browser, address, provider, confirmed_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        session.hash,
        session.user_id,
        now.0,
        session.expires_at.0,
        session.half,
        session.proved_at.map(|at| at.0),
        session.browser,
        session.address,
        session.provider,
        session.confirmed_at.map(|at| at.0)
    ])?;
    Ok(())
}

/// Gives a whole session another name, under which both hosts go on with it. False when it has ended.
pub(super) fn rename_session(
    db: &Connection,
    hash: &[u8; 32],
    becomes: &[u8; 32],
    now: UnixTime,
) -> Result<bool> {
    let sql = "INSERT INTO session (hash, user_id, created_at, expires_at, half, proved_at, browser, address, provider, confirmed_at)
               SELECT ?, user_id, created_at, expires_at, half, proved_at, browser, address, provider, confirmed_at
               FROM session WHERE hash = ? AND expires_at > ? AND half = 0";
    if db.prepare_cached(sql)?.execute(params![becomes, hash, now.0])? == 0 {
        return Ok(false);
    }
    db.prepare_cached(RENAME_AT_PORTAL)?.execute([becomes, hash])?;
    db.prepare_cached("DELETE FROM session WHERE hash = ?")?.execute([hash])?;
    Ok(true)
}

/// Finds a session, whole or half, of a person who is not shut out.
pub(super) fn find_session(
    db: &Connection,
    hash: &[u8; 32],
    half: bool,
    now: UnixTime,
) -> Result<Option<Session>> {
    session_by(db, AT_ISSUER, hash, half, now)
}

fn session_by(
    db: &Connection,
    sql: &str,
    hash: &[u8; 32],
    half: bool,
    now: UnixTime,
) -> Result<Option<Session>> {
    let session = |row: &Row<'_>| {
        Ok(Session {
            hash: row.get(0)?,
            user_id: row.get(1)?,
            expires_at: time(row, 2)?,
            half: row.get(3)?,
            proved_at: time_opt(row, 4)?,
            browser: row.get(5)?,
            address: row.get(6)?,
            provider: row.get(7)?,
            confirmed_at: time_opt(row, 8)?,
        })
    };
    Ok(db.prepare_cached(sql)?.query_row(params![hash, now.0, half], session).optional()?)
}

pub(super) fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        email: row.get(1)?,
        password_hash: row.get(2)?,
        disabled_at: time_opt(row, 3)?,
    })
}
