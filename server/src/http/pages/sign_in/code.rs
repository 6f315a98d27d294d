//! `/sign-in/code`: the second step of signing in, for people who have a second factor.

use askama::Template;
use axum::response::Response;
use counterfoil_protocol::secret::Secret;

use super::{Destination, HOME, destination};
use crate::{
    app::App,
    events,
    http::{
        error::Refusal,
        pages::{
            form,
            frame::{self, Frame},
            open::{Look, Posted},
            problem::{Problem, status_of},
            session::{SignedIn, Standing},
            visitor::{append_cookies, mark_browser},
        },
    },
};

/// Where the second step is.
pub const PATH: &str = "/sign-in/code";

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage<'a> {
    frame: Frame<'a>,
    csrf: String,
    email: &'a str,
    /// Whether a password was the first step.
    by_password: bool,
    destination: Option<&'a Destination>,
    problem: Option<&'a Problem>,
}

/// Where the second step is, on the way to a page.
#[must_use]
pub fn link(destination: Option<&Destination>) -> String {
    let Some(destination) = destination else { return PATH.to_owned() };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("continue", destination.as_str())
        .finish();
    format!("{PATH}?{query}")
}

/// `GET /sign-in/code`.
pub async fn show(look: Look) -> Result<Response, Refusal> {
    let destination = destination(&look.query)?;
    Ok(match look.app.half_signed_in(&look.headers).await? {
        Some(half) => render(&look.app, &half, destination.as_ref(), None),
        None => frame::see_other("/sign-in"),
    })
}

/// `POST /sign-in/code`.
pub async fn prove(posted: Posted) -> Result<Response, Refusal> {
    let (app, headers, form) = (&posted.app, posted.headers(), &posted.form);
    let destination = destination(form)?;
    let half = app.half_signed_in(headers).await?;
    let half = half.ok_or_else(form::session_ended)?;
    let address = posted.address();
    let code = Secret::new(form.get("code").unwrap_or_default());
    if let Err(problem) = app.check_code(&half.user, &code).await? {
        events::sign_in_failed(address.0);
        return Ok(render(app, &half, destination.as_ref(), Some(&problem)));
    }
    let user = &half.user;
    let mut new = app.new_session(user, headers, address, Standing::Proved);
    new.session.provider.clone_from(&half.session.provider);
    new.session.confirmed_at = half.session.confirmed_at;
    app.end_session(headers).await?;
    app.store.start_session(new.session, app.now()).await?;
    match &half.session.provider {
        Some(provider) => app.note_signed_in_through(&user.id, provider).await?,
        None => events::signed_in(&user.id),
    }
    let mut response = frame::see_other(destination.as_ref().map_or(HOME, Destination::as_str));
    append_cookies(&mut response, [new.set, mark_browser(app, &user.email)]);
    Ok(response)
}

fn render(
    app: &App,
    half: &SignedIn,
    destination: Option<&Destination>,
    problem: Option<&Problem>,
) -> Response {
    let template = CodePage {
        frame: Frame::new(app),
        csrf: form::token(app, &half.cookie),
        email: &half.user.email,
        by_password: half.session.provider.is_none(),
        destination,
        problem,
    };
    let mut response = Destination::page(app, &template, destination);
    *response.status_mut() = status_of(problem);
    response
}
