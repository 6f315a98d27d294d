//! The OAuth endpoints, one file each.

mod client_auth;
pub mod proofs;

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The routes of the OAuth endpoints.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
