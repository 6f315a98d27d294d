//! What a client checks in a genuine access token before it believes that it is connected.

use super::Claims;
use crate::{UnixTime, jwk::Thumbprint, scope::ScopeSet};

/// How far ahead the server's clock may be, in seconds.
const CLOCK_LEEWAY: i64 = 30;

/// What the client asked for and who it is.
#[derive(Clone, Copy, Debug)]
pub struct ClientExpectation<'a> {
    /// The configured issuer.
    pub issuer: &'a str,
    /// The resource the token must be for.
    pub audience: &'a str,
    /// The client's own id.
    pub client_id: &'a str,
    /// The client's own key.
    pub thumbprint: &'a Thumbprint,
    /// Exactly the scopes asked for.
    pub scopes: &'a ScopeSet,
    /// The time now, on the server's clock as the client knows it.
    pub now: UnixTime,
    /// The answer is one given before: its token may have expired meanwhile.
    pub replayed: bool,
}

/// Why a genuine token is not what this client asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimRefusal {
    /// `aud` does not contain the resource.
    #[error("the token is for another resource")]
    Audience,
    /// `client_id` or `installation_id` is another's.
    #[error("the token is another client's")]
    Client,
    /// Company or grant are not named.
    #[error("the token names no company or no grant")]
    Company,
    /// `cnf.jkt` is absent or another key's.
    #[error("the token is not bound to this key")]
    Key,
    /// Another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// The scopes are not the ones asked for.
    #[error("the token has other scopes than were asked for")]
    Scope,
    /// Made in the future, expired, or not valid yet.
    #[error("the token's times do not fit")]
    Time,
}

impl Claims {
    /// Checks that this token is what the client asked for.
    pub fn judge(&self, expected: &ClientExpectation<'_>) -> Result<(), ClaimRefusal> {
        let latest = expected.now + CLOCK_LEEWAY;
        let in_time = self.iat <= latest
            && self.exp > self.iat
            && (expected.replayed || self.exp > expected.now)
            && self.nbf.is_none_or(|nbf| nbf <= latest);
        let named = |name: &Option<String>| name.as_deref().is_some_and(|name| !name.is_empty());
        let is_mine = self.client_id == expected.client_id
            && self.installation_id.as_deref() == Some(expected.client_id);
        for (holds, refusal) in [
            (self.iss == expected.issuer, ClaimRefusal::Issuer),
            (self.aud.iter().any(|aud| aud == expected.audience), ClaimRefusal::Audience),
            (is_mine, ClaimRefusal::Client),
            (
                self.cnf.as_ref().is_some_and(|cnf| cnf.jkt.matches(expected.thumbprint)),
                ClaimRefusal::Key,
            ),
            (self.scope == *expected.scopes, ClaimRefusal::Scope),
            (in_time, ClaimRefusal::Time),
            (named(&self.company_id) && named(&self.grant_id), ClaimRefusal::Company),
        ] {
            if !holds {
                return Err(refusal);
            }
        }
        Ok(())
    }
}
