//! One application: what it is, how it connects, and what may be done with it.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::callback::with_parameters;

use super::{Found, SECTION, find};
use crate::{
    app::App,
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame},
            guard::Visit,
            moment::Moment,
        },
    },
    oauth::scopes,
    people::role::Act,
    store::Membership,
};

/// What stands for the challenge in the example.
const CHALLENGE: &str = "BASE64URL_SHA256_VERIFIER";

#[derive(Template)]
#[template(path = "application.html")]
struct ShowPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    found: &'a Found,
    reads: Vec<&'a str>,
    writes: Vec<&'a str>,
    connected: usize,
    created: Moment,
    former: Option<Moment>,
    example: Option<String>,
    may_manage: bool,
    notice: Option<&'a str>,
}

/// `GET …/applications/{app}`.
pub async fn show(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    let notice = (visit.parts.uri.query() == Some("unchanged")).then_some(
        "Nothing was changed: that form was used already, or somebody else changed the application meanwhile. A secret is shown once.",
    );
    page(&visit, &place, &found, StatusCode::OK, notice).await
}

/// The page, with a word about what was just tried.
pub async fn page(
    visit: &Visit,
    place: &Membership,
    found: &Found,
    status: StatusCode,
    notice: Option<&str>,
) -> Result<Response, Refusal> {
    let in_words = |scope| visit.app.config.in_words(scope);
    let (reads, writes) = scopes::by_effect(found.client.scopes.iter());
    let former = found.app.former_secret_at(visit.app.now());
    let template = ShowPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        found,
        reads: reads.into_iter().map(in_words).collect(),
        writes: writes.into_iter().map(in_words).collect(),
        connected: visit.app.store.connected_to(&found.client.id).await?,
        created: Moment::from(found.client.created_at),
        former: former.map(|former| Moment::from(former.ends_at)),
        example: example(&visit.app, found),
        may_manage: place.role.may(Act::ManageApplications),
        notice,
    };
    Ok(frame::page(status, &template, None))
}

/// A link that works once its challenge is one.
fn example(app: &App, found: &Found) -> Option<String> {
    let redirect_uri = found.app.redirect_uris.first()?;
    let scope = found.client.scopes.to_string();
    let parameters = [
        ("response_type", "code"),
        ("client_id", found.client.id.as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("scope", &scope),
        ("resource", &app.uris.resource),
        ("state", "RANDOM_STATE"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    Some(with_parameters(&format!("{}/oauth/authorize", app.config.issuer), &parameters))
}
