//! What a store shows of its company: branding and settings, to be read.

use axum::{body::Body, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::call::{Call, answer, to_bytes};
use crate::http::error::Refusal;

/// What can be paid with.
const PAYMENT_METHODS: [&str; 4] = ["BTC.BTC", "ETH.ETH", "ETH.USDC", "ETH.USDT"];

/// `GET branding`.
pub(super) async fn branding(call: Call, _body: Body) -> Result<Response, Refusal> {
    let body = to_bytes(&json!({
        "companyId": call.holder.company.id,
        "company": company(&call),
        "makePaySettings": { "allowedPaymentMethods": PAYMENT_METHODS },
    }))?;
    Ok(answer(StatusCode::OK, body))
}

/// `GET settings`.
pub(super) async fn settings(call: Call, _body: Body) -> Result<Response, Refusal> {
    let body = to_bytes(&json!({
        "companyId": call.holder.company.id,
        "company": company(&call),
        "settings": { "allowedPaymentMethods": PAYMENT_METHODS },
    }))?;
    Ok(answer(StatusCode::OK, body))
}

fn company(call: &Call) -> Value {
    let company = &call.holder.company;
    json!({
        "id": company.id,
        "name": company.name,
        "routeKey": company.id,
        "slug": slug(&company.name).unwrap_or_else(|| company.id.clone()),
    })
}

/// A name as it can stand in a URL: `Nordwind & Co` as `nordwind-co`.
fn slug(name: &str) -> Option<String> {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-");
    (!slug.is_empty()).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        assert_eq!(slug("Nordwind & Co. 2"), Some("nordwind-co-2".to_owned()));
        assert_eq!(slug("Łódź"), Some("d".to_owned()));
        assert_eq!(slug("株式会社"), None);
    }
}
