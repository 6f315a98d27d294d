//! Whether the process is up (`/healthz`), and whether it can do its work (`/readyz`).

use std::sync::Arc;

use axum::{Router, extract::State, routing::get};

use super::error::Refusal;
use crate::app::App;

/// The routes for those who watch the server.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready))
}

async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Refusal> {
    app.store.company("").await?;
    Ok("ready\n")
}
