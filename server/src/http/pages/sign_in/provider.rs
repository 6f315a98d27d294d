//! Signing in through an external provider: a browser is sent there, and comes back.
//!
//! The attempt is bound to the browser that began it, works once, for ten minutes, and says itself where it goes on. What
//! is wrong with an answer is said on a page of ours; nothing leads elsewhere.

pub mod link;
mod whole;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::RETRY_AFTER},
    response::Response,
};
use counterfoil_protocol::encoding::sha256;

use self::whole::Arrival;
use super::{Destination, destination};
use crate::{
    app::App,
    audit::Actor,
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        pages::{
            cookie::Cookie,
            frame::{self, Frame},
            guard::not_found,
            open::{Look, Posted},
            session::SignedIn,
            told,
            visitor::{Visitor, append_cookies},
        },
    },
    oidc::{Provider, Sent, Trouble},
    people::provider::{Claims, Provided, Purpose, Refused},
    store::{Attempt, Identity, Linked, Noted, StoreError},
};

/// Seconds in which a browser must be back.
const LIFETIME: i64 = 600;

/// The longest code, in bytes.
const MAX_CODE: usize = 4 * 1024;

/// What makes a browser go on without a form's redirect, which its policy would not let out of here.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

#[derive(Template)]
#[template(path = "provider_go.html")]
struct GoPage<'a> {
    frame: Frame<'a>,
    label: &'a str,
    link: &'a str,
}

/// Why a browser that came back is not signed in.
enum Stop {
    /// The provider.
    Trouble(Trouble),
    /// The person, or the provider, said no.
    Declined,
    /// Its word is not enough.
    Refused(Refused),
    /// The account there is linked with another one here.
    Taken,
    /// The account here is linked with another one there.
    Occupied,
    /// Nothing to do with providers.
    Other(Refusal),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

/// `POST /sign-in/oidc`: begins.
pub async fn begin(posted: Posted) -> Result<Response, Refusal> {
    let (app, form) = (&posted.app, &posted.form);
    let provider = app.providers.named(form.require("provider")?).ok_or_else(not_found)?;
    let departure = Departure {
        purpose: Purpose::SignIn,
        destination: destination(form)?,
        again: None,
        from: posted.address(),
    };
    send(app, posted.headers(), provider, departure).await
}

/// What a browser is sent to a provider with.
pub struct Departure<'a> {
    /// What for.
    pub purpose: Purpose,
    /// Where it goes on afterwards.
    pub destination: Option<Destination>,
    /// The address of somebody whom the provider is to ask once more.
    pub again: Option<&'a str>,
    /// Where it is.
    pub from: ClientAddress,
}

/// Sends a browser to a provider.
pub async fn send(
    app: &App,
    headers: &HeaderMap,
    provider: &Provider,
    departure: Departure<'_>,
) -> Result<Response, Refusal> {
    let Departure { purpose, destination, again, from } = departure;
    if let Err(limit) = app.limits.check_departure(from.0) {
        let text = "Too many sign-ins were begun from here. Wait a minute, then try again.";
        let mut response = back(app, StatusCode::TOO_MANY_REQUESTS, ("One moment", text), purpose);
        let seconds = HeaderValue::from(limit.seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
        return Ok(response);
    }
    let sent = Sent::of(&app.vault, &app.entropy.secret(""));
    let link = match provider.authorization_url(&sent, again).await {
        Ok(link) => link,
        Err(trouble) => return Ok(stopped(app, provider, purpose, Stop::Trouble(trouble)).await),
    };
    let (visitor, now) = (Visitor::of(app, headers), app.now());
    let attempt = Attempt {
        state: sha256(sent.state.as_bytes()),
        visit: visitor.hash(),
        provider: provider.name().to_owned(),
        purpose,
        destination: destination.map(|it| it.as_str().to_owned()),
        started_at: now,
        expires_at: now + LIFETIME,
    };
    if !app.store.start_attempt(attempt).await? {
        let sentence = "Too many people are signing in just now.";
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            sentence,
        ));
    }
    let template = GoPage { frame: Frame::new(app), label: provider.label(), link: &link };
    let mut response = frame::page(StatusCode::OK, &template, None);
    let refresh = HeaderValue::try_from(format!("0; url={link}"));
    response.headers_mut().insert(REFRESH, refresh.map_err(Refusal::server_error)?);
    Ok(visitor.remember(app, response))
}

/// `GET /sign-in/oidc/{name}/callback`: a browser comes back, with a code or with an error.
pub async fn come_back(look: Look) -> Result<Response, Refusal> {
    let Look { app, headers, query, .. } = &look;
    // The path ends in /{name}/callback, and names are plain.
    let name = look.uri.path().rsplit('/').nth(1).unwrap_or_default();
    let provider = app.providers.named(name).ok_or_else(not_found)?;
    let visit = Cookie::Visit.read(app, headers);
    let attempt = match (query.get("state"), visit) {
        (Some(state), Some(visit)) => {
            let state = sha256(state.as_bytes());
            app.store.take_attempt(&state, &visit.sha256(), app.now()).await?
        }
        _ => None,
    };
    let Some(attempt) = attempt else {
        let text = "It was used before, was begun more than ten minutes ago, or was begun in another browser. Nothing was changed.";
        let what = ("This sign-in is over", text);
        return Ok(back(app, StatusCode::FORBIDDEN, what, Purpose::SignIn));
    };
    let purpose = attempt.purpose;
    match judge(&look, provider, attempt).await {
        Ok(response) => Ok(response),
        Err(Stop::Other(refusal)) => Err(refusal),
        Err(stop) => Ok(stopped(app, provider, purpose, stop).await),
    }
}

async fn judge(look: &Look, provider: &Provider, attempt: Attempt) -> Result<Response, Stop> {
    let Look { app, query, .. } = look;
    // An answer at another provider's callback, or in another's name, is a mix-up (RFC 9700 §4.4).
    if attempt.provider != provider.name() {
        return Err(Trouble::Issuer.into());
    }
    provider.judge_issuer(query.get("iss")).await?;
    match query.get("error") {
        None => {}
        Some("access_denied" | "login_required" | "interaction_required" | "consent_required") => {
            return Err(Stop::Declined);
        }
        Some(error) => {
            let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
            return Err(Trouble::Down(format!("it answers {error}")).into());
        }
    }
    let code = query.get("code").filter(|code| code.len() <= MAX_CODE);
    let code = code.ok_or_else(|| Trouble::Down("it answers without a code".to_owned()))?;
    let sent = Sent::of(&app.vault, query.get("state").unwrap_or_default());
    let claims = provider.redeem(&sent, code).await?;
    provider.policy().admit(&claims)?;
    match attempt.purpose {
        Purpose::SignIn => Arrival { look, provider, claims: &claims }.sign_in(&attempt).await,
        Purpose::Link { session } => {
            let signed_in = asker(look, session).await?;
            link_account(look, provider, &claims, &signed_in).await
        }
        Purpose::Confirm { session } => {
            let signed_in = asker(look, session).await?;
            confirm(look, provider, &claims, (&signed_in, &attempt)).await
        }
    }
}

/// Whoever asked for it, in the very session in which they did.
async fn asker(look: &Look, session: [u8; 32]) -> Result<SignedIn, Stop> {
    let signed_in = look.app.signed_in(&look.headers).await?;
    let signed_in = signed_in.filter(|signed_in| signed_in.session.hash == session);
    signed_in.ok_or_else(ended)
}

/// The session that asked is not that of the browser any more.
fn ended() -> Stop {
    let sentence = "You signed in or out in between.";
    Stop::Other(Refusal::new(StatusCode::FORBIDDEN, "form_refused", sentence))
}

async fn link_account(
    look: &Look,
    provider: &Provider,
    claims: &Claims,
    signed_in: &SignedIn,
) -> Result<Response, Stop> {
    let app = &look.app;
    let identity = identity(app, provider, claims, &signed_in.user.id);
    match app.store.link(identity, Provided::Nothing).await? {
        Linked::Done => {
            app.tell_linked(&signed_in.user, provider).await;
            Ok(frame::see_other("/account?done=linked"))
        }
        Linked::Taken => Err(Stop::Taken),
        Linked::Occupied | Linked::Gone => Err(Stop::Occupied),
    }
}

async fn confirm(
    look: &Look,
    provider: &Provider,
    claims: &Claims,
    (signed_in, attempt): (&SignedIn, &Attempt),
) -> Result<Response, Stop> {
    let (app, now) = (&look.app, look.app.now());
    let who = app.store.identity(provider.issuer(), &claims.subject).await?;
    if who.is_none_or(|user| user.id != signed_in.user.id) {
        return Err(Refused::SomebodyElse.into());
    }
    claims.just_now(attempt.started_at, now)?;
    let seen = provider.policy().saw_second_factor(claims);
    let (session, (cookie, set)) = (&signed_in.session, app.new_name(&signed_in.session));
    if !app.store.confirm_session(&session.hash, &cookie.sha256(), seen, now).await? {
        return Err(ended());
    }
    let mut onward = frame::see_other(attempt.destination.as_deref().unwrap_or("/account"));
    append_cookies(&mut onward, [set]);
    Ok(onward)
}

/// The link of a subject with a person.
fn identity(app: &App, provider: &Provider, claims: &Claims, user_id: &str) -> Identity {
    Identity {
        issuer: provider.issuer().to_owned(),
        subject: claims.subject.clone(),
        user_id: user_id.to_owned(),
        email: claims.email.clone().unwrap_or_default(),
        linked_at: app.now(),
        used_at: None,
    }
}

/// The page of a browser that came back in vain.
async fn stopped(app: &App, provider: &Provider, purpose: Purpose, stop: Stop) -> Response {
    let label = provider.label();
    let (reason, is_noted) = match &stop {
        Stop::Trouble(trouble) => {
            tracing::warn!(provider = provider.name(), %trouble, "a provider's answer is of no use");
            (trouble.word(), !matches!(trouble, Trouble::Down(_)))
        }
        Stop::Declined => ("declined", false),
        Stop::Refused(refused) => (refused.word(), true),
        Stop::Taken => ("linked_otherwise", true),
        Stop::Occupied | Stop::Other(_) => ("occupied", true),
    };
    events::provider_refused(provider.name(), reason);
    if is_noted {
        let noted = Noted::Refused(reason);
        let written =
            app.store.note_provider(&Actor::System, noted, provider.name(), app.now()).await;
        if let Err(error) = written {
            tracing::error!(%error, "a refusal was not noted");
        }
    }
    let (status, title, text) = match stop {
        Stop::Trouble(Trouble::Down(_)) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{label} does not answer"),
            format!(
                "We could not reach {label}, or it did not answer as it should. Nothing was changed. Wait a minute, then try again."
            ),
        ),
        Stop::Trouble(_) => (
            StatusCode::FORBIDDEN,
            "We could not believe this answer".to_owned(),
            format!(
                "What your browser brought is not what {label} gives for this sign-in. Nothing was changed. Try again; if it happens again, tell support."
            ),
        ),
        Stop::Declined => (
            StatusCode::FORBIDDEN,
            format!("{label} did not sign you in"),
            "The sign-in was cancelled there, or refused. Nothing was changed.".to_owned(),
        ),
        Stop::Refused(refused) => {
            (StatusCode::FORBIDDEN, format!("{label} is not enough here"), refused.to_string())
        }
        Stop::Taken => (
            StatusCode::CONFLICT,
            "This account is in use".to_owned(),
            format!(
                "The account at {label} is linked with another account here. Nothing was changed."
            ),
        ),
        Stop::Occupied | Stop::Other(_) => (
            StatusCode::CONFLICT,
            "Another account is linked".to_owned(),
            format!(
                "Your account here is linked with another account at {label}. Unlink that first, if you want this one."
            ),
        ),
    };
    back(app, status, (&title, &text), purpose)
}

/// A page that says what happened, and leads back to where it began.
fn back(app: &App, status: StatusCode, (title, text): (&str, &str), purpose: Purpose) -> Response {
    let link = match purpose {
        Purpose::SignIn => ("/sign-in", "Back to sign-in"),
        Purpose::Link { .. } | Purpose::Confirm { .. } => ("/account", "Back to your account"),
    };
    told::page(app, status, title, text, link)
}
