//! Signing in with an address and a password, and out.

pub mod code;
pub mod provider;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use counterfoil_protocol::secret::Secret;

use super::{
    cookie::Cookie,
    frame::{self, Frame},
    hand_over,
    open::{Look, Posted},
    password::{BUSY, TOO_MANY, allowed},
    problem::Problem,
    session::Standing,
    visitor::{Visitor, append_cookies, known_browser, mark_browser},
};
use crate::{
    app::App,
    events,
    http::{address::ClientAddress, error::Refusal, extract::Parameters, site::Site},
    oidc::Providers,
    password,
    store::User,
};

/// The longest address of ours that a form carries, in bytes.
const MAX_DESTINATION: usize = 16 * 1024;

/// The page of whoever is signed in.
pub const HOME: &str = "/";
const AUTHORIZE: &str = "/oauth/authorize?";

/// One sentence for an unknown address, a wrong password and a person who is shut out.
const WRONG: &str = "The e-mail address or the password is not right.";

/// What every page of people who are signed in begins with, beside `/` itself.
const OWN_PAGES: [&str; 3] = ["/account", "/companies/", "/invitation"];

/// Where a person goes on after signing in or out: an authorization request or a page at this very server, and nowhere
/// else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destination(String);

impl Destination {
    /// Path and query of an authorization request or of a page; anything that a browser could read otherwise is refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_graphic() && !b"\\#".contains(&b);
        let path = text.split('?').next().unwrap_or_default();
        let is_plain_path = !path.contains("//") && !path.contains("/.") && !path.contains('%');
        let is_page = || {
            path == "/"
                || OWN_PAGES.iter().any(|page| {
                    path.strip_prefix(page).is_some_and(|rest| {
                        page.ends_with('/') || rest.is_empty() || rest.starts_with('/')
                    })
                })
        };
        let ours = text.len() <= MAX_DESTINATION
            && text.bytes().all(plain)
            && is_plain_path
            && (text.starts_with(AUTHORIZE) || hand_over::leads_away(text) || is_page());
        ours.then(|| Self(text.to_owned()))
    }

    /// The page of whoever is signed in.
    #[must_use]
    pub fn home() -> Self {
        Self(HOME.to_owned())
    }

    /// Whether somebody waits for an approval there.
    #[must_use]
    pub fn is_authorization(&self) -> bool {
        self.0.starts_with(AUTHORIZE)
    }

    /// Renders a page whose form leads there: the way to the developers' host ends at another origin.
    #[must_use]
    pub fn page(app: &App, template: &impl Template, destination: Option<&Self>) -> Response {
        let portal = app.config.portal_origin.as_deref();
        match (portal, destination) {
            (Some(portal), Some(Self(to))) if hand_over::leads_away(to) => {
                frame::page_towards(StatusCode::OK, template, portal)
            }
            _ => frame::page(StatusCode::OK, template, None),
        }
    }

    /// The path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    destination: Option<&'a Destination>,
    /// Whether a password can be typed.
    passwords: bool,
    providers: &'a Providers,
    email: &'a str,
    problem: Option<&'a Problem>,
}

/// `GET /sign-in`. Whoever is signed in goes on at once.
pub async fn show(look: Look) -> Result<Response, Refusal> {
    let Look { app, headers, query, .. } = &look;
    let destination = destination(query)?;
    Ok(match app.signed_in(headers).await? {
        Some(_) => frame::see_other(destination.as_ref().map_or(HOME, Destination::as_str)),
        None => ask(app, headers, destination.as_ref()),
    })
}

/// The sign-in page, shown in the place of the page that needs it.
#[must_use]
pub fn ask(app: &App, headers: &HeaderMap, destination: Option<&Destination>) -> Response {
    render(app, headers, destination, "", None)
}

/// `POST /sign-in`.
pub async fn sign_in(posted: Posted) -> Result<Response, Refusal> {
    let (app, headers, form) = (&posted.app, posted.headers(), &posted.form);
    allowed(app)?;
    let destination = destination(form)?;
    let email = form.get("email").unwrap_or_default().trim().to_lowercase();
    let password = Secret::new(form.get("password").unwrap_or_default());
    let again = |problem: Problem, wait| {
        let mut response = render(app, headers, destination.as_ref(), &email, Some(&problem));
        *response.status_mut() = problem.status;
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(response)
    };
    let from = posted.address();
    let browser = known_browser(app, headers, &email);
    if let Err(limit) = app.limits.check_sign_in(&email, from.0, browser.as_deref()) {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY);
        return again(problem, Some(limit.seconds));
    }
    let user = app.store.user_by_email(&email).await?.filter(|user| user.disabled_at.is_none());
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    match (password::verify(stored, password).await, user) {
        (Ok(true), Some(user)) => go_on(app, headers, from, &user, destination.as_ref()).await,
        (Ok(_), _) => {
            app.limits.note_sign_in_failure(&email, from.0, browser.as_deref());
            events::sign_in_failed(from.0);
            again(Problem::new(StatusCode::FORBIDDEN, WRONG).of("password"), None)
        }
        (Err(_busy), _) => again(Problem::new(StatusCode::SERVICE_UNAVAILABLE, BUSY), Some(5)),
    }
}

async fn go_on(
    app: &App,
    headers: &HeaderMap,
    from: ClientAddress,
    user: &User,
    destination: Option<&Destination>,
) -> Result<Response, Refusal> {
    if app.factor_of(&user.id).await?.is_some() {
        let half = app.start_session(user, headers, from, Standing::Half).await?;
        let mut response = frame::see_other(&code::link(destination));
        append_cookies(&mut response, [half]);
        return Ok(response);
    }
    let session = app.start_session(user, headers, from, Standing::Whole).await?;
    events::signed_in(&user.id);
    let mut response = frame::see_other(destination.map_or(HOME, Destination::as_str));
    append_cookies(&mut response, [session, mark_browser(app, &user.email)]);
    Ok(response)
}

/// `POST /sign-out`.
pub async fn sign_out(posted: Posted) -> Result<Response, Refusal> {
    let app = &posted.app;
    if Site::met(&posted.parts.extensions) == Site::Portal {
        return hand_over::sign_out(&posted).await;
    }
    let destination = destination(&posted.form)?;
    app.end_session(posted.headers()).await?;
    let mut response =
        frame::see_other(destination.as_ref().map_or("/sign-in", Destination::as_str));
    append_cookies(&mut response, [Cookie::Session.clear(app)]);
    Ok(response)
}

/// Where a form, or a query, says that it goes on.
pub fn destination(form: &Parameters) -> Result<Option<Destination>, Refusal> {
    let wrong = || Refusal::invalid_request("The form leads to an address that is not ours.");
    form.get("continue").map(|text| Destination::parse(text).ok_or_else(wrong)).transpose()
}

fn render(
    app: &App,
    headers: &HeaderMap,
    destination: Option<&Destination>,
    email: &str,
    problem: Option<&Problem>,
) -> Response {
    let visitor = Visitor::of(app, headers);
    let template = SignInPage {
        frame: Frame::new(app),
        csrf: visitor.csrf(app),
        destination,
        passwords: app.config.passwords,
        providers: &app.providers,
        email,
        problem,
    };
    visitor.remember(app, Destination::page(app, &template, destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_authorization_requests_and_pages() {
        for (text, is_authorization) in [
            ("/oauth/authorize?a=b", true),
            ("/oauth/authorize?", true),
            ("/oauth/authorize?a=https://x/?y", true),
            ("/", false),
            ("/?a=b", false),
            ("/account", false),
            ("/account/sessions", false),
            ("/companies/co_1/people?page=2", false),
        ] {
            let parsed = Destination::parse(text).expect(text);
            assert_eq!(parsed.is_authorization(), is_authorization, "{text}");
        }
        let away = Destination::parse("/sign-in/portal?browser=x&continue=%2F");
        assert!(away.is_some_and(|away| !away.is_authorization()));
        for text in [
            "",
            "/sign-in",
            "/sign-in/portal",
            "/sign-in/code?x",
            "/sign-in/handed-over?code=x",
            "/sign-out",
            "/accounts",
            "/companies",
            "/companies/../sign-out",
            "/companies//evil.example",
            "/companies/%2e%2e/x",
            "/account/..",
            "//",
            "///evil.example",
            "//evil.example/oauth/authorize?",
            "/oauth/authorize",
            "/oauth/authorize/decision?",
            "/oauth/authorize#?",
            "/oauth/authorize?a#b",
            "https://evil.example/oauth/authorize?",
            "https://pay.example/oauth/authorize?a=b",
            " /oauth/authorize?a=b",
            "\t/oauth/authorize?a=b",
            "/oauth/authorize?a=b\r\nSet-Cookie: x=y",
            "/oauth/authorize?\\evil.example",
            "/\\evil.example?/oauth/authorize?",
            "/oauth/../oauth/authorize?a",
            "javascript:/oauth/authorize?",
            "/oauth/authorize?é",
        ] {
            assert_eq!(Destination::parse(text), None, "{text}");
        }
        assert_eq!(Destination::parse(&format!("/oauth/authorize?{}", "a".repeat(20_000))), None);
    }
}
