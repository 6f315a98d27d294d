//! One delivery: what was sent, what was answered, how long that took; and once more.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    SECTION, actor, address, base, named,
    operate::{queued, why_closed},
    words::{self, Word},
};
use crate::{
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame},
            guard::{Visit, not_found},
            moment::Moment,
        },
    },
    people::role::Act,
    store::{ListedEndpoint, Membership},
    webhooks::{endpoint::Origin, log::Delivery, payload},
};

#[derive(Template)]
#[template(path = "webhook_delivery.html")]
struct DeliveryPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    base: String,
    endpoint: String,
    url: &'a str,
    it: &'a Delivery,
    event: &'a str,
    origin: &'static str,
    state: Word,
    reason: Option<&'static str>,
    created: Moment,
    due: Option<Moment>,
    settled: Option<Moment>,
    attempts: Vec<Shown>,
    may_retry: bool,
    closed: Option<&'static str>,
}

/// An attempt, the newest first.
struct Shown {
    number: u32,
    at: Moment,
    outcome: String,
    good: bool,
    milliseconds: i64,
    url: String,
    request: String,
    headers: String,
    excerpt: String,
    answered: bool,
}

/// `GET …/deliveries/{delivery}`.
pub async fn show(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let (listed, it) = delivery(&visit, &place).await?;
    let endpoint = &listed.endpoint;
    let ended = (!it.stands).then_some("connection_ended");
    let closed = ended.or_else(|| endpoint.closed(Origin::Manual));
    let template = DeliveryPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        base: base(&place),
        endpoint: address(&place, &endpoint.id),
        url: &endpoint.url,
        event: words::event(&it.event),
        origin: words::origin(it.origin),
        state: words::state(&it),
        reason: it.reason.as_deref().map(words::reason),
        created: it.created_at.into(),
        due: it.due_at.filter(|_| it.settled_at.is_none()).map(Moment::from),
        settled: it.settled_at.map(Moment::from),
        attempts: shown(&it),
        may_retry: place.role.may(Act::OperateWebhooks) && it.settled_at.is_some(),
        closed: closed.map(why_closed),
        it: &it,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

/// `POST …/deliveries/{delivery}/retry`.
pub async fn retry(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let (listed, it) = delivery(&visit, &place).await?;
    let app = &visit.app;
    let outcome = app.store.retry_delivery(&it.id, app.event(), &actor(&visit), app.now()).await?;
    queued(&place, &listed.endpoint.id, outcome)
}

/// The delivery that the path names, if it went to the endpoint of the path, and that is this company's.
async fn delivery(
    visit: &Visit,
    place: &Membership,
) -> Result<(ListedEndpoint, Delivery), Refusal> {
    let listed = named(visit, place).await?;
    let found = visit.app.store.delivery(visit.path("delivery")).await?;
    let found = found.filter(|it| it.endpoint_id == listed.endpoint.id).ok_or_else(not_found)?;
    Ok((listed, found))
}

fn shown(it: &Delivery) -> Vec<Shown> {
    let numbered = (1..).zip(&it.tried).map(|(number, tried)| Shown {
        number,
        at: tried.at.into(),
        outcome: words::outcome(tried),
        good: tried.status.is_some_and(|status| (200..300).contains(&status)),
        milliseconds: tried.milliseconds,
        url: tried.url.clone(),
        request: payload::of_attempt(&it.body, &tried.delivery_id),
        headers: tried.headers.clone(),
        excerpt: tried.excerpt.clone(),
        answered: tried.status.is_some(),
    });
    let mut shown: Vec<_> = numbered.collect();
    shown.reverse();
    shown
}
