//! Endpoints, of all kinds alike.

use counterfoil_protocol::UnixTime;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    super::{
        audit,
        columns::{time, time_opt, unreadable},
    },
    log,
};
use crate::{
    audit::{Actor, AuditEvent},
    partner::subscription::SealedSecret,
    store::{
        AddedEndpoint, DeliveryQuery, EndpointQuery, EndpointSecret, ListedEndpoint, NewEndpoint,
        Of, Part, Result, Rotated, StoreError,
    },
    webhooks::endpoint::{Endpoint, EndpointKind},
};

/// The columns of an endpoint; `endpoint` reads them.
macro_rules! columns {
    () => {
        "SELECT id, kind, client_id, client_kind = 'native', platform, grant_id, company_id, url, events, active, description,
         secret, secret_last4, previous_secret, previous_until, failing_since, disabled_reason, created_at, updated_at, stands
         FROM endpoint "
    };
}
pub(super) use columns;

pub(in crate::store::sqlite) const BY_ID: &str = concat!(columns!(), "WHERE id = ?");

pub(super) fn one(db: &Connection, id: &str) -> Result<Option<Endpoint>> {
    Ok(db.prepare_cached(BY_ID)?.query_row([id], endpoint).optional()?)
}

/// The endpoint of a delivery. It stands as long as the connection does that the delivery is about: an application's own
/// outlives each connection to the application.
pub(super) fn of_delivery(
    db: &Connection,
    id: &str,
    grant_id: Option<&str>,
) -> Result<Option<Endpoint>> {
    let Some(endpoint) = one(db, id)? else { return Ok(None) };
    let Some(grant_id) = grant_id else { return Ok(Some(endpoint)) };
    let stands = "SELECT 1 FROM grants WHERE id = ? AND revoked_at IS NULL";
    let stands = endpoint.stands && db.prepare_cached(stands)?.exists([grant_id])?;
    Ok(Some(Endpoint { stands, ..endpoint }))
}

pub(super) fn all(
    db: &Connection,
    company_id: Option<&str>,
    part: Part<'_>,
) -> Result<Vec<Endpoint>> {
    let sql = concat!(
        columns!(),
        "WHERE (?1 IS NULL OR company_id = ?1)
         AND (?2 = '' OR (created_at, id) > (SELECT created_at, id FROM endpoint WHERE id = ?2))
         ORDER BY created_at, id LIMIT ?3"
    );
    let mut statement = db.prepare_cached(sql)?;
    let endpoints = statement.query_map(params![company_id, part.after, part.limit], endpoint)?;
    Ok(endpoints.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn of_company(db: &Connection, query: EndpointQuery<'_>) -> Result<Vec<ListedEndpoint>> {
    let sql = concat!(
        columns!(),
        "WHERE company_id = ?1 AND (?2 IS NULL OR client_id = ?2)
         ORDER BY kind = 'link', created_at DESC, id LIMIT ?3 OFFSET ?4"
    );
    let EndpointQuery { company_id, client_id, skip, limit } = query;
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map(params![company_id, client_id, limit, skip], endpoint)?;
    let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
    found.into_iter().map(|endpoint| listed(db, endpoint)).collect()
}

/// An endpoint with what people know it by.
pub(super) fn listed(db: &Connection, endpoint: Endpoint) -> Result<ListedEndpoint> {
    let sql = "SELECT client.name, installation.site_url FROM client
               LEFT JOIN installation ON installation.client_id = client.id WHERE client.id = ?";
    let columns = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (name, site_url) = db.prepare_cached(sql)?.query_row([&endpoint.client_id], columns)?;
    let newest = DeliveryQuery { limit: 1, ..DeliveryQuery::default() };
    let last = log::list(db, Of::Endpoint(&endpoint.id), newest)?.pop();
    Ok(ListedEndpoint { endpoint, name, site_url, last })
}

pub(super) fn add(
    db: &Connection,
    new: &NewEndpoint,
    most: u32,
    actor: &Actor,
) -> Result<AddedEndpoint> {
    if one(db, &new.id)?.is_some() {
        return Ok(AddedEndpoint::Known);
    }
    let has = "SELECT count(*) FROM webhook_endpoint WHERE client_id = ? AND kind = 'application'";
    let has: u32 = db.prepare_cached(has)?.query_row([&new.client_id], |row| row.get(0))?;
    if has >= most {
        return Ok(AddedEndpoint::Full);
    }
    let sql = "INSERT INTO webhook_endpoint (id, kind, client_id, url, events, active, description, secret, secret_last4,
               created_at, updated_at) SELECT ?1, 'application', id, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?8 FROM client
               WHERE id = ?2 AND kind = 'app'";
    let events = serde_json::to_string(&new.events)
        .map_err(|_| StoreError::Corrupt("a value that is no JSON"))?;
    let added = db.prepare_cached(sql)?.execute(params![
        new.id,
        new.client_id,
        new.url,
        events,
        new.description,
        new.secret.sealed,
        new.secret.last4,
        new.now.0
    ])?;
    match one(db, &new.id)?.filter(|_| added == 1) {
        None => Ok(AddedEndpoint::NoApplication),
        Some(endpoint) => {
            note(db, &endpoint, "webhook_endpoint_added", (actor, new.now))?;
            Ok(AddedEndpoint::Added)
        }
    }
}

pub(super) fn switch(
    db: &Connection,
    id: &str,
    active: bool,
    actor: &Actor,
    now: UnixTime,
) -> Result<bool> {
    let Some(known) = one(db, id)? else { return Ok(false) };
    for table in [
        "UPDATE webhook_subscription SET active = ?2, failing_since = NULL, disabled_reason = NULL, updated_at = ?3,
         version = version + 1 WHERE id = ?1",
        "UPDATE webhook_endpoint SET active = ?2, failing_since = NULL, disabled_reason = NULL, updated_at = ?3
         WHERE id = ?1",
    ] {
        db.prepare_cached(table)?.execute(params![id, active, now.0])?;
    }
    let event = if active { "webhook_endpoint_enabled" } else { "webhook_endpoint_disabled" };
    note(db, &known, event, (actor, now))?;
    Ok(true)
}

pub(super) fn rotate(
    db: &Connection,
    id: &str,
    change: &EndpointSecret,
    (actor, now): (&Actor, UnixTime),
) -> Result<Rotated> {
    let EndpointSecret { secret, overlap_until, replaces } = change;
    let Some(known) = one(db, id)? else { return Ok(Rotated::Unknown) };
    if replaces.as_ref().is_some_and(|replaces| *replaces != known.secret.sealed) {
        return Ok(Rotated::Raced);
    }
    let overlap = (*overlap_until > now).then_some((&known.secret.sealed, overlap_until.0));
    let (previous, until) = overlap.unzip();
    let values = params![id, secret.sealed, secret.last4, previous, until, now.0];
    let set = "secret = ?2, secret_last4 = ?3, previous_secret = ?4, previous_until = ?5, ";
    match known.kind {
        EndpointKind::Subscription => {
            let sql = format!(
                "UPDATE webhook_subscription SET {set} updated_at = ?6, version = version + 1 WHERE id = ?1"
            );
            db.prepare_cached(&sql)?.execute(values)?;
        }
        EndpointKind::Application => {
            let sql = format!("UPDATE webhook_endpoint SET {set} updated_at = ?6 WHERE id = ?1");
            db.prepare_cached(&sql)?.execute(values)?;
        }
        EndpointKind::Link => {
            let sql = format!(
                "UPDATE webhook_secret SET {set} rotated_at = ?6 WHERE client_id = ?1 AND company_id = ?7"
            );
            let company_id = if known.native { "" } else { &known.company_id };
            db.prepare_cached(&sql)?.execute(params![
                known.client_id,
                secret.sealed,
                secret.last4,
                previous,
                until,
                now.0,
                company_id
            ])?;
        }
    }
    note(db, &known, "webhook_secret_rotated", (actor, now))?;
    Ok(Rotated::Done)
}

/// Notes what was done with an endpoint.
pub(super) fn note(
    db: &Connection,
    endpoint: &Endpoint,
    event: &str,
    (actor, now): (&Actor, UnixTime),
) -> Result<()> {
    let event = AuditEvent::new(now, event, actor).client(&endpoint.client_id);
    audit::note(db, &event.company(&endpoint.company_id).subject(&endpoint.id))
}

pub(super) fn endpoint(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let kind = EndpointKind::parse(row.get_ref(1)?.as_str()?);
    let previous: Option<Vec<u8>> = row.get(13)?;
    let until = time_opt(row, 14)?;
    Ok(Endpoint {
        id: row.get(0)?,
        kind: kind.ok_or_else(|| unreadable(StoreError::Corrupt("an endpoint of no kind")))?,
        client_id: row.get(2)?,
        native: row.get(3)?,
        platform: row.get(4)?,
        grant_id: row.get(5)?,
        company_id: row.get(6)?,
        url: row.get(7)?,
        events: serde_json::from_str(row.get_ref(8)?.as_str()?).map_err(unreadable)?,
        active: row.get(9)?,
        description: row.get(10)?,
        secret: SealedSecret { sealed: row.get(11)?, last4: row.get(12)? },
        previous: previous.zip(until),
        failing_since: time_opt(row, 15)?,
        disabled_reason: row.get(16)?,
        created_at: time(row, 17)?,
        updated_at: time(row, 18)?,
        stands: row.get(19)?,
    })
}
