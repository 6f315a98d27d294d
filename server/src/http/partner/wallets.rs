//! Wallets of the company, as the operator imported them. Nothing here moves money.

use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;

use super::{
    call::{Call, answer, to_bytes},
    page::Page,
};
use crate::{
    http::error::Refusal,
    partner::{
        link::rfc3339,
        wallet::{Balance, Entry},
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing<'a> {
    company_id: &'a str,
    as_of: Option<String>,
    balances: Vec<Balance>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History<'a> {
    company_id: &'a str,
    activity: Vec<Entry>,
    next_cursor: Option<String>,
}

/// `GET companies/{id}/wallet/balances`.
pub(super) async fn balances(call: Call, _body: Body) -> Result<Response, Refusal> {
    let company_id = own_company(&call)?;
    let wallet = call.app.store.wallet(company_id).await?;
    let as_of = wallet.as_ref().map(|wallet| rfc3339(wallet.as_of));
    let balances = wallet.map(|wallet| wallet.balances).unwrap_or_default();
    let body = to_bytes(&Standing { company_id, as_of, balances })?;
    Ok(answer(StatusCode::OK, body))
}

/// `GET companies/{id}/wallet/activity`.
pub(super) async fn activity(call: Call, _body: Body) -> Result<Response, Refusal> {
    let company_id = own_company(&call)?;
    let page = Page::of(&call.parts)?;
    let listed = call.app.store.wallet_activity(company_id, &page.wanted()).await?;
    let (activity, next_cursor) = page.cut(listed, |entry| &entry.id)?;
    let body = to_bytes(&History { company_id, activity, next_cursor })?;
    Ok(answer(StatusCode::OK, body))
}

/// The company that the path names, if it is the token's. Whether there is another of that id is not told.
fn own_company(call: &Call) -> Result<&str, Refusal> {
    let company_id = call.holder.company.id.as_str();
    (call.named() == company_id).then_some(company_id).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "company_not_found",
            "This access token opens no company of this id; GET company tells which it opens.",
        )
    })
}
