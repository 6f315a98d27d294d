//! `GET /.well-known/oauth-protected-resource` (RFC 9728): what a client must know of the partner API.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State, response::Response};
use serde_json::json;

use super::table;
use crate::{app::App, http::oauth::metadata::published};

/// Where the metadata is, by the resource's identifier (RFC 9728 §3.1).
pub(super) const PATH: &str = "/.well-known/oauth-protected-resource/api/partner/v1";

/// The resource's metadata. Everything in it comes from the configuration, nothing from the request.
pub(super) async fn resource(State(app): State<Arc<App>>) -> Response {
    published(
        300,
        Json(json!({
            "resource": app.uris.resource,
            "authorization_servers": [app.config.issuer],
            "jwks_uri": format!("{}/oauth/jwks.json", app.config.issuer),
            "scopes_supported": table::scopes().into_iter().chain(app.config.upstream_scopes()).collect::<BTreeSet<_>>(),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": ["ES256"],
            "dpop_bound_access_tokens_required": false,
            "resource_name": format!("{} partner API", app.config.brand.name),
        })),
    )
}
