//! Grants and token families: what a company allowed, and the refresh tokens that live on it.

use counterfoil_protocol::{UnixTime, jwk::Thumbprint, scope::ScopeSet};

/// A company's approval of a client. It belongs to the company, not to the person who gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Its name in tokens (`grant_id`).
    pub id: String,
    /// The client that was approved.
    pub client_id: String,
    /// The company whose data it opens.
    pub company_id: String,
    /// That company's name, for people.
    pub company_name: String,
    /// When the first code for it was redeemed; before that nobody has shown that the client wanted it.
    pub redeemed_at: Option<UnixTime>,
    /// When it ended.
    pub revoked_at: Option<UnixTime>,
}

/// One chain of refresh tokens. There is one row for the chain, not one a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Carried in every refresh token of the family.
    pub id: [u8; 16],
    /// The grant it lives on.
    pub grant: Grant,
    /// What its tokens may do.
    pub scope: ScopeSet,
    /// The resource its tokens are for (RFC 8707).
    pub resource: String,
    /// The key all its tokens are bound to; `None` for bearer tokens.
    pub key: Option<Thumbprint>,
    /// The number of the newest refresh token, from 1. It is by definition not redeemed yet.
    pub generation: u32,
    /// SHA-256 of the newest refresh token.
    pub token_hash: [u8; 32],
    /// The answer that brought the newest refresh token, for a retry with its predecessor. That of the first one is
    /// kept here when it came with a rotated key.
    pub receipt: Option<Receipt>,
    /// When it ends unless it is used.
    pub expires_at: Option<UnixTime>,
    /// When it was ended.
    pub revoked_at: Option<UnixTime>,
    /// The family that took its place when the key was rotated.
    pub successor: Option<[u8; 16]>,
}

/// An answer that holds tokens, kept for the retry of the request that earned it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// SHA-256 of the request's `Idempotency-Key`, when it had one.
    pub idempotency: Option<[u8; 32]>,
    /// The answer, sealed with a key derived from the credential.
    pub sealed: Vec<u8>,
    /// The signing key of the access token in it.
    pub kid: String,
    /// When it was first given.
    pub given_at: UnixTime,
}

/// Why a family or a grant was ended, as audited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndReason {
    /// An operator of the server ended it.
    ByOperator,
    /// The company was closed.
    Closed,
    /// A code was used twice.
    CodeReuse,
    /// The application was deleted.
    Deleted,
    /// The key was rotated, and a family bound to the new one took its place.
    KeyRotated,
    /// Another approval took its place.
    Replaced,
    /// A refresh token was used again after its time.
    RefreshReuse,
    /// The installation was reset.
    Reset,
    /// The client asked (RFC 7009).
    Revoked,
    /// Somebody of the company ended it.
    Withdrawn,
}

impl EndReason {
    /// The word in the database and in audit records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ByOperator => "by_operator",
            Self::Closed => "company_closed",
            Self::CodeReuse => "code_reuse",
            Self::Deleted => "application_deleted",
            Self::KeyRotated => "key_rotated",
            Self::Replaced => "replaced",
            Self::RefreshReuse => "refresh_reuse",
            Self::Reset => "reset",
            Self::Revoked => "revoked",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Family {
    /// Whether tokens of this family are good for anything at `now`.
    #[must_use]
    pub fn stands(&self, now: UnixTime) -> bool {
        self.revoked_at.is_none()
            && self.grant.revoked_at.is_none()
            && self.expires_at.is_none_or(|end| now < end)
    }
}
