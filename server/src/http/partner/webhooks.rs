//! Where notifications go, and the secrets that sign them.

use axum::{body::Body, http::StatusCode, response::Response};
use counterfoil_protocol::secret::Secret;
use serde::Serialize;
use serde_json::json;

use super::{
    call::{ATTEMPTS, Call, answer, overtaken, to_bytes},
    conditional::{tag_of, tagged},
};
use crate::{
    http::error::Refusal,
    partner::{
        receipt::Keeping,
        subscription::{Subscription, SubscriptionRequest, SubscriptionView},
    },
    store::{SecretChange, SubscriptionChange},
    webhooks::secret,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Put<'a> {
    company_id: &'a str,
    ok: bool,
    created: bool,
    rotated: bool,
    /// Of a subscription that keeps its secret, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a Secret>,
    subscription: SubscriptionView<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    company_id: &'a str,
    subscription: Option<SubscriptionView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Disabled<'a> {
    company_id: &'a str,
    ok: bool,
    historical_delivery_preserved: bool,
    signing_secret_changed: bool,
    subscription: SubscriptionView<'a>,
}

/// `GET webhook-subscriptions/current`. Never the secret.
pub(super) async fn read(call: Call, _body: Body) -> Result<Response, Refusal> {
    let known = call.app.store.webhook_subscription(&call.holder.grant_id).await?;
    let subscription = known.as_ref().map(Subscription::view);
    let company_id = &call.holder.company.id;
    let body = to_bytes(&Found { company_id, subscription: subscription.clone() })?;
    call.shown(&subscription, body)
}

/// `PUT webhook-subscriptions/current`.
pub(super) async fn put(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let grant_id = &call.holder.grant_id;
    let text = call.json(body).await?;
    let once = call.once(Keeping::SECRETS, text.as_bytes())?;
    let request = SubscriptionRequest::parse(&text, app.config.local_hosts())
        .map_err(|fault| Refusal::bad_request(fault.code(), &fault).of_field(fault.member()))?;
    let vetted = app.outbound.vet(&request.url);
    vetted.map_err(|refusal| {
        Refusal::bad_request("invalid_callback_url", refusal).of_field(request.member)
    })?;
    for _ in 0..ATTEMPTS {
        if let Some(response) = once.answered().await? {
            return Ok(response);
        }
        let known = app.store.webhook_subscription(grant_id).await?;
        call.may_change(&known.as_ref().map(Subscription::view))?;
        let rotated = known.is_some() && request.rotate_secret;
        let (plain, sealed) = match &known {
            Some(known) if !request.needs_secret(Some(known)) => (None, known.secret.clone()),
            _ => {
                let (plain, sealed) = secret::new(&app.vault, &*app.entropy);
                (Some(plain), sealed)
            }
        };
        let id = app.entropy.id("mpwhsub_");
        let subscription = request.clone().apply(known.as_ref(), id, grant_id, sealed, app.now());
        let created = known.is_none();
        let body = to_bytes(&Put {
            company_id: &call.holder.company.id,
            ok: true,
            created,
            rotated,
            signing_secret: plain.as_ref(),
            subscription: subscription.view(),
        })?;
        let tag = tag_of(&subscription.view())?;
        let receipt = once.receipt(Some(&tag), &body);
        let change = SubscriptionChange { subscription, receipt, now: app.now() };
        let write = app.store.change_webhook_subscription(change).await?;
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        if let Some(response) = call.written(write, || tagged(answer(status, body), &tag))? {
            return Ok(response);
        }
    }
    Err(overtaken())
}

/// `DELETE webhook-subscriptions/current`: nothing more is sent; endpoint, secret and history stay.
pub(super) async fn disable(call: Call, _body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let once = call.once(Keeping::ENDING, b"")?;
    for _ in 0..ATTEMPTS {
        if let Some(response) = once.answered().await? {
            return Ok(response);
        }
        let known = app.store.webhook_subscription(&call.holder.grant_id).await?;
        let subscription = known.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "webhook_subscription_not_found",
                "This connection has no webhook subscription.",
            )
        })?;
        let subscription = subscription.disabled(app.now());
        let body = to_bytes(&Disabled {
            company_id: &call.holder.company.id,
            ok: true,
            historical_delivery_preserved: true,
            signing_secret_changed: false,
            subscription: subscription.view(),
        })?;
        let receipt = once.receipt(None, &body);
        let change = SubscriptionChange { subscription, receipt, now: app.now() };
        let write = app.store.change_webhook_subscription(change).await?;
        if let Some(response) = call.written(write, || answer(StatusCode::OK, body))? {
            return Ok(response);
        }
    }
    Err(overtaken())
}

/// `POST webhook-secret`: a new secret for the notifications of single payment links, in place of the one before.
pub(super) async fn rotate_secret(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.optional_json(body).await?;
    let once = call.once(Keeping::SECRETS, text.as_bytes())?;
    let company = &call.holder.company.id;
    for _ in 0..ATTEMPTS {
        if let Some(response) = once.answered().await? {
            return Ok(response);
        }
        let (plain, sealed) = secret::new(&app.vault, &*app.entropy);
        let body = to_bytes(&json!({
            "companyId": company,
            "webhookSecret": { "secret": plain.expose(), "last4": sealed.last4 },
        }))?;
        let receipt = once.receipt(None, &body);
        let change = SecretChange {
            grant_id: call.holder.grant_id.clone(),
            client_id: call.holder.client_id.clone(),
            company_id: call.holder.platform.is_none().then(|| company.clone()),
            secret: sealed,
            receipt,
            now: app.now(),
        };
        let write = app.store.change_webhook_secret(change).await?;
        if let Some(response) = call.written(write, || answer(StatusCode::OK, body))? {
            return Ok(response);
        }
    }
    Err(overtaken())
}
