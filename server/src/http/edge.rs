//! What happens to every request and every answer: security headers, and one log line for what was refused.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
};

use super::error::Cause;
use crate::app::App;

/// Wraps all routes.
pub fn around(routes: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
    routes.layer(middleware::from_fn_with_state(Arc::clone(app), pass))
}

async fn pass(State(_app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let status = response.status();
    if let Some(Cause { code, text }) = response.extensions_mut().remove() {
        tracing::info!(%method, path, status = status.as_u16(), code, cause = text, "refused");
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The names are joined without spaces by the router; some clients split at ", ".
    if let Some(allow) = headers.get(header::ALLOW).and_then(|allow| allow.to_str().ok()) {
        let spaced = allow.split(',').map(str::trim).collect::<Vec<_>>().join(", ");
        if let Ok(value) = HeaderValue::from_str(&spaced) {
            headers.insert(header::ALLOW, value);
        }
    }
    response
}
