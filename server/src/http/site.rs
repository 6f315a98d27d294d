//! The server's two hosts: the issuer's, and, where the settings name one, the developers' own.
//!
//! Applications are managed at the developers' host alone. Nothing of OAuth, consent or the partner API is there, so a
//! page that developers can shape is never at the origin where merchants approve; nor is any password typed there.

use axum::{
    extract::Request,
    http::{
        Extensions, Method, StatusCode, header,
        uri::{Authority, PathAndQuery},
    },
    response::Response,
};

use super::{
    error::Refusal,
    pages::{error::in_kind, frame::see_other, guard::not_found},
};
use crate::{app::App, config::Config};

/// The host that a request is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Site {
    /// The issuer's.
    Issuer,
    /// The developers'.
    Portal,
}

/// Where an address is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// At both: the list of companies, signing out, what pages need.
    Both,
    /// At the developers' host, and at the issuer's where there is no other.
    Portal,
    /// A page of the issuer's, to which whoever asks elsewhere is sent.
    Page,
    /// At the issuer's, and nowhere else.
    Issuer,
}

impl Site {
    /// The host that a request names. Whatever is not the developers' is the issuer's: behind a proxy it may have any name.
    #[must_use]
    pub fn of(request: &Request, config: &Config) -> Self {
        let Some(portal) = &config.portal_origin else { return Self::Issuer };
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let named = request.uri().authority().map(Authority::as_str).or(host);
        if named.is_some_and(|named| is_authority_of(named, portal)) {
            Self::Portal
        } else {
            Self::Issuer
        }
    }

    /// The host that was found for a request.
    #[must_use]
    pub fn met(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self::Issuer)
    }

    /// Its origin, from the settings.
    #[must_use]
    pub fn origin(self, config: &Config) -> &str {
        match (self, &config.portal_origin) {
            (Self::Portal, Some(portal)) => portal,
            _ => &config.issuer,
        }
    }

    /// The answer to a request for what is served at the other host.
    #[must_use]
    pub fn elsewhere(self, request: &Request, app: &App) -> Option<Response> {
        let portal = app.config.portal_origin.as_ref()?;
        let target = match (self, place(request.uri().path())) {
            (Self::Issuer, Place::Portal) => portal,
            (Self::Portal, Place::Page) => &app.config.issuer,
            (Self::Portal, Place::Issuer) => {
                return Some(in_kind(app, request.headers(), not_found()));
            }
            _ => return None,
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let sentence = "This form belongs to the server's other host.";
            let status = StatusCode::MISDIRECTED_REQUEST;
            let refusal = Refusal::new(status, "misdirected_request", sentence);
            return Some(in_kind(app, request.headers(), refusal));
        }
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        Some(see_other(&format!("{target}{path}")))
    }
}

/// Where an address is served. What is not named here is the issuer's alone.
fn place(path: &str) -> Place {
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["" | "healthz" | "readyz" | "sign-out"] | ["assets" | "icons", ..] | ["companies", _] => {
            Place::Both
        }
        ["companies", _, "applications", ..] | ["sign-in", "handed-over"] | ["signed-out"] => {
            Place::Portal
        }
        ["companies" | "account" | "sign-in", ..]
        | ["forgotten-password" | "invitation" | "reset-password"] => Place::Page,
        _ => Place::Issuer,
    }
}

/// Whether a text names the authority of an origin, with or without its default port.
#[must_use]
pub fn is_authority_of(named: &str, origin: &str) -> bool {
    let (scheme, own) = origin.split_once("://").unwrap_or_default();
    let port = if scheme == "https" { ":443" } else { ":80" };
    named.strip_suffix(port).unwrap_or(named).eq_ignore_ascii_case(own)
}

#[cfg(test)]
mod tests;
