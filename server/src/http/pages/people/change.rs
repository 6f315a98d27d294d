//! Changes of people's places, and of what approving needs.

use axum::{http::StatusCode, response::Response};

use super::{Said, actor, back, not_allowed, render};
use crate::{
    events,
    http::{error::Refusal, pages::guard::Visit},
    people::role::Role,
    store::{Membership, RoleChange, RoleChanged},
};

const GONE: &str = "This person does not act for the company any more.";
const LAST_OWNER: &str = "This is the last owner. Make somebody else an owner first.";

/// `POST …/people/role`.
pub async fn role(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let role = visit.form.require("role")?;
    let role =
        Role::parse(role).ok_or_else(|| Refusal::invalid_request("There is no such role."))?;
    change(&visit, &place, Some(role)).await
}

/// `POST …/people/remove`.
pub async fn remove(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    change(&visit, &place, None).await
}

async fn change(
    visit: &Visit,
    place: &Membership,
    role: Option<Role>,
) -> Result<Response, Refusal> {
    let (app, company) = (&visit.app, &place.company);
    let user_id = visit.form.require("user")?.to_owned();
    let known = app.store.user(&user_id).await?;
    let change = RoleChange {
        company_id: company.id.clone(),
        user_id: user_id.clone(),
        role,
        actor: actor(visit),
        now: app.now(),
    };
    match app.store.change_role(change).await? {
        RoleChanged::Done => {}
        RoleChanged::NotAllowed => return Err(not_allowed()),
        RoleChanged::Gone => {
            return render(visit, place, Said::problem(StatusCode::NOT_FOUND, GONE)).await;
        }
        RoleChanged::LastOwner => {
            let said = Said::problem(StatusCode::CONFLICT, LAST_OWNER);
            return render(visit, place, said).await;
        }
    }
    events::role_changed(&user_id, &company.id, role.map_or("none", Role::as_str));
    if let Some(user) = known {
        let what = match role {
            Some(role) => format!("Your role at \"{}\" is now {}.", company.name, role.title()),
            None => format!("You do not act for \"{}\" any more.", company.name),
        };
        app.notify(&user, &what, "ask an owner of the company.").await;
    }
    Ok(back(place, if role.is_some() { "role" } else { "removed" }))
}

/// `POST …/people/codes`: whether approving needs a second factor.
pub async fn codes(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let needed = match visit.form.require("needed")? {
        "yes" => true,
        "no" => false,
        _ => return Err(Refusal::invalid_request("needed is yes or no.")),
    };
    let (app, company) = (&visit.app, &place.company.id);
    let set = app.store.set_approval_needs_code(company, needed, &actor(&visit), app.now()).await?;
    if set { Ok(back(&place, "codes")) } else { Err(not_allowed()) }
}
