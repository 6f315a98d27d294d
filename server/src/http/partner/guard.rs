//! The one guard of the partner API. Every route stands behind [`Guarded`], so none can forget it.
//!
//! Token, standing, proof, key and scope are judged first; the replay memory comes last, so a request that is
//! refused for anything else does not spend its proof.

use std::{pin::Pin, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    handler::Handler,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{
    access_token::Claims,
    jwk::Thumbprint,
    proof::{ProofRefusal, Window},
    uri::HttpUri,
};

use super::{call::Call, challenge};
use crate::{
    app::App,
    http::{
        error::{DPOP_NONCE, Refusal},
        extract::DPOP,
        oauth::proofs::Rule,
    },
    partner::access::{self, HeaderFault, Presented, Scheme},
    store::Holder,
};

/// The headers by which an API key is sent. They never go together with a token.
pub(super) const API_KEY_HEADERS: [&str; 6] = [
    "x-makecrypto-key-id",
    "x-makecrypto-key-secret",
    "x-makepay-key-id",
    "x-makepay-key-secret",
    "x-api-key",
    "x-api-secret",
];

/// A handler behind the guard, and the scope that it needs.
#[derive(Clone, Copy)]
pub(super) struct Guarded<F> {
    scope: &'static str,
    handler: F,
}

/// Puts a handler behind the guard.
pub(super) fn guarded<F>(scope: &'static str, handler: F) -> Guarded<F> {
    Guarded { scope, handler }
}

impl<F, Fut> Handler<(), Arc<App>> for Guarded<F>
where
    F: Fn(Call, Body) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Response, Refusal>> + Send,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, app: Arc<App>) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let permits = |scheme, claims: &Claims| scope_covers(&app, claims, scheme, self.scope);
            let admitted = match admit(&app, &parts, permits).await {
                Ok(admitted) => admitted,
                Err(refusal) => return refusal.into_response(),
            };
            let next_nonce = admitted.next_nonce(&app);
            let Admitted { holder, key, .. } = admitted;
            let answer = (self.handler)(Call { app, parts, holder, key }, body).await;
            let mut response = answer.unwrap_or_else(IntoResponse::into_response);
            if let Some(nonce) = next_nonce {
                response.headers_mut().insert(DPOP_NONCE, nonce);
            }
            response
        })
    }
}

/// Who passed the guard.
pub(in crate::http) struct Admitted {
    /// Whose token it was, and for whom.
    pub(in crate::http) holder: Holder,
    /// The key that signed the proof; none for a bearer token.
    pub(in crate::http) key: Option<Thumbprint>,
    /// What the token says.
    pub(in crate::http) claims: Claims,
}

impl Admitted {
    /// The nonce for the next proof, of a client whose proofs must carry one.
    pub(in crate::http) fn next_nonce(&self, app: &App) -> Option<HeaderValue> {
        let needed = self.holder.require_nonce && self.key.is_some();
        needed.then(|| app.new_nonce()).and_then(|nonce| nonce.parse().ok())
    }
}

/// Lets a request pass, or says why not. `permits` says what a good token opens; it is asked before the proof is spent.
pub(in crate::http) async fn admit(
    app: &App,
    parts: &Parts,
    permits: impl Fn(Scheme, &Claims) -> Result<(), Refusal> + Send,
) -> Result<Admitted, Refusal> {
    let Presented { scheme, token } = credentials(app, parts)?;
    let claims = Claims::verify(token, app.keys.current().verification())
        .map_err(|refusal| challenge::invalid_token(app, scheme, refusal))?;
    let now = app.now();
    let names = access::judge(&claims, &app.config.issuer, &app.uris.resource, now)
        .map_err(|fault| challenge::invalid_token(app, scheme, fault))?;
    app.limits.check_partner(&claims.client_id)?;
    let bound_to = claims.cnf.as_ref().map(|cnf| &cnf.jkt);
    match (scheme, bound_to) {
        (Scheme::Dpop, Some(_)) | (Scheme::Bearer, None) => {}
        (Scheme::Dpop, None) => {
            return Err(challenge::invalid_token(app, scheme, "an unbound token sent as DPoP"));
        }
        (Scheme::Bearer, Some(_)) => {
            let cause = "a bound token sent as Bearer";
            return Err(challenge::invalid_token(app, Scheme::Dpop, cause));
        }
    }
    let holder = app
        .store
        .token_holder(&names, now)
        .await?
        .ok_or_else(|| challenge::invalid_token(app, scheme, "the token was revoked"))?;
    let Some(bound_to) = bound_to else {
        permits(scheme, &claims)?;
        app.last_access.note(&holder.grant_id, now);
        return Ok(Admitted { holder, key: None, claims });
    };
    let window = if claims.installation_id.is_some() { Window::NATIVE } else { Window::STRICT };
    let uri = requested(app, parts)?;
    let rule = Rule {
        method: parts.method.as_str(),
        uri: &uri,
        window,
        nonce_required: holder.require_nonce,
        access_token: Some(token),
    };
    let proof = app
        .judge_proof_text(single_proof(app, &parts.headers)?, &rule)
        .map_err(|refusal| challenge::proof(app, &refusal))?;
    if !proof.thumbprint.matches(bound_to) {
        let cause = "the proof is signed by another key than the token's";
        return Err(challenge::invalid_token(app, scheme, cause));
    }
    permits(scheme, &claims)?;
    app.remember_proof(&proof, window).map_err(|refusal| {
        challenge::invalid_proof(app, refusal.description.unwrap_or_default())
    })?;
    app.last_access.note(&holder.grant_id, now);
    Ok(Admitted { holder, key: Some(proof.thumbprint), claims })
}

/// The one `Authorization` header.
pub(in crate::http) fn credentials<'a>(
    app: &App,
    parts: &'a Parts,
) -> Result<Presented<'a>, Refusal> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let with_api_key = API_KEY_HEADERS.iter().any(|name| parts.headers.contains_key(*name));
    if parts.uri.query().is_some_and(names_a_token) {
        return Err(challenge::malformed(
            app,
            "An access token belongs in the Authorization header.",
        ));
    }
    let Some(value) = values.next() else {
        let cause = if with_api_key { "an API key alone" } else { "no credentials" };
        return Err(challenge::no_credentials(app, cause));
    };
    if with_api_key {
        let sentence = "Send an access token or an API key, not both.";
        return Err(challenge::malformed(app, sentence));
    }
    if values.next().is_some() {
        return Err(challenge::malformed(app, "The Authorization header is given twice."));
    }
    access::presented(value.as_bytes()).map_err(|fault| match fault {
        HeaderFault::Malformed => challenge::malformed(
            app,
            "The Authorization header must be a scheme, one space and the access token.",
        ),
        HeaderFault::UnknownScheme => challenge::no_credentials(app, &fault.to_string()),
    })
}

/// Tokens in the URL end up in logs and are not taken (RFC 9700 §4.3.2).
fn names_a_token(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("access_token"))
}

/// The one `DPoP` header (RFC 9449 §4.3, check 1).
fn single_proof<'a>(app: &App, headers: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(DPOP).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .map_err(|_| challenge::invalid_proof(app, "The DPoP header is malformed.")),
        (Some(_), Some(_)) => Err(challenge::invalid_proof(app, "The DPoP header is given twice.")),
        (None, _) => Err(challenge::invalid_proof(
            app,
            "This access token is bound to a key: send a proof by that key in the DPoP header.",
        )),
    }
}

/// The request's URI as a proof must name it: the configured public URL and the path as it was sent, never `Host`.
fn requested(app: &App, parts: &Parts) -> Result<HttpUri, Refusal> {
    HttpUri::parse(&format!("{}{}", app.config.issuer, parts.uri.path()))
        .map_err(|_| challenge::proof(app, &ProofRefusal::Uri))
}

fn scope_covers(app: &App, claims: &Claims, scheme: Scheme, scope: &str) -> Result<(), Refusal> {
    if claims.scope.contains(scope) {
        Ok(())
    } else {
        Err(challenge::insufficient_scope(app, scheme, scope, scope))
    }
}
