//! The applications that a company registers: the developer's side of consent.

mod delete;
mod draft;
mod icon;
mod list;
mod secret;
mod show;
mod write;

use axum::http::{Method, StatusCode};

pub use self::{
    icon::serve as serve_icon,
    secret::{Before, OVERLAPS, overlap},
};
use super::guard::{Pages, Visit, not_found};
use crate::{
    audit::Actor,
    http::error::Refusal,
    icon::MAX_FILE,
    oauth::client::{App, Client},
    people::role::Act::{ManageApplications, SeeApplications},
    store::{Changed, Edit, Membership},
};

/// Where the part begins, below `/companies/{company}/`.
pub const SECTION: &str = "applications";

const LIST: &str = "/companies/{company}/applications";
const NEW: &str = "/companies/{company}/applications/new";
const ONE: &str = "/companies/{company}/applications/{app}";
const CHANGE: &str = "/companies/{company}/applications/{app}/change";
const ICON: &str = "/companies/{company}/applications/{app}/icon";
const NO_ICON: &str = "/companies/{company}/applications/{app}/icon/remove";
const SECRET: &str = "/companies/{company}/applications/{app}/secret";
const END_SECRET: &str = "/companies/{company}/applications/{app}/secret/end";
const DELETE: &str = "/companies/{company}/applications/{app}/delete";

/// Adds the pages to the table.
#[must_use]
pub fn pages(pages: Pages) -> Pages {
    pages
        .member(Method::GET, LIST, SeeApplications, list::show)
        .member(Method::GET, NEW, ManageApplications, write::new)
        .member(Method::POST, NEW, ManageApplications, write::create)
        .member(Method::GET, ONE, SeeApplications, show::show)
        .member(Method::GET, CHANGE, ManageApplications, write::edit)
        .member(Method::POST, CHANGE, ManageApplications, write::change)
        .upload(ICON, ManageApplications, MAX_FILE, icon::upload)
        .member(Method::POST, NO_ICON, ManageApplications, icon::remove)
        .member(Method::GET, SECRET, ManageApplications, secret::ask)
        .member(Method::POST, SECRET, ManageApplications, secret::rotate)
        .member(Method::POST, END_SECRET, ManageApplications, secret::end_former)
        .member(Method::GET, DELETE, ManageApplications, delete::ask)
        .member(Method::POST, DELETE, ManageApplications, delete::delete)
}

/// An application of the company of the path.
struct Found {
    client: Client,
    app: App,
}

/// Finds the application that the path names, if it is this company's.
async fn find(visit: &Visit, place: &Membership) -> Result<Found, Refusal> {
    let client = visit.app.store.client(visit.path("app"), visit.app.now()).await?;
    let client = client.ok_or_else(not_found)?;
    let app = client.app().filter(|app| app.company_id == place.company.id).cloned();
    Ok(Found { app: app.ok_or_else(not_found)?, client })
}

impl Found {
    /// The address of its page, with something behind it.
    fn path(&self, behind: &str) -> String {
        format!("/companies/{}/{SECTION}/{}{behind}", self.app.company_id, self.client.id)
    }

    /// A change by the person who is signed in, to the version that the form was made of.
    fn edit(&self, visit: &Visit) -> Edit {
        let version = visit.form.get("version").and_then(|text| text.parse().ok());
        Edit {
            client_id: self.client.id.clone(),
            company_id: self.app.company_id.clone(),
            version: version.unwrap_or_default(),
            by: actor(visit),
            now: visit.app.now(),
        }
    }
}

/// Who is signed in, for the audit trail.
fn actor(visit: &Visit) -> Actor {
    Actor::User(visit.signed_in.user.id.clone())
}

/// A refusal when a change was not made.
fn must_be_done(changed: Changed) -> Result<(), Refusal> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Unknown => Err(not_found()),
        Changed::Raced => {
            let sentence = "The application was changed since the page was shown.";
            Err(Refusal::new(StatusCode::CONFLICT, "application_changed", sentence))
        }
    }
}
