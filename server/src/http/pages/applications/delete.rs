//! Deleting an application: what stops is said, and its name is typed.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{Found, SECTION, actor, find};
use crate::{
    events,
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame, see_other},
            guard::{Visit, not_found},
        },
    },
    store::Membership,
};

#[derive(Template)]
#[template(path = "application_delete.html")]
struct DeletePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    found: &'a Found,
    connected: usize,
    /// What was typed in the place of the name.
    typed: &'a str,
    problem: bool,
}

/// `GET …/{app}/delete`.
pub async fn ask(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    page(&visit, &place, &found, None).await
}

/// `POST …/{app}/delete`.
pub async fn delete(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let found = find(&visit, &place).await?;
    let typed = visit.form.get("name").unwrap_or_default();
    if typed.split_whitespace().ne(found.client.name.split_whitespace()) {
        return page(&visit, &place, &found, Some(typed)).await;
    }
    let (id, company, now) = (&found.client.id, &place.company.id, visit.app.now());
    let ended = visit.app.store.delete_app(id, company, &actor(&visit), now).await?;
    events::application_deleted(id, ended.ok_or_else(not_found)?);
    Ok(see_other(&format!("/companies/{company}/{SECTION}")))
}

async fn page(
    visit: &Visit,
    place: &Membership,
    found: &Found,
    wrong: Option<&str>,
) -> Result<Response, Refusal> {
    let template = DeletePage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        found,
        connected: visit.app.store.connected_to(&found.client.id).await?,
        typed: wrong.unwrap_or_default(),
        problem: wrong.is_some(),
    };
    let status = if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok(frame::page(status, &template, None))
}
