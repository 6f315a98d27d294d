//! The door of the platform's own payment engine, which reports how payments move. Closed unless the settings name a
//! file with its token.

use std::{fs, io, path::Path, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use counterfoil_protocol::encoding::{equal_in_constant_time, sha256};
use serde_json::json;

use super::{
    error::Refusal,
    extract::{json_text, single_header},
};
use crate::{
    app::App,
    events,
    partner::payment::Report,
    payments::{self, Reported},
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
    let report = Report::parse(&text)
        .map_err(|fault| Refusal::bad_request("invalid_payment_report", fault))?;
    // The path ends in /{uid}/status.
    let uid = parts.uri.path().rsplit('/').nth(1).unwrap_or_default();
    let written = (app.event(), None, app.now());
    match payments::report(&*app.store, &*app.entropy, written, uid, report).await? {
        Reported::Link(link, changed) => {
            let session = link.latest();
            if let Some(session) = session.as_ref().filter(|_| changed) {
                events::payment_moved(&link.uid, session.status.as_str());
            }
            let link = json!({ "uid": link.uid, "status": link.status, "latestSession": session });
            let body = json!({ "ok": true, "changed": changed, "paymentLink": link });
            Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
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

#[cfg(test)]
mod tests;
