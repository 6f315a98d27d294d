//! The list of a company's applications.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::SECTION;
use crate::{
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame},
            guard::Visit,
        },
    },
    oauth::{application::MAX_APPLICATIONS, client::Client},
    people::role::Act,
    store::{Membership, Part},
};

#[derive(Template)]
#[template(path = "applications.html")]
struct ListPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    base: String,
    entries: Vec<Entry>,
    may_manage: bool,
    is_full: bool,
}

struct Entry {
    client: Client,
    icon: Option<String>,
    connected: usize,
}

/// `GET …/applications`.
pub async fn show(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let mut entries = Vec::new();
    for client in visit.app.store.apps(Some(&place.company.id), Part::WHOLE).await? {
        let connected = visit.app.store.connected_to(&client.id).await?;
        let icon = client.app().and_then(|app| app.about.icon.clone());
        entries.push(Entry { client, icon, connected });
    }
    let template = ListPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        base: format!("/companies/{}/{SECTION}", place.company.id),
        is_full: entries.len() >= MAX_APPLICATIONS,
        entries,
        may_manage: place.role.may(Act::ManageApplications),
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}
