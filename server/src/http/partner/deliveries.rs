//! The log of a connection's notifications, and what its client may do about them: try its endpoint, send again.

use axum::{body::Body, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::call::{Call, answer, to_bytes};
use crate::{
    audit::Actor,
    http::{error::Refusal, extract::Parameters},
    store::{DeliveryQuery, Of, Queued},
    webhooks::view,
};

/// Deliveries in a list unless the request says otherwise, and the most of them.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;

/// `GET webhook-requests`: newest first; `nextCursor` leads to what is older.
pub(super) async fn list(call: Call, _body: Body) -> Result<Response, Refusal> {
    let query = Parameters::parse(call.parts.uri.query().unwrap_or_default().as_bytes())?;
    let limit = match query.get("limit") {
        None => DEFAULT_LIMIT,
        Some(text) => number(text)
            .and_then(|number| u32::try_from(number).ok())
            .map(|number| number.min(MAX_LIMIT))
            .ok_or_else(|| Refusal::invalid_request("limit must be a number from 1 to 100."))?,
    };
    let cursor = match query.get("cursor") {
        None => None,
        Some(text) => Some(number(text).ok_or_else(|| {
            Refusal::invalid_request("cursor must be the nextCursor of a list before.")
        })?),
    };
    let of = Of::Grant(&call.holder.grant_id);
    let query = DeliveryQuery { before: cursor, limit, ..DeliveryQuery::default() };
    let found = call.app.store.deliveries(of, query).await?;
    let next = found.last().filter(|_| found.len() == limit as usize);
    let body = to_bytes(&json!({
        "companyId": call.holder.company.id,
        "webhookRequests": found.iter().map(view::delivery).collect::<Vec<Value>>(),
        "nextCursor": next.map(|last| last.position.to_string()),
    }))?;
    Ok(answer(StatusCode::OK, body))
}

/// `POST webhook-requests/{id}/retry`.
pub(super) async fn retry(call: Call, _body: Body) -> Result<Response, Refusal> {
    // The path ends in /{id}/retry.
    let id = call.parts.uri.path().rsplit('/').nth(1).unwrap_or_default();
    let known = call.app.store.delivery(id).await?;
    let own = |grant_id: &String| *grant_id == call.holder.grant_id;
    if !known.is_some_and(|known| known.grant_id.as_ref().is_some_and(own)) {
        return Err(no_delivery());
    }
    let (event, actor) = (call.app.event(), Actor::Client(call.holder.client_id.clone()));
    let queued = call.app.store.retry_delivery(id, event, &actor, call.app.now()).await?;
    accepted(&call, queued)
}

/// `POST webhook-subscriptions/current/test`.
pub(super) async fn test(call: Call, _body: Body) -> Result<Response, Refusal> {
    let known = call.app.store.webhook_subscription(&call.holder.grant_id).await?;
    let known = known.ok_or_else(|| {
        let sentence = "This connection has no webhook subscription.";
        Refusal::new(StatusCode::NOT_FOUND, "webhook_subscription_not_found", sentence)
    })?;
    let (event, actor) = (call.app.event(), Actor::Client(call.holder.client_id.clone()));
    let queued = call.app.store.test_endpoint(&known.id, event, &actor, call.app.now()).await?;
    accepted(&call, queued)
}

fn accepted(call: &Call, queued: Queued) -> Result<Response, Refusal> {
    let conflict = |code: &str, sentence| Err(Refusal::new(StatusCode::CONFLICT, code, sentence));
    match queued {
        Queued::As(id) => {
            let company_id = &call.holder.company.id;
            let request = json!({ "id": id, "status": "waiting" });
            let body = json!({ "companyId": company_id, "ok": true, "webhookRequest": request });
            Ok(answer(StatusCode::ACCEPTED, to_bytes(&body)?))
        }
        Queued::Unknown => Err(no_delivery()),
        Queued::Closed(reason) => {
            conflict(reason, "Nothing is sent to this endpoint; enable it first.")
        }
        Queued::Waits => conflict(
            "webhook_request_waiting",
            "It has not ended yet; it is tried again by itself.",
        ),
    }
}

fn no_delivery() -> Refusal {
    let sentence = "This connection has no webhook request of this name, or its endpoint is gone.";
    Refusal::new(StatusCode::NOT_FOUND, "webhook_request_not_found", sentence)
}

/// A positive number, plainly written.
fn number(text: &str) -> Option<i64> {
    let plain = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number > 0)
}
