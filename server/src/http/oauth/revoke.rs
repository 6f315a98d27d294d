//! `POST /oauth/revoke` (RFC 7009). The answer never tells whether the token existed.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::access_token::Claims;

use crate::{
    app::App,
    audit::Actor,
    events,
    http::{error::Refusal, extract},
    oauth::{client::Client, grant::EndReason, refresh_token::RefreshToken},
};

/// Ends what a token stands for: a refresh token its family (of a store: its whole grant), an access token itself.
pub async fn revoke(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let form = extract::form(&parts, body, app.config.limits.body).await?;
    let client = app.authenticate_client(&parts.headers, &form).await?;
    app.limits.check_token(&client.id)?;
    let token = form.require("token")?;
    if let Some(refresh_token) = RefreshToken::parse(token, app.vault.refresh_token_key()) {
        revoke_refresh_token(&app, &client, refresh_token).await?;
    } else if let Ok(claims) = Claims::verify(token, app.keys.current().verification()) {
        revoke_access_token(&app, &client, &claims).await?;
    }
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")]).into_response())
}

async fn revoke_refresh_token(
    app: &App,
    client: &Client,
    token: RefreshToken,
) -> Result<(), Refusal> {
    let Some(family) = app.store.family(&token.family).await? else { return Ok(()) };
    if family.grant.client_id != client.id {
        return Ok(());
    }
    events::revoked(&client.id, "refresh_token");
    let actor = Actor::Client(client.id.clone());
    if client.installation().is_some() {
        app.store.end_grant(&family.grant.id, EndReason::Revoked, &actor, app.now()).await?;
    } else {
        app.store.end_family(&family.id, EndReason::Revoked, &actor, app.now()).await?;
    }
    Ok(())
}

async fn revoke_access_token(app: &App, client: &Client, claims: &Claims) -> Result<(), Refusal> {
    let (Some(jti), true) =
        (&claims.jti, claims.client_id == client.id && claims.iss == app.config.issuer)
    else {
        return Ok(());
    };
    app.store.revoke_access(jti, claims.exp).await?;
    events::revoked(&client.id, "access_token");
    Ok(())
}
