//! `POST /oauth/token`, one file a grant type.
//!
//! The order is the same for all: form, client, idempotency key, proof, resource, and only then the credential. A
//! request that fails before the credential has consumed nothing.

mod authorization_code;
mod client_credentials;
mod installation_key;
pub(super) mod issue;
mod refresh_token;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Request, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{encoding::sha256, jwk::Thumbprint, proof::Proof, token};

use super::proofs::{Rule, counted_as};
use crate::{
    app::App,
    audit::Actor,
    events,
    http::{
        error::Refusal,
        extract::{self, DPOP, IDEMPOTENCY_KEY, Parameters},
    },
    oauth::{
        client::Client,
        profile::{self, Profile},
        request,
    },
};

/// The length from which an `Idempotency-Key` counts as hard to guess: 256 bits in base64url.
pub(super) const UNGUESSABLE: usize = 43;

/// How often a credential is judged again because somebody else was faster.
pub(super) const ATTEMPTS: usize = 4;

/// A token request whose client and proof are good. Nothing has been consumed.
pub(super) struct TokenRequest<'a> {
    pub(super) app: &'a App,
    pub(super) form: &'a Parameters,
    pub(super) client: &'a Client,
    pub(super) profile: Option<&'a Profile>,
    pub(super) proof: Option<&'a Proof>,
    pub(super) idempotency_key: Option<&'a str>,
}

/// Answers a token request.
pub async fn token(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let form = extract::form(&parts, body, app.config.limits.body).await?;
    let grant_type = form.require("grant_type")?;
    let known = [
        token::AUTHORIZATION_CODE,
        token::REFRESH_TOKEN,
        token::CLIENT_CREDENTIALS,
        token::INSTALLATION_KEY,
    ];
    if !known.contains(&grant_type) {
        return Err(Refusal::bad_request(
            "unsupported_grant_type",
            "This grant type is not supported.",
        ));
    }
    let client = app.authenticate_client(&parts.headers, &form).await?;
    let profile =
        client.installation().and_then(|installation| app.profiles.get(&installation.platform));
    let idempotency_key = idempotency_key(&parts.headers, profile)?;
    let nonce_required = client.require_nonce || grant_type == token::INSTALLATION_KEY;
    let proof = judge_proof(&app, &parts.headers, &client, nonce_required)?;
    app.limits.check_token(&counted_as(&client, proof.as_ref()))?;
    let resource_required = profile.is_some_and(|profile| profile.resource_required);
    request::judge_resource(&form.all("resource"), &app.uris.resource, resource_required)
        .map_err(|fault| Refusal::bad_request(fault.code(), fault))?;
    let request = TokenRequest {
        app: &app,
        form: &form,
        client: &client,
        profile,
        proof: proof.as_ref(),
        idempotency_key,
    };
    match grant_type {
        token::AUTHORIZATION_CODE => request.authorization_code().await,
        token::REFRESH_TOKEN => request.refresh_token().await,
        token::CLIENT_CREDENTIALS => request.client_credentials().await,
        _ => request.installation_key().await,
    }
}

pub(super) fn idempotency_key<'a>(
    headers: &'a HeaderMap,
    profile: Option<&Profile>,
) -> Result<Option<&'a str>, Refusal> {
    let key = extract::single_header(headers, &IDEMPOTENCY_KEY)?;
    let admitted = match profile {
        Some(profile) => profile.admits_idempotency_key(key),
        None => key.is_none_or(profile::is_plain_idempotency_key),
    };
    let sentence = "The Idempotency-Key is missing or does not have the shape that this platform's clients use.";
    if admitted { Ok(key) } else { Err(Refusal::bad_request("invalid_idempotency_key", sentence)) }
}

fn judge_proof(
    app: &App,
    headers: &HeaderMap,
    client: &Client,
    nonce_required: bool,
) -> Result<Option<Proof>, Refusal> {
    let rule = Rule { nonce_required, ..Rule::posted(&app.uris.token, client) };
    let proof = app.judge_proof(headers, &DPOP, &rule)?;
    if proof.is_none() && (client.installation().is_some() || nonce_required) {
        return Err(Refusal::bad_request(
            "invalid_dpop_proof",
            "This client's requests need a DPoP proof.",
        ));
    }
    Ok(proof)
}

impl TokenRequest<'_> {
    fn key(&self) -> Option<&Thumbprint> {
        self.proof.map(|proof| &proof.thumbprint)
    }

    pub(super) fn idempotency(&self) -> Option<[u8; 32]> {
        self.idempotency_key.map(|key| sha256(key.as_bytes()))
    }

    /// Who asks, for the audit trail.
    fn actor(&self) -> Actor {
        Actor::Client(self.client.id.clone())
    }

    fn is_native(&self) -> bool {
        self.client.installation().is_some()
    }

    /// Remembers the proof: every check that changes nothing has passed, and something is about to be consumed.
    pub(super) fn spend_proof(&self) -> Result<(), Refusal> {
        self.proof
            .map_or(Ok(()), |proof| self.app.remember_proof(proof, self.client.proof_window()))
    }

    /// The refusal for a proof that is absent or signed by another key. Nothing is consumed by it.
    fn wrong_key(&self) -> Refusal {
        if let Some(key) = self.key() {
            events::wrong_key(&self.client.id, key);
        }
        Refusal::bad_request(
            "invalid_dpop_proof",
            "The proof is not signed by the key that this credential is bound to.",
        )
    }

    /// `invalid_grant` for a credential that was good once: a native client that sent a key hears that the answer
    /// can no longer be had.
    pub(super) fn answer_gone(&self, cause: &str) -> Refusal {
        let refusal = Refusal::invalid_grant(cause);
        if self.is_native() && self.idempotency_key.is_some() {
            return refusal
                .with_header(token::RECOVERY_HEADER.parse().expect("a header name"), "expired");
        }
        refusal
    }
}

/// A token answer: the bytes as they were first given, never cached.
pub(super) fn answer(body: Vec<u8>, replayed: bool) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    if replayed {
        headers.insert(token::REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
    response
}
