//! Passwords that are typed into pages: what is said when one cannot be taken, or cannot be looked at just now.

use std::sync::Arc;

use axum::http::StatusCode;
use counterfoil_protocol::secret::Secret;

use super::problem::Problem;
use crate::{
    app::App,
    http::{error::Refusal, extract::Parameters},
    password,
    people::password::judge,
};

/// What a page says when more passwords wait than the machine can take.
pub const BUSY: &str = "Many people are signing in just now. Try again in a few seconds.";

/// What a page says when too many passwords were wrong.
pub const TOO_MANY: &str = "Too many attempts failed. Wait a minute, then try again.";

/// Refuses where people sign in through external providers alone.
pub fn allowed(app: &App) -> Result<(), Refusal> {
    if app.config.passwords {
        return Ok(());
    }
    let sentence = "People sign in here through another provider, without passwords.";
    Err(Refusal::new(StatusCode::FORBIDDEN, "passwords_off", sentence))
}

/// The hash of the new password that the person with this address has chosen: the field `new_password` of the form,
/// whose `id` is `new`.
pub async fn chosen(
    app: &App,
    form: &Parameters,
    email: &str,
) -> Result<Result<String, Problem>, Refusal> {
    allowed(app)?;
    let chosen = Secret::new(form.get("new_password").unwrap_or_default());
    if let Err(weak) = judge(chosen.expose(), email) {
        return Ok(Err(Problem::new(StatusCode::BAD_REQUEST, weak.to_string()).of("new")));
    }
    match password::hash_for_person(chosen, Arc::clone(&app.entropy)).await {
        Ok(hashed) => hashed.map(Ok).map_err(Refusal::server_error),
        Err(_busy) => Ok(Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, BUSY))),
    }
}
