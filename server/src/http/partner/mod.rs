//! The partner API, the server's own first protected resource.

mod call;
mod challenge;
pub(in crate::http) mod guard;
mod links;
mod metadata;
mod settings;
mod webhooks;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use self::guard::guarded;
use crate::app::App;

const LINKS_READ: &str = "makepay:payment-links:read";
const LINKS_WRITE: &str = "makepay:payment-links:write";
const SETTINGS_READ: &str = "makepay:settings:read";
const SETTINGS_WRITE: &str = "makepay:settings:write";
const WEBHOOKS_READ: &str = "makepay:webhooks:read";
const WEBHOOKS_WRITE: &str = "makepay:webhooks:write";

/// The routes of the partner API, each with the scope that it needs.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/oauth-protected-resource", get(metadata::resource))
        .route(metadata::PATH, get(metadata::resource))
        .route("/api/partner/v1/makepay/branding", get(guarded(SETTINGS_READ, settings::branding)))
        .route(
            "/api/partner/v1/makepay/payment-links",
            get(guarded(LINKS_READ, links::list)).post(guarded(LINKS_WRITE, links::create)),
        )
        .route(
            "/api/partner/v1/makepay/payment-links/{uid}",
            get(guarded(LINKS_READ, links::read)).patch(guarded(LINKS_WRITE, links::change)),
        )
        .route("/api/partner/v1/makepay/settings", get(guarded(SETTINGS_READ, settings::settings)))
        .route(
            "/api/partner/v1/makepay/webhook-secret",
            post(guarded(SETTINGS_WRITE, webhooks::rotate_secret)),
        )
        .route(
            "/api/partner/v1/makepay/webhook-subscriptions/current",
            get(guarded(WEBHOOKS_READ, webhooks::read))
                .put(guarded(WEBHOOKS_WRITE, webhooks::put))
                .delete(guarded(WEBHOOKS_WRITE, webhooks::disable)),
        )
}

#[cfg(test)]
mod tests;
