//! The door of the platform's own payment engine, which reports how payments move. Closed unless the settings name a
//! file with its token.

use std::{fs, io, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderValue, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use counterfoil_protocol::{
    encoding::{equal_in_constant_time, sha256},
    token::REPLAYED_HEADER,
};
use serde_json::json;

use super::{
    error::Refusal,
    extract::{idempotency_key, json_text, single_header},
};
use crate::{
    app::App,
    events,
    partner::{
        link::PaymentLink,
        payment::Report,
        receipt::{Keeping, Receipt, fingerprint},
    },
    payments::{self, ATTEMPTS, Reported, Reporting},
    store::KeptReceipt,
    vault::Purpose,
};

/// The fewest characters of the token.
const MIN_TOKEN: usize = 32;

/// The engine's token, as a hash.
pub struct Engine(Option<[u8; 32]>);

impl Engine {
    /// Reads the token, if there is a file of it.
    pub fn open(token_file: Option<&Path>) -> io::Result<Self> {
        let Some(path) = token_file else { return Ok(Self(None)) };
        let text = zeroize::Zeroizing::new(fs::read_to_string(path)?);
        let token = text.trim();
        if token.len() < MIN_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let what = "a token has at least 32 visible characters, and no space in it";
            return Err(io::Error::other(what));
        }
        Ok(Self(Some(sha256(token.as_bytes()))))
    }
}

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/operator/v1/payment-links/{uid}/status", post(report))
}

/// `POST /operator/v1/payment-links/{uid}/status`.
async fn report(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let Engine(Some(expected)) = &app.engine else {
        let sentence = "There is nothing at this address.";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", sentence));
    };
    let given = single_header(&parts.headers, &header::AUTHORIZATION)?;
    let token = given.and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let hash = sha256(token.map_or("", |(_, token)| token.trim()).as_bytes());
    if !equal_in_constant_time(&hash, expected) {
        let sentence = "The token is not the payment engine's.";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "invalid_token", sentence)
            .with_header(header::WWW_AUTHENTICATE, "Bearer"));
    }
    let text = json_text(&parts, body, app.config.limits.body).await?;
    let once = Once::of(&app, &parts, text.as_bytes())?;
    // The path ends in /{uid}/status.
    let uid = parts.uri.path().rsplit('/').nth(1).unwrap_or_default();
    let report = Report::parse(&text)
        .map_err(|fault| Refusal::bad_request("invalid_payment_report", fault))?;
    let (event, now) = (app.event(), app.now());
    let reporting = Reporting { uid, report, event, actor: None, now };
    for _ in 0..ATTEMPTS {
        if let Some(answered) = once.answered().await? {
            return Ok(answered);
        }
        let receipt = |link: &PaymentLink, changed| once.receipt(&body_of(link, changed));
        let step = payments::step(&*app.store, &*app.entropy, &reporting, receipt).await?;
        if let Some(reported) = step {
            return answer(reported);
        }
    }
    Err(payments::overtaken().into())
}

/// The answer to a report that was judged.
fn answer(reported: Reported) -> Result<Response, Refusal> {
    match reported {
        Reported::Link(link, changed) => {
            if let Some(session) = link.latest().filter(|_| changed) {
                events::payment_moved(&link.uid, session.status.as_str());
            }
            Ok(json_of(body_of(&link, changed)))
        }
        Reported::Unknown => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "payment_link_not_found",
            "There is no payment link of this name.",
        )),
        Reported::Refused(refusal) => {
            Err(Refusal::new(StatusCode::CONFLICT, refusal.code(), refusal))
        }
    }
}

fn body_of(link: &PaymentLink, changed: bool) -> String {
    let session = link.latest();
    let link = json!({ "uid": link.uid, "status": link.status, "latestSession": session });
    json!({ "ok": true, "changed": changed, "paymentLink": link }).to_string()
}

fn json_of(body: impl Into<Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, body.into()).into_response()
}

/// What a report is recognised by when it is repeated; nothing without an `Idempotency-Key`.
struct Once<'a> {
    app: &'a App,
    /// Of the key, and of the request.
    names: Option<([u8; 32], [u8; 32])>,
}

impl<'a> Once<'a> {
    fn of(app: &'a App, parts: &Parts, body: &[u8]) -> Result<Self, Refusal> {
        let names = idempotency_key(&parts.headers)?.map(|key| {
            let request = fingerprint(parts.method.as_str(), parts.uri.path(), body);
            (sha256(key.as_bytes()), request)
        });
        Ok(Self { app, names })
    }

    /// The answer that was given before to the same report under the same key.
    async fn answered(&self) -> Result<Option<Response>, Refusal> {
        let Some((key, request)) = &self.names else { return Ok(None) };
        let Some(receipt) = self.app.store.engine_receipt(key).await? else { return Ok(None) };
        let verdict = receipt.judge(Keeping::PLAIN, request, None, self.app.now());
        let Some(verdict) = verdict else { return Ok(None) };
        let sealed = verdict
            .map_err(|refusal| Refusal::new(StatusCode::CONFLICT, refusal.code(), refusal))?;
        let body = self.app.vault.open(Purpose::EngineReceipt, sealed);
        let mut response = json_of(body.map_err(Refusal::server_error)?.to_vec());
        response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
        Ok(Some(response))
    }

    /// The receipt of an answer, to be kept with the write that earns it.
    fn receipt(&self, body: &str) -> Option<KeptReceipt> {
        let (app, now) = (self.app, self.app.now());
        self.names.map(|(idempotency, request)| KeptReceipt {
            idempotency,
            receipt: Receipt {
                request,
                key: None,
                sealed: app.vault.seal(Purpose::EngineReceipt, body.as_bytes(), &*app.entropy),
                given_at: now,
                forgotten_at: now + Keeping::PLAIN.kept_for,
            },
            inherited: false,
        })
    }
}

#[cfg(test)]
mod tests;
