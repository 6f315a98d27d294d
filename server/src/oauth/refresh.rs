//! What a presented refresh token is worth: rotation, the same answer again, or the end of the family.
//!
//! The order is the security. Key first, then dead or alive, then used or not: whoever lacks the key learns nothing
//! and ends nothing (RFC 9700 §4.14.2, RFC 9449 §5).

use counterfoil_protocol::{UnixTime, encoding::equal_in_constant_time, jwk::Thumbprint};

use super::{
    grant::{Family, Receipt},
    refresh_token::RefreshToken,
};

/// Whether a lost answer can be had again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RetryRule {
    /// The predecessor earns the same successor while that is unused: native installations.
    SameSuccessor,
    /// Any reuse ends the family: partner applications and unbound tokens.
    Strict,
}

/// A refresh request, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The token, taken apart; its MAC was checked.
    pub token: RefreshToken,
    /// SHA-256 of the token's text.
    pub token_hash: &'a [u8; 32],
    /// The client that presents it.
    pub client_id: &'a str,
    /// The key that signed the request's proof.
    pub key: Option<&'a Thumbprint>,
    /// SHA-256 of the request's `Idempotency-Key`.
    pub idempotency: Option<&'a [u8; 32]>,
    /// The client's rule.
    pub rule: RetryRule,
    /// The time now.
    pub now: UnixTime,
}

/// What to do with a presented refresh token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// Give the next one, whose generation is `next`.
    Rotate {
        /// The generation of the successor.
        next: u32,
        /// The row was behind its clients: the server was restored from a backup.
        adopted: bool,
    },
    /// Give the same answer again.
    Replay(&'a Receipt),
    /// Refuse, and end the family: this token was used before.
    EndFamily,
    /// Refuse and change nothing.
    Refuse(Refused),
}

/// Refusals that change nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The grant or the family has ended, or the family was idle too long.
    Ended,
    /// The answer is kept for another `Idempotency-Key`.
    OtherIdempotencyKey,
    /// The token is another client's.
    OtherClient,
    /// The proof is absent or signed by another key.
    WrongKey,
}

/// Decides. `family` is the row that the token names.
#[must_use]
pub fn decide<'a>(family: &'a Family, presented: &Presented<'_>) -> Decision<'a> {
    let generation = presented.token.generation;
    if family.grant.client_id != presented.client_id {
        return Decision::Refuse(Refused::OtherClient);
    }
    let key_matches = match (&family.key, presented.key) {
        (Some(bound), Some(signed)) => bound.matches(signed),
        // An unbound family may be refreshed with or without a proof; it stays unbound.
        (None, _) => true,
        (Some(_), None) => false,
    };
    if !key_matches {
        return Decision::Refuse(Refused::WrongKey);
    }
    if !family.stands(presented.now) {
        return Decision::Refuse(Refused::Ended);
    }
    let current = equal_in_constant_time(&family.token_hash, presented.token_hash);
    if generation == family.generation && current {
        return Decision::Rotate { next: generation.saturating_add(1), adopted: false };
    }
    if generation > family.generation && family.key.is_some() {
        return Decision::Rotate { next: generation.saturating_add(1), adopted: true };
    }
    let retry_allowed = presented.rule == RetryRule::SameSuccessor && family.key.is_some();
    if retry_allowed && generation.checked_add(1) == Some(family.generation) {
        return match &family.receipt {
            Some(receipt) => match (&receipt.idempotency, presented.idempotency) {
                (None, _) => Decision::Replay(receipt),
                (Some(kept), Some(sent)) if equal_in_constant_time(kept, sent) => {
                    Decision::Replay(receipt)
                }
                (Some(_), _) => Decision::Refuse(Refused::OtherIdempotencyKey),
            },
            None => Decision::EndFamily,
        };
    }
    Decision::EndFamily
}

#[cfg(test)]
mod tests;
