//! Whether whoever sits there is the person who is signed in: asked before what they sign in with is changed.
//!
//! By the password; of somebody without one, by a provider that has just asked again.

use std::borrow::Cow;

use axum::http::StatusCode;
use counterfoil_protocol::secret::Secret;

use super::{
    guard::Visit,
    password::{BUSY, TOO_MANY},
    problem::Problem,
    session::SignedIn,
};
use crate::{
    app::App, http::error::Refusal, oidc::Provider, password, people::second_factor::is_fresh,
};

const WRONG: &str = "The present password is not right.";
const CONFIRM_FIRST: &str = "Confirm first that it is you.";

/// How somebody is to show that it is them.
pub enum Confirmation<'a> {
    /// The form takes the password.
    Password,
    /// They have shown it just now.
    Shown,
    /// At this provider.
    At(&'a Provider),
    /// There is no way.
    Nowhere,
}

impl Confirmation<'_> {
    /// Whether the form can be posted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Password | Self::Shown)
    }
}

/// How somebody is to show that it is them.
pub async fn of<'a>(app: &'a App, signed_in: &SignedIn) -> Result<Confirmation<'a>, Refusal> {
    let SignedIn { session, user, .. } = signed_in;
    if app.config.passwords && !user.password_hash.is_empty() {
        return Ok(Confirmation::Password);
    }
    if is_fresh(session.confirmed_at, app.now()) {
        return Ok(Confirmation::Shown);
    }
    let linked = app.linked_providers(&user.id).await?;
    Ok(linked.first().map_or(Confirmation::Nowhere, |provider| Confirmation::At(provider)))
}

/// Judges it: with a password, the field `password` of the form, whose `id` in the page is given.
pub async fn judge(
    visit: &Visit,
    id: impl Into<Cow<'static, str>>,
) -> Result<Result<(), Problem>, Refusal> {
    let (app, user) = (&visit.app, &visit.signed_in.user);
    match of(app, &visit.signed_in).await? {
        Confirmation::Shown => return Ok(Ok(())),
        Confirmation::Password => {}
        Confirmation::At(_) | Confirmation::Nowhere => {
            return Ok(Err(Problem::new(StatusCode::FORBIDDEN, CONFIRM_FIRST)));
        }
    }
    if app.limits.check_confirmation(&user.id).is_err() {
        return Ok(Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY)));
    }
    let typed = Secret::new(visit.form.get("password").unwrap_or_default());
    Ok(match password::verify(Some(user.password_hash.clone()), typed).await {
        Ok(true) => Ok(()),
        Ok(false) => {
            app.limits.note_confirmation_failure(&user.id);
            Err(Problem::new(StatusCode::FORBIDDEN, WRONG).of(id))
        }
        Err(_busy) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, BUSY)),
    })
}

impl App {
    /// The providers of the settings that a person is linked with.
    pub async fn linked_providers(&self, user_id: &str) -> Result<Vec<&Provider>, Refusal> {
        let links = self.store.identities(user_id).await?;
        let is_linked = |it: &&Provider| links.iter().any(|link| link.issuer == it.issuer());
        Ok(self.providers.iter().filter(is_linked).collect())
    }
}
