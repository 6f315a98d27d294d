//! Endpoints and deliveries as programs read them: the partner API's answers and those of the commands. No secret.

use serde_json::{Value, json};

use super::{endpoint::Endpoint, log::Delivery, payload};
use crate::partner::link::rfc3339;

/// An endpoint.
#[must_use]
pub fn endpoint(it: &Endpoint) -> Value {
    json!({
        "id": it.id,
        "kind": it.kind.as_str(),
        "clientId": it.client_id,
        "grantId": it.grant_id,
        "companyId": it.company_id,
        "url": it.url,
        "events": it.events,
        "active": it.active,
        "status": status(it),
        "disabledReason": it.disabled_reason,
        "failingSince": it.failing_since.map(rfc3339),
        "description": it.description,
        "secretLast4": it.secret.last4,
        "previousSecretUntil": it.previous.as_ref().map(|(_, until)| rfc3339(*until)),
        "signatureHeader": it.signature_header(),
        "createdAt": rfc3339(it.created_at),
        "updatedAt": rfc3339(it.updated_at),
    })
}

/// How an endpoint is, in one word.
#[must_use]
pub fn status(it: &Endpoint) -> &'static str {
    match it {
        Endpoint { stands: false, .. } => "ended",
        Endpoint { active: false, .. } => "disabled",
        Endpoint { failing_since: Some(_), .. } => "failing",
        _ => "active",
    }
}

/// A delivery, with what was sent and what was answered.
#[must_use]
pub fn delivery(it: &Delivery) -> Value {
    let attempts: Vec<_> = it
        .tried
        .iter()
        .map(|tried| {
            json!({
                "deliveryId": tried.delivery_id,
                "at": rfc3339(tried.at),
                "durationMs": tried.milliseconds,
                "url": tried.url,
                "request": payload::of_attempt(&it.body, &tried.delivery_id),
                "responseStatus": tried.status,
                "responseHeaders": tried.headers,
                "responseExcerpt": tried.excerpt,
                "error": tried.error,
            })
        })
        .collect();
    json!({
        "id": it.id,
        "deliveryGroupId": it.group_id,
        "endpointId": it.endpoint_id,
        "grantId": it.grant_id,
        "paymentLinkUid": Some(&it.link_uid).filter(|uid| !uid.is_empty()),
        "event": it.event,
        "origin": it.origin.as_str(),
        "status": it.state,
        "reason": it.reason,
        "attempts": it.attempts,
        "nextAttemptAt": it.due_at.map(rfc3339),
        "createdAt": rfc3339(it.created_at),
        "settledAt": it.settled_at.map(rfc3339),
        "tries": attempts,
    })
}
