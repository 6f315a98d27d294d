//! A code before an approval: asked for when the person has a second factor and has not just given it.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::secret::Secret;

use super::{
    form,
    frame::{self, Frame},
    session::SignedIn,
};
use crate::{
    app::App,
    http::{error::Refusal, extract::Parameters},
    people::second_factor::is_fresh,
    store::Company,
};

/// Who approves, for which company, with which form.
pub struct Ask<'a> {
    /// Who is signed in.
    pub signed_in: &'a SignedIn,
    /// The company.
    pub company: &'a Company,
    /// The form of the consent page, or of this one.
    pub form: &'a Parameters,
    /// The callback.
    pub leads_to: &'a str,
}

#[derive(Template)]
#[template(path = "step_up.html")]
struct StepUpPage<'a> {
    frame: Frame<'a>,
    csrf: String,
    ticket: &'a str,
    company: &'a str,
    company_id: &'a str,
    email: &'a str,
    problem: Option<&'a str>,
}

/// The page that asks for a code; nothing when the approval can go on.
pub async fn needed(app: &App, ask: &Ask<'_>) -> Result<Option<Response>, Refusal> {
    let SignedIn { session, user, .. } = ask.signed_in;
    if app.factor_of(&user.id).await?.is_none() {
        if app.store.approval_needs_code(&ask.company.id).await? {
            let sentence = "This company lets only people approve who have one-time codes.";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "second_factor_needed", sentence));
        }
        return Ok(None);
    }
    if is_fresh(session.proved_at, app.now()) {
        return Ok(None);
    }
    let Some(code) = ask.form.get("code") else { return page(app, ask, None).map(Some) };
    if let Err(problem) = app.check_code(user, &Secret::new(code)).await? {
        return page(app, ask, Some(problem)).map(Some);
    }
    app.store.prove_session(&session.hash, app.now()).await?;
    Ok(None)
}

fn page(app: &App, ask: &Ask<'_>, problem: Option<&str>) -> Result<Response, Refusal> {
    let template = StepUpPage {
        frame: Frame::new(app),
        csrf: form::token(app, &ask.signed_in.cookie),
        ticket: ask.form.require("ticket")?,
        company: &ask.company.name,
        company_id: &ask.company.id,
        email: &ask.signed_in.user.email,
        problem,
    };
    let status = if problem.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    Ok(frame::page(status, &template, Some(ask.leads_to)))
}
