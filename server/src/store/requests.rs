//! Authorization requests: pushed, shown to a person, decided.

use async_trait::async_trait;
use counterfoil_protocol::{UnixTime, jwk::Thumbprint, pkce::Challenge, scope::ScopeSet};

use super::Result;
use crate::oauth::{installation::Slot, request::AuthorizationRequest};

/// A request that was pushed (RFC 9126).
#[derive(Clone, Debug, PartialEq)]
pub struct PushedRequest {
    /// SHA-256 of its `request_uri`.
    pub hash: [u8; 32],
    /// The request.
    pub request: AuthorizationRequest,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// A consent page that was shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Consent {
    /// SHA-256 of the ticket in its form.
    pub hash: [u8; 32],
    /// The session it was shown to.
    pub session_hash: [u8; 32],
    /// The person it was shown to.
    pub user_id: String,
    /// The request it shows.
    pub request: AuthorizationRequest,
    /// The pushed request that the decision will spend.
    pub pushed: Option<[u8; 32]>,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// A person's approval, to be written.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The consent page.
    pub consent: [u8; 32],
    /// The pushed request to spend.
    pub pushed: Option<[u8; 32]>,
    /// The client.
    pub client_id: String,
    /// For a native installation: the key, and the slot in which it was found.
    pub slot: Option<(Slot, Thumbprint)>,
    /// The company that approves.
    pub company_id: String,
    /// The person who approves.
    pub user_id: String,
    /// The id of the grant, if the company has none for this client yet.
    pub new_grant_id: String,
    /// The code.
    pub code: NewCode,
    /// The time now.
    pub now: UnixTime,
}

/// A code to be stored.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// The callback it goes to.
    pub redirect_uri: String,
    /// The PKCE challenge.
    pub challenge: Challenge,
    /// What was approved.
    pub scope: ScopeSet,
    /// The resource.
    pub resource: String,
    /// The key it is bound to.
    pub key: Option<Thumbprint>,
    /// When it ends.
    pub expires_at: UnixTime,
}

/// What became of an approval.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ApproveOutcome {
    /// The code is good.
    Approved {
        /// The grant.
        grant_id: String,
    },
    /// The page or the request was decided before, or the page has expired, or the company was closed meanwhile.
    AlreadyDecided,
    /// The person has no such place in the company, or not any more.
    NotAllowed,
    /// The installation's key is no longer the one the request was made with.
    KeyGone,
}

/// Operations on authorization requests.
#[async_trait]
pub trait Requests: Send + Sync {
    /// Stores a pushed request.
    async fn push_request(&self, pushed: PushedRequest) -> Result<()>;

    /// Finds a pushed request that has neither expired nor been decided.
    async fn pushed_request(&self, hash: &[u8; 32], now: UnixTime)
    -> Result<Option<PushedRequest>>;

    /// Stores that a consent page is shown.
    async fn show_consent(&self, consent: Consent) -> Result<()>;

    /// Finds a consent page that has neither expired nor been decided.
    async fn consent(&self, hash: &[u8; 32], now: UnixTime) -> Result<Option<Consent>>;

    /// Writes an approval: spends page and request, promotes a staged key (every older token of the installation
    /// dies with that), finds or makes the grant, stores the code.
    async fn approve(&self, approval: Approval) -> Result<ApproveOutcome>;

    /// Writes a denial: spends page and request, nothing else. False when it was decided before.
    async fn deny(
        &self,
        consent: &[u8; 32],
        pushed: Option<&[u8; 32]>,
        now: UnixTime,
    ) -> Result<bool>;
}
