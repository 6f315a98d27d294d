//! `POST /account/sessions`: ends one session, or all of them.

use axum::{http::StatusCode, response::Response};
use counterfoil_protocol::encoding::from_base64url_exact;

use super::render;
use crate::{
    events,
    http::{
        error::Refusal,
        pages::{cookie::Cookie, frame, guard::Visit, problem::Problem, visitor::append_cookies},
    },
};

const GONE: &str = "That browser is signed out already.";

/// Ends the session named, or with `all` every one, this one too.
pub async fn end(visit: Visit) -> Result<Response, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    let only = visit.form.get("session").and_then(from_base64url_exact::<32>);
    let all = visit.form.get("all") == Some("yes");
    if only.is_none() && !all {
        return Err(Refusal::invalid_request("session names a session, or all is yes."));
    }
    let ended = app.store.end_sessions(&user.id, only, None, app.now()).await?;
    if ended == 0 {
        let problem = Problem::new(StatusCode::NOT_FOUND, GONE);
        return render(&visit, None, Some(&problem)).await;
    }
    events::sessions_ended(&user.id, ended);
    let was_this = all || only == Some(visit.signed_in.session.hash);
    let mut response =
        frame::see_other(if was_this { "/sign-in" } else { "/account?done=sessions" });
    if was_this {
        append_cookies(&mut response, [Cookie::Session.clear(app)]);
    }
    Ok(response)
}
