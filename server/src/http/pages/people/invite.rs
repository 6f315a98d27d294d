//! Invitations, written and withdrawn.

use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::encoding::sha256;

use super::{Said, actor, back, not_allowed, render};
use crate::{
    app::App,
    events,
    http::{
        error::Refusal,
        pages::{guard::Visit, problem::Problem},
    },
    mail::{Message, address, letters},
    people::role::Role,
    store::{Invitation, Invited, Membership},
};

/// Seconds for which an invitation stands.
const LIFETIME: i64 = 7 * 24 * 3_600;

const NO_ADDRESS: &str = "This is no e-mail address.";
const NOT_YOURS: &str = "This invitation is gone, or only an owner can withdraw it.";
const MEMBER: &str = "This person acts for the company already.";
const TOO_MANY: &str = "Too many invitations wait. Withdraw some, or wait until they end.";
const TOO_OFTEN: &str =
    "This address was sent several letters within the hour. Wait a while, then invite it again.";

/// `POST …/people/invite`.
pub async fn invite(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let app = &visit.app;
    let typed = visit.form.get("email").unwrap_or_default();
    let role = Role::parse(visit.form.require("role")?);
    let role = role.ok_or_else(|| Refusal::invalid_request("There is no such role."))?;
    let said = |status, sentence| Said {
        problem: Some(Problem::new(status, sentence).of("email")),
        email: typed,
        role: Some(role),
        done: None,
    };
    let Some(email) = address::normal(typed) else {
        return render(&visit, &place, said(StatusCode::BAD_REQUEST, NO_ADDRESS)).await;
    };
    if app.limits.check_letter_to(&email).is_err() {
        let said = said(StatusCode::TOO_MANY_REQUESTS, TOO_OFTEN);
        return render(&visit, &place, said).await;
    }
    let (token, now) = (app.entropy.secret(""), app.now());
    let invitation = Invitation {
        id: app.entropy.id("mco_invite_"),
        hash: sha256(token.as_bytes()),
        company: place.company.clone(),
        email,
        role,
        created_at: now,
        expires_at: now + LIFETIME,
    };
    let outcome = app.store.invite(invitation.clone(), &actor(&visit)).await?;
    let problem = match outcome {
        Invited::Done => {
            send_invitation(app, &invitation, &token, Some(&visit.signed_in.user.email)).await;
            return Ok(back(&place, "invited"));
        }
        Invited::NotAllowed => return Err(not_allowed()),
        Invited::Member => MEMBER,
        Invited::TooMany => TOO_MANY,
    };
    render(&visit, &place, said(StatusCode::CONFLICT, problem)).await
}

/// Writes the letter of an invitation.
async fn send_invitation(app: &App, invitation: &Invitation, token: &str, by: Option<&str>) {
    let link = format!("{}/invitation?token={token}", app.config.issuer);
    let letter = letters::Invitation {
        brand: &app.config.brand.name,
        company: &invitation.company.name,
        role: invitation.role.title(),
        by,
        link: &link,
        days: LIFETIME / 86_400,
    };
    events::invited(&invitation.company.id, invitation.role.as_str());
    app.post(Message::new(&invitation.email, &letter)).await;
}

/// `POST …/people/withdraw`.
pub async fn withdraw(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let (app, company) = (&visit.app, &place.company.id);
    let id = visit.form.require("invitation")?;
    if app.store.withdraw_invitation(company, id, &actor(&visit), app.now()).await? {
        return Ok(back(&place, "withdrawn"));
    }
    let said = Said::problem(StatusCode::NOT_FOUND, NOT_YOURS);
    render(&visit, &place, said).await
}
