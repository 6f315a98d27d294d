//! What happens to every request and every answer: security headers, and one log line for what was refused.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};

use metrics::{counter, histogram};

use super::{address::ClientAddress, error::Cause};
use crate::app::App;

/// Wraps all routes.
pub fn around(routes: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
    routes.layer(middleware::from_fn_with_state(Arc::clone(app), pass))
}

async fn pass(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = app.clock.monotonic();
    let address =
        ClientAddress::find(request.extensions(), request.headers(), &app.config.trusted_proxies);
    request.extensions_mut().insert(address);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    if let Some(Cause { code, text }) = response.extensions_mut().remove() {
        tracing::info!(%method, path, from = %address.0, status = status.as_u16(), code, cause = text, "refused");
    }
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    count(&method, route, status, app.clock.monotonic().saturating_sub(began));
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Counts a request by its route as it is written in the router, never by what was asked for.
fn count(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        _ => "other",
    };
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_u16().to_string()),
    ];
    counter!("counterfoil_http_requests_total", &labels).increment(1);
    histogram!("counterfoil_http_request_seconds", &labels[..2]).record(took.as_secs_f64());
}
