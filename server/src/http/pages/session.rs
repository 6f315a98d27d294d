//! Browser sessions: started at sign-in under a new name, kept by hash, ended at sign-out.

use axum::http::{HeaderMap, HeaderValue};
use counterfoil_protocol::secret::Secret;

use super::{cookie::Cookie, visitor::browser_words};
use crate::{
    app::App,
    http::{address::ClientAddress, error::Refusal, site::Site},
    store::{Session, User},
};

/// Seconds in which the second factor must be given after the password.
const HALF_LIFETIME: i64 = 600;

/// What a session begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The password, or a provider's word, and the second factor is still to come.
    Half,
    /// The same, of somebody without a second factor.
    Whole,
    /// The second factor, just now.
    Proved,
}

/// A session that is about to begin.
pub struct NewSession {
    /// What is stored.
    pub session: Session,
    /// The cookie.
    pub cookie: Secret,
    /// What sets the cookie.
    pub set: Option<HeaderValue>,
}

impl NewSession {
    /// The same, begun through an external provider.
    #[must_use]
    pub fn through(mut self, provider: &str) -> Self {
        self.session.provider = Some(provider.to_owned());
        self
    }
}

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

    /// Who is signed in with the cookie that a page at this host goes by.
    pub async fn signed_in_at(
        &self,
        site: Site,
        headers: &HeaderMap,
    ) -> Result<Option<SignedIn>, Refusal> {
        if site == Site::Issuer {
            return self.signed_in(headers).await;
        }
        let Some(cookie) = Cookie::Portal.read(self, headers) else { return Ok(None) };
        let session = self.store.portal_session(&cookie.sha256(), self.now()).await?;
        let Some(session) = session else { return Ok(None) };
        let user = self.store.user(&session.user_id).await?;
        Ok(user.map(|user| SignedIn { cookie, session, user }))
    }

    /// Whose session waits for the second factor in this browser.
    pub async fn half_signed_in(&self, headers: &HeaderMap) -> Result<Option<SignedIn>, Refusal> {
        let Some(cookie) = Cookie::Session.read(self, headers) else { return Ok(None) };
        let Some(session) = self.store.half_session(&cookie.sha256(), self.now()).await? else {
            return Ok(None);
        };
        let user = self.store.user(&session.user_id).await?;
        Ok(user.map(|user| SignedIn { cookie, session, user }))
    }

    /// A session under a name nobody has seen; it is not written yet.
    #[must_use]
    pub fn new_session(
        &self,
        user: &User,
        headers: &HeaderMap,
        address: ClientAddress,
        standing: Standing,
    ) -> NewSession {
        let (cookie, now) = (Cookie::new_value(self), self.now());
        let half = standing == Standing::Half;
        let lifetime = if half { HALF_LIFETIME } else { self.config.lifetimes.session };
        let session = Session {
            hash: cookie.sha256(),
            user_id: user.id.clone(),
            expires_at: now + lifetime,
            half,
            proved_at: (standing == Standing::Proved).then_some(now),
            browser: browser_words(headers),
            address: address.0.to_string(),
            provider: None,
            confirmed_at: None,
        };
        let set = Cookie::Session.set(self, &cookie, Some(lifetime));
        NewSession { session, cookie, set }
    }

    /// Another name for a session whose person has just proved more: its cookie's value, and what sets it.
    #[must_use]
    pub fn new_name(&self, session: &Session) -> (Secret, Option<HeaderValue>) {
        let cookie = Cookie::new_value(self);
        let set = Cookie::Session.set(self, &cookie, Some(session.expires_at.0 - self.now().0));
        (cookie, set)
    }

    /// Starts a session under a name nobody has seen, ends the one before, and answers what sets the cookie.
    pub async fn start_session(
        &self,
        user: &User,
        headers: &HeaderMap,
        address: ClientAddress,
        standing: Standing,
    ) -> Result<Option<HeaderValue>, Refusal> {
        self.end_session(headers).await?;
        let new = self.new_session(user, headers, address, standing);
        self.store.start_session(new.session, self.now()).await?;
        Ok(new.set)
    }

    /// Ends the session of this request's cookie, if there is one.
    pub async fn end_session(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if let Some(cookie) = Cookie::Session.read(self, headers) {
            self.store.end_session(&cookie.sha256()).await?;
        }
        Ok(())
    }
}
