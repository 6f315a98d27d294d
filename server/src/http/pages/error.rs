//! The page of a refusal: what happened, what to do, and the code for whoever is asked for help.

use askama::Template;
use axum::{
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::frame::{self, Frame};
use crate::{
    app::App,
    http::error::{Cause, Refusal},
};

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    words: Words,
    code: &'a str,
    detail: &'a str,
}

/// What a person reads.
#[derive(Clone, Copy)]
struct Words {
    title: &'static str,
    what: &'static str,
    next: &'static str,
    /// Where that is, and in which words.
    link: Option<(&'static str, &'static str)>,
}

/// Answers a refusal in place: a page, or JSON for a program that asks for it by name.
#[must_use]
pub fn in_place(app: &App, headers: &HeaderMap, refusal: Refusal) -> Response {
    if wants_json(headers) {
        return refusal.into_response();
    }
    let detail = refusal.description.unwrap_or_default();
    let template = ErrorPage {
        frame: Frame::new(app),
        words: words(&refusal.code),
        code: &refusal.code,
        detail: &detail,
    };
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

fn words(code: &str) -> Words {
    let (title, what, next) = match code {
        "already_decided" => (
            "This was already decided",
            "This request was approved or denied before, or its page was open for too long. Nothing more was changed.",
            "Look in your store or application whether it is connected. If it is not, press Connect there again.",
        ),
        "form_refused" => (
            "We could not accept this form",
            "It did not come from a page that we showed to this browser, or you signed in or out in between. Nothing was changed.",
            "Go back to your store or application and press Connect again. Cookies must be allowed for this site.",
        ),
        "invalid_client" => (
            "We do not know this application",
            "The store or application that sent you here is not registered with us any more, or never was. Nothing was changed.",
            "Go back to it and press Connect again; it will register itself anew.",
        ),
        "invalid_request_uri" => (
            "This link has expired",
            "A connection link works once, and only for a few minutes. Nothing was changed.",
            "Go back to your store or application and press Connect again.",
        ),
        "application_changed" => (
            "Somebody else was faster",
            "The application was changed since you opened the page. Nothing of yours was saved.",
            "Go back to the application, look at what it is now, and try again.",
        ),
        "upload_too_large" => (
            "This file is too large",
            "A picture may have at most 1 MB. Nothing was changed.",
            "Go back, and choose a smaller picture: 256 pixels a side are enough.",
        ),
        "link_expired" => (
            "This link does not work any more",
            "A link to a new password works once, for an hour, and only the newest one we sent. Nothing was changed.",
            "Ask for a new one: on the sign-in page, follow \u{201c}Forgotten your password?\u{201d}.",
        ),
        "hand_over_expired" => (
            "Please sign in once more",
            "The link that brought you here works once, for a minute, in one browser. Nothing was changed.",
            "Open the start page of this site. Cookies must be allowed for it.",
        ),
        "passwords_off" => (
            "There are no passwords here",
            "People sign in here through another provider, where their accounts are. Nothing was changed.",
            "Go to the sign-in page, and continue with the provider that it names.",
        ),
        "invitation_gone" => (
            "This invitation does not stand any more",
            "It was used, was withdrawn, or is older than a week. Nothing was changed.",
            "If you accepted it before, sign in. Otherwise ask whoever invited you for another one.",
        ),
        "second_factor_needed" => (
            "Turn one-time codes on first",
            "This company lets only people approve who have one-time codes, and you have none yet. Nothing was changed.",
            "Turn them on in your account (the start page, your e-mail address), then press Connect in your store again.",
        ),
        "not_found" => (
            "There is nothing here",
            "The page you asked for does not exist, or it belongs to a company that you do not act for.",
            "Go to your companies at the start page, or check the address.",
        ),
        "role_not_allowed" => (
            "Your role does not allow this",
            "What you can do for a company depends on the role that its owner or an administrator gave you. Nothing was changed.",
            "Ask an owner or an administrator of the company to do it, or to change your role.",
        ),
        "no_company" => (
            "You cannot approve for a company yet",
            "You are signed in, but in no company are you an owner or an administrator, so there is nothing that you could connect. Nothing was changed.",
            "Ask an administrator of your company to add you or to change your role, then press Connect in your store again.",
        ),
        "temporarily_unavailable" => (
            "Please try again in a moment",
            "We could not do this now. Nothing was changed.",
            "Wait a few seconds and reload this page.",
        ),
        _ => (
            "We cannot continue with this request",
            "Something in the link that brought you here is not right, so we stopped. Nothing was changed.",
            "Go back to your store or application and press Connect again. If it happens again, send its support the details below.",
        ),
    };
    Words { title, what, next, link: link(code) }
}

/// Where what to do is done, when that is a page of ours.
fn link(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "hand_over_expired" | "not_found" | "role_not_allowed" => ("/", "To the start page"),
        "invitation_gone" => ("/sign-in", "Sign in"),
        "link_expired" => ("/forgotten-password", "Ask for a new link"),
        "second_factor_needed" => ("/account/codes", "Turn one-time codes on"),
        _ => return None,
    })
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
