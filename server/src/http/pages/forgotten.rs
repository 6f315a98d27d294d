//! A forgotten password: a link by mail that works once, for an hour, and says the same to everybody who asks for it.

use std::sync::Arc;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use counterfoil_protocol::encoding::sha256;

use super::{
    frame::{self, Frame},
    open::{Look, Posted},
    password::{allowed, chosen},
    problem::{Problem, status_of},
    told,
    visitor::Visitor,
};
use crate::{
    app::App,
    events,
    http::{address::ClientAddress, error::Refusal},
    mail::{Message, address, letters},
    store::User,
};

/// Seconds for which a link works.
const LIFETIME: i64 = 3_600;

const NO_ADDRESS: &str = "This is no e-mail address.";
const TOO_MANY: &str =
    "Too many links were asked for from here. Wait a few minutes, then try again.";

#[derive(Template)]
#[template(path = "forgotten.html")]
struct AskPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    email: &'a str,
    problem: Option<&'a Problem>,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    token: &'a str,
    email: &'a str,
    problem: Option<&'a Problem>,
}

/// `GET /forgotten-password`.
pub async fn ask(look: Look) -> Result<Response, Refusal> {
    allowed(&look.app)?;
    Ok(render_ask(&look.app, &look.headers, "", None))
}

/// `POST /forgotten-password`.
pub async fn send(posted: Posted) -> Result<Response, Refusal> {
    let (app, headers, form) = (&posted.app, posted.headers(), &posted.form);
    allowed(app)?;
    let typed = form.get("email").unwrap_or_default();
    let again = |problem| render_ask(app, headers, typed, Some(&problem));
    let Some(email) = address::normal(typed) else {
        return Ok(again(Problem::new(StatusCode::BAD_REQUEST, NO_ADDRESS).of("email")));
    };
    let ClientAddress(from) = posted.address();
    if let Err(limit) = app.limits.check_letter_from(from) {
        let mut response = again(Problem::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(limit.seconds));
        return Ok(response);
    }
    // Afterwards, and whether or not there is such a person: neither answer nor its time tells.
    let app_of_task = Arc::clone(app);
    tokio::spawn(async move {
        if let Err(refusal) = send_link(&app_of_task, &email).await {
            tracing::error!(cause = ?refusal.cause, "a link to a new password was not sent");
        }
    });
    let text = "If there is an account with this address, a letter with a link is on its way to it. The link works once, for an hour.";
    Ok(told::page(
        app,
        StatusCode::OK,
        "Look into your mail",
        text,
        ("/sign-in", "Back to sign-in"),
    ))
}

async fn send_link(app: &App, email: &str) -> Result<(), Refusal> {
    let user = app.store.user_by_email(email).await?.filter(|user| user.disabled_at.is_none());
    let Some(user) = user else { return Ok(()) };
    if app.limits.check_letter_to(email).is_err() {
        return Ok(());
    }
    let (token, now) = (app.entropy.secret(""), app.now());
    app.store.start_reset(&user.id, sha256(token.as_bytes()), now, now + LIFETIME).await?;
    let link = format!("{}/reset-password?token={token}", app.config.issuer);
    let brand = &app.config.brand.name;
    let letter = letters::Reset { brand, link: &link, minutes: LIFETIME / 60 };
    app.post(Message::new(email, &letter)).await;
    events::password_reset_asked(&user.id);
    Ok(())
}

/// `GET /reset-password`: looking at it spends nothing, since programs look at links in letters.
pub async fn show(Look { app, headers, query, .. }: Look) -> Result<Response, Refusal> {
    allowed(&app)?;
    let token = query.get("token").unwrap_or_default();
    let user = app.store.reset_of(&sha256(token.as_bytes()), app.now()).await?;
    let user = user.ok_or_else(dead_link)?;
    Ok(render_reset(&app, &headers, (token, &user), None))
}

/// `POST /reset-password`.
pub async fn finish(posted: Posted) -> Result<Response, Refusal> {
    let (app, headers, form) = (&posted.app, posted.headers(), &posted.form);
    let token = form.get("token").unwrap_or_default();
    let hash = sha256(token.as_bytes());
    let user = app.store.reset_of(&hash, app.now()).await?.ok_or_else(dead_link)?;
    let hashed = match chosen(app, form, &user.email).await? {
        Ok(hashed) => hashed,
        Err(problem) => return Ok(render_reset(app, headers, (token, &user), Some(&problem))),
    };
    let user = app.store.finish_reset(&hash, hashed, app.now()).await?.ok_or_else(dead_link)?;
    events::password_changed(&user.id);
    app.notify(&user, "A new password was chosen with a link that we sent to you by mail. You were signed out everywhere.", "ask for a new password at once; whoever did it reads your mail.").await;
    let text = "You were signed out everywhere. Sign in with the new password.";
    let text = (StatusCode::OK, "Your password is changed", text);
    Ok(told::page(app, text.0, text.1, text.2, ("/sign-in", "Sign in")))
}

fn dead_link() -> Refusal {
    let sentence = "The link is unknown, was used, or is older than an hour.";
    Refusal::new(StatusCode::GONE, "link_expired", sentence)
}

fn render_ask(app: &App, headers: &HeaderMap, email: &str, problem: Option<&Problem>) -> Response {
    let visitor = Visitor::of(app, headers);
    let template = AskPage { frame: Frame::new(app), csrf: visitor.csrf(app), email, problem };
    visitor.remember(app, frame::page(status_of(problem), &template, None))
}

fn render_reset(
    app: &App,
    headers: &HeaderMap,
    (token, user): (&str, &User),
    problem: Option<&Problem>,
) -> Response {
    let visitor = Visitor::of(app, headers);
    let template = ResetPage {
        frame: Frame::new(app),
        csrf: visitor.csrf(app),
        token,
        email: &user.email,
        problem,
    };
    visitor.remember(app, frame::page(status_of(problem), &template, None))
}
