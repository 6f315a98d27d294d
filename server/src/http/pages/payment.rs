//! `GET /payment/{uid}`: what a payment link asks for. Whoever has the link sees it, so it tells no more than that.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};

use super::frame::{self, Frame};
use crate::{
    app::App,
    http::error::Refusal,
    partner::link::{LinkStatus, PaymentLink},
};

#[derive(Template)]
#[template(path = "payment.html")]
struct PaymentPage<'a> {
    frame: Frame<'a>,
    payment: Option<Payment<'a>>,
}

/// What is shown of a payment link.
#[derive(Debug, Eq, PartialEq)]
struct Payment<'a> {
    amount: &'a str,
    currency: &'a str,
    status: &'static str,
}

/// The page of a payment link, or that there is none.
pub async fn show(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, Refusal> {
    let uid = uri.path().rsplit('/').next().unwrap_or_default();
    let link = app.store.payment_link(uid).await?;
    let payment = link.as_ref().map(Payment::of);
    let status = if payment.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok(frame::page(status, &PaymentPage { frame: Frame::new(&app), payment }, None))
}

impl<'a> Payment<'a> {
    fn of(link: &'a PaymentLink) -> Self {
        let facts = &link.facts;
        let currency = facts.fiat_currency.as_ref().or(facts.currency.as_ref());
        Self {
            amount: link.amount.as_str(),
            currency: currency.or(facts.asset.as_ref()).map_or("", String::as_str),
            status: match link.status {
                LinkStatus::Active => "Waiting for payment",
                LinkStatus::Archived => "No longer open",
            },
        }
    }
}
