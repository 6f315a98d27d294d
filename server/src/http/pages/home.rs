//! `/`: the companies of whoever is signed in. `/companies/{company}`: one of them, and what there is to do for it.

use askama::Template;
use axum::{
    http::{Method, StatusCode},
    response::Response,
};

use super::{
    dashboard::{self, Dashboard, Section},
    frame::{self, Frame},
    guard::{Pages, Visit},
};
use crate::{http::error::Refusal, people::role::Act, store::Membership};

/// Adds the pages to the table.
#[must_use]
pub fn pages(pages: Pages) -> Pages {
    pages.person(Method::GET, "/", show).member(
        Method::GET,
        "/companies/{company}",
        Act::SeeConnections,
        company,
    )
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    places: Vec<Place>,
}

/// A company, and the parts of it that the person may see.
struct Place {
    membership: Membership,
    sections: Vec<&'static Section>,
}

#[derive(Template)]
#[template(path = "company.html")]
struct CompanyPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    place: &'a Membership,
}

async fn company(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let template = CompanyPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, ""),
        place: &place,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

async fn show(visit: Visit) -> Result<Response, Refusal> {
    let memberships = visit.app.store.memberships(&visit.signed_in.user.id).await?;
    let places = memberships
        .into_iter()
        .map(|membership| Place { sections: dashboard::sections(membership.role), membership })
        .collect();
    let template =
        HomePage { frame: Frame::new(&visit.app), dashboard: Dashboard::of_person(&visit), places };
    Ok(frame::page(StatusCode::OK, &template, None))
}
