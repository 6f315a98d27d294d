//! `/sign-in/code`: the second step of signing in, for people who have a second factor.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Request, StatusCode},
    response::Response,
};
use counterfoil_protocol::secret::Secret;

use super::{Destination, HOME, destination};
use crate::{
    app::App,
    events,
    http::{
        address::ClientAddress,
        error::Refusal,
        extract::Parameters,
        pages::{
            cookie::Cookie,
            error::in_place,
            form,
            frame::{self, Frame},
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
    destination: Option<&'a Destination>,
    problem: Option<&'a str>,
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
pub async fn show(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let parameters = Parameters::parse(query.unwrap_or_default().as_bytes())?;
        let destination = destination(&parameters)?;
        Ok(match app.half_signed_in(&headers).await? {
            Some(half) => render(&app, &half, destination.as_ref(), None),
            None => frame::see_other("/sign-in"),
        })
    };
    answer.await.unwrap_or_else(|refusal| in_place(&app, &headers, refusal))
}

/// `POST /sign-in/code`.
pub async fn prove(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let headers = request.headers().clone();
    judge(&app, request).await.unwrap_or_else(|refusal| in_place(&app, &headers, refusal))
}

async fn judge(app: &App, request: Request<Body>) -> Result<Response, Refusal> {
    let (parts, form) = form::read(app, request).await?;
    form::check(app, Cookie::Session.read(app, &parts.headers).as_ref(), &form)?;
    let destination = destination(&form)?;
    let half = app.half_signed_in(&parts.headers).await?;
    let half = half.ok_or_else(|| form::refused("nobody has given a password here just now"))?;
    let address = ClientAddress::of(&parts.extensions);
    let code = Secret::new(form.get("code").unwrap_or_default());
    if let Err(problem) = app.check_code(&half.user, &code).await? {
        events::sign_in_failed(address.0);
        let mut response = render(app, &half, destination.as_ref(), Some(problem));
        *response.status_mut() = StatusCode::FORBIDDEN;
        return Ok(response);
    }
    let user = &half.user;
    let session = app.start_session(user, &parts.headers, address, Standing::Proved).await?;
    events::signed_in(&user.id);
    let mut response = frame::see_other(destination.as_ref().map_or(HOME, Destination::as_str));
    append_cookies(&mut response, [session, mark_browser(app, &user.email)]);
    Ok(response)
}

fn render(
    app: &App,
    half: &SignedIn,
    destination: Option<&Destination>,
    problem: Option<&str>,
) -> Response {
    let template = CodePage {
        frame: Frame::new(app),
        csrf: form::token(app, &half.cookie),
        email: &half.user.email,
        destination,
        problem,
    };
    frame::page(StatusCode::OK, &template, None)
}
