//! `/account/codes/qr.svg`: the key of a second factor that is being set up, for an app's camera.

use std::fmt::Write as _;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use qrcodegen::{QrCode, QrCodeEcc};

use super::factor::key_uri;
use crate::http::{
    error::Refusal,
    pages::guard::{Visit, not_found},
};

/// Light modules around it, as the standard asks for.
const QUIET: i32 = 4;

/// Only while it is being set up: a key in use is shown to nobody.
pub async fn show(visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    let factor = app.store.second_factor(&user.id).await?;
    let factor = factor.filter(|factor| factor.confirmed_at.is_none()).ok_or_else(not_found)?;
    let uri = key_uri(app, user, &app.open_factor(&factor)?);
    let code = QrCode::encode_text(&uri, QrCodeEcc::Medium).map_err(Refusal::server_error)?;
    let mut response = (StatusCode::OK, drawn(&code)).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Black on white whatever the page's colours are: cameras need it so.
fn drawn(code: &QrCode) -> String {
    let size = code.size() + 2 * QUIET;
    let mut path = String::new();
    for (x, y) in (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y))) {
        if code.get_module(x, y) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0,0h{size}v{size}h-{size}z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}
