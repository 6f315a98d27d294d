//! The OAuth endpoints, one file each.

mod authorize;
mod client_auth;
mod installations;
mod introspect;
pub mod metadata;
pub mod par;
pub mod proofs;
mod revoke;
mod token;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::app::App;

/// The routes of the OAuth endpoints.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata::server))
        .route("/oauth/authorize", get(authorize::authorize))
        .route("/oauth/authorize/decision", post(authorize::decision::decide))
        .route("/oauth/introspect", post(introspect::introspect))
        .route("/oauth/jwks.json", get(metadata::jwks))
        .route(
            "/oauth/native/installations",
            post(installations::register).delete(installations::reset),
        )
        .route("/oauth/native/installations/key", post(installations::rotate_key))
        .route("/oauth/par", post(par::push))
        .route("/oauth/revoke", post(revoke::revoke))
        .route("/oauth/token", post(token::token))
}

#[cfg(test)]
mod tests;
