//! What is for the owner alone: everything below `/v1/admin/`.

use hyper::{Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};

use super::{
    App, Response,
    control::{self, PATIENCE},
    problem::json,
    routes::control_body,
};
use crate::{
    events,
    session::{Done, Event, State, Status},
    trouble::{Code, Trouble},
};

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoBody {}

/// How it is after a decision.
#[derive(Serialize)]
struct Decided {
    state: State,
    summary: String,
    next_step: String,
}

/// `POST /v1/admin/adopt`: this place, and the address in the store's file, are the store's.
pub(super) async fn adopt(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let NoBody {} = control_body(request).await?;
    match app.ask(Event::AdoptAsked, PATIENCE).await? {
        Some(answered) if answered.done == Done::Adopted => {
            events::adopted();
            Ok(decided(app))
        }
        _ => Err(Trouble::of(Code::Internal)),
    }
}

fn decided(app: &App) -> Response {
    let Status { state, summary, next_step, .. } = control::status_of(app);
    json(StatusCode::OK, &Decided { state, summary, next_step })
}

/// `POST /v1/admin/reload`: reads the store's file again.
pub(super) async fn reload(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let NoBody {} = control_body(request).await?;
    match app.supervisor.reload().await {
        Ok(reloaded) => Ok(json(StatusCode::OK, &reloaded)),
        Err(error) => {
            let said = format!("The store's file is not taken over: {error}.");
            Err(Trouble::new(Code::ConfigRefused, said))
        }
    }
}
