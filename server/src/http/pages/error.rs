//! The page of a refusal: what happened, what to do, and the code for whoever is asked for help.

mod words;

use askama::Template;
use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use self::words::Words;
use super::{
    form,
    frame::{self, Frame},
    sign_in::Destination,
};
use crate::{
    app::App,
    http::error::{Cause, Refusal},
};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    words: Words,
    /// Where to go on, and what the link says.
    link: Option<(&'a str, &'a str)>,
    code: &'a str,
    detail: &'a str,
}

/// Answers a refusal in place: a page, or JSON for a program that asks for it by name.
#[must_use]
pub fn in_place(app: &App, headers: &HeaderMap, refusal: Refusal) -> Response {
    render(app, headers, refusal, None)
}

/// Answers a form of a session that ended. The page leads to where the form was, which asks for a sign-in first.
#[must_use]
pub fn session_ended(app: &App, headers: &HeaderMap, shown_at: Option<&Destination>) -> Response {
    render(app, headers, form::session_ended(), shown_at)
}

fn render(
    app: &App,
    headers: &HeaderMap,
    refusal: Refusal,
    towards: Option<&Destination>,
) -> Response {
    if wants_json(headers) {
        return refusal.into_response();
    }
    let detail = refusal.description.unwrap_or_default();
    let words = words::of(refusal.status, &refusal.code);
    let link = words.link.map(|(to, text)| (towards.map_or(to, Destination::as_str), text));
    let template =
        ErrorPage { frame: Frame::new(app), words, link, code: &refusal.code, detail: &detail };
    let mut response = frame::page(refusal.status, &template, None);
    for (name, value) in refusal.headers {
        response.headers_mut().append(name, value);
    }
    let text = refusal.cause.unwrap_or(detail);
    response.extensions_mut().insert(Cause { code: refusal.code, text });
    response
}

/// Answers where nobody knows whether a person or a program asked: a page for whoever asks for one by name, else JSON.
#[must_use]
pub fn in_kind(app: &App, headers: &HeaderMap, refusal: Refusal) -> Response {
    if accepts(headers, "text/html") {
        return in_place(app, headers, refusal);
    }
    refusal.into_response()
}

fn wants_json(headers: &HeaderMap) -> bool {
    accepts(headers, "application/json") && !accepts(headers, "text/html")
}

/// Whether `Accept` names a media type. Browsers name `text/html`; `*/*` says nothing.
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_json() {
        let wants = |accept: &str| {
            let value = accept.parse().expect("a value");
            wants_json(&HeaderMap::from_iter([(header::ACCEPT, value)]))
        };
        for accept in ["application/json", "Application/JSON;q=0.9", "text/plain, application/json"]
        {
            assert!(wants(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/*",
            "text/html",
            "text/html, application/json",
            "application/jsonp",
        ] {
            assert!(!wants(accept), "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }
}
