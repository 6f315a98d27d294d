//! Trying an endpoint, enabling and disabling it.

use axum::{http::StatusCode, response::Response};

use super::{actor, address, named};
use crate::{
    http::{
        error::Refusal,
        pages::{
            frame::see_other,
            guard::{Visit, not_found},
        },
    },
    store::{Membership, Queued},
};

/// `POST …/{endpoint}/test`.
pub async fn test(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let id = named(&visit, &place).await?.endpoint.id;
    let app = &visit.app;
    let outcome = app.store.test_endpoint(&id, app.event(), &actor(&visit), app.now()).await?;
    queued(&place, &id, outcome)
}

/// `POST …/{endpoint}/enable`.
pub async fn enable(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    switch(&visit, &place, true).await
}

/// `POST …/{endpoint}/disable`.
pub async fn disable(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    switch(&visit, &place, false).await
}

async fn switch(visit: &Visit, place: &Membership, active: bool) -> Result<Response, Refusal> {
    let endpoint = named(visit, place).await?.endpoint;
    if !endpoint.stands {
        return Err(closed("connection_ended"));
    }
    let (store, now) = (&visit.app.store, visit.app.now());
    if store.switch_endpoint(&endpoint.id, active, &actor(visit), now).await? {
        Ok(see_other(&address(place, &endpoint.id)))
    } else {
        Err(not_found())
    }
}

/// Leads to what was put into the outbox, or says why nothing was.
pub fn queued(place: &Membership, endpoint: &str, outcome: Queued) -> Result<Response, Refusal> {
    match outcome {
        Queued::As(id) => Ok(see_other(&format!("{}/deliveries/{id}", address(place, endpoint)))),
        Queued::Unknown => Err(not_found()),
        Queued::Closed(reason) => Err(closed(reason)),
        Queued::Waits => {
            let sentence = "It has not ended yet; it is tried again by itself.";
            Err(Refusal::new(StatusCode::CONFLICT, "webhook_request_waiting", sentence))
        }
    }
}

fn closed(reason: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, reason, why_closed(reason))
}

/// Why nothing may be sent, for people.
pub fn why_closed(reason: &str) -> &'static str {
    match reason {
        "connection_ended" => {
            "The connection that this is about has ended, so nothing is sent for it any more."
        }
        _ => "The endpoint is disabled, so nothing is sent there. Enable it first.",
    }
}
