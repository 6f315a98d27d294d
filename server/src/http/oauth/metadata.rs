//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `GET /oauth/jwks.json` (RFC 7517).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{metadata::ServerMetadata, token};

use crate::{app::App, keys::SET_MAX_AGE};

/// The server's metadata. Everything in it comes from the configuration, nothing from the request.
pub async fn server(State(app): State<Arc<App>>) -> Response {
    published(300, Json(document(&app)))
}

/// The keys that verify access tokens, those that will sign and those retired not long ago included.
pub async fn jwks(State(app): State<Arc<App>>) -> Response {
    published(SET_MAX_AGE, Json(app.keys.current().jwks(app.now())))
}

/// An answer that anybody may read and caches may keep.
pub fn published(max_age: u32, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let value = HeaderValue::from_str(&format!("public, max-age={max_age}")).expect("digits");
    headers.insert(header::CACHE_CONTROL, value);
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    response
}

fn document(app: &App) -> ServerMetadata {
    let issuer = &app.config.issuer;
    let at = |path: &str| format!("{issuer}{path}");
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let secrets = words(&["client_secret_basic", "client_secret_post"]);
    let secrets_or_none = words(&["none", "client_secret_basic", "client_secret_post"]);
    ServerMetadata {
        issuer: issuer.clone(),
        authorization_endpoint: at("/oauth/authorize"),
        token_endpoint: at("/oauth/token"),
        jwks_uri: at("/oauth/jwks.json"),
        native_installation_endpoint: at("/oauth/native/installations"),
        authorization_response_iss_parameter_supported: true,
        pushed_authorization_request_endpoint: Some(at("/oauth/par")),
        revocation_endpoint: Some(at("/oauth/revoke")),
        introspection_endpoint: Some(at("/oauth/introspect")),
        native_installation_key_endpoint: Some(at("/oauth/native/installations/key")),
        scopes_supported: app.scopes().into_iter().map(str::to_owned).collect(),
        response_types_supported: words(&["code"]),
        response_modes_supported: words(&["query"]),
        grant_types_supported: words(&[
            token::AUTHORIZATION_CODE,
            token::REFRESH_TOKEN,
            token::CLIENT_CREDENTIALS,
            token::INSTALLATION_KEY,
        ]),
        token_endpoint_auth_methods_supported: secrets_or_none.clone(),
        revocation_endpoint_auth_methods_supported: secrets_or_none,
        introspection_endpoint_auth_methods_supported: secrets,
        code_challenge_methods_supported: words(&["S256"]),
        dpop_signing_alg_values_supported: words(&["ES256"]),
        protected_resources: vec![app.uris.resource.clone()],
        native_installation_platforms_supported: app
            .profiles
            .iter()
            .map(|p| p.platform.clone())
            .collect(),
        service_documentation: None,
    }
}
