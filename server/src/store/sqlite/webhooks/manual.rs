//! What people put into the outbox: a test, and what failed once more.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    endpoints::{self, note},
    outbox::insert,
};
use crate::{
    audit::Actor,
    partner::event::EventKind,
    store::{Manual, ManualSend, Queued, Result, Sent, sqlite::partner},
    webhooks::{
        endpoint::Origin,
        payload::{self, Happening, Payload, Seed},
    },
};

pub(super) fn test(
    db: &Connection,
    id: &str,
    seed: &Seed,
    actor: &Actor,
    now: UnixTime,
) -> Result<Queued> {
    let Some(endpoint) = endpoints::one(db, id)? else { return Ok(Queued::Unknown) };
    if let Some(reason) = endpoint.closed(Origin::Test) {
        return Ok(Queued::Closed(reason));
    }
    let grant = endpoint.grant_id.as_deref().map(|grant| (grant, endpoint.company_id.as_str()));
    let happening = Happening { kind: EventKind::Test, link: None, grant, at: now };
    let Payload { group_id, body } = payload::write(happening, seed, &endpoint);
    let id = seed.delivery_id(&endpoint.id);
    let event = (EventKind::Test.name(), Origin::Test);
    insert(db, &endpoint, (&id, &group_id, ""), event, &body, now)?;
    note(db, &endpoint, "webhook_tested", (actor, now))?;
    Ok(Queued::As(id))
}

pub(super) fn send(db: &Connection, send: &ManualSend) -> Result<Sent> {
    let ManualSend { what, grant_id, event, actor, receipt, now } = send;
    if let Some(hindrance) = partner::hindrance(db, grant_id, receipt.as_ref(), *now)? {
        return Ok(Sent::Hindered(hindrance));
    }
    let queued = match what {
        Manual::Test(endpoint) => test(db, endpoint, event, actor, *now),
        Manual::Retry(delivery) => retry(db, delivery, event, actor, *now),
    }?;
    if matches!(queued, Queued::As(_)) {
        partner::keep(db, grant_id, receipt.as_ref())?;
    }
    Ok(Sent::Queued(queued))
}

pub(super) fn retry(
    db: &Connection,
    id: &str,
    seed: &Seed,
    actor: &Actor,
    now: UnixTime,
) -> Result<Queued> {
    let known = "SELECT endpoint_id, group_id, link_uid, event, body, state, grant_id FROM webhook_delivery WHERE id = ?";
    let columns = |row: &Row<'_>| {
        let text = |column| row.get::<_, String>(column);
        Ok(([text(0)?, text(1)?, text(2)?, text(3)?, text(4)?, text(5)?], row.get(6)?))
    };
    let known = db.prepare_cached(known)?.query_row([id], columns).optional()?;
    let Some(([endpoint_id, group_id, link_uid, event, body, state], grant_id)) = known else {
        return Ok(Queued::Unknown);
    };
    let grant_id: Option<String> = grant_id;
    if state == "waiting" {
        return Ok(Queued::Waits);
    }
    let endpoint = endpoints::of_delivery(db, &endpoint_id, grant_id.as_deref())?;
    let Some(endpoint) = endpoint else { return Ok(Queued::Unknown) };
    if let Some(reason) = endpoint.closed(Origin::Manual) {
        return Ok(Queued::Closed(reason));
    }
    let id = seed.delivery_id(&endpoint.id);
    let names = (id.as_str(), group_id.as_str(), link_uid.as_str());
    insert(db, &endpoint, names, (&event, Origin::Manual), &body, now)?;
    note(db, &endpoint, "webhook_retried", (actor, now))?;
    Ok(Queued::As(id))
}
