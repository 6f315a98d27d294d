//! The partner API, the server's own first protected resource.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The routes of the partner API.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
