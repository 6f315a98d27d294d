//! `POST /v1/ownership`: answers the server's challenge to the store's own address, which a plugin hands over.
//!
//! Everybody on the Internet can have this asked. So it is counted apart, signs one form alone, and goes past the
//! actor: the challenge comes while the actor waits for the server that sends it.

use hyper::{Request, StatusCode, body::Incoming};
use serde::{Deserialize, Serialize};

use super::{App, Response, problem::json, routes::control_body_within};
use crate::trouble::{Code, Trouble};

/// The longest body, in bytes.
const MAX_BODY: usize = 1_024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Challenge {
    nonce: String,
    client_id: String,
}

#[derive(Serialize)]
struct Answer {
    proof: String,
}

/// Signs the answer.
pub(super) async fn answer(app: &App, request: Request<Incoming>) -> Result<Response, Trouble> {
    let Challenge { nonce, client_id } = control_body_within(request, MAX_BODY).await?;
    let situation = app.situation();
    let working = situation.working()?;
    let session = working.actor.session();
    let ownership = session.ownership(&nonce, &client_id, &app.context(&situation))?;
    let signed = working.upstream.ownership(&ownership).await;
    let proof = signed.map_err(|_| Trouble::of(Code::KeyUnavailable))?;
    Ok(json(StatusCode::OK, &Answer { proof }))
}
