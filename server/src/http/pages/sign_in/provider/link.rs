//! `POST /sign-in/oidc/link`: the password of an account, before somebody of its address at a provider may open it.
//!
//! What the provider said is sealed into the form, for the browser that brought it, for ten minutes.

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use counterfoil_protocol::{
    encoding::{base64url, from_base64url},
    secret::Secret,
};
use serde::{Deserialize, Serialize};

use super::whole::{Arrival, Vouched, Who, begin};
use crate::{
    app::App,
    events,
    http::{
        error::Refusal,
        pages::{
            form,
            frame::Frame,
            guard::not_found,
            open::Posted,
            password::{BUSY, TOO_MANY, allowed},
            problem::Problem,
            sign_in::Destination,
            visitor::{Visitor, known_browser},
        },
    },
    password,
    people::provider::Provided,
    store::{Attempt, Identity, Linked, User},
    vault::Purpose,
};

/// Seconds in which the password must be given.
const LIFETIME: i64 = 600;

const WRONG: &str = "The password is not right.";

/// What a provider said of somebody who is still to give the password.
#[derive(Deserialize, Serialize)]
pub(super) struct Pending {
    visit: [u8; 32],
    provider: String,
    subject: String,
    user_id: String,
    second_factor: bool,
    just_now: bool,
    destination: Option<String>,
    expires_at: i64,
}

#[derive(Template)]
#[template(path = "provider_link.html")]
struct LinkPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    ticket: String,
    label: &'a str,
    email: &'a str,
    problem: Option<&'a Problem>,
}

impl Pending {
    pub fn new(
        app: &App,
        arrival: &Arrival<'_>,
        user: &User,
        (attempt, vouched): (&Attempt, Vouched),
    ) -> Self {
        Self {
            visit: attempt.visit,
            provider: arrival.provider.name().to_owned(),
            subject: arrival.claims.subject.clone(),
            user_id: user.id.clone(),
            second_factor: vouched.second_factor,
            just_now: vouched.just_now,
            destination: attempt.destination.clone(),
            expires_at: app.now().0 + LIFETIME,
        }
    }
}

/// The page that asks for the password.
pub(super) fn page(
    app: &App,
    headers: &HeaderMap,
    pending: &Pending,
    email: &str,
    problem: Option<&Problem>,
) -> Response {
    let visitor = Visitor::of(app, headers);
    let plain = serde_json::to_vec(pending).unwrap_or_default();
    let template = LinkPage {
        frame: Frame::new(app),
        csrf: visitor.csrf(app),
        ticket: base64url(&app.vault.seal(Purpose::ProviderLink, &plain, &*app.entropy)),
        label: app.providers.named(&pending.provider).map_or("", crate::oidc::Provider::label),
        email,
        problem,
    };
    let destination = pending.destination.as_deref().and_then(Destination::parse);
    visitor.remember(app, Destination::page(app, &template, destination.as_ref()))
}

/// Links the two, for whoever knows the password, and signs in.
pub async fn prove(posted: Posted) -> Result<Response, Refusal> {
    let (app, headers) = (&posted.app, posted.headers());
    allowed(app)?;
    let pending = open(app, headers, posted.form.require("ticket")?)?;
    let provider = app.providers.named(&pending.provider).ok_or_else(not_found)?;
    let user = app.store.user(&pending.user_id).await?;
    let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(not_found)?;
    let again = |problem: Problem, wait: Option<u64>| {
        let mut response = page(app, headers, &pending, &user.email, Some(&problem));
        *response.status_mut() = problem.status;
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(response)
    };
    let from = posted.address();
    let browser = known_browser(app, headers, &user.email);
    if let Err(limit) = app.limits.check_sign_in(&user.email, from.0, browser.as_deref()) {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY);
        return again(problem, Some(limit.seconds));
    }
    let typed = Secret::new(posted.form.get("password").unwrap_or_default());
    match password::verify(Some(user.password_hash.clone()), typed).await {
        Ok(true) => {}
        Ok(false) => {
            app.limits.note_sign_in_failure(&user.email, from.0, browser.as_deref());
            events::sign_in_failed(from.0);
            return again(Problem::new(StatusCode::FORBIDDEN, WRONG).of("password"), None);
        }
        Err(_busy) => {
            return again(Problem::new(StatusCode::SERVICE_UNAVAILABLE, BUSY), Some(5));
        }
    }
    let identity = Identity {
        issuer: provider.issuer().to_owned(),
        subject: pending.subject.clone(),
        user_id: user.id.clone(),
        email: user.email.clone(),
        linked_at: app.now(),
        used_at: None,
    };
    if app.store.link(identity, Provided::Nothing).await? != Linked::Done {
        let sentence = "One of the two accounts was linked with another meanwhile.";
        return Err(Refusal::new(StatusCode::CONFLICT, "already_decided", sentence));
    }
    app.tell_linked(&user, provider).await;
    let vouched = Vouched { second_factor: pending.second_factor, just_now: pending.just_now };
    let destination = pending.destination.as_deref().and_then(Destination::parse);
    let who = Who { provider, subject: &pending.subject, user: &user };
    begin(app, (headers, from), &who, (vouched, destination.as_ref())).await
}

fn open(app: &App, headers: &HeaderMap, ticket: &str) -> Result<Pending, Refusal> {
    let sealed = from_base64url(ticket).unwrap_or_default();
    let plain = app.vault.open(Purpose::ProviderLink, &sealed).ok();
    let pending = plain.and_then(|plain| serde_json::from_slice::<Pending>(&plain).ok());
    let visit = Visitor::of(app, headers).hash();
    let good = |pending: &Pending| pending.visit == visit && pending.expires_at > app.now().0;
    pending.filter(good).ok_or_else(|| form::refused("the ticket is another browser's, or old"))
}
