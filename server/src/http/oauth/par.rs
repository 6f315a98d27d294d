//! `POST /oauth/par`: pushed authorization requests (RFC 9126), with DPoP (RFC 9449 §10.1).

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::encoding::sha256;
use serde_json::json;

use super::proofs::{Rule, counted_as};
use crate::{
    app::App,
    http::{
        error::Refusal,
        extract::{self, DPOP, Parameters},
    },
    oauth::request::{self, Context},
    ownership,
    store::PushedRequest,
};

/// What a `request_uri` of ours begins with (RFC 9126 §2.2).
pub const REQUEST_URI_PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// Stores a request that a browser will bring by reference.
pub async fn push(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let form = extract::form(&parts, body, app.config.limits.body).await?;
    let client = app.authenticate_client(&parts.headers, &form).await?;
    if form.get("request_uri").is_some() {
        return Err(Refusal::invalid_request("request_uri cannot be pushed."));
    }
    let rule = Rule::posted(&app.uris.par, &client);
    let proof = app.judge_proof(&parts.headers, &DPOP, &rule)?;
    if proof.is_none() && (client.installation().is_some() || client.require_nonce) {
        return Err(Refusal::bad_request("invalid_dpop_proof", "A DPoP proof is required."));
    }
    app.limits.check_push(&counted_as(&client, proof.as_ref()))?;
    let now = app.now();
    let context = Context {
        client: &client,
        profile: client.installation().and_then(|i| app.profiles.get(&i.platform)),
        resource: &app.uris.resource,
        proof_key: proof.as_ref().map(|proof| &proof.thumbprint),
        now,
    };
    let request = request::judge(&request_parameters(&form), &context)
        .map_err(|refusal| Refusal::bad_request(refusal.fault.code(), refusal.fault))?;
    if let Some(proof) = &proof {
        app.remember_proof(proof, rule.window)?;
    }
    if let Some(key) = &request.key {
        ownership::begin(&app, &client, key, &request.redirect_uri).await?;
    }
    let request_uri = app.entropy.secret(REQUEST_URI_PREFIX);
    let lifetime = app.config.lifetimes.request_uri;
    let pushed =
        PushedRequest { hash: sha256(request_uri.as_bytes()), request, expires_at: now + lifetime };
    app.store.push_request(pushed).await?;
    let body = Json(json!({ "request_uri": request_uri, "expires_in": lifetime }));
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-cache, no-store")], body).into_response())
}

/// The parameters of an authorization request among those of a form or a query.
#[must_use]
pub fn request_parameters(from: &Parameters) -> request::Parameters {
    request::Parameters {
        response_type: from.owned("response_type"),
        response_mode: from.owned("response_mode"),
        redirect_uri: from.owned("redirect_uri"),
        scope: from.owned("scope"),
        state: from.owned("state"),
        code_challenge: from.owned("code_challenge"),
        code_challenge_method: from.owned("code_challenge_method"),
        dpop_jkt: from.owned("dpop_jkt"),
        resource: from.all("resource"),
        request: from.owned("request"),
        registration: from.owned("registration"),
    }
}
