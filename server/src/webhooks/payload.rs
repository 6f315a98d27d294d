//! What notifications say: one envelope for Medusa's plugin, which takes no other member, and one for everybody else.

use std::collections::BTreeMap;

use counterfoil_protocol::{
    UnixTime,
    encoding::{base64url, hex, sha256},
};
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

use super::endpoint::{Endpoint, EndpointKind};
use crate::partner::{
    amount::Amount,
    event::EventKind,
    json::Json,
    link::{LinkStatus, PaymentLink, rfc3339},
};

/// What names an event that is about to be written, and what it needs to know besides the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seed {
    /// Random, new for every event.
    pub id: String,
    /// What the public addresses of payment links begin with.
    pub checkout_base: String,
}

impl Seed {
    /// The name of the delivery of this event to an endpoint.
    #[must_use]
    pub fn delivery_id(&self, endpoint_id: &str) -> String {
        let name = sha256(format!("{}\n{endpoint_id}", self.id).as_bytes());
        format!("mpwhreq_{}", base64url(&name[..16]))
    }
}

/// Something that happened to a link, or nothing, in a test.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    /// What.
    pub kind: EventKind,
    /// To which link.
    pub link: Option<&'a PaymentLink>,
    /// Whose: the grant, its company.
    pub grant: Option<(&'a str, &'a str)>,
    /// When.
    pub at: UnixTime,
}

/// A notification but for its `deliveryId`, which is new in every attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payload {
    /// What all attempts to deliver it share.
    pub group_id: String,
    /// A JSON object.
    pub body: String,
}

/// The members of a body. Each is JSON as it is sent: no number of a store's own data is rounded.
type Body = BTreeMap<&'static str, Box<RawValue>>;

/// Writes a notification to an endpoint.
#[must_use]
pub fn write(happening: Happening<'_>, seed: &Seed, endpoint: &Endpoint) -> Payload {
    let group_id = group_id(happening, seed, endpoint);
    let medusa = medusa(happening, endpoint);
    let mut body = medusa.unwrap_or_else(|| general(happening, seed, endpoint));
    body.insert("deliveryGroupId", raw(&group_id));
    let body = serde_json::to_string(&body).expect("raw JSON is JSON");
    Payload { group_id, body }
}

/// What it is, where it goes and how much it is about: not when it was told.
fn group_id(happening: Happening<'_>, seed: &Seed, endpoint: &Endpoint) -> String {
    let Happening { kind, link, grant, .. } = happening;
    let session = link.and_then(PaymentLink::latest);
    let payment = session.filter(|_| kind == EventKind::StatusChanged);
    let payment = payment.map(|it| json!([it.id, it.status, it.amount, it.settlement]));
    // Without a payment it is the one event that it is.
    let event = payment.unwrap_or_else(|| seed.id.clone().into());
    let link = link.map(|link| json!([link.uid, link.amount, link.facts.fiat_currency]));
    let client = [&endpoint.id, &endpoint.client_id];
    let identity = json!([kind.name(), endpoint.url, client, grant, link, event]);
    format!("mpwhgrp_{}", hex(&sha256(identity.to_string().as_bytes())))
}

/// The body of one attempt.
#[must_use]
pub fn of_attempt(body: &str, delivery_id: &str) -> String {
    let rest = body.strip_prefix('{').unwrap_or(body);
    format!("{{\"deliveryId\":{},{rest}", Value::from(delivery_id))
}

/// The value of the event header: Medusa's plugin compares it with the type, others know its end.
#[must_use]
pub fn event_header(endpoint: &Endpoint, event: &str) -> String {
    match EventKind::parse(event) {
        Some(kind) if endpoint.platform.as_deref() != Some("medusa") => kind.short().to_owned(),
        _ => event.to_owned(),
    }
}

/// `medusa.v1`: exactly these members. Only payments of amounts in fiat money fit into it.
fn medusa(happening: Happening<'_>, endpoint: &Endpoint) -> Option<Body> {
    let Happening { kind, link: Some(link), grant: Some((grant_id, company_id)), at } = happening
    else {
        return None;
    };
    if endpoint.platform.as_deref() != Some("medusa")
        || endpoint.kind != EndpointKind::Subscription
        || kind != EventKind::StatusChanged
    {
        return None;
    }
    let session = link.latest()?;
    let fiat_currency = link.facts.fiat_currency.as_ref()?;
    let metadata: Value = serde_json::from_str(link.metadata.as_str()).unwrap_or_default();
    let said = |name: &str| metadata.get(name).filter(|value| value.is_string()).cloned();
    let payment_link = json!({
        "uid": link.uid,
        "fiatAmount": link.amount,
        "fiatCurrency": fiat_currency,
        "metadata": {
            "medusaSessionId": said("medusaSessionId"),
            "medusaOrderId": said("medusaOrderId"),
            "medusaOrderDisplayId": said("medusaOrderDisplayId"),
            "medusaProviderId": said("medusaProviderId"),
        },
    });
    Some(Body::from([
        ("schemaVersion", raw(&"medusa.v1")),
        ("type", raw(&kind.name())),
        ("createdAt", raw(&millis(at))),
        ("status", raw(&session.status)),
        ("companyId", raw(&company_id)),
        ("grantId", raw(&grant_id)),
        ("subscriptionId", raw(&endpoint.id)),
        ("installationId", raw(&endpoint.client_id)),
        ("paymentLink", raw(&payment_link)),
        ("session", raw(&json!({ "id": session.id, "settlement": session.settlement }))),
    ]))
}

/// The documented envelope, with the names by which a store knows that it is meant.
fn general(happening: Happening<'_>, seed: &Seed, endpoint: &Endpoint) -> Body {
    let Happening { kind, link, grant, at } = happening;
    let mut body = Body::from([
        ("type", raw(&kind.name())),
        ("createdAt", raw(&millis(at))),
        ("event", raw(&json!({ "type": kind.short(), "trigger": trigger(kind) }))),
    ]);
    if let Some((grant_id, company_id)) = grant {
        body.insert("companyId", raw(&company_id));
        body.insert("grantId", raw(&grant_id));
    }
    match endpoint.kind {
        EndpointKind::Subscription => body.insert("subscriptionId", raw(&endpoint.id)),
        EndpointKind::Application => body.insert("endpointId", raw(&endpoint.id)),
        EndpointKind::Link => None,
    };
    if endpoint.native {
        body.insert("installationId", raw(&endpoint.client_id));
    }
    if let Some(link) = link {
        body.insert("paymentLink", raw(&Link::of(link, seed)));
    }
    if let Some(session) = link.and_then(PaymentLink::latest) {
        if kind == EventKind::StatusChanged {
            body.insert("status", raw(&session.status));
        }
        body.insert("session", raw(&session));
    }
    body
}

/// A payment link as notifications tell of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    id: &'a str,
    uid: &'a str,
    status: LinkStatus,
    public_url: String,
    amount: &'a Amount,
    fiat_amount: Option<&'a Amount>,
    fiat_currency: Option<&'a str>,
    currency: Option<&'a str>,
    asset: Option<&'a str>,
    label: Option<&'a str>,
    merchant_order_id: Option<&'a str>,
    client_email: Option<&'a str>,
    client_id: Option<()>,
    metadata: &'a Json,
}

impl<'a> Link<'a> {
    fn of(link: &'a PaymentLink, seed: &Seed) -> Self {
        let facts = &link.facts;
        Self {
            id: &link.id,
            uid: &link.uid,
            status: link.status,
            public_url: format!("{}/payment/{}", seed.checkout_base, link.uid),
            amount: &link.amount,
            fiat_amount: facts.fiat_currency.as_ref().map(|_| &link.amount),
            fiat_currency: facts.fiat_currency.as_deref(),
            currency: facts.currency.as_deref(),
            asset: facts.asset.as_deref(),
            label: facts.label.as_deref(),
            merchant_order_id: facts.order_id.as_deref(),
            client_email: facts.customer_email.as_deref(),
            client_id: None,
            metadata: &link.metadata,
        }
    }
}

fn trigger(kind: EventKind) -> &'static str {
    match kind {
        EventKind::StatusChanged => "payment_status",
        EventKind::Test => "test",
        _ => "partner_api",
    }
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("these values are JSON")
}

/// A time as JavaScript writes it, with milliseconds: a receiver compares the text.
fn millis(time: UnixTime) -> String {
    rfc3339(time).replace('Z', ".000Z")
}

#[cfg(test)]
mod tests;
