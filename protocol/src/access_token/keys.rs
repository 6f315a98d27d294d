//! The public keys that verify access tokens: a JWK set (RFC 7517 §5), ES256 and RS256.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Map, Value};

use crate::{encoding::from_base64url, jwk::PublicKey};

/// The most keys taken from one set.
const MAX_KEYS: usize = 64;

/// A key with its one algorithm.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VerificationKey {
    /// ECDSA on P-256 with SHA-256.
    Es256(PublicKey),
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 to 8192 bits.
    Rs256 {
        /// The modulus, big-endian without leading zeros.
        n: Vec<u8>,
        /// The public exponent, likewise.
        e: Vec<u8>,
    },
}

impl VerificationKey {
    /// The `alg` that goes with this key and no other.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256 { .. } => "RS256",
        }
    }

    /// Whether `signature` is this key's signature of `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Es256(key) => key.verifies(message, signature),
            Self::Rs256 { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }

    /// Reads a JWK. `None` for keys that are private, not for signatures, or of kinds we do not verify with.
    #[must_use]
    pub fn from_jwk(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let for_signatures = text("use").is_none_or(|purpose| purpose == "sig")
            && jwk.get("key_ops").is_none_or(|ops| {
                ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"))
            });
        let key = match text("kty")? {
            "EC" => Self::Es256(PublicKey::from_jwk(jwk).ok()?),
            "RSA" if !jwk.contains_key("d") => {
                let number =
                    |name| text(name).and_then(from_base64url).filter(|n| n.first() != Some(&0));
                let n = number("n")?;
                if !(256..=1024).contains(&n.len()) {
                    return None;
                }
                Self::Rs256 { n, e: number("e").filter(|e| e.len() <= 8)? }
            }
            _ => return None,
        };
        let algorithm_agrees = text("alg").is_none_or(|alg| alg == key.algorithm());
        (for_signatures && algorithm_agrees).then_some(key)
    }
}

/// A set of keys by `kid`.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<(Option<String>, VerificationKey)>);

impl KeySet {
    /// Reads a JWK set, leaving out the keys that cannot verify an access token.
    #[must_use]
    pub fn from_jwks(document: &Map<String, Value>) -> Self {
        let keys =
            document.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        keys.iter()
            .take(MAX_KEYS)
            .filter_map(Value::as_object)
            .filter_map(|jwk| {
                let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
                Some((kid, VerificationKey::from_jwk(jwk)?))
            })
            .collect()
    }

    /// The key that a token's `kid` names; for a token without `kid`, the only key of the set.
    #[must_use]
    pub fn find(&self, kid: Option<&str>) -> Option<&VerificationKey> {
        match (kid, self.0.as_slice()) {
            (None, [(_, only)]) => Some(only),
            (None, _) => None,
            (Some(kid), keys) => {
                keys.iter().find(|(name, _)| name.as_deref() == Some(kid)).map(|(_, key)| key)
            }
        }
    }
}

impl FromIterator<(Option<String>, VerificationKey)> for KeySet {
    fn from_iter<T: IntoIterator<Item = (Option<String>, VerificationKey)>>(keys: T) -> Self {
        Self(keys.into_iter().collect())
    }
}
