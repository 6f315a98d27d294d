//! `/invitation`: an invitation into a company, taken up with a new account or with one's own.

use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use counterfoil_protocol::encoding::sha256;

use super::{
    form,
    frame::{self, Frame},
    open::{Look, Posted},
    password::chosen,
    problem::{Problem, status_of},
    session::{SignedIn, Standing},
    visitor::{Visitor, append_cookies, mark_browser},
};
use crate::{
    app::App,
    events,
    http::{error::Refusal, extract::Parameters},
    oidc::Providers,
    store::{Invitation, Joined, Joiner, User},
};

/// Who looks at an invitation.
enum Guest {
    /// The person it is for, signed in.
    Theirs,
    /// Somebody else, signed in, with this address.
    Other(String),
    /// Nobody is signed in, and there is an account of the address.
    MustSignIn,
    /// Nobody is signed in, and there is no account.
    New,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    /// For the form that signs out.
    session_csrf: String,
    token: &'a str,
    here: String,
    invitation: &'a Invitation,
    guest: Guest,
    /// Whether a password can be chosen.
    passwords: bool,
    providers: &'a Providers,
    problem: Option<&'a Problem>,
}

/// What is looked at, and by whom.
struct Looked<'a> {
    token: &'a str,
    invitation: Invitation,
    signed_in: Option<SignedIn>,
}

/// `GET /invitation`: looking at it spends nothing.
pub async fn show(Look { app, headers, query, .. }: Look) -> Result<Response, Refusal> {
    let looked = look(&app, &headers, &query).await?;
    render(&app, &headers, &looked, None).await
}

async fn look<'a>(
    app: &App,
    headers: &HeaderMap,
    parameters: &'a Parameters,
) -> Result<Looked<'a>, Refusal> {
    let token = parameters.get("token").unwrap_or_default();
    let invitation = app.store.invitation(&sha256(token.as_bytes()), app.now()).await?;
    let invitation = invitation.ok_or_else(gone)?;
    Ok(Looked { token, invitation, signed_in: app.signed_in(headers).await? })
}

/// `POST /invitation`.
pub async fn accept(posted: Posted) -> Result<Response, Refusal> {
    let (app, headers, form) = (&posted.app, posted.headers(), &posted.form);
    let looked = look(app, headers, form).await?;
    let hash = looked.invitation.hash;
    if let Some(SignedIn { user, .. }) = &looked.signed_in {
        let joiner = Joiner::Known { user_id: user.id.clone() };
        return match app.store.join(&hash, joiner, app.now()).await? {
            Joined::Done(company, role) => {
                events::joined(&user.id, &company.id, role.as_str());
                Ok(frame::see_other(&format!("/companies/{}", company.id)))
            }
            Joined::Gone => Err(gone()),
            Joined::NotTheirs => {
                let response = render(app, headers, &looked, None).await?;
                Ok((StatusCode::FORBIDDEN, response).into_response())
            }
        };
    }
    let password_hash = match chosen(app, form, &looked.invitation.email).await? {
        Ok(hash) => hash,
        Err(problem) => return render(app, headers, &looked, Some(&problem)).await,
    };
    let user = User {
        id: app.entropy.id("mco_user_"),
        email: looked.invitation.email.clone(),
        password_hash,
        disabled_at: None,
    };
    match app.store.join(&hash, Joiner::New(user.clone()), app.now()).await? {
        Joined::Done(company, role) => {
            events::joined(&user.id, &company.id, role.as_str());
            let address = posted.address();
            let session = app.start_session(&user, headers, address, Standing::Whole).await?;
            let mut response = frame::see_other(&format!("/companies/{}", company.id));
            append_cookies(&mut response, [session, mark_browser(app, &user.email)]);
            Ok(response)
        }
        Joined::Gone => Err(gone()),
        Joined::NotTheirs => {
            let response = render(app, headers, &looked, None).await?;
            Ok((StatusCode::CONFLICT, response).into_response())
        }
    }
}

fn gone() -> Refusal {
    let sentence = "The invitation is unknown, was withdrawn or used, or is older than a week.";
    Refusal::new(StatusCode::GONE, "invitation_gone", sentence)
}

async fn render(
    app: &App,
    headers: &HeaderMap,
    looked: &Looked<'_>,
    problem: Option<&Problem>,
) -> Result<Response, Refusal> {
    let Looked { token, invitation, signed_in } = looked;
    let guest = match signed_in {
        Some(signed_in) if signed_in.user.email == invitation.email => Guest::Theirs,
        Some(signed_in) => Guest::Other(signed_in.user.email.clone()),
        None if app.store.user_by_email(&invitation.email).await?.is_some() => Guest::MustSignIn,
        None => Guest::New,
    };
    let visitor = Visitor::of(app, headers);
    let template = InvitationPage {
        frame: Frame::new(app),
        csrf: visitor.csrf(app),
        session_csrf: signed_in.as_ref().map_or_else(String::new, |s| form::token(app, &s.cookie)),
        token,
        here: format!("/invitation?token={token}"),
        invitation,
        guest,
        passwords: app.config.passwords,
        providers: &app.providers,
        problem,
    };
    Ok(visitor.remember(app, frame::page(status_of(problem), &template, None)))
}
