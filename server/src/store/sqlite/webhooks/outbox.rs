//! The outbox: written with what it tells of, emptied in order.

use counterfoil_protocol::{
    UnixTime,
    callback::LocalHosts,
    encoding::{base64url, sha256},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{audit, columns::unreadable},
    endpoints::{self, columns, endpoint},
    engine,
};
use crate::{
    audit::AuditEvent,
    partner::{event::EventKind, json::Json, link::PaymentLink, members::Members},
    store::{Claim, Due, PartnerWrite, PaymentMove, Result, StoreError},
    webhooks::{
        endpoint::{Endpoint, Origin},
        payload::{self, Happening, Payload, Seed},
    },
};

/// When a delivery is due that waits for another one: never.
pub(super) const NEVER: i64 = i64::MAX;

pub(in crate::store::sqlite) const DUE: &str = "SELECT 1 FROM webhook_delivery WHERE state = 'waiting' AND due_at <= ?1 AND claimed_until <= ?1";

pub(in crate::store::sqlite) const WAITS_BEFORE: &str =
    "SELECT 1 FROM webhook_delivery WHERE state = 'waiting' AND endpoint_id = ? AND link_uid = ?";

/// Where an event of a grant goes, besides an address that its link names: its subscription, and its application's own.
pub(in crate::store::sqlite) const SUBSCRIBED: &str = concat!(
    columns!(),
    "WHERE id = (SELECT id FROM webhook_subscription WHERE grant_id = ?) AND active AND stands"
);
pub(in crate::store::sqlite) const APPLICATIONS: &str =
    concat!(columns!(), "WHERE client_id = ? AND kind = 'application' AND active ORDER BY id");

pub(super) fn move_payment(db: &Connection, change: &PaymentMove) -> Result<PartnerWrite> {
    let PaymentMove { link, event, actor, receipt, now } = change;
    if engine::is_used(db, receipt.as_ref(), *now)? {
        return Ok(PartnerWrite::Raced);
    }
    let sql = "UPDATE payment_link SET session = ?, updated_at = ?, version = ?
               WHERE uid = ? AND version = ? AND status = 'active'";
    let changed = db.prepare_cached(sql)?.execute(params![
        link.session.as_ref().map(Json::as_str),
        link.updated_at.0,
        link.version,
        link.uid,
        link.version - 1
    ])?;
    if changed == 0 {
        return Ok(PartnerWrite::Raced);
    }
    if let (Some(actor), Some(session)) = (actor, link.latest()) {
        let moved = AuditEvent::new(*now, "payment_moved", actor).subject(&link.uid);
        audit::of_grant(db, moved.detail(session.status.as_str()), &link.grant_id)?;
    }
    tell(db, EventKind::StatusChanged, link, event, *now)?;
    engine::keep(db, receipt.as_ref())?;
    Ok(PartnerWrite::Done)
}

/// Writes what tells of an event to every endpoint that wants it. Of a grant that has ended nobody is told.
pub(in crate::store::sqlite) fn tell(
    db: &Connection,
    kind: EventKind,
    link: &PaymentLink,
    seed: &Seed,
    now: UnixTime,
) -> Result<()> {
    let whose = "SELECT client_id, company_id FROM grants WHERE id = ? AND revoked_at IS NULL";
    let columns = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let whose = db.prepare_cached(whose)?.query_row([&link.grant_id], columns).optional()?;
    let Some((client_id, company_id)) = whose else { return Ok(()) };
    let mut endpoints = Vec::new();
    for (sql, key) in [(SUBSCRIBED, &link.grant_id), (APPLICATIONS, &client_id)] {
        for found in db.prepare_cached(sql)?.query_map([key], endpoint)? {
            endpoints.push(found?);
        }
    }
    if kind == EventKind::StatusChanged {
        let own = own_endpoint(db, link, &client_id, now)?;
        endpoints.extend(own.filter(|own| endpoints.iter().all(|it| it.url != own.url)));
    }
    let grant = Some((link.grant_id.as_str(), company_id.as_str()));
    let happening = Happening { kind, link: Some(link), grant, at: now };
    for endpoint in endpoints.iter().filter(|it| it.events.want(kind)) {
        let Payload { group_id, body } = payload::write(happening, seed, endpoint);
        let id = seed.delivery_id(&endpoint.id);
        let names = (id.as_str(), group_id.as_str(), link.uid.as_str());
        insert(db, endpoint, names, (kind.name(), Origin::Event), &body, now)?;
    }
    Ok(())
}

/// The endpoint that a link names for itself, if its client has a secret for such, and it is not disabled.
fn own_endpoint(
    db: &Connection,
    link: &PaymentLink,
    client_id: &str,
    now: UnixTime,
) -> Result<Option<Endpoint>> {
    let unusable = |_| StoreError::Corrupt("a payload that is none");
    let members = Members::read(link.payload.as_str(), "").map_err(unusable)?;
    // Whether local addresses are called is decided when it is called.
    let url = members.endpoint("webhookUrl", LocalHosts::Accepted).map_err(unusable)?;
    let Some(url) = url else { return Ok(None) };
    let name = sha256(format!("{}\n{url}", link.grant_id).as_bytes());
    let id = format!("mpwhlink_{}", base64url(&name[..16]));
    let sql = "INSERT INTO webhook_endpoint (id, kind, client_id, grant_id, url, events, active, description, created_at,
               updated_at) VALUES (?1, 'link', ?2, ?3, ?4, '[\"makepay.payment.*\"]', 1, '', ?5, ?5) ON CONFLICT DO NOTHING";
    db.prepare_cached(sql)?.execute(params![id, client_id, link.grant_id, url, now.0])?;
    Ok(endpoints::one(db, &id)?.filter(|endpoint| endpoint.active))
}

/// Writes a delivery: due now, or when those before it have ended.
pub(super) fn insert(
    db: &Connection,
    endpoint: &Endpoint,
    (id, group_id, link_uid): (&str, &str, &str),
    (event, origin): (&str, Origin),
    body: &str,
    now: UnixTime,
) -> Result<()> {
    let waits = db.prepare_cached(WAITS_BEFORE)?.exists(params![endpoint.id, link_uid])?;
    let sql = "INSERT INTO webhook_delivery (id, group_id, endpoint_id, client_id, grant_id, link_uid, event, origin, body,
               state, due_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?)";
    // A test of an application's endpoint is nobody's connection's, an event is always one's.
    db.prepare_cached(sql)?.execute(params![
        id,
        group_id,
        endpoint.id,
        endpoint.client_id,
        grant_of(body).or_else(|| endpoint.grant_id.clone()),
        link_uid,
        event,
        origin.as_str(),
        body,
        if waits { NEVER } else { now.0 },
        now.0
    ])?;
    Ok(())
}

/// The connection that a body is about.
fn grant_of(body: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    Some(body.get("grantId")?.as_str()?.to_owned())
}

pub(super) fn claim(db: &Connection, claim: Claim) -> Result<Vec<Due>> {
    let sql = "WITH turn AS (
                 SELECT position, due_at, row_number() OVER (PARTITION BY endpoint_id ORDER BY due_at, position)
                   + (SELECT count(*) FROM webhook_delivery busy WHERE busy.state = 'waiting'
                      AND busy.endpoint_id = it.endpoint_id AND busy.claimed_until > ?1) AS number
                 FROM webhook_delivery it WHERE state = 'waiting' AND due_at <= ?1 AND claimed_until <= ?1)
               SELECT position FROM turn WHERE number <= ?3 ORDER BY due_at, position LIMIT ?2";
    let positions: Vec<i64> = {
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement
            .query_map(params![claim.now.0, claim.most, claim.per_endpoint], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let take = "UPDATE webhook_delivery SET claimed_until = ?2 WHERE position = ?1
                RETURNING id, group_id, event, origin, body, attempts, endpoint_id, grant_id";
    let mut claimed = Vec::new();
    for position in positions {
        let due = |row: &Row<'_>| {
            let origin = Origin::parse(row.get_ref(3)?.as_str()?);
            let due = Due {
                position,
                id: row.get(0)?,
                group_id: row.get(1)?,
                event: row.get(2)?,
                origin: origin
                    .ok_or_else(|| unreadable(StoreError::Corrupt("a delivery of no origin")))?,
                body: row.get(4)?,
                attempts: row.get(5)?,
                endpoint: None,
            };
            Ok((due, row.get::<_, String>(6)?, row.get::<_, Option<String>>(7)?))
        };
        let row = params![position, claim.until.0];
        let (due, endpoint_id, grant_id) = db.prepare_cached(take)?.query_row(row, due)?;
        let endpoint = endpoints::of_delivery(db, &endpoint_id, grant_id.as_deref())?;
        claimed.push(Due { endpoint, ..due });
    }
    Ok(claimed)
}
