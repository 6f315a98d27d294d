//! The pages people see: sign-in, consent, payment.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The routes of the pages.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
}
