use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, accounts, audit,
    columns::{time, time_opt},
};
use crate::{
    audit::{Actor, AuditEvent},
    people::provider::{Provided, Purpose},
    store::{
        Attempt, Identities, Identity, Linked, Made, Noted, Result, Session, StoreError, Unlinked,
        User, Ways,
    },
};

/// Attempts under way at a time.
const MOST_ATTEMPTS: i64 = 100_000;

pub(super) const TAKE: &str =
    "DELETE FROM provider_attempt WHERE state = ? AND visit = ? AND expires_at > ?
     RETURNING state, visit, provider, purpose, session, destination, started_at, expires_at";

pub(super) const WHO: &str = "SELECT user.id, user.email, password_hash, disabled_at FROM identity
     JOIN user ON user.id = user_id WHERE issuer = ? AND subject = ?";

pub(super) const OF_PERSON: &str =
    "SELECT issuer, subject, user_id, email, linked_at, used_at FROM identity
     WHERE user_id = ? ORDER BY issuer";

pub(super) const WAITING: &str = "SELECT count(*) FROM provider_attempt WHERE expires_at > ?";

#[async_trait]
impl Identities for Sqlite {
    async fn start_attempt(&self, attempt: Attempt) -> Result<bool> {
        self.write(move |db| start_attempt(db, &attempt)).await
    }

    async fn take_attempt(
        &self,
        state: &[u8; 32],
        visit: &[u8; 32],
        now: UnixTime,
    ) -> Result<Option<Attempt>> {
        let (state, visit) = (*state, *visit);
        self.write(move |db| {
            let mut statement = db.prepare_cached(TAKE)?;
            let mut rows = statement.query(params![state, visit, now.0])?;
            let taken = rows.next()?.map(attempt).transpose()?;
            Ok(taken)
        })
        .await
    }

    async fn identity(&self, issuer: &str, subject: &str) -> Result<Option<User>> {
        self.read(|db| who(db, issuer, subject))
    }

    async fn identities(&self, user_id: &str) -> Result<Vec<Identity>> {
        self.read(|db| {
            let mut statement = db.prepare_cached(OF_PERSON)?;
            let found = statement.query_map([user_id], identity)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn link(&self, identity: Identity, provided: Provided) -> Result<Linked> {
        self.write(move |db| link(db, &identity, provided)).await
    }

    async fn is_invited(&self, email: &str, now: UnixTime) -> Result<bool> {
        self.read(|db| is_invited(db, email, now))
    }

    async fn make_person(&self, user: User, identity: Identity, invited: bool) -> Result<Made> {
        self.write(move |db| {
            let now = identity.linked_at;
            if invited && !is_invited(db, &user.email, now)? {
                return Ok(Made::NotInvited);
            }
            if who(db, &identity.issuer, &identity.subject)?.is_some()
                || !accounts::add_user(db, &user, now)?
            {
                return Ok(Made::Taken);
            }
            insert(db, &identity)?;
            note(db, now, "person_made_by_provider", (&user.id, &identity.issuer))?;
            Ok(Made::Done)
        })
        .await
    }

    async fn sign_in_through(
        &self,
        (issuer, subject): (&str, &str),
        session: Session,
        before: Option<[u8; 32]>,
        now: UnixTime,
    ) -> Result<bool> {
        let (issuer, subject) = (issuer.to_owned(), subject.to_owned());
        self.write(move |db| {
            let sql =
                "UPDATE identity SET used_at = ? WHERE issuer = ? AND subject = ? AND user_id = ?
                       AND EXISTS (SELECT 1 FROM user WHERE id = user_id AND disabled_at IS NULL)";
            let values = params![now.0, issuer, subject, session.user_id];
            if db.prepare_cached(sql)?.execute(values)? == 0 {
                return Ok(false);
            }
            if let Some(before) = before {
                db.prepare_cached("DELETE FROM session WHERE hash = ?")?.execute([before])?;
            }
            accounts::start_session(db, &session, now)?;
            Ok(true)
        })
        .await
    }

    async fn confirm_session(
        &self,
        hash: &[u8; 32],
        becomes: &[u8; 32],
        second_factor: bool,
        now: UnixTime,
    ) -> Result<bool> {
        let (hash, becomes) = (*hash, *becomes);
        self.write(move |db| {
            let is_there = accounts::rename_session(db, &hash, &becomes, now)?;
            let sql = "UPDATE session SET confirmed_at = ?1, proved_at = CASE WHEN ?2 THEN ?1 ELSE proved_at END
                       WHERE hash = ?3";
            db.prepare_cached(sql)?.execute(params![now.0, second_factor, becomes])?;
            Ok(is_there)
        })
        .await
    }

    async fn unlink(
        &self,
        user_id: &str,
        (issuer, provider): (&str, &str),
        ways: Ways,
        keep: [u8; 32],
        now: UnixTime,
    ) -> Result<Unlinked> {
        let (user_id, issuer, provider) =
            (user_id.to_owned(), issuer.to_owned(), provider.to_owned());
        self.write(move |db| {
            if !has_another_way(db, &user_id, &issuer, &ways)? {
                let there = "SELECT 1 FROM identity WHERE user_id = ? AND issuer = ?";
                let there = db.prepare_cached(there)?.exists([&user_id, &issuer])?;
                return Ok(if there { Unlinked::LastWay } else { Unlinked::Gone });
            }
            let sql = "DELETE FROM identity WHERE user_id = ? AND issuer = ?";
            if db.prepare_cached(sql)?.execute([&user_id, &issuer])? == 0 {
                return Ok(Unlinked::Gone);
            }
            let sql = "DELETE FROM session WHERE user_id = ? AND provider = ? AND hash <> ?";
            db.prepare_cached(sql)?.execute(params![user_id, provider, keep])?;
            note(db, now, "provider_unlinked", (&user_id, &issuer))?;
            Ok(Unlinked::Done)
        })
        .await
    }

    async fn note_provider(
        &self,
        actor: &Actor,
        noted: Noted,
        provider: &str,
        now: UnixTime,
    ) -> Result<()> {
        let (actor, provider) = (actor.clone(), provider.to_owned());
        self.write(move |db| {
            let (event, detail) = match noted {
                Noted::SignedIn => ("signed_in_through", provider),
                Noted::Refused(reason) => ("provider_refused", format!("{provider}: {reason}")),
            };
            audit::note(db, &AuditEvent::new(now, event, &actor).detail(&detail))
        })
        .await
    }
}

fn start_attempt(db: &Connection, attempt: &Attempt) -> Result<bool> {
    let Attempt { state, visit, provider, purpose, destination, started_at, expires_at } = attempt;
    let waiting: i64 = db.prepare_cached(WAITING)?.query_row([started_at.0], |row| row.get(0))?;
    if waiting >= MOST_ATTEMPTS {
        return Ok(false);
    }
    let (word, session) = match purpose {
        Purpose::SignIn => ("sign_in", None),
        Purpose::Link { session } => ("link", Some(session)),
        Purpose::Confirm { session } => ("confirm", Some(session)),
    };
    let sql = "INSERT INTO provider_attempt (state, visit, provider, purpose, session, destination, started_at, expires_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    db.prepare_cached(sql)?.execute(params![
        state,
        visit,
        provider,
        word,
        session,
        destination,
        started_at.0,
        expires_at.0
    ])?;
    Ok(true)
}

fn attempt(row: &Row<'_>) -> Result<Attempt> {
    let purpose = match (row.get::<_, String>(3)?.as_str(), row.get(4)?) {
        ("sign_in", None) => Purpose::SignIn,
        ("link", Some(session)) => Purpose::Link { session },
        ("confirm", Some(session)) => Purpose::Confirm { session },
        _ => return Err(StoreError::Corrupt("an attempt for a purpose that there is not")),
    };
    Ok(Attempt {
        state: row.get(0)?,
        visit: row.get(1)?,
        provider: row.get(2)?,
        purpose,
        destination: row.get(5)?,
        started_at: time(row, 6)?,
        expires_at: time(row, 7)?,
    })
}

fn identity(row: &Row<'_>) -> rusqlite::Result<Identity> {
    Ok(Identity {
        issuer: row.get(0)?,
        subject: row.get(1)?,
        user_id: row.get(2)?,
        email: row.get(3)?,
        linked_at: time(row, 4)?,
        used_at: time_opt(row, 5)?,
    })
}

fn who(db: &Connection, issuer: &str, subject: &str) -> Result<Option<User>> {
    let mut statement = db.prepare_cached(WHO)?;
    Ok(statement.query_row([issuer, subject], accounts::user).optional()?)
}

fn link(db: &Connection, identity: &Identity, provided: Provided) -> Result<Linked> {
    let Identity { issuer, subject, user_id, linked_at, .. } = identity;
    if let Some(user) = who(db, issuer, subject)? {
        return Ok(if user.id == *user_id { Linked::Done } else { Linked::Taken });
    }
    let sql = "SELECT password_hash FROM user WHERE id = ? AND disabled_at IS NULL";
    let password: Option<String> =
        db.prepare_cached(sql)?.query_row([user_id], |row| row.get(0)).optional()?;
    let Some(password) = password else { return Ok(Linked::Gone) };
    let sql = "SELECT 1 FROM identity WHERE user_id = ?1 AND (?2 OR issuer = ?3)";
    let any = provided != Provided::Nothing;
    let occupied = db.prepare_cached(sql)?.exists(params![user_id, any, issuer])?;
    if occupied || (provided == Provided::NothingElse && !password.is_empty()) {
        return Ok(Linked::Occupied);
    }
    insert(db, identity)?;
    note(db, *linked_at, "provider_linked", (user_id, issuer))?;
    Ok(Linked::Done)
}

fn insert(db: &Connection, identity: &Identity) -> Result<()> {
    let Identity { issuer, subject, user_id, email, linked_at, used_at } = identity;
    let sql = "INSERT INTO identity (issuer, subject, user_id, email, linked_at, used_at) VALUES (?, ?, ?, ?, ?, ?)";
    let used_at = used_at.map(|at| at.0);
    let values = params![issuer, subject, user_id, email, linked_at.0, used_at];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn is_invited(db: &Connection, email: &str, now: UnixTime) -> Result<bool> {
    let sql = "SELECT 1 FROM invitation JOIN company ON company.id = company_id
               WHERE email = ? AND expires_at > ? AND closed_at IS NULL";
    Ok(db.prepare_cached(sql)?.exists(params![email, now.0])?)
}

/// Whether somebody could still sign in without this issuer.
fn has_another_way(db: &Connection, user_id: &str, issuer: &str, ways: &Ways) -> Result<bool> {
    let sql = "SELECT password_hash <> '' FROM user WHERE id = ?";
    let has_password: Option<bool> =
        db.prepare_cached(sql)?.query_row([user_id], |row| row.get(0)).optional()?;
    if ways.passwords && has_password == Some(true) {
        return Ok(true);
    }
    let mut statement = db.prepare_cached(OF_PERSON)?;
    let found = statement.query_map([user_id], identity)?;
    for other in found {
        let other = other?.issuer;
        if other != issuer && ways.issuers.contains(&other) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Notes what a person did through a provider, or about one.
fn note(
    db: &Connection,
    now: UnixTime,
    event: &str,
    (user_id, issuer): (&str, &str),
) -> Result<()> {
    let actor = Actor::User(user_id.to_owned());
    audit::note(db, &AuditEvent::new(now, event, &actor).subject(user_id).detail(issuer))
}
