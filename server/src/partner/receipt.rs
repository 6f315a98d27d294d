//! Requests that are repeated: what an `Idempotency-Key` that was used before is worth.

use counterfoil_protocol::{
    UnixTime,
    encoding::{equal_in_constant_time, sha256},
    jwk::Thumbprint,
};

/// What was kept of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The request's fingerprint.
    pub request: [u8; 32],
    /// The key that signed the request's proof.
    pub key: Option<Thumbprint>,
    /// The answer, sealed.
    pub sealed: Vec<u8>,
    /// When it was given.
    pub given_at: UnixTime,
    /// When it is forgotten, and its key good for something new.
    pub forgotten_at: UnixTime,
}

/// How the receipts of one kind of request live.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keeping {
    /// Seconds for which the answer is given again.
    pub replayed_for: i64,
    /// Seconds after which the receipt is forgotten. Between the two a repetition is refused as expired.
    pub kept_for: i64,
    /// Whether only the holder of the same key hears the answer again.
    pub same_key: bool,
    /// Whether the connection that follows hears it too: what such a request made outlives the connection.
    pub inherited: bool,
}

impl Keeping {
    /// For answers without a secret: a day. After that the key is as good as new.
    pub const PLAIN: Self =
        Self { replayed_for: 24 * 3600, kept_for: 24 * 3600, same_key: false, inherited: true };
    /// For answers about what ends with the connection: its webhook subscription and deliveries. The next one has its
    /// own, of which a former answer would tell nothing true.
    pub const ENDING: Self = Self { inherited: false, ..Self::PLAIN };
    /// For answers with a signing secret: ten minutes, and a month in which the key is recognised as spent. No secret
    /// is told to a connection that it was not given to.
    pub const SECRETS: Self =
        Self { replayed_for: 600, kept_for: 30 * 24 * 3600, same_key: true, inherited: false };
}

/// Why a repetition is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptRefusal {
    /// The key was used for another request.
    #[error("This Idempotency-Key was used for another request.")]
    Conflict,
    /// The answer is no longer given again.
    #[error("The answer to the first request is no longer kept; use a new Idempotency-Key.")]
    Expired,
    /// Another key signed the first request.
    #[error("This Idempotency-Key was used with another key.")]
    OtherKey,
}

impl ReceiptRefusal {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Conflict => "idempotency_key_conflict",
            Self::Expired => "idempotency_receipt_expired",
            Self::OtherKey => "idempotency_key_dpop_mismatch",
        }
    }
}

/// What a request is known by: its method, its path and every byte of its body.
#[must_use]
pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> [u8; 32] {
    sha256(&[method.as_bytes(), b" ", path.as_bytes(), b"\n", body].concat())
}

impl Receipt {
    /// Whether this receipt answers a request: `None` when it is forgotten.
    pub fn judge(
        &self,
        keeping: Keeping,
        request: &[u8; 32],
        key: Option<&Thumbprint>,
        now: UnixTime,
    ) -> Option<Result<&[u8], ReceiptRefusal>> {
        if now >= self.forgotten_at {
            return None;
        }
        Some(if keeping.same_key && self.key.as_ref() != key {
            Err(ReceiptRefusal::OtherKey)
        } else if !equal_in_constant_time(&self.request, request) {
            Err(ReceiptRefusal::Conflict)
        } else if now.since(self.given_at) > keeping.replayed_for {
            Err(ReceiptRefusal::Expired)
        } else {
            Ok(&self.sealed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: UnixTime = UnixTime(1_800_000_000);
    const OWN: Thumbprint = Thumbprint([1; 32]);
    const OTHER: Thumbprint = Thumbprint([2; 32]);

    type Verdict = Option<Result<(), ReceiptRefusal>>;

    fn check(keeping: Keeping, body: &[u8], key: Option<&Thumbprint>, after: i64) -> Verdict {
        let receipt = Receipt {
            request: fingerprint("PUT", "/x", b"{}"),
            key: Some(OWN),
            sealed: Vec::new(),
            given_at: GIVEN,
            forgotten_at: GIVEN + keeping.kept_for,
        };
        let request = fingerprint("PUT", "/x", body);
        receipt.judge(keeping, &request, key, GIVEN + after).map(|verdict| verdict.map(drop))
    }

    #[test]
    fn plain() {
        let plain = Keeping::PLAIN;
        assert_eq!(check(plain, b"{}", Some(&OWN), 0), Some(Ok(())));
        assert_eq!(check(plain, b"{}", Some(&OTHER), 1), Some(Ok(())));
        assert_eq!(check(plain, b"{ }", Some(&OWN), 1), Some(Err(ReceiptRefusal::Conflict)));
        assert_eq!(check(plain, b"{}", None, 24 * 3600 - 1), Some(Ok(())));
        assert_eq!(check(plain, b"{ }", None, 24 * 3600), None);
    }

    #[test]
    fn secrets() {
        let secrets = Keeping::SECRETS;
        assert_eq!(check(secrets, b"{}", Some(&OWN), 600), Some(Ok(())));
        assert_eq!(check(secrets, b"{}", Some(&OWN), 601), Some(Err(ReceiptRefusal::Expired)));
        assert_eq!(check(secrets, b"{ }", Some(&OWN), 601), Some(Err(ReceiptRefusal::Conflict)));
        assert_eq!(check(secrets, b"{}", Some(&OTHER), 1), Some(Err(ReceiptRefusal::OtherKey)));
        assert_eq!(check(secrets, b"{}", None, 1), Some(Err(ReceiptRefusal::OtherKey)));
        assert_eq!(check(secrets, b"{}", Some(&OTHER), secrets.kept_for), None);
    }

    #[test]
    fn a_fingerprint_is_of_method_path_and_body() {
        let one = fingerprint("PUT", "/x", b"{}");
        for other in [
            fingerprint("POST", "/x", b"{}"),
            fingerprint("PUT", "/y", b"{}"),
            fingerprint("PUT", "/x", b"{}\n"),
        ] {
            assert_ne!(one, other);
        }
    }
}
