//! Browser sessions: started at sign-in under a new name, kept by hash, ended at sign-out.

use axum::http::{HeaderMap, HeaderValue};
use counterfoil_protocol::secret::Secret;

use super::cookie::Cookie;
use crate::{
    app::App,
    http::error::Refusal,
    store::{Session, User},
};

/// Who is signed in, and in which session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The cookie.
    pub cookie: Secret,
    /// The session.
    pub session: Session,
    /// The person.
    pub user: User,
}

impl App {
    /// Who is signed in with this request's cookie.
    pub async fn signed_in(&self, headers: &HeaderMap) -> Result<Option<SignedIn>, Refusal> {
        let Some(cookie) = Cookie::Session.read(self, headers) else { return Ok(None) };
        let Some(session) = self.store.session(&cookie.sha256(), self.now()).await? else {
            return Ok(None);
        };
        let user = self.store.user(&session.user_id).await?;
        Ok(user.map(|user| SignedIn { cookie, session, user }))
    }

    /// Starts a session under a name nobody has seen, ends the one before, and answers what sets the cookie.
    pub async fn start_session(
        &self,
        user: &User,
        headers: &HeaderMap,
    ) -> Result<Option<HeaderValue>, Refusal> {
        self.end_session(headers).await?;
        let (cookie, now) = (Cookie::new_value(self), self.now());
        let lifetime = self.config.lifetimes.session;
        let session =
            Session { hash: cookie.sha256(), user_id: user.id.clone(), expires_at: now + lifetime };
        self.store.start_session(session, now).await?;
        Ok(Cookie::Session.set(self, &cookie, Some(lifetime)))
    }

    /// Ends the session of this request's cookie, if there is one.
    pub async fn end_session(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if let Some(cookie) = Cookie::Session.read(self, headers) {
            self.store.end_session(&cookie.sha256()).await?;
        }
        Ok(())
    }
}
