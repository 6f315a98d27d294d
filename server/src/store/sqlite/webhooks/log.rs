//! The log of deliveries, and notices.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        columns::{time, time_opt, unreadable},
        grants::PORTION,
    },
    outbox::NEVER,
};
use crate::{
    store::{DeliveryQuery, Notice, Of, Result, StoreError},
    webhooks::{
        endpoint::Origin,
        log::{Attempt, Delivery},
    },
};

/// The columns of a delivery; `delivery` reads them.
macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT position, id, group_id, endpoint_id, client_id, grant_id, link_uid, event, origin, state, reason, attempts,
             due_at, created_at, settled_at, body,
             grant_id IS NULL OR EXISTS (SELECT 1 FROM grants WHERE grants.id = grant_id AND revoked_at IS NULL)
             FROM webhook_delivery ",
            $rest
        )
    };
}

pub(in crate::store::sqlite) const OF_ENDPOINT: &str =
    columns!("WHERE endpoint_id = ?1 AND position < ?2 AND (?4 IS NULL OR state = ?4) AND (?5 IS NULL OR link_uid = ?5)
              ORDER BY position DESC LIMIT ?3");
pub(in crate::store::sqlite) const OF_GRANT: &str =
    columns!("WHERE grant_id = ?1 AND position < ?2 AND (?4 IS NULL OR state = ?4) AND (?5 IS NULL OR link_uid = ?5)
              ORDER BY position DESC LIMIT ?3");
pub(in crate::store::sqlite) const OF_CLIENT: &str =
    columns!("WHERE client_id = ?1 AND position < ?2 AND (?4 IS NULL OR state = ?4) AND (?5 IS NULL OR link_uid = ?5)
              ORDER BY position DESC LIMIT ?3");

pub(in crate::store::sqlite) const OLD: &str =
    "DELETE FROM webhook_delivery WHERE position IN
     (SELECT position FROM webhook_delivery WHERE settled_at IS NOT NULL AND settled_at < ? LIMIT ?)";

pub(super) fn list(db: &Connection, of: Of<'_>, query: DeliveryQuery<'_>) -> Result<Vec<Delivery>> {
    let DeliveryQuery { state, link_uid, before, limit } = query;
    let (sql, key) = match of {
        Of::Endpoint(id) => (OF_ENDPOINT, id),
        Of::Grant(id) => (OF_GRANT, id),
        Of::Client(id) => (OF_CLIENT, id),
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement
        .query_map(params![key, before.unwrap_or(i64::MAX), limit, state, link_uid], delivery)?;
    let mut deliveries: Vec<Delivery> = rows.collect::<rusqlite::Result<_>>()?;
    for delivery in &mut deliveries {
        delivery.tried = attempts(db, delivery.position, 1)?;
    }
    Ok(deliveries)
}

pub(super) fn one(db: &Connection, id: &str) -> Result<Option<Delivery>> {
    let sql = columns!("WHERE id = ?");
    let found = db.prepare_cached(sql)?.query_row([id], delivery).optional()?;
    let Some(mut found) = found else { return Ok(None) };
    found.tried = attempts(db, found.position, u32::MAX)?;
    Ok(Some(found))
}

/// The newest attempts of a delivery, first one first.
fn attempts(db: &Connection, position: i64, most: u32) -> Result<Vec<Attempt>> {
    let sql = "SELECT delivery_id, at, milliseconds, url, status, error, headers, excerpt FROM webhook_attempt
               WHERE delivery = ? ORDER BY number DESC LIMIT ?";
    let attempt = |row: &Row<'_>| {
        Ok(Attempt {
            delivery_id: row.get(0)?,
            at: time(row, 1)?,
            milliseconds: row.get(2)?,
            url: row.get(3)?,
            status: row.get(4)?,
            error: row.get(5)?,
            headers: row.get(6)?,
            excerpt: row.get(7)?,
        })
    };
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![position, most], attempt)?;
    let mut attempts: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    attempts.reverse();
    Ok(attempts)
}

pub(super) fn forget(db: &Connection, before: UnixTime) -> Result<usize> {
    let told = "DELETE FROM webhook_notice WHERE told_at < ?";
    db.prepare_cached(told)?.execute([before.0])?;
    Ok(db.prepare_cached(OLD)?.execute(params![before.0, PORTION])?)
}

pub(super) fn notices(db: &Connection) -> Result<Vec<Notice>> {
    let sql = "SELECT notice.id, notice.at, company.name, notice.endpoint_id, notice.url, notice.failing_since, company.id
               FROM webhook_notice notice JOIN company ON company.id = notice.company_id
               WHERE notice.told_at IS NULL ORDER BY notice.id LIMIT 100";
    let notice = |row: &Row<'_>| {
        Ok(Notice {
            id: row.get(0)?,
            at: time(row, 1)?,
            company_id: row.get(6)?,
            company: row.get(2)?,
            endpoint_id: row.get(3)?,
            url: row.get(4)?,
            failing_since: time(row, 5)?,
            people: Vec::new(),
        })
    };
    let mut statement = db.prepare_cached(sql)?;
    let found: Vec<_> = statement.query_map([], notice)?.collect::<rusqlite::Result<_>>()?;
    let people = "SELECT user.email FROM membership JOIN user ON user.id = membership.user_id
                  WHERE membership.company_id = ? AND membership.role IN ('owner', 'admin', 'developer')
                  AND user.disabled_at IS NULL ORDER BY user.email";
    let mut people = db.prepare_cached(people)?;
    found
        .into_iter()
        .map(|notice| {
            let emails = people.query_map([&notice.company_id], |row| row.get(0))?;
            let people = emails.collect::<rusqlite::Result<_>>()?;
            Ok(Notice { people, ..notice })
        })
        .collect()
}

pub(super) fn notice_told(db: &Connection, id: i64, now: UnixTime) -> Result<()> {
    let sql = "UPDATE webhook_notice SET told_at = ? WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![now.0, id])?;
    Ok(())
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let origin = Origin::parse(row.get_ref(8)?.as_str()?);
    let due_at = time(row, 12)?;
    Ok(Delivery {
        position: row.get(0)?,
        id: row.get(1)?,
        group_id: row.get(2)?,
        endpoint_id: row.get(3)?,
        client_id: row.get(4)?,
        grant_id: row.get(5)?,
        link_uid: row.get(6)?,
        event: row.get(7)?,
        origin: origin.ok_or_else(|| unreadable(StoreError::Corrupt("a delivery of no origin")))?,
        state: row.get(9)?,
        reason: row.get(10)?,
        attempts: row.get(11)?,
        due_at: (due_at.0 != NEVER).then_some(due_at),
        created_at: time(row, 13)?,
        settled_at: time_opt(row, 14)?,
        body: row.get(15)?,
        stands: row.get(16)?,
        tried: Vec::new(),
    })
}
