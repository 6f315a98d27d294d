//! Subscriptions of the company's customers, shared by all its integrations.

use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;

use super::{
    call::{Call, answer, invalid, to_bytes},
    conditional::{tag_of, tagged},
    page::Page,
};
use crate::{
    http::error::Refusal,
    partner::{
        receipt::Keeping,
        recurring::{Recurring, RecurringPatch, RecurringRefusal, RecurringRequest, RecurringView},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    company_id: &'a str,
    subscriptions: Vec<RecurringView<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    company_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    subscription: RecurringView<'a>,
}

/// `GET subscriptions`.
pub(super) async fn list(call: Call, _body: Body) -> Result<Response, Refusal> {
    let page = Page::of(&call.parts)?;
    let (company_id, now) = (&call.holder.company.id, call.app.now());
    let listed = call.app.store.recurrings(company_id, &page.wanted()).await?;
    let (subscriptions, next_cursor) = page.cut(listed, |recurring| &recurring.id)?;
    let subscriptions = subscriptions.iter().map(|recurring| recurring.view(now)).collect();
    let body = to_bytes(&Listed { company_id, subscriptions, next_cursor })?;
    Ok(answer(StatusCode::OK, body))
}

/// `POST subscriptions`.
pub(super) async fn create(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let company_id = &call.holder.company.id;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    if let Some(response) = once.answered().await? {
        return Ok(response);
    }
    let settings = call.settings().await?.settings;
    let request = RecurringRequest::parse(&text, settings.default_currency.as_deref());
    let id = app.entropy.id("mpsub_");
    let recurring = request.map_err(invalid)?.into_recurring(id, company_id, app.now());
    once.decide(|| async {
        let body = changed(&call, &recurring)?;
        let tag = tag_of(&recurring.view(app.now()))?;
        let write = call.writing(recurring.clone(), once.receipt(Some(&tag), &body));
        let write = app.store.write_recurring(write).await?;
        call.written(write, || tagged(answer(StatusCode::CREATED, body), &tag))
    })
    .await
}

/// `GET subscriptions/{id}`.
pub(super) async fn read(call: Call, _body: Body) -> Result<Response, Refusal> {
    let recurring = own(&call).await?;
    let (company_id, now) = (&call.holder.company.id, call.app.now());
    let body = to_bytes(&One { company_id, ok: None, subscription: recurring.view(now) })?;
    call.shown(&recurring.view(now), body)
}

/// `PATCH subscriptions/{id}`.
pub(super) async fn change(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    let patch = RecurringPatch::parse(&text).map_err(invalid)?;
    once.decide(|| async {
        let known = own(&call).await?;
        call.may_change(&known.view(app.now()))?;
        let recurring = patch.apply(&known, app.now()).map_err(|refusal| match refusal {
            RecurringRefusal::Member(fault) => invalid(fault),
            RecurringRefusal::Cancelled => {
                Refusal::new(StatusCode::CONFLICT, "subscription_cancelled", refusal)
            }
        })?;
        let body = changed(&call, &recurring)?;
        let tag = tag_of(&recurring.view(app.now()))?;
        let write = call.writing(recurring.clone(), once.receipt(Some(&tag), &body));
        let write = app.store.write_recurring(write).await?;
        call.written(write, || tagged(answer(StatusCode::OK, body), &tag))
    })
    .await
}

fn changed(call: &Call, recurring: &Recurring) -> Result<Vec<u8>, Refusal> {
    let (company_id, now) = (&call.holder.company.id, call.app.now());
    to_bytes(&One { company_id, ok: Some(true), subscription: recurring.view(now) })
}

/// The subscription that the path names, if it is the company's. Another's is as good as none.
async fn own(call: &Call) -> Result<Recurring, Refusal> {
    call.app.store.recurring(&call.holder.company.id, call.named()).await?.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "subscription_not_found",
            "This company has no subscription of this id.",
        )
    })
}
