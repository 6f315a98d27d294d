//! What a presented authorization code is worth (RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9449 §10).
//!
//! Client, key, callback and verifier are judged before anything is consumed; only then does "used before" count,
//! so a stranger with a leaked code can neither use it nor end what it gave.

use counterfoil_protocol::{
    UnixTime,
    encoding::equal_in_constant_time,
    jwk::Thumbprint,
    pkce::{Challenge, PkceRefusal},
    scope::ScopeSet,
};

use super::grant::{Grant, Receipt};

/// The prefix by which people and scanners know a code.
pub const PREFIX: &str = "mco_code_";

/// How long the answer of a code exchange is kept for its retry, in seconds.
pub const RECEIPT_LIFETIME: i64 = 24 * 3600;

/// An authorization code as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// The grant that was approved.
    pub grant: Grant,
    /// The callback it was sent to.
    pub redirect_uri: String,
    /// The PKCE challenge of the request.
    pub challenge: Challenge,
    /// What was approved.
    pub scope: ScopeSet,
    /// The resource it is for.
    pub resource: String,
    /// The key the request was bound to (`dpop_jkt`).
    pub key: Option<Thumbprint>,
    /// Who approved.
    pub user_id: String,
    /// When it ends.
    pub expires_at: UnixTime,
    /// When it was ended before its time.
    pub revoked_at: Option<UnixTime>,
    /// What it gave, once redeemed.
    pub redeemed: Option<Redeemed>,
}

/// What a redeemed code gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Redeemed {
    /// The token family.
    pub family: [u8; 16],
    /// The key of the family.
    pub key: Option<Thumbprint>,
    /// Whether the family still stands and its first refresh token is unused.
    pub untouched: bool,
    /// The answer, kept for a retry.
    pub receipt: Option<Receipt>,
}

/// A code exchange, as far as it matters here.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The client that presents the code.
    pub client_id: &'a str,
    /// The callback it says the code came to.
    pub redirect_uri: &'a str,
    /// The PKCE verifier.
    pub verifier: &'a str,
    /// The key that signed the request's proof.
    pub key: Option<&'a Thumbprint>,
    /// SHA-256 of the request's `Idempotency-Key`.
    pub idempotency: Option<&'a [u8; 32]>,
    /// The time now.
    pub now: UnixTime,
}

/// What to do with a presented code.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<'a> {
    /// Give tokens.
    Redeem,
    /// Give the same answer again.
    Replay(&'a Receipt),
    /// Refuse, and end what the code gave: it was used before.
    EndFamily([u8; 16]),
    /// Refuse and change nothing.
    Refuse(Refused),
}

/// Refusals that change nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// Expired, or ended before its time.
    Ended,
    /// The code is another client's.
    OtherClient,
    /// Not the callback the code was sent to.
    OtherRedirectUri,
    /// The verifier is malformed or wrong.
    Pkce(PkceRefusal),
    /// The answer can no longer be given again.
    ReceiptGone,
    /// The proof is absent or signed by another key.
    WrongKey,
}

/// Decides.
#[must_use]
pub fn decide<'a>(code: &'a Code, presented: &Presented<'_>) -> Decision<'a> {
    if code.grant.client_id != presented.client_id {
        return Decision::Refuse(Refused::OtherClient);
    }
    let bound = code.key.as_ref().or(code.redeemed.as_ref().and_then(|r| r.key.as_ref()));
    if bound.is_some_and(|bound| !presented.key.is_some_and(|key| key.matches(bound))) {
        return Decision::Refuse(Refused::WrongKey);
    }
    if code.redirect_uri != presented.redirect_uri {
        return Decision::Refuse(Refused::OtherRedirectUri);
    }
    if let Err(refusal) = code.challenge.verify(presented.verifier) {
        return Decision::Refuse(Refused::Pkce(refusal));
    }
    let Some(redeemed) = &code.redeemed else {
        let alive = code.revoked_at.is_none()
            && code.grant.revoked_at.is_none()
            && presented.now < code.expires_at;
        return if alive { Decision::Redeem } else { Decision::Refuse(Refused::Ended) };
    };
    let same_key = |receipt: &Receipt| match (&receipt.idempotency, presented.idempotency) {
        (Some(kept), Some(sent)) => equal_in_constant_time(kept, sent),
        _ => false,
    };
    match &redeemed.receipt {
        Some(receipt) if same_key(receipt) => {
            let fresh = presented.now.since(receipt.given_at) < RECEIPT_LIFETIME;
            if fresh && redeemed.untouched {
                Decision::Replay(receipt)
            } else {
                Decision::Refuse(Refused::ReceiptGone)
            }
        }
        _ => Decision::EndFamily(redeemed.family),
    }
}

#[cfg(test)]
mod tests;
