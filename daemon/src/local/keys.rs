//! The owner's verbs about the installation's keys: which there are, and another one.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint};
use hyper::{Request, StatusCode, body::Incoming};
use serde::Serialize;

use super::{
    App, Response,
    control::PATIENCE,
    problem::json,
    routes::{NoBody, control_body},
};
use crate::{
    session::{Done, Event, FormerKey, NextKey},
    trouble::{Code, Trouble},
};

/// What to do with a key that the server takes only from the merchant's hand.
const APPROVE: &str = "Press Connect in the plugin's settings, or run: counterfoild connect. The approval puts the new key in force; until then the present one stays.";

/// Which keys there are.
#[derive(Serialize)]
struct KeysBody {
    thumbprint: Thumbprint,
    next: Option<NextKey>,
    former: Option<FormerBody>,
}

/// The key before this one, as long as it is kept.
#[derive(Serialize)]
struct FormerBody {
    thumbprint: Thumbprint,
    replaced_at: UnixTime,
}

impl From<&FormerKey> for FormerBody {
    fn from(former: &FormerKey) -> Self {
        Self { thumbprint: former.key, replaced_at: former.replaced_at }
    }
}

/// How a change of the key ended.
#[derive(Serialize)]
struct RotatedBody {
    /// The server has taken the new key.
    rotated: bool,
    /// The key in force.
    thumbprint: Thumbprint,
    /// The key that waits.
    next: Option<NextKey>,
    summary: &'static str,
    next_step: &'static str,
}

/// `GET /v1/admin/key`
pub(super) fn show(app: &App) -> Result<Response, Trouble> {
    let session = app.situation().working()?.actor.session();
    let keys = &session.facts.keys;
    let former = keys.former.as_ref().map(FormerBody::from);
    let body = KeysBody { thumbprint: keys.current, next: session.next_key(), former };
    Ok(json(StatusCode::OK, &body))
}

/// `POST /v1/admin/key/rotate`: another key, without the merchant where the server allows that.
pub(super) async fn rotate(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let NoBody {} = control_body(request).await?;
    let before = app.situation().working()?.actor.session().facts.keys.current;
    let done = app.ask(Event::RotationAsked, PATIENCE).await?.map(|answered| answered.done);
    let now = app.situation().working()?.actor.session().facts.keys.current;
    // In force, and its proof takes long.
    let done = done.or((now != before).then_some(Done::KeyRotated(now)));
    let (status, summary, next_step) = match done {
        Some(Done::KeyRotated(_)) => (StatusCode::OK, "The new key is in force.", "Nothing to do."),
        Some(Done::KeyStaged(_)) => (
            StatusCode::ACCEPTED,
            "The new key is made; the payment platform takes it when the merchant approves.",
            APPROVE,
        ),
        Some(_) => return Err(Trouble::of(Code::Internal)),
        None => (
            StatusCode::ACCEPTED,
            "The payment platform is being asked to take the new key.",
            "Wait; the daemon goes on by itself, and counterfoild key show says how far it is.",
        ),
    };
    let session = app.situation().working()?.actor.session();
    let (thumbprint, next) = (session.facts.keys.current, session.next_key());
    let rotated = status == StatusCode::OK;
    Ok(json(status, &RotatedBody { rotated, thumbprint, next, summary, next_step }))
}
