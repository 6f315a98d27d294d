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
    partner::{
        link::{LinkStatus, PaymentLink},
        payment::PaymentStatus,
    },
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
            status: standing(link.status, link.latest().map(|session| session.status)),
        }
    }
}

/// Where a payment stands, for whoever pays.
fn standing(link: LinkStatus, attempt: Option<PaymentStatus>) -> &'static str {
    use PaymentStatus::{
        AwaitingDeposit, Cancelled, Complete, DepositReceived, Expired, Failed, Pending, Quoted,
        Sending, Swapping, Underpaid,
    };
    match (attempt, link) {
        (Some(Complete), _) => "Paid",
        (Some(DepositReceived | Swapping | Sending), _) => "Received, and on its way to the store",
        (Some(Pending), _) => "On its way",
        (Some(Underpaid), _) => "Part of it was received",
        (_, LinkStatus::Archived) => "No longer open",
        (None | Some(Quoted | AwaitingDeposit), LinkStatus::Active) => "Waiting for payment",
        (Some(Failed | Expired | Cancelled), LinkStatus::Active) => {
            "The last attempt came to nothing. Waiting for payment"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_pay_twice() {
        for status in PaymentStatus::ALL {
            let may_pay =
                standing(LinkStatus::Active, Some(status)).contains("Waiting for payment");
            let open = [PaymentStatus::Quoted, PaymentStatus::AwaitingDeposit];
            assert_eq!(may_pay, status.is_lost() || open.contains(&status), "{status:?}");
            let archived = standing(LinkStatus::Archived, Some(status));
            assert!(!archived.contains("Waiting"), "{status:?}");
        }
        assert_eq!(standing(LinkStatus::Active, None), "Waiting for payment");
        assert_eq!(standing(LinkStatus::Archived, None), "No longer open");
        assert_eq!(standing(LinkStatus::Archived, Some(PaymentStatus::Complete)), "Paid");
    }
}
