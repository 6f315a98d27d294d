//! Proof Key for Code Exchange, S256 only (RFC 7636).

use crate::encoding::{equal_in_constant_time, from_base64url_exact, sha256_base64url};

/// Why a PKCE value was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PkceRefusal {
    /// The challenge is not base64url of exactly 32 bytes (RFC 7636 §4.2).
    #[error("the code challenge is not 43 characters of base64url")]
    MalformedChallenge,
    /// The verifier is not 43 to 128 unreserved characters (RFC 7636 §4.1).
    #[error("the code verifier is not 43 to 128 unreserved characters")]
    MalformedVerifier,
    /// The verifier does not hash to the challenge (RFC 7636 §4.6).
    #[error("the code verifier does not match the challenge")]
    Mismatch,
}

/// An S256 challenge: base64url of SHA-256 of the verifier, 43 characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge(String);

impl Challenge {
    /// Accepts a challenge as a request carries it.
    pub fn parse(text: &str) -> Result<Self, PkceRefusal> {
        from_base64url_exact::<32>(text)
            .map(|_| Self(text.to_owned()))
            .ok_or(PkceRefusal::MalformedChallenge)
    }

    /// The challenge of a verifier (RFC 7636 §4.2).
    pub fn of(verifier: &str) -> Result<Self, PkceRefusal> {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
            return Err(PkceRefusal::MalformedVerifier);
        }
        Ok(Self(sha256_base64url(verifier.as_bytes())))
    }

    /// Checks a verifier against this challenge, in constant time.
    pub fn verify(&self, verifier: &str) -> Result<(), PkceRefusal> {
        let computed = Self::of(verifier)?;
        equal_in_constant_time(computed.0.as_bytes(), self.0.as_bytes())
            .then_some(())
            .ok_or(PkceRefusal::Mismatch)
    }

    /// The text of the challenge.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn malformed_verifiers_are_refused() {
        let challenge = Challenge::of(VERIFIER).expect("RFC 7636 Appendix B");
        for verifier in [
            "",
            &"a".repeat(42),
            &"a".repeat(129),
            &"a=".repeat(30),
            &"ä".repeat(30),
            &" a".repeat(30),
        ] {
            assert_eq!(
                challenge.verify(verifier),
                Err(PkceRefusal::MalformedVerifier),
                "{verifier}"
            );
        }
        assert_eq!(challenge.verify(&"a".repeat(43)), Err(PkceRefusal::Mismatch));
        assert_eq!(challenge.verify(VERIFIER), Ok(()));
    }

    #[test]
    fn malformed_challenges_are_refused() {
        let good = Challenge::of(VERIFIER).expect("a challenge");
        assert_eq!(Challenge::parse(good.as_str()), Ok(good.clone()));
        let text = good.as_str();
        for bad in [
            &text[..42],
            &format!("{text}A"),
            &format!("{}=", &text[..42]),
            &format!("{}+", &text[..42]),
            "",
        ] {
            assert_eq!(Challenge::parse(bad), Err(PkceRefusal::MalformedChallenge), "{bad}");
        }
    }
}
