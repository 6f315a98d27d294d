//! The end of a connection: first what it means, in words; then it is done.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{SECTION, named};
use crate::{
    events,
    http::{
        error::Refusal,
        pages::{
            dashboard::Dashboard,
            frame::{self, Frame, see_other},
            guard::Visit,
        },
    },
    oauth::connection::Standing,
    store::{Connection, ConnectionEnd, EndOutcome, Membership},
};

#[derive(Template)]
#[template(path = "connection_end.html")]
struct EndPage<'a> {
    frame: Frame<'a>,
    dashboard: Dashboard<'a>,
    company: &'a str,
    company_id: &'a str,
    connection: &'a Connection,
}

/// Says what stops, and asks.
pub(super) async fn ask(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let connection = named(&visit, &place).await?;
    if Standing::of(&connection.facts) == Standing::Ended {
        return Ok(see_other(&address(&place, &connection.client_id)));
    }
    let template = EndPage {
        frame: Frame::new(&visit.app),
        dashboard: Dashboard::of_company(&visit, &place, SECTION),
        company: &place.company.name,
        company_id: &place.company.id,
        connection: &connection,
    };
    Ok(frame::page(StatusCode::OK, &template, None))
}

/// Ends it.
pub(super) async fn end(visit: Visit, place: Membership) -> Result<Response, Refusal> {
    let connection = named(&visit, &place).await?;
    let end = ConnectionEnd {
        company_id: place.company.id.clone(),
        client_id: connection.client_id.clone(),
        grant_id: visit.form.require("grant")?.to_owned(),
        user_id: visit.signed_in.user.id.clone(),
        now: visit.app.now(),
    };
    match visit.app.store.end_connection(end).await? {
        EndOutcome::Ended => {
            events::revoked(&connection.client_id, "connection");
            let page = address(&place, &connection.client_id);
            Ok(see_other(&format!("{page}?revoked=yes")))
        }
        EndOutcome::NotStanding => {
            let sentence =
                "This connection has changed since the page was shown. Look at it again.";
            Err(Refusal::new(StatusCode::CONFLICT, "connection_changed", sentence))
        }
        EndOutcome::NotAllowed => {
            let sentence = "Your role does not allow this any more.";
            Err(Refusal::new(StatusCode::FORBIDDEN, "role_not_allowed", sentence))
        }
    }
}

fn address(place: &Membership, client_id: &str) -> String {
    format!("/companies/{}/{SECTION}/{client_id}", place.company.id)
}
