//! The server on the wire: parse, ask the rules, store, render. No protocol decisions are made here.

pub mod address;
pub mod edge;
pub mod engine;
pub mod error;
pub mod extract;
mod gateway;
pub mod health;
pub mod multipart;
pub mod oauth;
pub mod pages;
pub mod partner;
pub mod site;
mod threshold;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};

use self::{
    error::Refusal,
    pages::{error::in_kind, guard::not_found},
};
use crate::app::App;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let routes = Router::new()
        .merge(health::routes())
        .merge(oauth::routes())
        .merge(pages::routes())
        .merge(partner::routes())
        .merge(engine::routes())
        .merge(gateway::routes(&app.gates));
    let routes = routes
        .fallback(async |State(app): State<Arc<App>>, headers: HeaderMap| {
            in_kind(&app, &headers, not_found())
        })
        .method_not_allowed_fallback(async |State(app): State<Arc<App>>, headers: HeaderMap| {
            let sentence = "This address does not take this method; see Allow.";
            let status = StatusCode::METHOD_NOT_ALLOWED;
            in_kind(&app, &headers, Refusal::new(status, "method_not_allowed", sentence))
        });
    let routes = edge::around(routes, &app).with_state(Arc::clone(&app));
    threshold::around(routes, app)
}
