//! Payment links: made, listed, read and changed by the grant that made them.

use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::call::{ATTEMPTS, Call, answer, overtaken, to_bytes};
use crate::{
    http::{error::Refusal, extract::Parameters},
    partner::{
        link::{LinkPatch, LinkRequest, LinkView, PaymentLink},
        members::Fault,
        receipt::Keeping,
    },
    store::{LinkChange, NewLink},
};

/// Links in a list unless the request says otherwise, and the most of them.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;

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
    let request = LinkRequest::parse(&text, app.config.local_hosts()).map_err(malformed)?;
    let profile = call.holder.platform.as_deref().and_then(|platform| app.profiles.get(platform));
    let needs_subscription = profile.is_some_and(|profile| profile.links_need_subscription);
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
    let event = app.event();
    for _ in 0..ATTEMPTS {
        if let Some(response) = once.answered().await? {
            return Ok(response);
        }
        let (link, receipt) = (link.clone(), once.receipt(&body));
        let event = event.clone();
        let new = NewLink { event, link, needs_subscription, receipt, now: app.now() };
        let write = app.store.create_payment_link(new).await?;
        let created = || answer(StatusCode::CREATED, body.clone());
        if let Some(response) = call.written(write, created)? {
            return Ok(response);
        }
    }
    Err(overtaken())
}

/// `GET payment-links`.
pub(super) async fn list(call: Call, _body: Body) -> Result<Response, Refusal> {
    let query = Parameters::parse(call.parts.uri.query().unwrap_or_default().as_bytes())?;
    let limit = limit(query.get("limit"))
        .ok_or_else(|| Refusal::invalid_request("limit must be a number from 1 to 100."))?;
    let links = call.app.store.payment_links(&call.holder.grant_id, limit).await?;
    let base = call.app.config.checkout_base();
    let body = to_bytes(&Listed {
        company_id: &call.holder.company.id,
        payment_links: links.iter().map(|link| link.view(base)).collect(),
    })?;
    Ok(answer(StatusCode::OK, body))
}

/// `GET payment-links/{uid}`.
pub(super) async fn read(call: Call, _body: Body) -> Result<Response, Refusal> {
    let link = own_link(&call).await?;
    let payment_link = link.view(call.app.config.checkout_base());
    let body = to_bytes(&Found { company_id: &call.holder.company.id, payment_link })?;
    Ok(answer(StatusCode::OK, body))
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
        let receipt = once.receipt(&body);
        let change = LinkChange { event: app.event(), link, receipt, now: app.now() };
        let write = app.store.change_payment_link(change).await?;
        if let Some(response) = call.written(write, || answer(StatusCode::OK, body))? {
            return Ok(response);
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
    let uid = call.parts.uri.path().rsplit('/').next().unwrap_or_default();
    let link = call.app.store.payment_link(uid).await?;
    link.filter(|link| link.grant_id == call.holder.grant_id).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "payment_link_not_found",
            "This connection has no payment link of this name.",
        )
    })
}

/// More than the most is as much as there can be; what is no number is refused.
fn limit(text: Option<&str>) -> Option<u32> {
    let Some(text) = text else { return Some(DEFAULT_LIMIT) };
    let plain = text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| plain && *number > 0)?;
    Some(MAX_LIMIT.min(number))
}

fn malformed(fault: Fault) -> Refusal {
    Refusal::bad_request("invalid_payment_link", fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (text, expected) in [
            (None, Some(50)),
            (Some("1"), Some(1)),
            (Some("100"), Some(100)),
            (Some("999999999"), Some(100)),
            (Some("0"), None),
            (Some("-1"), None),
            (Some("+1"), None),
            (Some("1.5"), None),
            (Some("ten"), None),
            (Some("99999999999999999999"), None),
        ] {
            assert_eq!(limit(text), expected, "{text:?}");
        }
    }
}
