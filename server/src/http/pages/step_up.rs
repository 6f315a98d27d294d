//! A code before an approval: asked for when the person has a second factor and has not just given it. A provider that
//! counts as one can be asked instead.

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode},
    response::Response,
};
use counterfoil_protocol::secret::Secret;

use super::{
    form,
    frame::{self, Frame},
    problem::{Problem, status_of},
    session::SignedIn,
};
use crate::{
    app::App,
    http::{error::Refusal, extract::Parameters},
    oidc::Provider,
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
    /// Whether a code can be typed.
    has_code: bool,
    /// A provider that can stand for a code.
    provider: Option<&'a Provider>,
    /// The request, to which the browser comes back from there.
    here: &'a str,
    problem: Option<&'a Problem>,
}

/// What comes of it.
pub enum StepUp {
    /// The page that asks for a code.
    Asked(Response),
    /// The approval can go on. A code that was typed just now gave the session another name: what sets its cookie.
    Done(Option<HeaderValue>),
}

/// Asks for a code, or takes one.
pub async fn judge(app: &App, ask: &Ask<'_>) -> Result<StepUp, Refusal> {
    let SignedIn { session, user, .. } = ask.signed_in;
    let has_code = app.factor_of(&user.id).await?.is_some();
    if !has_code && !app.store.approval_needs_code(&ask.company.id).await? {
        return Ok(StepUp::Done(None));
    }
    let linked = app.linked_providers(&user.id).await?;
    let provider = linked.into_iter().find(|provider| provider.gives_second_factor());
    if !has_code && provider.is_none() {
        let sentence = "This company lets only people approve who have one-time codes.";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "second_factor_needed", sentence));
    }
    if is_fresh(session.proved_at, app.now()) {
        return Ok(StepUp::Done(None));
    }
    let means = (has_code, provider);
    let Some(code) = ask.form.get("code").filter(|_| has_code) else {
        return page(app, ask, means, None).map(StepUp::Asked);
    };
    if let Err(problem) = app.check_code(user, &Secret::new(code)).await? {
        return page(app, ask, means, Some(&problem)).map(StepUp::Asked);
    }
    let (cookie, set) = app.new_name(session);
    if !app.store.prove_session(&session.hash, &cookie.sha256(), app.now()).await? {
        return Err(form::refused("the session ended meanwhile"));
    }
    Ok(StepUp::Done(set))
}

fn page(
    app: &App,
    ask: &Ask<'_>,
    (has_code, provider): (bool, Option<&Provider>),
    problem: Option<&Problem>,
) -> Result<Response, Refusal> {
    let template = StepUpPage {
        frame: Frame::new(app),
        csrf: form::token(app, &ask.signed_in.cookie),
        ticket: ask.form.require("ticket")?,
        company: &ask.company.name,
        company_id: &ask.company.id,
        email: &ask.signed_in.user.email,
        has_code,
        provider,
        here: ask.form.get("continue").unwrap_or_default(),
        problem,
    };
    Ok(frame::page(status_of(problem), &template, Some(ask.leads_to)))
}
