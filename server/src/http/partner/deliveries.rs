//! The log of a connection's notifications, and what its client may do about them: try its endpoint, send again.

use axum::{body::Body, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{
    call::{Call, Once, answer, to_bytes},
    page::Page,
};
use crate::{
    audit::Actor,
    http::error::Refusal,
    partner::receipt::Keeping,
    store::{DeliveryQuery, Listed, Manual, ManualSend, Of, Queued, Sent},
    webhooks::{log::Delivery, view},
};

/// `GET webhook-requests`: newest first; `nextCursor` leads to what is older.
pub(super) async fn list(call: Call, _body: Body) -> Result<Response, Refusal> {
    let page = Page::of(&call.parts)?;
    let wanted = page.wanted();
    let found = match wanted.after {
        None => after(&call, None, wanted.limit).await?,
        // Another's opens nothing.
        Some(id) => match own(&call, &id).await? {
            Some(last) => after(&call, Some(last.position), wanted.limit).await?,
            None => None,
        },
    };
    let (found, next) = page.cut(found, |delivery| &delivery.id)?;
    let body = to_bytes(&json!({
        "companyId": call.holder.company.id,
        "webhookRequests": found.iter().map(view::delivery).collect::<Vec<Value>>(),
        "nextCursor": next,
    }))?;
    Ok(answer(StatusCode::OK, body))
}

async fn after(call: &Call, before: Option<i64>, limit: u32) -> Result<Listed<Delivery>, Refusal> {
    let query = DeliveryQuery { before, limit, ..DeliveryQuery::default() };
    Ok(Some(call.app.store.deliveries(Of::Grant(&call.holder.grant_id), query).await?))
}

/// The delivery of this name, if it is about this connection.
async fn own(call: &Call, id: &str) -> Result<Option<Delivery>, Refusal> {
    let known = call.app.store.delivery(id).await?;
    Ok(known.filter(|known| known.grant_id.as_ref() == Some(&call.holder.grant_id)))
}

/// `POST webhook-requests/{id}/retry`.
pub(super) async fn retry(call: Call, _body: Body) -> Result<Response, Refusal> {
    let once = call.once(Keeping::ENDING, b"")?;
    once.decide(async || {
        let known = own(&call, call.named()).await?.ok_or_else(no_delivery)?;
        send(&call, &once, Manual::Retry(known.id), &known.endpoint_id).await
    })
    .await
}

/// `POST webhook-subscriptions/current/test`.
pub(super) async fn test(call: Call, _body: Body) -> Result<Response, Refusal> {
    let once = call.once(Keeping::ENDING, b"")?;
    once.decide(async || {
        let known = call.app.store.webhook_subscription(&call.holder.grant_id).await?;
        let known = known.ok_or_else(|| {
            let sentence = "This connection has no webhook subscription.";
            Refusal::new(StatusCode::NOT_FOUND, "webhook_subscription_not_found", sentence)
        })?;
        send(&call, &once, Manual::Test(known.id.clone()), &known.id).await
    })
    .await
}

/// Has it written for this endpoint; `None` says that it must be decided again.
async fn send(
    call: &Call,
    once: &Once<'_>,
    what: Manual,
    endpoint_id: &str,
) -> Result<Option<Response>, Refusal> {
    let event = call.app.event();
    let request = json!({ "id": event.delivery_id(endpoint_id), "status": "waiting" });
    let company_id = &call.holder.company.id;
    let body = json!({ "companyId": company_id, "ok": true, "webhookRequest": request });
    let body = to_bytes(&body)?;
    let send = ManualSend {
        what,
        grant_id: call.holder.grant_id.clone(),
        event,
        actor: Actor::Client(call.holder.client_id.clone()),
        receipt: once.receipt(None, &body),
        now: call.app.now(),
    };
    match call.app.store.send_by_hand(send).await? {
        Sent::Queued(queued) => accepted(&queued, body).map(Some),
        Sent::Hindered(write) => call.written(write, || answer(StatusCode::ACCEPTED, body)),
    }
}

fn accepted(queued: &Queued, body: Vec<u8>) -> Result<Response, Refusal> {
    let conflict = |code: &str, sentence| Err(Refusal::new(StatusCode::CONFLICT, code, sentence));
    match queued {
        Queued::As(_) => Ok(answer(StatusCode::ACCEPTED, body)),
        Queued::Unknown => Err(no_delivery()),
        Queued::Closed("connection_ended") => conflict(
            "connection_ended",
            "The connection has ended; nothing is sent for it any more.",
        ),
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
