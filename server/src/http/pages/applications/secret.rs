//! The secret of an application: shown once, rotated, and the one before ended.

use askama::Template;
use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::{UnixTime, secret::Secret};

use super::{Found, SECTION, find, must_be_done};
use crate::{
    http::{
        error::Refusal,
        extract::Parameters,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame, see_other},
            guard::{Visit, not_found},
            moment::Moment,
        },
    },
    oauth::{application::overlap_end, client::Client},
    store::{AppChange, Changed, Membership},
};

/// For how long the secret before may work on: hours, and words.
pub const OVERLAPS: [(i64, &str); 5] = [
    (0, "Stop it now"),
    (1, "For one hour"),
    (24, "For one day"),
    (72, "For three days"),
    (168, "For one week"),
];

#[derive(Template)]
#[template(path = "application_secret.html")]
struct SecretPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    client: &'a Client,
    path: String,
    secret: &'a str,
    before: Before,
}

/// The secret before the one that is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    /// This is the first.
    None,
    /// It opens nothing any more.
    Ended,
    /// It works on for a time.
    Until(UnixTime),
}

#[derive(Template)]
#[template(path = "application_rotate.html")]
struct RotatePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    found: &'a Found,
    former: Option<Moment>,
}

impl RotatePage<'_> {
    const OVERLAPS: [(i64, &'static str); 5] = OVERLAPS;
}

/// The one page that shows a secret. The form that led here is spent, so loading it again shows nothing.
pub fn page(
    visit: &Visit,
    place: &Membership,
    client: &Client,
    secret: &Secret,
    before: Before,
) -> Response {
    let template = SecretPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        client,
        path: format!("/companies/{}/{SECTION}/{}", place.company.id, client.id),
        secret: secret.expose(),
        before,
    };
    frame::page(StatusCode::OK, &template, None)
}

/// `GET …/{app}/secret`.
pub async fn ask(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = confidential(&visit, &place).await?;
    let former = found.app.former_secret_at(visit.app.now());
    let template = RotatePage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        former: former.map(|former| Moment::from(former.ends_at)),
        found: &found,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

/// `POST …/{app}/secret`.
pub async fn rotate(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = confidential(&visit, &place).await?;
    let until = overlap(&visit.form, visit.app.now())?;
    let secret = Secret::new(visit.app.entropy.secret("mco_sec_"));
    let change = AppChange::Secret(secret.sha256(), until);
    match visit.app.store.change_app(found.edit(&visit), change).await? {
        // The page was loaded again, or somebody else was faster: a secret is never shown twice, nor replaced twice.
        Changed::Raced => Ok(see_other(&found.path("?unchanged"))),
        changed => {
            must_be_done(changed)?;
            let before = until.map_or(Before::Ended, Before::Until);
            Ok(page(&visit, &place, &found.client, &secret, before))
        }
    }
}

/// Until when the secret before works on, as the form says; nothing when it ends now.
pub fn overlap(form: &Parameters, now: UnixTime) -> Result<Option<UnixTime>, Refusal> {
    match form.get("overlap").and_then(|hours| hours.parse::<i64>().ok()) {
        Some(0) => Ok(None),
        Some(hours) if OVERLAPS.iter().any(|(known, _)| *known == hours) => {
            Ok(overlap_end(now, hours * 3_600))
        }
        _ => {
            let sentence = "Choose for how long the secret before works on.";
            Err(Refusal::invalid_request(sentence))
        }
    }
}

/// `POST …/{app}/secret/end`.
pub async fn end_former(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = confidential(&visit, &place).await?;
    let change = AppChange::EndFormerSecret;
    match visit.app.store.change_app(found.edit(&visit), change).await? {
        Changed::Raced => Ok(see_other(&found.path("?unchanged"))),
        changed => {
            must_be_done(changed)?;
            Ok(see_other(&found.path("")))
        }
    }
}

/// The application of the path, if it has a secret.
async fn confidential(visit: &Visit, place: &Membership) -> Result<Found, Refusal> {
    let found = find(visit, place).await?;
    if found.client.is_confidential() { Ok(found) } else { Err(not_found()) }
}
