//! The secret of an application's endpoint: shown once, and rotated.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::{
    encoding::{hex, sha256},
    secret::Secret,
};

use super::{SECTION, actor, address, named};
use crate::{
    http::{
        error::Refusal,
        pages::{
            applications::{Before, OVERLAPS, overlap},
            dashboard::Dashboard,
            frame::{self, Frame, see_other},
            guard::{Visit, not_found},
            moment::Moment,
        },
    },
    store::{EndpointSecret, ListedEndpoint, Membership, Rotated},
    webhooks::{endpoint::EndpointKind, secret},
};

/// A secret that is shown.
pub struct Shown<'a> {
    /// The endpoint.
    pub id: &'a str,
    /// Its address.
    pub url: &'a str,
    /// The secret.
    pub secret: &'a Secret,
    /// The one before.
    pub before: Before,
}

#[derive(Template)]
#[template(path = "webhook_secret.html")]
struct SecretPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    path: String,
    url: &'a str,
    secret: &'a str,
    before: Before,
}

#[derive(Template)]
#[template(path = "webhook_rotate.html")]
struct RotatePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    path: String,
    url: &'a str,
    replaces: String,
    former: Option<Moment>,
}

impl RotatePage<'_> {
    const OVERLAPS: [(i64, &'static str); 5] = OVERLAPS;
}

/// The one page that shows a secret. The form that led here is spent, so loading it again shows nothing.
pub fn page(visit: &Visit, place: &Membership, shown: &Shown<'_>) -> Response {
    let template = SecretPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        path: address(place, shown.id),
        url: shown.url,
        secret: shown.secret.expose(),
        before: shown.before,
    };
    frame::page(StatusCode::OK, &template, None)
}

/// `GET …/{endpoint}/secret`.
pub async fn ask(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let endpoint = own(&visit, &place).await?.endpoint;
    let now = visit.app.now();
    let until = endpoint.previous.as_ref().map(|(_, until)| *until).filter(|until| *until > now);
    let template = RotatePage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        path: address(&place, &endpoint.id),
        url: &endpoint.url,
        replaces: hex(&sha256(&endpoint.secret.sealed)),
        former: until.map(Moment::from),
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

/// `POST …/{endpoint}/secret`.
pub async fn rotate(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let endpoint = own(&visit, &place).await?.endpoint;
    let (app, now) = (&visit.app, visit.app.now());
    let until = overlap(&visit.form, now)?;
    let replaces = visit.form.require("replaces")?;
    let unchanged = || see_other(&format!("{}?unchanged=yes", address(&place, &endpoint.id)));
    if replaces != hex(&sha256(&endpoint.secret.sealed)) {
        return Ok(unchanged());
    }
    let (plain, sealed) = secret::new(&app.vault, &*app.entropy);
    let change = EndpointSecret {
        secret: sealed,
        overlap_until: until.unwrap_or(now),
        replaces: Some(endpoint.secret.sealed.clone()),
    };
    match app.store.rotate_endpoint_secret(&endpoint.id, change, &actor(&visit), now).await? {
        Rotated::Done => {
            let (id, url) = (endpoint.id.as_str(), endpoint.url.as_str());
            let before = until.map_or(Before::Ended, Before::Until);
            Ok(page(&visit, &place, &Shown { id, url, secret: &plain, before }))
        }
        // The page was loaded again, or somebody else was faster: a secret is never shown twice, nor replaced twice.
        Rotated::Raced => Ok(unchanged()),
        Rotated::Unknown => Err(not_found()),
    }
}

/// The endpoint of the path, if it is an application's own: what signs for a store is between its plugin and us.
async fn own(visit: &Visit, place: &Membership) -> Result<ListedEndpoint, Refusal> {
    let found = named(visit, place).await?;
    if found.endpoint.kind == EndpointKind::Application { Ok(found) } else { Err(not_found()) }
}
