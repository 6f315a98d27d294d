//! The company and its settings.

use axum::{body::Body, http::StatusCode, response::Response};
use serde_json::{Value, json};

use super::{
    call::{Call, answer, invalid, to_bytes},
    conditional::{tag_of, tagged},
};
use crate::{
    http::error::Refusal,
    partner::{
        receipt::Keeping,
        settings::{KeptSettings, MerchantSettings},
    },
};

/// `GET company`: who the token's company is, and what its payers see.
pub(super) async fn company(call: Call, _body: Body) -> Result<Response, Refusal> {
    let MerchantSettings { display_name, support_email, default_currency, .. } =
        call.settings().await?.settings;
    let body = to_bytes(&json!({
        "companyId": call.holder.company.id,
        "company": described(&call),
        "settings": {
            "displayName": display_name,
            "supportEmail": support_email,
            "defaultCurrency": default_currency,
        },
    }))?;
    Ok(answer(StatusCode::OK, body))
}

/// `GET branding`.
pub(super) async fn branding(call: Call, _body: Body) -> Result<Response, Refusal> {
    let settings = call.settings().await?.settings;
    let body = to_bytes(&json!({
        "companyId": call.holder.company.id,
        "company": described(&call),
        "makePaySettings": {
            "allowedPaymentMethods": settings.payment_methods(&call.app.config.payment_methods),
        },
    }))?;
    Ok(answer(StatusCode::OK, body))
}

/// `GET settings`.
pub(super) async fn read(call: Call, _body: Body) -> Result<Response, Refusal> {
    let kept = call.settings().await?;
    let view = view(&call, &kept.settings);
    call.shown(&view, shown(&call, None, &view)?)
}

/// `PUT settings`: all of them, in place of those that the sender read.
pub(super) async fn put(call: Call, body: Body) -> Result<Response, Refusal> {
    let app = &*call.app;
    let text = call.json(body).await?;
    let once = call.once(Keeping::PLAIN, text.as_bytes())?;
    call.must_say_what_it_changes()?;
    let (methods, local) = (&app.config.payment_methods, app.config.local_hosts());
    let settings = MerchantSettings::parse(&text, methods, local).map_err(invalid)?;
    once.decide(|| async {
        let known = call.settings().await?;
        call.may_change(&view(&call, &known.settings))?;
        let view = view(&call, &settings);
        let body = shown(&call, Some(true), &view)?;
        let kept = KeptSettings {
            company_id: known.company_id,
            settings: settings.clone(),
            updated_at: app.now(),
            version: known.version + 1,
        };
        let tag = tag_of(&view)?;
        let write = call.writing(kept, once.receipt(Some(&tag), &body));
        let write = app.store.write_merchant_settings(write).await?;
        call.written(write, || tagged(answer(StatusCode::OK, body), &tag))
    })
    .await
}

/// The settings on the wire: as they are set, and what can be paid with where that is not.
fn view(call: &Call, settings: &MerchantSettings) -> Value {
    let mut view = json!(settings);
    view["allowedPaymentMethods"] =
        json!(settings.payment_methods(&call.app.config.payment_methods));
    view
}

fn shown(call: &Call, ok: Option<bool>, view: &Value) -> Result<Vec<u8>, Refusal> {
    let mut body = json!({
        "companyId": call.holder.company.id,
        "company": described(call),
        "settings": view,
        "availablePaymentMethods": call.app.config.payment_methods,
    });
    if let Some(ok) = ok {
        body["ok"] = ok.into();
    }
    to_bytes(&body)
}

impl Call {
    /// What the company has set; nothing at all where it never did.
    pub(super) async fn settings(&self) -> Result<KeptSettings, Refusal> {
        let company_id = &self.holder.company.id;
        let kept = self.app.store.merchant_settings(company_id).await?;
        Ok(kept.unwrap_or_else(|| KeptSettings {
            company_id: company_id.clone(),
            settings: MerchantSettings::default(),
            updated_at: self.app.now(),
            version: 0,
        }))
    }
}

fn described(call: &Call) -> Value {
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
