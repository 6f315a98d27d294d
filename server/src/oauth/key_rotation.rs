//! Whether a store may change its key without the merchant: the old key vouches for the new one, once.
//!
//! Keys first, then dead or alive, then used or not, as for a refresh. After the change the old key earns nothing but
//! the answer that it earned already, and ends nothing either: a store changes its key because it no longer trusts it.

use counterfoil_protocol::{UnixTime, encoding::equal_in_constant_time, jwk::Thumbprint};

use super::{
    grant::{Family, Receipt},
    refresh::{self, RetryRule},
    refresh_token::RefreshToken,
};

/// How long the answer is kept for its retry, in seconds, unless the first refresh token in it is used before.
pub const RECEIPT_LIFETIME: i64 = 24 * 3600;

/// What is known of the family that the presented refresh token names.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The family.
    pub family: &'a Family,
    /// The family that took its place, when its key was rotated before.
    pub successor: Option<&'a Family>,
    /// The installation's key in force.
    pub key: Option<&'a Thumbprint>,
    /// Whether a refresh token was used twice with the right key since the merchant last approved.
    pub in_two_places: bool,
}

/// A request to change the key, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The refresh token, taken apart; its MAC was checked.
    pub token: RefreshToken,
    /// SHA-256 of the token's text.
    pub token_hash: &'a [u8; 32],
    /// The client that presents it.
    pub client_id: &'a str,
    /// The key that signed `DPoP`.
    pub key: &'a Thumbprint,
    /// `DPoP-Previous`; a retry can do without.
    pub previous: Option<Previous<'a>>,
    /// SHA-256 of the request's `Idempotency-Key`.
    pub idempotency: &'a [u8; 32],
    /// The time now.
    pub now: UnixTime,
}

/// A proof by the key that is to be replaced.
#[derive(Clone, Copy, Debug)]
pub struct Previous<'a> {
    /// The key that signed.
    pub key: &'a Thumbprint,
    /// The key that it names as the next.
    pub successor: Option<&'a Thumbprint>,
}

/// What to do with a request to change the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// Change it.
    Rotate {
        /// The row was behind its clients: the server was restored from a backup.
        adopted: bool,
    },
    /// Give the same answer again.
    Replay(&'a Receipt),
    /// Refuse, and end the family: this refresh token was used before.
    EndFamily,
    /// Refuse and change nothing.
    Refuse(Refused),
}

/// Refusals that change nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The grant or the family has ended.
    Ended,
    /// The old key signs in two places, so it cannot say which of them is the store.
    KeyInTwoPlaces,
    /// The refresh token is another client's.
    OtherClient,
    /// The answer is kept for another `Idempotency-Key`.
    OtherIdempotencyKey,
    /// A refresh has replaced the token, and its answer can still be had at the token endpoint.
    Overtaken,
    /// `DPoP-Previous` is absent.
    PreviousRequired,
    /// `DPoP-Previous` is signed by another key than the one in force.
    PreviousWrong,
    /// The answer is no longer kept.
    ReceiptGone,
    /// The new key is the old one.
    SameKey,
    /// `DPoP-Previous` does not name the key that signed `DPoP`.
    SuccessorNotNamed,
}

/// Decides.
#[must_use]
pub fn decide<'a>(known: &Known<'a>, presented: &Presented<'_>) -> Decision<'a> {
    if known.family.grant.client_id != presented.client_id {
        return Decision::Refuse(Refused::OtherClient);
    }
    match judge_keys(known, presented) {
        Err(refused) => Decision::Refuse(refused),
        Ok(()) => match known.successor {
            Some(successor) => decide_retry(successor, presented),
            None => decide_first(known, presented),
        },
    }
}

fn judge_keys(known: &Known<'_>, presented: &Presented<'_>) -> Result<(), Refused> {
    let Some(previous) = presented.previous else {
        // Once the change is made, either key says that this is the store again.
        let may_retry = known.successor.is_some_and(|successor| {
            is(known.family.key, presented.key) || is(successor.key, presented.key)
        });
        return if may_retry { Ok(()) } else { Err(Refused::PreviousRequired) };
    };
    if !is(known.family.key, previous.key) {
        return Err(Refused::PreviousWrong);
    }
    if !is(previous.successor.copied(), presented.key) {
        return Err(Refused::SuccessorNotNamed);
    }
    if previous.key.matches(presented.key) {
        return Err(Refused::SameKey);
    }
    Ok(())
}

/// A current refresh token of a standing family, by the rule for a refresh.
fn decide_first<'a>(known: &Known<'a>, presented: &Presented<'_>) -> Decision<'a> {
    let refresh = refresh::Presented {
        token: presented.token,
        token_hash: presented.token_hash,
        client_id: presented.client_id,
        key: presented.previous.map(|previous| previous.key),
        idempotency: Some(presented.idempotency),
        rule: RetryRule::SameSuccessor,
        now: presented.now,
    };
    match refresh::decide(known.family, &refresh) {
        refresh::Decision::Rotate { adopted, .. } => {
            if !known.key.is_some_and(|own| is(known.family.key, own)) {
                Decision::Refuse(Refused::PreviousWrong)
            } else if known.in_two_places {
                Decision::Refuse(Refused::KeyInTwoPlaces)
            } else {
                Decision::Rotate { adopted }
            }
        }
        refresh::Decision::EndFamily => Decision::EndFamily,
        refresh::Decision::Replay(_)
        | refresh::Decision::Refuse(refresh::Refused::OtherIdempotencyKey) => {
            Decision::Refuse(Refused::Overtaken)
        }
        refresh::Decision::Refuse(refresh::Refused::Ended) => Decision::Refuse(Refused::Ended),
        refresh::Decision::Refuse(refresh::Refused::OtherClient) => {
            Decision::Refuse(Refused::OtherClient)
        }
        refresh::Decision::Refuse(refresh::Refused::WrongKey) => {
            Decision::Refuse(Refused::PreviousWrong)
        }
    }
}

/// The key was changed already: the same request gets the same answer, and any other is too late.
fn decide_retry<'a>(successor: &'a Family, presented: &Presented<'_>) -> Decision<'a> {
    if presented.previous.is_some() && !is(successor.key, presented.key) {
        return Decision::Refuse(Refused::Ended);
    }
    let kept = |receipt: &&Receipt| {
        successor.generation == 1
            && successor.stands(presented.now)
            && presented.now.since(receipt.given_at) < RECEIPT_LIFETIME
    };
    match successor.receipt.as_ref().filter(kept) {
        None => Decision::Refuse(Refused::ReceiptGone),
        Some(receipt) => match &receipt.idempotency {
            Some(own) if equal_in_constant_time(own, presented.idempotency) => {
                Decision::Replay(receipt)
            }
            _ => Decision::Refuse(Refused::OtherIdempotencyKey),
        },
    }
}

fn is(bound: Option<Thumbprint>, key: &Thumbprint) -> bool {
    bound.is_some_and(|bound| bound.matches(key))
}

#[cfg(test)]
mod tests;
