//! `/account`: the password, the second factor and the sessions of whoever is signed in.

mod factor;
mod password;
mod providers;
mod qr;
mod sessions;

use askama::Template;
use axum::{http::Method, response::Response};
use counterfoil_protocol::encoding::base64url;

use super::{
    confirmation::{self, Confirmation},
    dashboard::Dashboard,
    frame::{self, Frame},
    guard::{Pages, Visit},
    moment::Moment,
    problem::{Problem, status_of},
};
use crate::{http::error::Refusal, people::second_factor::SecondFactor};

/// Adds the pages to the table.
#[must_use]
pub fn pages(pages: Pages) -> Pages {
    pages
        .person(Method::GET, "/account", show)
        .person(Method::POST, "/account/password", password::change)
        .person(Method::POST, "/account/sessions", sessions::end)
        .person(Method::GET, "/account/codes", factor::show)
        .person(Method::GET, "/account/codes/qr.svg", qr::show)
        .person(Method::POST, "/account/codes/begin", factor::begin)
        .person(Method::POST, "/account/codes/confirm", factor::confirm)
        .person(Method::POST, "/account/codes/off", factor::remove)
        .person(Method::POST, "/account/providers/confirm", providers::confirm)
        .person(Method::POST, "/account/providers/link", providers::link)
        .person(Method::POST, "/account/providers/unlink", providers::unlink)
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    email: &'a str,
    has_password: bool,
    factor: Option<SecondFactor>,
    providers: Vec<providers::Entry>,
    confirmation: Confirmation<'a>,
    sessions: Vec<Entry>,
    done: Option<&'static str>,
    problem: Option<&'a Problem>,
}

/// A session in words.
struct Entry {
    id: String,
    browser: String,
    address: String,
    /// What people call the provider that it began with.
    through: Option<String>,
    since: Moment,
    is_this: bool,
}

async fn show(visit: Visit) -> Result<Response, Refusal> {
    let done = match visit.parts.uri.query() {
        Some("done=password") => {
            Some("The password is changed, and every other browser is signed out.")
        }
        Some("done=sessions") => Some("Those browsers are signed out."),
        Some("done=linked") => Some("That account is linked: you can sign in with it."),
        Some("done=unlinked") => {
            Some("That account is unlinked, and its other browsers are signed out.")
        }
        Some("done=codes-off") => Some("Codes are turned off."),
        _ => None,
    };
    render(&visit, done, None).await
}

/// The page, with what was just done or what is wrong.
async fn render(
    visit: &Visit,
    done: Option<&'static str>,
    problem: Option<&Problem>,
) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    let sessions = app.store.sessions(&user.id, app.now()).await?;
    let entry = |session: crate::store::SessionEntry| Entry {
        id: base64url(&session.hash),
        is_this: session.hash == visit.signed_in.session.hash,
        since: Moment::from(session.created_at),
        browser: session.browser,
        address: session.address,
        through: session.provider.map(|name| {
            app.providers.named(&name).map_or(name, |provider| provider.label().to_owned())
        }),
    };
    let template = AccountPage {
        frame: Frame::new(app),
        dashboard: Dashboard::of_person(visit),
        email: &user.email,
        has_password: app.config.passwords && !user.password_hash.is_empty(),
        providers: providers::entries(app, user).await?,
        confirmation: confirmation::of(app, &visit.signed_in).await?,
        factor: app.factor_of(&user.id).await?,
        sessions: sessions.into_iter().map(entry).collect(),
        done,
        problem,
    };
    Ok(frame::page(status_of(problem), &template, None))
}
