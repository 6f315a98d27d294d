//! `GET /api/partner/v1/openapi.json`: the partner API described as `OpenAPI` 3.1, for anybody to read.

mod assembly;

use std::sync::{Arc, LazyLock};

use axum::{Json, extract::State, response::Response};
use serde_json::{Value, json};

use crate::{app::App, http::oauth::metadata::published};

/// Where the description is.
pub(super) const PATH: &str = "/api/partner/v1/openapi.json";

/// The description, but for what this server's operator decides.
static DESCRIPTION: LazyLock<Value> = LazyLock::new(assembly::assemble);

/// The description, for this server: where it is, and what can be paid with.
pub(super) async fn show(State(app): State<Arc<App>>) -> Response {
    let mut description = DESCRIPTION.clone();
    description["servers"] = json!([{ "url": app.uris.resource }]);
    description["components"]["schemas"]["PaymentMethod"]["enum"] =
        json!(app.config.payment_methods);
    published(300, Json(description))
}

#[cfg(test)]
mod tests;
