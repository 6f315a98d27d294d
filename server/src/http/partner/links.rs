//! Payment links: made, listed, read and changed by the grant that made them.

use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    call::{ATTEMPTS, Call, answer, overtaken, to_bytes},
    conditional::{tag_of, tagged},
    page::Page,
};
use crate::{
    http::error::Refusal,
    partner::{
        link::{LinkPatch, LinkRequest, LinkView, PaymentLink},
        members::Fault,
        receipt::Keeping,
    },
    store::{LinkChange, NewLink},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created<'a> {
    company_id: &'a str,
    ok: bool,
    payment_link: LinkView<'a>,
    payment_request_email_sent: bool,
    payment_request_email_error: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    company_id: &'a str,
    payment_link: LinkView<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    company_id: &'a str,
    payment_links: Vec<LinkView<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed<'a> {
    company_id: &'a str,
    ok: bool,
    payment_link: LinkView<'a>,
    #[serde(flatten)]
    archived: Option<Value>,
}

/// `POST payment-links`.
pub(super) async fn create(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    let mut request = LinkRequest::parse(&text, app.config.local_hosts()).map_err(malformed)?;
    let profile = call.holder.platform.as_deref().and_then(|platform| app.profiles.get(platform));
    let needs_subscription = profile.is_some_and(|profile| profile.links_need_subscription);
    if let Some(response) = once.answered().await? {
        return Ok(response);
    }
    complete(&call, &mut request).await?;
    let send_email = request.send_email;
    let (id, uid) = (app.entropy.id("mplink_"), app.entropy.id("pl_"));
    let link = request.into_link(id, uid, &call.holder.grant_id, app.now());
    let body = to_bytes(&Created {
        company_id: &call.holder.company.id,
        ok: true,
        payment_link: link.view(app.config.checkout_base()),
        payment_request_email_sent: false,
        payment_request_email_error: send_email.then_some("payment_request_email_not_supported"),
    })?;
    let tag = tag_of(&link.view(app.config.checkout_base()))?;
    let event = app.event();
    for _ in 0..ATTEMPTS {
        if let Some(response) = once.answered().await? {
            return Ok(response);
        }
        let (link, receipt) = (link.clone(), once.receipt(Some(&tag), &body));
        let event = event.clone();
        let new = NewLink { event, link, needs_subscription, receipt, now: app.now() };
        let write = app.store.create_payment_link(new).await?;
        let created = || tagged(answer(StatusCode::CREATED, body.clone()), &tag);
        if let Some(response) = call.written(write, created)? {
            return Ok(response);
        }
    }
    Err(overtaken())
}

/// What the company has set for all its links: what it takes, and where payers return.
async fn complete(call: &Call, request: &mut LinkRequest) -> Result<(), Refusal> {
    let settings = call.settings().await?.settings;
    let methods = &call.app.config.payment_methods;
    if request.facts.asset.as_deref().is_some_and(|asset| !settings.takes(asset, methods)) {
        let must = "an asset that the company's settings allow";
        return Err(malformed(Fault { member: "payload.asset".to_owned(), must }));
    }
    settings.complete(&mut request.facts);
    Ok(())
}

/// `GET payment-links`.
pub(super) async fn list(call: Call, _body: Body) -> Result<Response, Refusal> {
    let page = Page::of(&call.parts)?;
    let listed = call.app.store.payment_links(&call.holder.grant_id, &page.wanted()).await?;
    let (links, next_cursor) = page.cut(listed, |link| &link.uid)?;
    let base = call.app.config.checkout_base();
    let body = to_bytes(&Listed {
        company_id: &call.holder.company.id,
        payment_links: links.iter().map(|link| link.view(base)).collect(),
        next_cursor,
    })?;
    Ok(answer(StatusCode::OK, body))
}

/// `GET payment-links/{uid}`.
pub(super) async fn read(call: Call, _body: Body) -> Result<Response, Refusal> {
    let link = own_link(&call).await?;
    let view = link.view(call.app.config.checkout_base());
    let body =
        to_bytes(&Found { company_id: &call.holder.company.id, payment_link: view.clone() })?;
    call.shown(&view, body)
}

/// `PATCH payment-links/{uid}`.
pub(super) async fn change(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    let patch = LinkPatch::parse(&text, app.config.local_hosts()).map_err(malformed)?;
    for _ in 0..ATTEMPTS {
        if let Some(response) = once.answered().await? {
            return Ok(response);
        }
        let known = own_link(&call).await?;
        call.may_change(&known.view(app.config.checkout_base()))?;
        let link = match patch.clone().apply(&known, app.now()) {
            Ok(link) => link,
            Err(refusal) => {
                let body = to_bytes(&json!({ "errorCode": refusal.code() }))?;
                return Ok(answer(StatusCode::CONFLICT, body));
            }
        };
        let body = to_bytes(&Changed {
            company_id: &call.holder.company.id,
            ok: true,
            payment_link: link.view(app.config.checkout_base()),
            archived: patch.archive.then(archived),
        })?;
        let tag = tag_of(&link.view(app.config.checkout_base()))?;
        let receipt = once.receipt(Some(&tag), &body);
        let change = LinkChange { event: app.event(), link, receipt, now: app.now() };
        let write = app.store.change_payment_link(change).await?;
        if let Some(tag) = call.written(write, || tag)? {
            return Ok(tagged(answer(StatusCode::OK, body), &tag));
        }
    }
    Err(overtaken())
}

/// What is said of an archived link: that nobody had begun to pay it, and nobody can any more.
fn archived() -> Value {
    json!({
        "archiveEligibility": "no_session",
        "archivedWithNoSession": true,
        "latestSession": null,
        "sessionCreationClaimed": false,
    })
}

/// The link that the path names, if this grant made it. Another's is as good as none.
async fn own_link(call: &Call) -> Result<PaymentLink, Refusal> {
    let link = call.app.store.payment_link(call.named()).await?;
    link.filter(|link| link.grant_id == call.holder.grant_id).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "payment_link_not_found",
            "This connection has no payment link of this name.",
        )
    })
}

fn malformed(fault: Fault) -> Refusal {
    Refusal::bad_request("invalid_payment_link", &fault).of_field(fault.member)
}
