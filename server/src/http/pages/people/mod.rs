//! `/companies/{company}/people`: who acts for a company, in which role, and who is invited.

mod change;
mod invite;

use askama::Template;
use axum::{
    http::{Method, StatusCode},
    response::Response,
};

use super::{
    dashboard::Dashboard,
    frame::{self, Frame},
    guard::{Pages, Visit},
    moment::Moment,
    problem::{Problem, status_of},
};
use crate::{
    audit::Actor,
    http::error::Refusal,
    people::role::{Act, Role},
    store::{Invitation, Membership, Person},
};

/// The part of a company's pages, in [`super::dashboard::SECTIONS`].
pub const SECTION: &str = "people";

/// Adds the pages to the table.
#[must_use]
pub fn pages(pages: Pages) -> Pages {
    let (manage, path) = (Act::ManagePeople, "/companies/{company}/people");
    pages
        .member(Method::GET, path, Act::SeePeople, show)
        .member(Method::POST, "/companies/{company}/people/invite", manage, invite::invite)
        .member(Method::POST, "/companies/{company}/people/withdraw", manage, invite::withdraw)
        .member(Method::POST, "/companies/{company}/people/role", manage, change::role)
        .member(Method::POST, "/companies/{company}/people/remove", manage, change::remove)
        .member(Method::POST, "/companies/{company}/people/codes", manage, change::codes)
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    place: &'a Membership,
    people: Vec<Listed>,
    invitations: Vec<Waiting>,
    /// The roles that this person may give.
    roles: Vec<Role>,
    needs_code: bool,
    email: &'a str,
    /// The role that was chosen in the form of an invitation that was refused.
    chosen: &'static str,
    done: Option<&'static str>,
    problem: Option<&'a Problem>,
}

/// Somebody who acts for the company.
struct Listed {
    person: Person,
    is_self: bool,
    /// Whether this person may change the place.
    may_change: bool,
}

/// An invitation that waits.
struct Waiting {
    invitation: Invitation,
    until: Moment,
    may_change: bool,
}

async fn show(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let done = match visit.parts.uri.query() {
        Some("done=invited") => Some("The invitation is on its way by mail."),
        Some("done=withdrawn") => {
            Some("The invitation is withdrawn: its link does not work any more.")
        }
        Some("done=role") => Some("The role is changed. It counts from now on."),
        Some("done=removed") => {
            Some("The person is removed, and can do nothing for this company any more.")
        }
        Some("done=codes") => Some("The rule is changed. It counts from the next approval on."),
        _ => None,
    };
    render(&visit, &place, Said { done, ..Said::default() }).await
}

/// What the page says beside the lists.
#[derive(Default)]
struct Said<'a> {
    done: Option<&'static str>,
    problem: Option<Problem>,
    /// The address that was typed.
    email: &'a str,
    /// The role that was chosen with it.
    role: Option<Role>,
}

impl Said<'_> {
    fn problem(status: StatusCode, sentence: &'static str) -> Self {
        Self { problem: Some(Problem::new(status, sentence)), ..Self::default() }
    }
}

async fn render(visit: &Visit, place: &Membership, said: Said<'_>) -> Result<Response, Refusal> {
    let (app, company) = (&visit.app, &place.company);
    let people = app.store.people(&company.id).await?;
    let invitations = app.store.invitations(&company.id, app.now()).await?;
    let listed = |person: Person| Listed {
        is_self: person.user_id == visit.signed_in.user.id,
        may_change: may_touch(place.role, person.role),
        person,
    };
    let waiting = |invitation: Invitation| Waiting {
        until: Moment::from(invitation.expires_at),
        may_change: may_touch(place.role, invitation.role),
        invitation,
    };
    let template = PeoplePage {
        frame: Frame::new(app),
        dashboard: Dashboard::of_company(visit, place, SECTION),
        place,
        people: people.into_iter().map(listed).collect(),
        invitations: invitations.into_iter().map(waiting).collect(),
        roles: Role::ALL.into_iter().filter(|role| may_touch(place.role, *role)).collect(),
        needs_code: app.store.approval_needs_code(&company.id).await?,
        email: said.email,
        chosen: said.role.map_or("", Role::as_str),
        done: said.done,
        problem: said.problem.as_ref(),
    };
    Ok(frame::page(status_of(said.problem.as_ref()), &template, None))
}

/// Whether somebody may give or take a role.
fn may_touch(own: Role, role: Role) -> bool {
    own.may(if role == Role::Owner { Act::ManageOwners } else { Act::ManagePeople })
}

fn actor(visit: &Visit) -> Actor {
    Actor::User(visit.signed_in.user.id.clone())
}

fn back(place: &Membership, done: &str) -> Response {
    frame::see_other(&format!("/companies/{}/people?done={done}", place.company.id))
}

fn not_allowed() -> Refusal {
    let sentence = "Only an owner makes, changes and removes owners.";
    Refusal::new(StatusCode::FORBIDDEN, "role_not_allowed", sentence)
}
