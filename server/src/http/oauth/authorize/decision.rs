//! `POST /oauth/authorize/decision`: a person approves or denies what was shown to them, once.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{Request, StatusCode, header},
    response::Response,
};
use counterfoil_protocol::{encoding::sha256, jwk::Thumbprint, pkce::Challenge};

use super::{back, client, refuse};
use crate::{
    app::App,
    events,
    http::{
        error::Refusal,
        extract::Parameters,
        pages::{
            error::{in_place, session_ended},
            form,
            session::SignedIn,
            sign_in::Destination,
            step_up::{self, StepUp},
            visitor::append_cookies,
        },
    },
    oauth::{
        client::Client, code, consent::judge_again, installation::Slot, ownership::Verdict,
        request::Fault,
    },
    ownership,
    people::role::Act,
    store::{Approval, ApproveOutcome, Company, Consent, NewCode},
};

/// Answers with the way back to the callback, or why not.
pub async fn decide(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    match judge(&app, request).await {
        Ok(response) => response,
        Err(refusal) => in_place(&app, &headers, refusal),
    }
}

async fn judge(app: &Arc<App>, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, form) = form::read(app, request).await?;
    let signed_in = app.signed_in(&parts.headers).await?;
    let Some(signed_in) = signed_in else {
        let asked = form.get("continue").and_then(Destination::parse);
        return Ok(session_ended(app, &parts.headers, asked.as_ref()));
    };
    form::check(app, Some(&signed_in.cookie), &form)?;
    let ticket = sha256(form.require("ticket")?.as_bytes());
    let consent = app.store.consent(&ticket, app.now()).await?;
    let consent = consent.ok_or_else(|| decided("unknown, expired or decided"))?;
    if consent.session_hash != signed_in.session.hash || consent.user_id != signed_in.user.id {
        return Err(form::refused("the page was shown in another session"));
    }
    let client = client(app, &consent.request.client_id).await?;
    match form.require("decision")? {
        "approve" => approve(app, &form, &signed_in, consent, &client).await,
        "deny" => deny(app, &consent, &client).await,
        _ => Err(Refusal::invalid_request("decision is approve or deny.")),
    }
}

async fn approve(
    app: &Arc<App>,
    form: &Parameters,
    signed_in: &SignedIn,
    consent: Consent,
    client: &Client,
) -> Result<Response, Refusal> {
    let (request, now) = (&consent.request, app.now());
    let slot = judge_again(request, client, now).map_err(|fault| refuse(client, fault))?;
    if let Some((slot, _)) = slot
        && let Some(verdict) = ownership::forbids(app, client, slot).await?
    {
        return Err(not_verified(verdict));
    }
    let named = form.require("company")?;
    let memberships = app.store.memberships(&signed_in.user.id).await?;
    let place = memberships.into_iter().find(|place| place.company.id == named);
    let place = place.filter(|place| place.role.may(Act::Approve)).ok_or_else(not_allowed)?;
    let company = place.company;
    let ask = step_up::Ask { signed_in, company: &company, form, leads_to: &request.redirect_uri };
    let renamed = match step_up::judge(app, &ask).await? {
        StepUp::Asked(page) => return Ok(page),
        StepUp::Done(renamed) => renamed,
    };
    let mut answer = write(app, (signed_in, &company), (consent, slot), client).await;
    // Whatever became of the approval, the browser must learn its session's new name.
    match &mut answer {
        Ok(response) => append_cookies(response, [renamed]),
        Err(refusal) => {
            refusal.headers.extend(renamed.map(|set| (header::SET_COOKIE, set)));
        }
    }
    answer
}

/// The one write, and the way back with a code.
async fn write(
    app: &App,
    (signed_in, company): (&SignedIn, &Company),
    (consent, slot): (Consent, Option<(Slot, Thumbprint)>),
    client: &Client,
) -> Result<Response, Refusal> {
    let (request, now) = (consent.request, app.now());
    let challenge = Challenge::parse(&request.challenge).map_err(Refusal::server_error)?;
    let text = app.entropy.secret(code::PREFIX);
    let approval = Approval {
        consent: consent.hash,
        pushed: consent.pushed,
        client_id: client.id.clone(),
        slot,
        company_id: company.id.clone(),
        user_id: signed_in.user.id.clone(),
        new_grant_id: app.entropy.id("mco_grant_"),
        code: NewCode {
            hash: sha256(text.as_bytes()),
            redirect_uri: request.redirect_uri.clone(),
            challenge,
            scope: request.scope,
            resource: request.resource,
            key: request.key,
            expires_at: now + app.config.lifetimes.code,
        },
        now,
    };
    match app.store.approve(approval).await? {
        ApproveOutcome::Approved { .. } => {
            events::approved(&client.id, &company.id, &signed_in.user.id);
            let state = request.state.as_deref();
            Ok(back(app, &request.redirect_uri, state, &[("code", &text)]))
        }
        ApproveOutcome::AlreadyDecided => Err(decided("decided meanwhile")),
        ApproveOutcome::NotAllowed => Err(not_allowed()),
        ApproveOutcome::KeyGone => Err(refuse(client, Fault::KeyUnknown)),
    }
}

fn not_verified(verdict: Verdict) -> Refusal {
    let sentence = format!(
        "This store cannot be connected before its address is verified. {}",
        verdict.sentence()
    );
    Refusal::new(StatusCode::FORBIDDEN, "store_not_verified", sentence).caused_by(verdict.word())
}

fn not_allowed() -> Refusal {
    let sentence = "You cannot approve for this company.";
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", sentence)
}

/// A denial changes nothing, so it needs no more than a callback that still is the client's.
async fn deny(app: &App, consent: &Consent, client: &Client) -> Result<Response, Refusal> {
    let request = &consent.request;
    if !app.store.deny(&consent.hash, consent.pushed.as_ref(), app.now()).await? {
        return Err(decided("decided meanwhile"));
    }
    events::denied(&client.id, &consent.user_id);
    if judge_again(request, client, app.now()) == Err(Fault::RedirectUriUnknown) {
        return Err(refuse(client, Fault::RedirectUriUnknown));
    }
    let answer =
        [("error", "access_denied"), ("error_description", "the person denied the request")];
    Ok(back(app, &request.redirect_uri, request.state.as_deref(), &answer))
}

fn decided(cause: &str) -> Refusal {
    let sentence = "This page was decided before, or has expired.";
    Refusal::new(StatusCode::CONFLICT, "already_decided", sentence).caused_by(cause)
}
