use async_trait::async_trait;
use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, accounts, audit,
    columns::{scope, time, time_opt},
    credentials, ends,
    partner::{self, link_columns},
};
use crate::{
    audit::{Actor, AuditEvent},
    oauth::grant::EndReason,
    partner::{link::LinkStatus, payment::PaymentStatus},
    people::role::Role,
    store::{
        Company, CompanyFacts, GrantEnd, GrantFacts, GrantQuery, LinkFacts, LinkQuery, Operators,
        Part, Renamed, Result, User, UserFacts,
    },
};

const COMPANY: &str = "SELECT id, name, created_at, closed_at,
    (SELECT count(*) FROM membership WHERE membership.company_id = company.id),
    (SELECT count(*) FROM grants WHERE grants.company_id = company.id AND revoked_at IS NULL) FROM company";

const USER: &str = "SELECT id, email, created_at, disabled_at,
    (SELECT count(*) FROM session WHERE session.user_id = user.id AND half = 0 AND expires_at > ?1),
    (SELECT confirmed_at FROM second_factor WHERE second_factor.user_id = user.id) FROM user";

const GRANT: &str =
    "SELECT grants.id, client.id, client.name, company.id, company.name, user.email, grants.scope,
    grants.created_at, grants.redeemed_at, grants.revoked_at, grants.revoked_reason, grant_access.at
    FROM grants JOIN client ON client.id = grants.client_id JOIN company ON company.id = grants.company_id
    LEFT JOIN user ON user.id = grants.user_id LEFT JOIN grant_access ON grant_access.grant_id = grants.id";

/// Reads whole tables, as the next one does: an operator asks, and seldom.
const ALL_LINKS: &str = concat!(
    link_columns!(", of_client, client_name, of_company, company_name"),
    "JOIN (SELECT grants.id AS of_grant, client.id AS of_client, client.name AS client_name, company.id AS of_company,
           company.name AS company_name FROM grants JOIN client ON client.id = grants.client_id
           JOIN company ON company.id = grants.company_id) ON of_grant = grant_id
     WHERE (?1 IS NULL OR of_company = ?1) AND (?2 IS NULL OR of_client = ?2) AND (?3 IS NULL OR status = ?3)
     AND (?4 IS NULL OR session ->> '$.status' = ?4)
     AND (?5 = '' OR position < (SELECT position FROM payment_link WHERE uid = ?5)) ORDER BY position DESC LIMIT ?6"
);

/// The receipts that a key signed, of families that stand; that of a code or a recovery until the first refresh. Reads
/// whole tables: an operator asks, and seldom.
const ANSWERS: &str = "SELECT
    (SELECT count(*) FROM family WHERE receipt_kid = ?1 AND revoked_at IS NULL)
    + (SELECT count(*) FROM code JOIN family ON family.id = code.family
       WHERE code.receipt_kid = ?1 AND family.revoked_at IS NULL AND generation = 1)
    + (SELECT count(*) FROM recovery JOIN family ON family.id = recovery.family
       WHERE recovery.receipt_kid = ?1 AND family.revoked_at IS NULL AND generation = 1)";

#[async_trait]
impl Operators for Sqlite {
    async fn found_company(&self, company: Company, actor: &Actor, now: UnixTime) -> Result<bool> {
        let actor = actor.clone();
        self.write(move |db| {
            let added = accounts::add_company(db, &company, now)?;
            if added {
                let event = AuditEvent::new(now, "company_added", &actor).company(&company.id);
                audit::note(db, &event)?;
            }
            Ok(added)
        })
        .await
    }

    async fn enroll(&self, user: User, actor: &Actor, now: UnixTime) -> Result<bool> {
        let actor = actor.clone();
        self.write(move |db| {
            let added = accounts::add_user(db, &user, now)?;
            if added {
                let event = AuditEvent::new(now, "person_added", &actor).subject(&user.id);
                audit::note(db, &event)?;
            }
            Ok(added)
        })
        .await
    }

    async fn place(
        &self,
        user_id: &str,
        company_id: &str,
        role: Role,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()> {
        let (user_id, company_id) = (user_id.to_owned(), company_id.to_owned());
        let actor = actor.clone();
        self.write(move |db| {
            accounts::place_in_company(db, &user_id, &company_id, role)?;
            let event = AuditEvent::new(now, "person_placed", &actor).company(&company_id);
            audit::note(db, &event.subject(&user_id).detail(role.as_str()))
        })
        .await
    }

    async fn companies(&self, part: Part<'_>) -> Result<Vec<CompanyFacts>> {
        self.read(|db| {
            let sql = format!("{COMPANY} WHERE name > ? ORDER BY name LIMIT ?");
            let mut statement = db.prepare_cached(&sql)?;
            let found = statement.query_map(params![part.after, part.limit], company)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn company_facts(&self, name_or_id: &str) -> Result<Option<CompanyFacts>> {
        self.read(|db| {
            // A name that is another company's id means the one with the id.
            let sql = format!("{COMPANY} WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1");
            Ok(db.prepare_cached(&sql)?.query_row([name_or_id], company).optional()?)
        })
    }

    async fn rename_company(
        &self,
        id: &str,
        name: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Renamed> {
        let (id, name, actor) = (id.to_owned(), name.to_owned(), actor.clone());
        self.write(move |db| rename(db, &id, &name, &actor, now)).await
    }

    async fn reopen_company(&self, id: &str, actor: &Actor, now: UnixTime) -> Result<bool> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "UPDATE company SET closed_at = NULL WHERE id = ? AND closed_at IS NOT NULL";
            let reopened = db.prepare_cached(sql)?.execute([&id])? == 1;
            if reopened {
                audit::note(db, &AuditEvent::new(now, "company_reopened", &actor).company(&id))?;
            }
            Ok(reopened)
        })
        .await
    }

    async fn users(
        &self,
        company_id: Option<&str>,
        part: Part<'_>,
        now: UnixTime,
    ) -> Result<Vec<UserFacts>> {
        self.read(|db| {
            let sql = format!(
                "{USER} WHERE email > ?2 AND (?3 IS NULL OR EXISTS
                 (SELECT 1 FROM membership WHERE membership.user_id = user.id AND company_id = ?3))
                 ORDER BY email LIMIT ?4"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let values = params![now.0, part.after, company_id, part.limit];
            let found: Vec<_> =
                statement.query_map(values, user)?.collect::<rusqlite::Result<_>>()?;
            found.into_iter().map(|user| with_places(db, user)).collect()
        })
    }

    async fn user_facts(&self, email: &str, now: UnixTime) -> Result<Option<UserFacts>> {
        self.read(|db| {
            let sql = format!("{USER} WHERE email = ?2");
            let found =
                db.prepare_cached(&sql)?.query_row(params![now.0, email], user).optional()?;
            found.map(|user| with_places(db, user)).transpose()
        })
    }

    async fn shut_out(&self, user_id: &str, actor: &Actor, now: UnixTime) -> Result<Option<usize>> {
        let (user_id, actor) = (user_id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "UPDATE user SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL";
            if db.prepare_cached(sql)?.execute(params![now.0, user_id])? == 0 {
                return Ok(None);
            }
            let event = AuditEvent::new(now, "person_disabled", &actor).subject(&user_id);
            audit::note(db, &event)?;
            // What was redeemed is the company's; what waits to be is still this person's word alone.
            let codes = "UPDATE code SET revoked_at = ? WHERE user_id = ? AND redeemed_at IS NULL AND revoked_at IS NULL";
            db.prepare_cached(codes)?.execute(params![now.0, user_id])?;
            Ok(Some(credentials::end_sessions(db, &user_id, None, None)?))
        })
        .await
    }

    async fn let_in(&self, user_id: &str, actor: &Actor, now: UnixTime) -> Result<bool> {
        let (user_id, actor) = (user_id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "UPDATE user SET disabled_at = NULL WHERE id = ? AND disabled_at IS NOT NULL";
            let enabled = db.prepare_cached(sql)?.execute([&user_id])? == 1;
            if enabled {
                let event = AuditEvent::new(now, "person_enabled", &actor).subject(&user_id);
                audit::note(db, &event)?;
            }
            Ok(enabled)
        })
        .await
    }

    async fn reset_codes(
        &self,
        user_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>> {
        let (user_id, actor) = (user_id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "DELETE FROM second_factor WHERE user_id = ? AND confirmed_at IS NOT NULL";
            if db.prepare_cached(sql)?.execute([&user_id])? == 0 {
                return Ok(None);
            }
            let event = AuditEvent::new(now, "second_factor_reset", &actor).subject(&user_id);
            audit::note(db, &event)?;
            // Whoever reads the mail, and got such a link while it needed a code as well, could do with the link alone.
            credentials::forget_links(db, &user_id)?;
            Ok(Some(credentials::end_sessions(db, &user_id, None, None)?))
        })
        .await
    }

    async fn grants(&self, query: GrantQuery<'_>, part: Part<'_>) -> Result<Vec<GrantFacts>> {
        let GrantQuery { company_id, client_id, ended } = query;
        self.read(|db| {
            let sql = format!(
                "{GRANT} WHERE grants.id > ?1 AND (?2 IS NULL OR grants.company_id = ?2)
                 AND (?3 IS NULL OR grants.client_id = ?3) AND (?4 OR grants.revoked_at IS NULL)
                 ORDER BY grants.id LIMIT ?5"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let values = params![part.after, company_id, client_id, ended, part.limit];
            Ok(statement.query_map(values, grant)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn all_payment_links(
        &self,
        query: LinkQuery<'_>,
        part: Part<'_>,
    ) -> Result<Vec<LinkFacts>> {
        let LinkQuery { company_id, client_id, status, payment } = query;
        let (status, payment) =
            (status.map(LinkStatus::as_str), payment.map(PaymentStatus::as_str));
        self.read(|db| {
            let values = params![company_id, client_id, status, payment, part.after, part.limit];
            let mut statement = db.prepare_cached(ALL_LINKS)?;
            Ok(statement.query_map(values, link_facts)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    async fn grant_facts(&self, id: &str) -> Result<Option<GrantFacts>> {
        self.read(|db| {
            let sql = format!("{GRANT} WHERE grants.id = ?");
            Ok(db.prepare_cached(&sql)?.query_row([id], grant).optional()?)
        })
    }

    async fn revoke_grant(&self, id: &str, actor: &Actor, now: UnixTime) -> Result<GrantEnd> {
        let (id, actor) = (id.to_owned(), actor.clone());
        self.write(move |db| {
            let sql = "SELECT revoked_at IS NULL FROM grants WHERE id = ?";
            let stands: Option<bool> =
                db.prepare_cached(sql)?.query_row([&id], |row| row.get(0)).optional()?;
            let Some(stands) = stands else { return Ok(GrantEnd::Unknown) };
            if !stands {
                return Ok(GrantEnd::Over);
            }
            revoke(db, &id, &actor, now)?;
            Ok(GrantEnd::Done)
        })
        .await
    }

    async fn answers_signed_by(&self, kid: &str) -> Result<u32> {
        self.read(|db| Ok(db.prepare_cached(ANSWERS)?.query_row([kid], |row| row.get(0))?))
    }

    async fn revoke_installation(
        &self,
        client_id: &str,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<Option<usize>> {
        let (client_id, actor) = (client_id.to_owned(), actor.clone());
        self.write(move |db| {
            let known = "SELECT 1 FROM installation WHERE client_id = ?";
            if !db.prepare_cached(known)?.exists([&client_id])? {
                return Ok(None);
            }
            let sql =
                "SELECT id FROM grants WHERE client_id = ? AND revoked_at IS NULL ORDER BY id";
            let standing: Vec<String> = db
                .prepare_cached(sql)?
                .query_map([&client_id], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for id in &standing {
                revoke(db, id, &actor, now)?;
            }
            Ok(Some(standing.len()))
        })
        .await
    }
}

fn rename(db: &Connection, id: &str, name: &str, actor: &Actor, now: UnixTime) -> Result<Renamed> {
    let was = "SELECT name FROM company WHERE id = ?";
    let was: Option<String> =
        db.prepare_cached(was)?.query_row([id], |row| row.get(0)).optional()?;
    let Some(was) = was else { return Ok(Renamed::Unknown) };
    if was == name {
        return Ok(Renamed::Done);
    }
    if db.prepare_cached("SELECT 1 FROM company WHERE name = ?")?.exists([name])? {
        return Ok(Renamed::Taken);
    }
    db.prepare_cached("UPDATE company SET name = ? WHERE id = ?")?.execute([name, id])?;
    let event = AuditEvent::new(now, "company_renamed", actor).company(id);
    audit::note(db, &event.subject(name).detail(&was))?;
    Ok(Renamed::Done)
}

fn revoke(db: &Connection, grant_id: &str, actor: &Actor, now: UnixTime) -> Result<()> {
    ends::of_grant(db, grant_id, EndReason::ByOperator, actor, now)?;
    ends::silence(db, grant_id, now)
}

fn with_places(db: &Connection, user: UserFacts) -> Result<UserFacts> {
    Ok(UserFacts { places: accounts::memberships(db, &user.id)?, ..user })
}

fn company(row: &Row<'_>) -> rusqlite::Result<CompanyFacts> {
    Ok(CompanyFacts {
        company: Company { id: row.get(0)?, name: row.get(1)? },
        created_at: time(row, 2)?,
        closed_at: time_opt(row, 3)?,
        people: row.get(4)?,
        connections: row.get(5)?,
    })
}

/// A person, without their places.
fn user(row: &Row<'_>) -> rusqlite::Result<UserFacts> {
    Ok(UserFacts {
        id: row.get(0)?,
        email: row.get(1)?,
        created_at: time(row, 2)?,
        disabled_at: time_opt(row, 3)?,
        sessions: row.get(4)?,
        codes_since: time_opt(row, 5)?,
        places: Vec::new(),
    })
}

fn link_facts(row: &Row<'_>) -> rusqlite::Result<LinkFacts> {
    Ok(LinkFacts {
        link: partner::link(row)?,
        client_id: row.get(13)?,
        client_name: row.get(14)?,
        company: Company { id: row.get(15)?, name: row.get(16)? },
    })
}

fn grant(row: &Row<'_>) -> rusqlite::Result<GrantFacts> {
    Ok(GrantFacts {
        id: row.get(0)?,
        client_id: row.get(1)?,
        client_name: row.get(2)?,
        company: Company { id: row.get(3)?, name: row.get(4)? },
        approved_by: row.get(5)?,
        scope: scope(row, 6)?,
        created_at: time(row, 7)?,
        redeemed_at: time_opt(row, 8)?,
        ended_at: time_opt(row, 9)?,
        ended_reason: row.get(10)?,
        last_access: time_opt(row, 11)?,
    })
}
