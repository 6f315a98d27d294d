//! From the issuer's host to the developers': people sign in at the issuer alone, and take their session along by a code.
//!
//! The developers' host sends a browser to the issuer with the hash of a cookie of its own. The issuer, once somebody is
//! signed in, sends it back with a code that lives a minute, works once, and in that browser alone: a code that somebody
//! else carries here, or has read in a log, opens nothing. Both hosts have the one session, which ends at both.

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};
use counterfoil_protocol::{
    encoding::{base64url, from_base64url_exact},
    secret::Secret,
};

use super::{
    cookie::Cookie,
    frame,
    guard::not_found,
    open::{Look, Posted},
    sign_in::{self, Destination, HOME},
    told,
    visitor::{Visitor, append_cookies},
};
use crate::{
    app::App,
    http::{error::Refusal, site::Site},
    store::HandOver,
};

/// Where the issuer gives codes.
pub const LEAVE: &str = "/sign-in/portal";

/// Where the developers' host takes them.
pub const ARRIVE: &str = "/sign-in/handed-over";

/// Where signing out leads at the developers' host.
pub const SIGNED_OUT: &str = "/signed-out";

/// Seconds that a code lives.
const LIFETIME: i64 = 60;

/// Whether an address of ours is [`LEAVE`].
#[must_use]
pub fn leads_away(destination: &str) -> bool {
    destination.strip_prefix(LEAVE).is_some_and(|rest| rest.starts_with('?'))
}

/// Sends a browser that is not signed in here to the issuer.
#[must_use]
pub fn begin(app: &App, headers: &HeaderMap, here: Option<&Destination>) -> Response {
    let visitor = Visitor::of(app, headers);
    let home = Destination::home();
    let way = way(&visitor.hash(), here.unwrap_or(&home));
    visitor.remember(app, frame::see_other(&format!("{}{way}", app.config.issuer)))
}

/// `GET /sign-in/portal`, at the issuer's host.
pub async fn leave(look: Look) -> Result<Response, Refusal> {
    let Look { app, headers, query, .. } = &look;
    let portal = app.config.portal_origin.as_deref().ok_or_else(not_found)?;
    let wrong = |name| Refusal::invalid_request(format!("The parameter {name} is not good."));
    let browser = query.get("browser").and_then(from_base64url_exact::<32>);
    let browser = browser.ok_or_else(|| wrong("browser"))?;
    let to = query.get("continue").and_then(Destination::parse);
    let to = to.ok_or_else(|| wrong("continue"))?;
    let Some(signed_in) = app.signed_in(headers).await? else {
        let here = Destination::parse(&way(&browser, &to));
        return Ok(sign_in::ask(app, headers, here.as_ref()));
    };
    let (code, now) = (Secret::new(app.entropy.secret("")), app.now());
    let hand_over = HandOver {
        hash: code.sha256(),
        session: signed_in.session.hash,
        browser,
        expires_at: now + LIFETIME,
    };
    app.store.hand_over(hand_over, now).await?;
    let query = joined(&[("code", code.expose()), ("continue", to.as_str())]);
    Ok(frame::see_other(&format!("{portal}{ARRIVE}?{query}")))
}

/// `GET /sign-in/handed-over`, at the developers' host.
pub async fn arrive(look: Look) -> Result<Response, Refusal> {
    let Look { app, site, headers, query, .. } = &look;
    if *site == Site::Issuer {
        return Err(not_found());
    }
    let to = query.get("continue").and_then(Destination::parse);
    let mut onward = frame::see_other(to.as_ref().map_or(HOME, Destination::as_str));
    if app.signed_in_at(*site, headers).await?.is_some() {
        return Ok(onward);
    }
    let code = Secret::new(query.get("code").unwrap_or_default()).sha256();
    let browser = Cookie::Visit.read(app, headers).ok_or_else(|| stale("no cookie"))?;
    let (cookie, now) = (Cookie::new_value(app), app.now());
    if !app.store.take_over(&code, &browser.sha256(), &cookie.sha256(), now).await? {
        return Err(stale("the code ended, was used, or is another browser's"));
    }
    let set = Cookie::Portal.set(app, &cookie, Some(app.config.lifetimes.session));
    append_cookies(&mut onward, [set]);
    Ok(onward)
}

fn stale(cause: &str) -> Refusal {
    let sentence = "A link to this host works once, for a minute, in the browser that asked.";
    Refusal::new(StatusCode::GONE, "hand_over_expired", sentence).caused_by(cause)
}

/// `POST /sign-out`, at the developers' host: out at both.
pub async fn sign_out(posted: &Posted) -> Result<Response, Refusal> {
    let app = &posted.app;
    if let Some(signed_in) = app.signed_in_at(Site::Portal, posted.headers()).await? {
        app.store.end_session(&signed_in.session.hash).await?;
    }
    let mut response = frame::see_other(SIGNED_OUT);
    append_cookies(&mut response, [Cookie::Portal.clear(app)]);
    Ok(response)
}

/// `GET /signed-out`, at the developers' host.
pub async fn signed_out(look: Look) -> Result<Response, Refusal> {
    if look.site == Site::Issuer {
        return Err(not_found());
    }
    let text = "Here, and where you sign in. Stores and applications stay connected.";
    let onward = (HOME, "Sign in again");
    Ok(told::page(&look.app, StatusCode::OK, "You are signed out", text, onward))
}

/// The way of a browser through the issuer to a page.
fn way(browser: &[u8; 32], to: &Destination) -> String {
    let query = joined(&[("browser", &base64url(browser)), ("continue", to.as_str())]);
    format!("{LEAVE}?{query}")
}

fn joined(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
