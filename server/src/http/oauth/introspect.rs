//! `POST /oauth/introspect` (RFC 7662). A caller sees only what concerns it.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{
    access_token::Claims, encoding::equal_in_constant_time, jwk::Thumbprint, proof::Proof,
    secret::Secret,
};
use serde_json::{Map, Value, json};

use super::{client_auth::BASIC_CHALLENGE, proofs::Rule};
use crate::{
    app::App,
    http::{
        error::Refusal,
        extract::{self, DPOP},
    },
    oauth::{client::Client, refresh_token::RefreshToken},
    partner::access,
    store::AccessStanding,
};

/// Tells what a token is worth to a client that it was given to, or to a resource server that it is meant for.
pub async fn introspect(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let form = extract::form(&parts, body, app.config.limits.body).await?;
    let client = app.authenticate_client(&parts.headers, &form).await.map_err(challenged)?;
    app.limits.check_introspection(&client.id)?;
    let token = Secret::new(form.require("token")?);
    let rule = Rule::posted(&app.uris.introspect, &client);
    let proof = app.judge_proof(&parts.headers, &DPOP, &rule)?;
    if !client.is_confidential() && proof.is_none() {
        let sentence = "Introspection needs a client secret; a public client may ask about its own tokens with a DPoP proof of their key.";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "invalid_client", sentence)
            .with_header(header::WWW_AUTHENTICATE, BASIC_CHALLENGE));
    }
    if let Some(proof) = &proof {
        app.remember_proof(proof, rule.window)?;
    }
    let members = describe(&app, &client, proof.as_ref(), &token).await?;
    let body = members.map_or_else(|| json!({ "active": false }), Value::Object);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// Who asks without credentials is told which are taken (RFC 7662 §2.3).
fn challenged(refusal: Refusal) -> Refusal {
    let unchallenged = refusal.status == StatusCode::UNAUTHORIZED && refusal.headers.is_empty();
    if unchallenged {
        refusal.with_header(header::WWW_AUTHENTICATE, BASIC_CHALLENGE)
    } else {
        refusal
    }
}

async fn describe(
    app: &App,
    client: &Client,
    proof: Option<&Proof>,
    token: &Secret,
) -> Result<Option<Map<String, Value>>, Refusal> {
    // A public client has no secret: it sees only what is bound to the key it proves.
    let may_see = |key: Option<&Thumbprint>| {
        client.is_confidential()
            || key.zip(proof).is_some_and(|(key, proof)| key.matches(&proof.thumbprint))
    };
    if let Some(parsed) = RefreshToken::parse(token.expose(), app.vault.refresh_token_key()) {
        return describe_refresh_token(app, client, parsed, token, may_see).await;
    }
    let Ok(claims) = Claims::verify(token.expose(), app.keys.current().verification()) else {
        return Ok(None);
    };
    let resource_server = client.app().is_some_and(|details| details.resource_server);
    let concerned = claims.client_id == client.id
        || (resource_server && claims.aud.contains(&app.uris.resource));
    if !concerned || !may_see(claims.cnf.as_ref().map(|cnf| &cnf.jkt)) {
        return Ok(None);
    }
    let now = app.now();
    // By the rule of the partner API's guard: what is not taken there is not active.
    let Ok(names) = access::judge(&claims, &app.config.issuer, &app.uris.resource, now) else {
        return Ok(None);
    };
    let standing =
        app.store.standing(names.jti, names.grant_id, names.family.as_ref(), now).await?;
    if standing != AccessStanding::Good || app.store.client(names.client_id, now).await?.is_none() {
        return Ok(None);
    }
    // A resource server asks when the token is used there.
    if let Some(grant_id) = claims.grant_id.as_deref().filter(|_| resource_server) {
        app.last_access.note(grant_id, now);
    }
    let Ok(Value::Object(mut members)) = serde_json::to_value(&claims) else { return Ok(None) };
    members.remove("family_id");
    members.insert("active".to_owned(), true.into());
    members.insert(
        "token_type".to_owned(),
        if claims.cnf.is_some() { "DPoP" } else { "Bearer" }.into(),
    );
    Ok(Some(members))
}

/// A refresh token is described to its own client alone, and marked as what it is.
async fn describe_refresh_token(
    app: &App,
    client: &Client,
    parsed: RefreshToken,
    token: &Secret,
    may_see: impl Fn(Option<&Thumbprint>) -> bool,
) -> Result<Option<Map<String, Value>>, Refusal> {
    let Some(family) = app.store.family(&parsed.family).await? else { return Ok(None) };
    let newest = parsed.generation == family.generation
        && equal_in_constant_time(&family.token_hash, &token.sha256());
    if family.grant.client_id != client.id
        || !newest
        || !family.stands(app.now())
        || !may_see(family.key.as_ref())
    {
        return Ok(None);
    }
    let mut members = Map::new();
    let mut member = |name: &str, value: Value| members.insert(name.to_owned(), value);
    member("active", true.into());
    member("token_use", "refresh_token".into());
    member("client_id", client.id.as_str().into());
    member("iss", app.config.issuer.as_str().into());
    member("scope", family.scope.to_string().into());
    member("company_id", family.grant.company_id.as_str().into());
    member("grant_id", family.grant.id.as_str().into());
    if let Some(expires_at) = family.expires_at {
        member("exp", expires_at.0.into());
    }
    if let Some(key) = family.key {
        member("cnf", json!({ "jkt": key }));
    }
    Ok(Some(members))
}
