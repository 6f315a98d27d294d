//! What came of a delivery, and what that says of its endpoint.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    endpoints::{self, note},
    outbox::NEVER,
};
use crate::{
    audit::Actor,
    store::{Fate, Result, Settled, Settlement},
};

pub(in crate::store::sqlite) const NEXT: &str =
    "UPDATE webhook_delivery SET due_at = ?1 WHERE position = (SELECT min(position) FROM webhook_delivery
     WHERE state = 'waiting' AND endpoint_id = ?2 AND link_uid = ?3)";

pub(super) fn settle(db: &Connection, settlement: &Settlement) -> Result<Settled> {
    let Settlement { position, attempts, attempt, fate, hopeless_before, now } = settlement;
    let (state, reason, due_at) = match fate {
        Fate::Delivered => ("delivered", None, NEVER),
        Fate::Again(at) => ("waiting", None, at.0),
        Fate::GivenUp(reason) => ("failed", Some(*reason), NEVER),
    };
    let ended = (state != "waiting").then_some(now.0);
    let sql = "UPDATE webhook_delivery SET state = ?3, reason = ?4, due_at = ?5, settled_at = ?6, attempts = ?7,
               claimed_until = 0 WHERE position = ?1 AND attempts = ?2 AND state = 'waiting' RETURNING endpoint_id, link_uid";
    let made = attempts + u32::from(attempt.is_some());
    let key = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let values = params![position, attempts, state, reason, due_at, ended, made];
    let key = db.prepare_cached(sql)?.query_row(values, key).optional()?;
    let Some((endpoint_id, link_uid)) = key else { return Ok(Settled::Lost) };
    if let Some(attempt) = attempt {
        let sql = "INSERT INTO webhook_attempt (delivery, number, delivery_id, at, milliseconds, url, status, error, headers,
                   excerpt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        db.prepare_cached(sql)?.execute(params![
            position,
            made,
            attempt.delivery_id,
            attempt.at.0,
            attempt.milliseconds,
            attempt.url,
            attempt.status,
            attempt.error,
            attempt.headers,
            attempt.excerpt
        ])?;
    }
    if ended.is_some() {
        db.prepare_cached(NEXT)?.execute(params![now.0, endpoint_id, link_uid])?;
    }
    if attempt.is_none() {
        return Ok(Settled::Done);
    }
    health(db, &endpoint_id, *fate == Fate::Delivered, *hopeless_before, *now)
}

/// Notes whether an endpoint takes what is sent to it, and disables one that has not for too long.
fn health(
    db: &Connection,
    endpoint_id: &str,
    took: bool,
    hopeless_before: UnixTime,
    now: UnixTime,
) -> Result<Settled> {
    let Some(known) = endpoints::one(db, endpoint_id)? else { return Ok(Settled::Done) };
    let hopeless =
        !took && known.active && known.failing_since.is_some_and(|since| since <= hopeless_before);
    let since = if took { None } else { Some(known.failing_since.unwrap_or(now).0) };
    if since != known.failing_since.map(|since| since.0) {
        for sql in [
            "UPDATE webhook_subscription SET failing_since = ?2 WHERE id = ?1",
            "UPDATE webhook_endpoint SET failing_since = ?2 WHERE id = ?1",
        ] {
            db.prepare_cached(sql)?.execute(params![endpoint_id, since])?;
        }
    }
    if !hopeless {
        return Ok(Settled::Done);
    }
    for sql in [
        "UPDATE webhook_subscription SET active = 0, disabled_reason = 'failing', updated_at = ?2, version = version + 1
         WHERE id = ?1",
        "UPDATE webhook_endpoint SET active = 0, disabled_reason = 'failing', updated_at = ?2 WHERE id = ?1",
    ] {
        db.prepare_cached(sql)?.execute(params![endpoint_id, now.0])?;
    }
    let sql = "INSERT INTO webhook_notice (at, company_id, endpoint_id, url, failing_since) VALUES (?, ?, ?, ?, ?)";
    let row = params![now.0, known.company_id, endpoint_id, known.url, since];
    db.prepare_cached(sql)?.execute(row)?;
    note(db, &known, "webhook_endpoint_failing", (&Actor::System, now))?;
    Ok(Settled::EndpointDisabled)
}
