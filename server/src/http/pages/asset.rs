//! The stylesheet and the icon: built in, coloured by the brand, cached for good under a name that is their hash.

use std::sync::Arc;

use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::encoding::sha256_base64url;

use super::color::Color;
use crate::{app::App, config::Brand};

const STYLESHEET: &str = include_str!("../../../assets/style.css");
const ICON: &str = include_str!("../../../assets/icon.svg");

/// `GET /assets/style.css`.
pub async fn stylesheet(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let text = styled(&app.config.brand);
    answer(text, "text/css; charset=utf-8", query.as_deref(), &headers)
}

/// `GET /assets/icon.svg`.
pub async fn icon(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(drawn(&app.config.brand), "image/svg+xml", query.as_deref(), &headers)
}

/// The hash of the assets, by which pages name them.
#[must_use]
pub fn version(brand: &Brand) -> String {
    hash(&(styled(brand) + &drawn(brand)))
}

fn answer(text: String, media_type: &str, query: Option<&str>, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", hash(&text));
    let cache = if query.is_some_and(|query| query.starts_with("v=")) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let named = [(header::CACHE_CONTROL, cache), (header::ETAG, etag.as_str())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.contains(&etag)) {
        return (StatusCode::NOT_MODIFIED, named).into_response();
    }
    (named, [(header::CONTENT_TYPE, media_type)], text).into_response()
}

fn styled(brand: &Brand) -> String {
    let brand = accent(brand);
    let (on_brand, ink) = (brand.text_on(), Color::INK);
    let light = brand.readable_on(Color::WHITE, ink);
    let dark = brand.readable_on(ink, Color::WHITE);
    format!(
        ":root{{--brand:{brand};--on-brand:{on_brand};--link:{light}}}\n\
         @media (prefers-color-scheme:dark){{:root{{--link:{dark}}}}}\n{STYLESHEET}"
    )
}

fn drawn(brand: &Brand) -> String {
    ICON.replace("currentColor", &accent(brand).to_string())
}

/// The brand's colour; a calm blue when the settings name none that can be read.
fn accent(brand: &Brand) -> Color {
    Color::parse(&brand.color)
        .or_else(|| Color::parse(&Brand::default().color))
        .unwrap_or(Color::INK)
}

fn hash(text: &str) -> String {
    let mut hash = sha256_base64url(text.as_bytes());
    hash.truncate(16);
    hash
}
