use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, jwk::Thumbprint};
use rusqlite::{Connection as Database, OptionalExtension, Row, params};

use super::{
    Sqlite,
    columns::{scope, time, time_opt, unreadable},
    ends,
    requests::role_of,
};
use crate::{
    audit::Actor,
    oauth::{
        connection::Facts,
        grant::EndReason,
        ownership::{Checked, Verdict},
    },
    people::role::Act,
    store::{
        Connection, ConnectionEnd, ConnectionEvent, ConnectionQuery, Connections, EndOutcome,
        Result, StoreError, StoreFacts,
    },
};

/// The newest grant of each client at the company ?1: the one that stands, or else the last that was made.
macro_rules! newest {
    () => {
        "SELECT client.id, client.name, installation.platform, installation.site_url, installation.plugin_version,
         installation.platform_version, company.name, grants.id, grants.scope, grants.created_at, user.email,
         grants.redeemed_at, grants.revoked_at, grants.revoked_reason, grant_access.at,
         EXISTS (SELECT 1 FROM family WHERE family.grant_id = grants.id AND family.revoked_at IS NULL
                 AND (family.expires_at IS NULL OR family.expires_at > ?2)),
         client.company_id IS grants.company_id AND client.secret_hash IS NOT NULL
         FROM grants JOIN client ON client.id = grants.client_id
         LEFT JOIN installation ON installation.client_id = client.id
         LEFT JOIN company ON company.id = client.company_id
         LEFT JOIN user ON user.id = grants.user_id
         LEFT JOIN grant_access ON grant_access.grant_id = grants.id
         WHERE grants.company_id = ?1 AND NOT EXISTS (SELECT 1 FROM grants later WHERE later.client_id = grants.client_id
             AND later.company_id = ?1
             AND (later.revoked_at IS NULL, later.created_at, later.id) > (grants.revoked_at IS NULL, grants.created_at, grants.id))"
    };
}

pub(super) const LIST: &str = concat!(
    newest!(),
    " AND (?3 = '' OR instr(lower(client.name), lower(?3)) > 0 OR instr(lower(coalesce(installation.site_url, '')), lower(?3)) > 0)
     AND (?4 IS NULL OR (grants.revoked_at IS NOT NULL) = ?4)
     ORDER BY grants.revoked_at IS NOT NULL, grants.created_at DESC, grants.id LIMIT ?5 OFFSET ?6"
);

pub(super) const ONE: &str = concat!(newest!(), " AND grants.client_id = ?3");

/// What happened to the client ?1 and concerns the company ?2, before the record ?3.
pub(super) const EVENTS: &str =
    "SELECT audit.id, at, event, actor, user.email, detail FROM audit
     LEFT JOIN user ON user.id = substr(actor, 6) AND substr(actor, 1, 5) = 'user:'
     WHERE client_id = ?1 AND audit.id < ?3
     AND (company_id = ?2 OR (company_id IS NULL
          AND at >= (SELECT min(grants.created_at) FROM grants WHERE grants.client_id = ?1 AND grants.company_id = ?2)
          AND at <= (SELECT max(coalesce(grants.revoked_at, 9223372036854775807)) FROM grants
                     WHERE grants.client_id = ?1 AND grants.company_id = ?2)))
     ORDER BY audit.id DESC LIMIT ?4";

pub(super) const NOTE_ACCESS: &str =
    "INSERT INTO grant_access (grant_id, at) SELECT id, ?2 FROM grants WHERE id = ?1
     ON CONFLICT DO UPDATE SET at = max(at, excluded.at)";

pub(super) const NOTE_OWNERSHIP: &str = "INSERT INTO ownership (client_id, site_url, key, verdict, checked_at)
     SELECT client_id, ?2, ?3, ?4, ?5 FROM installation WHERE client_id = ?1
     ON CONFLICT DO UPDATE SET site_url = ?2, key = ?3, verdict = ?4, checked_at = ?5 WHERE checked_at <= ?5";

pub(super) const OWNERSHIP: &str =
    "SELECT client_id, site_url, key, verdict, checked_at FROM ownership WHERE client_id = ?1";

#[async_trait]
impl Connections for Sqlite {
    async fn connections(
        &self,
        company_id: &str,
        now: UnixTime,
        query: ConnectionQuery<'_>,
    ) -> Result<Vec<Connection>> {
        let ConnectionQuery { search, ended, skip, limit } = query;
        self.read(|db| {
            let mut statement = db.prepare_cached(LIST)?;
            let values = params![company_id, now.0, search, ended, limit, skip];
            let found = statement.query_map(values, connection)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn connection(
        &self,
        company_id: &str,
        client_id: &str,
        now: UnixTime,
    ) -> Result<Option<Connection>> {
        self.read(|db| {
            let values = params![company_id, now.0, client_id];
            Ok(db.prepare_cached(ONE)?.query_row(values, connection).optional()?)
        })
    }

    async fn connection_events(
        &self,
        company_id: &str,
        client_id: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ConnectionEvent>> {
        let event = |row: &Row<'_>| {
            Ok(ConnectionEvent {
                id: row.get(0)?,
                at: time(row, 1)?,
                event: row.get(2)?,
                actor: row.get(3)?,
                email: row.get(4)?,
                detail: row.get(5)?,
            })
        };
        self.read(|db| {
            let mut statement = db.prepare_cached(EVENTS)?;
            let before = before.unwrap_or(i64::MAX);
            let events =
                statement.query_map(params![client_id, company_id, before, limit], event)?;
            Ok(events.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn end_connection(&self, end: ConnectionEnd) -> Result<EndOutcome> {
        self.write(move |db| end_by_person(db, &end)).await
    }

    async fn note_access(&self, uses: Vec<(String, UnixTime)>) -> Result<()> {
        self.write(move |db| {
            let mut statement = db.prepare_cached(NOTE_ACCESS)?;
            for (grant_id, at) in &uses {
                statement.execute(params![grant_id, at.0])?;
            }
            Ok(())
        })
        .await
    }

    async fn note_ownership(&self, checked: Checked) -> Result<()> {
        self.write(move |db| {
            let Checked { client_id, site_url, key, verdict, at } = &checked;
            let values = params![client_id, site_url, key.0, verdict.word(), at.0];
            db.prepare_cached(NOTE_OWNERSHIP)?.execute(values)?;
            Ok(())
        })
        .await
    }

    async fn ownership(&self, client_id: &str) -> Result<Option<Checked>> {
        self.read(|db| {
            Ok(db.prepare_cached(OWNERSHIP)?.query_row([client_id], checked).optional()?)
        })
    }

    async fn last_access(&self, grant_id: &str) -> Result<Option<UnixTime>> {
        self.read(|db| {
            let sql = "SELECT at FROM grant_access WHERE grant_id = ?";
            Ok(db.prepare_cached(sql)?.query_row([grant_id], |row| time(row, 0)).optional()?)
        })
    }
}

fn end_by_person(db: &Database, end: &ConnectionEnd) -> Result<EndOutcome> {
    let ConnectionEnd { company_id, client_id, grant_id, user_id, now } = end;
    // The page may have been open for a while.
    if !role_of(db, user_id, company_id)?.is_some_and(|role| role.may(Act::EndConnections)) {
        return Ok(EndOutcome::NotAllowed);
    }
    let standing = "SELECT 1 FROM grants WHERE id = ? AND client_id = ? AND company_id = ? AND revoked_at IS NULL";
    if !db.prepare_cached(standing)?.exists([grant_id, client_id, company_id])? {
        return Ok(EndOutcome::NotStanding);
    }
    ends::of_grant(db, grant_id, EndReason::Withdrawn, &Actor::User(user_id.clone()), *now)?;
    ends::silence(db, grant_id, *now)?;
    Ok(EndOutcome::Ended)
}

fn checked(row: &Row<'_>) -> rusqlite::Result<Checked> {
    let word: String = row.get(3)?;
    let verdict = Verdict::of_word(&word)
        .ok_or_else(|| unreadable(StoreError::Corrupt("a verdict of ownership")))?;
    Ok(Checked {
        client_id: row.get(0)?,
        site_url: row.get(1)?,
        key: Thumbprint(row.get(2)?),
        verdict,
        at: time(row, 4)?,
    })
}

fn connection(row: &Row<'_>) -> rusqlite::Result<Connection> {
    let store = match row.get::<_, Option<String>>(2)? {
        None => None,
        Some(platform) => Some(StoreFacts {
            platform,
            site_url: row.get(3)?,
            plugin_version: row.get(4)?,
            platform_version: row.get(5)?,
        }),
    };
    Ok(Connection {
        client_id: row.get(0)?,
        name: row.get(1)?,
        store,
        publisher: row.get(6)?,
        grant_id: row.get(7)?,
        scope: scope(row, 8)?,
        approved_at: time(row, 9)?,
        approved_by: row.get(10)?,
        facts: Facts {
            redeemed_at: time_opt(row, 11)?,
            ended_at: time_opt(row, 12)?,
            has_family: row.get(15)?,
            acts_for_itself: row.get(16)?,
        },
        ended_reason: row.get(13)?,
        last_access: time_opt(row, 14)?,
    })
}
