use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{
    encoding::{equal_in_constant_time, hex, sha256},
    proof::Window,
    token::REPLAYED_HEADER,
};

use crate::{
    app::App,
    clock::Entropy,
    events,
    http::{
        error::Refusal,
        extract::{DPOP, IDEMPOTENCY_KEY, Parameters, single_header},
        oauth::proofs::Rule,
        partner::guard::{self, Admitted},
    },
    oauth::profile::is_reset_idempotency_key,
    partner::access::Scheme,
    store::{Reset, ResetReceipt},
};

/// Resets an installation: every token and code dies, the keys are forgotten, history is kept.
///
/// The receipt of a reset is looked for before the token is judged: the reset itself has killed that token, and its
/// answer may have been lost.
pub async fn reset(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let (parts, _body) = request.into_parts();
    let query = Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())?;
    let client_id = query.get("client_id").unwrap_or_default();
    let key = single_header(&parts.headers, &IDEMPOTENCY_KEY)?
        .filter(|key| is_reset_idempotency_key(key));
    let key = key.ok_or_else(|| {
        let sentence =
            "A reset needs an Idempotency-Key of 8 to 200 letters, digits, hyphens or underscores.";
        Refusal::bad_request("invalid_idempotency_key", sentence)
    })?;
    let idempotency = sha256(key.as_bytes());
    if let Some(receipt) = app.store.reset_receipt(client_id, &idempotency).await? {
        prove_receipt(&app, &parts, &receipt)?;
        return Ok(answer(receipt.body, true));
    }
    let admitted = guard::admit(&app, &parts, |_, _| Ok(())).await?;
    let Admitted { holder, key, .. } = admitted;
    let (Some(key), true) = (key, holder.client_id == client_id && holder.platform.is_some())
    else {
        let sentence = "There is no such installation, or the token is another's.";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "native_installation_not_found", sentence));
    };
    let token_hash = sha256(guard::credentials(&app, &parts)?.token.as_bytes());
    let mutation_id = uuid(&*app.entropy);
    let reset = Reset {
        client_id: holder.client_id,
        idempotency,
        token_hash,
        key,
        mutation_id,
        now: app.now(),
    };
    let body = app.store.reset(reset).await?;
    events::reset(client_id);
    Ok(answer(body, false))
}

/// A receipt opens for the token and the key that earned it, whatever became of the token since.
fn prove_receipt(app: &App, parts: &Parts, receipt: &ResetReceipt) -> Result<(), Refusal> {
    let refused = |cause: &str| {
        let sentence = "This reset was asked for with another access token or another key.";
        Refusal::new(StatusCode::UNAUTHORIZED, "invalid_reset_receipt_proof", sentence)
            .caused_by(cause)
    };
    let presented = guard::credentials(app, parts)?;
    let rule = Rule {
        method: "DELETE",
        uri: &app.uris.installations,
        window: Window::NATIVE,
        nonce_required: false,
        access_token: Some(presented.token),
    };
    let proof = app
        .judge_proof(&parts.headers, &DPOP, &rule)
        .map_err(|refusal| refused(&refusal.description.unwrap_or_default()))?;
    let proof = proof.ok_or_else(|| refused("no proof"))?;
    let same_token =
        equal_in_constant_time(&sha256(presented.token.as_bytes()), &receipt.token_hash);
    if presented.scheme != Scheme::Dpop || !same_token || !proof.thumbprint.matches(&receipt.key) {
        return Err(refused("another token or another key"));
    }
    app.remember_proof(&proof, rule.window).map_err(|_| refused("the proof was used before"))
}

fn answer(body: String, replayed: bool) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if replayed {
        headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
    response
}

/// A random UUID (RFC 9562 §5.4): what clients expect a reset to be named by.
fn uuid(entropy: &dyn Entropy) -> String {
    let mut bytes = entropy.bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-")
}
