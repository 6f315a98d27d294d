//! What every page has: the brand around its content, and headers that let it do nothing but be read and submitted.

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use counterfoil_protocol::callback::origin_of;

use super::asset;
use crate::{app::App, config::Brand, http::error::Refusal};

/// The brand around a page's content.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The brand.
    pub brand: &'a Brand,
    /// The hash that names the stylesheet and the icon.
    pub version: String,
}

impl<'a> Frame<'a> {
    /// The frame of this server's pages.
    #[must_use]
    pub fn new(app: &'a App) -> Self {
        let brand = &app.config.brand;
        Self { brand, version: asset::version(brand) }
    }
}

/// Renders a page. `leads_to` is the callback to which its form may lead in the end.
#[must_use]
pub fn page(status: StatusCode, template: &impl Template, leads_to: Option<&str>) -> Response {
    render(status, template, &leads_to.map(form_target).unwrap_or_default())
}

/// Renders a page whose form may lead to another origin of ours.
#[must_use]
pub fn page_towards(status: StatusCode, template: &impl Template, origin: &str) -> Response {
    render(status, template, &format!(" {origin}"))
}

fn render(status: StatusCode, template: &impl Template, target: &str) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, Html(html)).into_response();
            harden(response.headers_mut(), target);
            response
        }
        Err(error) => Refusal::server_error(error).into_response(),
    }
}

/// A redirect after a form, or to a callback: 303, so that nothing posted is posted on (RFC 9700 §4.12).
#[must_use]
pub fn see_other(location: &str) -> Response {
    let Ok(location) = HeaderValue::try_from(location) else {
        return Refusal::server_error("a redirect to something that is no URI").into_response();
    };
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    harden(response.headers_mut(), "");
    response
}

fn harden(headers: &mut HeaderMap, target: &str) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_SECURITY_POLICY, &content_security_policy(target));
    set(header::X_FRAME_OPTIONS, "DENY");
    // Nothing leaves this origin. `no-referrer` would also hide the origin from our own forms' check.
    set(header::REFERRER_POLICY, "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
}

fn content_security_policy(target: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{target}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

/// Where a form may lead in the end. Chromium applies `form-action` to every redirect after a form: to our own, to the
/// callback, and to wherever the callback sends people next, which is often another host (a shop's admin, an
/// application's front end). Only the scheme of that is known; without it the browser stays here with the code spent.
fn form_target(callback: &str) -> String {
    let origin = origin_of(callback);
    match callback.split("://").next() {
        Some("https") => format!(" {origin} https:"),
        // A policy cannot name an IPv6 address (CSP 3 §2.3.1).
        Some("http") if origin.contains('[') => " http:".to_owned(),
        Some("http") => format!(" {origin} http:"),
        _ => format!(" {origin}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_consent_form_may_lead() {
        for (callback, source) in [
            ("https://shop.example/cb?a=b", " https://shop.example https:"),
            ("https://shop.example:8443/cb", " https://shop.example:8443 https:"),
            ("http://127.0.0.1:5000/cb", " http://127.0.0.1:5000 http:"),
            ("http://[::1]:5000/cb", " http:"),
            ("com.example.app:/cb", " com.example.app:"),
        ] {
            assert_eq!(form_target(callback), source);
        }
    }
}
