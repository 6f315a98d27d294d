//! Customers of the company, shared by all its integrations.

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
        customer::{Customer, CustomerPatch, CustomerView},
        receipt::Keeping,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    company_id: &'a str,
    customers: Vec<CustomerView<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    company_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    customer: CustomerView<'a>,
}

/// `GET customers`.
pub(super) async fn list(call: Call, _body: Body) -> Result<Response, Refusal> {
    let page = Page::of(&call.parts)?;
    let company_id = &call.holder.company.id;
    let listed = call.app.store.customers(company_id, &page.wanted()).await?;
    let (customers, next_cursor) = page.cut(listed, |customer| &customer.id)?;
    let customers = customers.iter().map(Customer::view).collect();
    let body = to_bytes(&Listed { company_id, customers, next_cursor })?;
    Ok(answer(StatusCode::OK, body))
}

/// `POST customers`.
pub(super) async fn create(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    let id = app.entropy.id("mpcus_");
    let customer = CustomerPatch::parse(&text)
        .and_then(|patch| patch.into_customer(id, &call.holder.company.id, app.now()))
        .map_err(invalid)?;
    once.decide(|| async {
        let body = changed(&call, &customer)?;
        let tag = tag_of(&customer.view())?;
        let write = call.writing(customer.clone(), once.receipt(Some(&tag), &body));
        let write = app.store.write_customer(write).await?;
        call.written(write, || tagged(answer(StatusCode::CREATED, body), &tag))
    })
    .await
}

/// `GET customers/{id}`.
pub(super) async fn read(call: Call, _body: Body) -> Result<Response, Refusal> {
    let customer = own(&call).await?;
    let company_id = &call.holder.company.id;
    let body = to_bytes(&One { company_id, ok: None, customer: customer.view() })?;
    call.shown(&customer.view(), body)
}

/// `PATCH customers/{id}`.
pub(super) async fn change(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    let patch = CustomerPatch::parse(&text).map_err(invalid)?;
    once.decide(|| async {
        let known = own(&call).await?;
        call.may_change(&known.view())?;
        let customer = patch.clone().apply(&known, app.now()).map_err(invalid)?;
        let body = changed(&call, &customer)?;
        let tag = tag_of(&customer.view())?;
        let write = call.writing(customer.clone(), once.receipt(Some(&tag), &body));
        let write = app.store.write_customer(write).await?;
        call.written(write, || tagged(answer(StatusCode::OK, body), &tag))
    })
    .await
}

fn changed(call: &Call, customer: &Customer) -> Result<Vec<u8>, Refusal> {
    let company_id = &call.holder.company.id;
    to_bytes(&One { company_id, ok: Some(true), customer: customer.view() })
}

/// The customer that the path names, if it is the company's. Another's is as good as none.
async fn own(call: &Call) -> Result<Customer, Refusal> {
    call.app.store.customer(&call.holder.company.id, call.named()).await?.ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "customer_not_found",
            "This company has no customer of this id.",
        )
    })
}
