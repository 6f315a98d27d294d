//! Forms that change something: only ones that we showed to the very browser that posts them.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Request, StatusCode, header, request::Parts},
};
use counterfoil_protocol::{
    encoding::{base64url, from_base64url_exact},
    secret::Secret,
};

use crate::{
    app::App,
    http::{
        error::Refusal,
        extract::{self, Parameters, single_header},
        site::Site,
    },
    vault,
};

/// What browsers say of where a request comes from (Fetch Metadata §2.3).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The field that carries the token.
pub const TOKEN_FIELD: &str = "csrf";

/// The token for forms shown to the browser with this cookie.
#[must_use]
pub fn token(app: &App, cookie: &Secret) -> String {
    base64url(&vault::mac(app.vault.csrf_key(), cookie.expose().as_bytes()))
}

/// Reads a posted form. One that another site made the browser send is refused before its body is read.
pub async fn read(app: &App, request: Request<Body>) -> Result<(Parts, Parameters), Refusal> {
    let (parts, body) = request.into_parts();
    judge_origin(app, &parts)?;
    let form = extract::form(&parts, body, app.config.limits.body).await?;
    Ok((parts, form))
}

/// Checks the token of a form against the cookie of the browser that posts it.
pub fn check(app: &App, cookie: Option<&Secret>, form: &Parameters) -> Result<(), Refusal> {
    let cookie = cookie.ok_or_else(|| refused("there is no cookie"))?;
    let tag = form
        .get(TOKEN_FIELD)
        .and_then(from_base64url_exact::<32>)
        .ok_or_else(|| refused("there is no token"))?;
    if vault::mac_matches(app.vault.csrf_key(), cookie.expose().as_bytes(), &tag) {
        Ok(())
    } else {
        Err(refused("the token is another browser's"))
    }
}

/// 403 for a form that we did not show to this browser.
#[must_use]
pub fn refused(cause: &str) -> Refusal {
    let sentence = "The form did not come from a page that we showed to this browser.";
    Refusal::new(StatusCode::FORBIDDEN, "form_refused", sentence).caused_by(cause)
}

/// 403 for a form of somebody who is not signed in any more.
#[must_use]
pub fn session_ended() -> Refusal {
    let sentence = "Nobody is signed in in this browser.";
    Refusal::new(StatusCode::FORBIDDEN, "session_ended", sentence)
}

/// Refuses a form that another site made the browser send.
pub fn judge_origin(app: &App, parts: &Parts) -> Result<(), Refusal> {
    judge_headers(&parts.headers, Site::met(&parts.extensions).origin(&app.config))
}

/// Both headers are the browser's own, out of reach of any page. Where one is absent the token alone decides.
fn judge_headers(headers: &HeaderMap, own: &str) -> Result<(), Refusal> {
    let site = single_header(headers, &SEC_FETCH_SITE)?;
    if !site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
        return Err(refused("Sec-Fetch-Site names another site"));
    }
    match single_header(headers, &header::ORIGIN)? {
        None => Ok(()),
        Some(origin) if origin == own => Ok(()),
        // Some browsers hide the origin for the sake of privacy, and say so truthfully in the other header.
        Some("null") if site == Some("same-origin") => Ok(()),
        Some(_) => Err(refused("Origin is not this host's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_form_may_come_from() {
        let judge = |origin: Option<&str>, site: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::ORIGIN, origin), (SEC_FETCH_SITE, site)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().expect("a value"));
                }
            }
            judge_headers(&headers, "https://pay.example").is_ok()
        };
        let own = Some("https://pay.example");
        for (origin, site) in [
            (None, None),
            (own, None),
            (own, Some("same-origin")),
            (None, Some("none")),
            (Some("null"), Some("same-origin")),
        ] {
            assert!(judge(origin, site), "{origin:?} {site:?}");
        }
        for (origin, site) in [
            (Some("https://evil.example"), None),
            (Some("https://evil.example"), Some("same-origin")),
            (Some("http://pay.example"), None),
            (Some("https://pay.example:8443"), None),
            (Some("https://pay.example.evil.example"), None),
            (Some("null"), None),
            (Some("null"), Some("none")),
            (Some(""), None),
            (own, Some("cross-site")),
            (None, Some("same-site")),
            (None, Some("")),
        ] {
            assert!(!judge(origin, site), "{origin:?} {site:?}");
        }
    }
}
