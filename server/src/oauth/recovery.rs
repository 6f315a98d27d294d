//! Recovery: the registered key, not the refresh token, keeps a merchant connected.
//!
//! When the token family is lost and the grant still stands, a proof of the key earns a new family. Bounded, because
//! a copied machine has the key as well.

use counterfoil_protocol::{UnixTime, encoding::equal_in_constant_time};

use super::grant::Receipt;

/// The period over which recoveries are counted, in seconds.
pub const PERIOD: i64 = 24 * 3600;

/// Recoveries in one period.
pub const LIMIT: usize = 3;

/// Recoveries in one period after a refresh token was used twice with the right key: two places have it.
pub const LIMIT_AFTER_REUSE: usize = 1;

/// A recovery that was given.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveryRecord {
    /// SHA-256 of the `Idempotency-Key`.
    pub idempotency: [u8; 32],
    /// When it was given.
    pub at: UnixTime,
    /// The answer.
    pub receipt: Receipt,
    /// Whether the family it gave still stands and its first refresh token is unused.
    pub untouched: bool,
    /// Whether a family had ended by reuse before it, and the merchant has not approved anew since.
    pub after_reuse: bool,
}

/// What to do with a request for recovery.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<'a> {
    /// Give a new family.
    Recover,
    /// Give the same answer again.
    Replay(&'a RecoveryRecord),
    /// Refuse.
    Refuse(RecoveryRefusal),
}

/// Why a recovery was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecoveryRefusal {
    /// The key signs in two places.
    #[error(
        "this store's key is in use in two places; the merchant must approve the connection again"
    )]
    KeyInTwoPlaces,
    /// Nothing to recover: never approved, or withdrawn, or reset.
    #[error("there is no standing approval to recover; the merchant must approve the connection")]
    NoGrant,
    /// The answer kept for this `Idempotency-Key` was used already.
    #[error("this recovery was used already; ask again with a new Idempotency-Key")]
    ReceiptGone,
    /// Too many.
    #[error(
        "too many recoveries in 24 hours; wait, or have the merchant approve the connection again"
    )]
    TooMany,
}

/// Decides, on the recoveries of the last [`PERIOD`] and the reuses since the merchant last approved, newest first.
#[must_use]
pub fn decide<'a>(
    recoveries: &'a [RecoveryRecord],
    reuses: &[UnixTime],
    idempotency: &[u8; 32],
    grant_stands: bool,
) -> Decision<'a> {
    if !grant_stands {
        return Decision::Refuse(RecoveryRefusal::NoGrant);
    }
    let same = |record: &&RecoveryRecord| equal_in_constant_time(&record.idempotency, idempotency);
    if let Some(record) = recoveries.iter().find(same) {
        return if record.untouched {
            Decision::Replay(record)
        } else {
            Decision::Refuse(RecoveryRefusal::ReceiptGone)
        };
    }
    let after_reuse = recoveries.iter().filter(|recovery| recovery.after_reuse).count();
    if !reuses.is_empty() && after_reuse >= LIMIT_AFTER_REUSE {
        return Decision::Refuse(RecoveryRefusal::KeyInTwoPlaces);
    }
    if recoveries.len() >= LIMIT {
        return Decision::Refuse(RecoveryRefusal::TooMany);
    }
    Decision::Recover
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(idempotency: u8, at: i64, untouched: bool) -> RecoveryRecord {
        let receipt = Receipt {
            idempotency: Some([idempotency; 32]),
            sealed: vec![],
            kid: String::new(),
            given_at: UnixTime(at),
        };
        RecoveryRecord {
            idempotency: [idempotency; 32],
            at: UnixTime(at),
            receipt,
            untouched,
            after_reuse: false,
        }
    }

    #[test]
    fn bounded_and_repeatable() {
        let refused = Decision::Refuse;
        assert_eq!(decide(&[], &[], &[1; 32], true), Decision::Recover);
        assert_eq!(decide(&[], &[], &[1; 32], false), refused(RecoveryRefusal::NoGrant));
        let one = [record(1, 10, true)];
        assert_eq!(decide(&one, &[], &[1; 32], true), Decision::Replay(&one[0]));
        assert_eq!(decide(&one, &[], &[2; 32], true), Decision::Recover);
        let used = [record(1, 10, false)];
        assert_eq!(decide(&used, &[], &[1; 32], true), refused(RecoveryRefusal::ReceiptGone));
        let three = [record(3, 30, false), record(2, 20, false), record(1, 10, false)];
        assert_eq!(decide(&three, &[], &[4; 32], true), refused(RecoveryRefusal::TooMany));
    }

    #[test]
    fn after_reuse_one_more_and_then_the_merchant() {
        let before = [record(1, 10, false)];
        assert_eq!(decide(&before, &[UnixTime(20)], &[2; 32], true), Decision::Recover);
        let after =
            [RecoveryRecord { after_reuse: true, ..record(2, 20, false) }, record(1, 20, false)];
        assert_eq!(
            decide(&after, &[UnixTime(20)], &[3; 32], true),
            Decision::Refuse(RecoveryRefusal::KeyInTwoPlaces)
        );
    }
}
