//! P-256 public keys as JWKs (RFC 7517) and their thumbprints (RFC 7638).

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use p256::PublicKey as Point;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::encoding::{base64url, equal_in_constant_time, from_base64url_exact, sha256};

/// Members that only a private or a symmetric key has (RFC 7518 §6).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Why a JWK is not a public key we take.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JwkRefusal {
    /// A coordinate is absent or not base64url of exactly 32 bytes.
    #[error("x and y must each be base64url of 32 bytes")]
    MalformedCoordinate,
    /// Not an object with `kty` "EC" and `crv` "P-256".
    #[error("the key is not an EC key on P-256")]
    NotP256,
    /// The point is not on the curve.
    #[error("the point is not on the curve")]
    OffCurve,
    /// A member of a private or symmetric key is present.
    #[error("the key carries private members")]
    Private,
}

/// A point on P-256, parsed and checked.
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    /// `04 || x || y` (SEC 1 §2.3.3).
    uncompressed: [u8; 65],
}

impl PublicKey {
    /// Takes a JWK from the network: exactly P-256, 32-byte coordinates, on the curve, nothing private.
    ///
    /// Other members (`kid`, `use`, `alg`, …) mean nothing here and are ignored.
    pub fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, JwkRefusal> {
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err(JwkRefusal::Private);
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("kty") != Some("EC") || text("crv") != Some("P-256") {
            return Err(JwkRefusal::NotP256);
        }
        let coordinate = |name| {
            text(name).and_then(from_base64url_exact::<32>).ok_or(JwkRefusal::MalformedCoordinate)
        };
        let (x, y) = (coordinate("x")?, coordinate("y")?);
        let mut uncompressed = [4; 65];
        uncompressed[1..33].copy_from_slice(&x);
        uncompressed[33..].copy_from_slice(&y);
        Self::from_uncompressed(uncompressed)
    }

    /// Takes an uncompressed SEC 1 point (`04 || x || y`) that must lie on the curve.
    pub fn from_uncompressed(uncompressed: [u8; 65]) -> Result<Self, JwkRefusal> {
        Point::from_sec1_bytes(&uncompressed).map_err(|_| JwkRefusal::OffCurve)?;
        Ok(Self { uncompressed })
    }

    /// The key as a JWK with the required members only, in RFC 7638 order.
    #[must_use]
    pub fn to_jwk(&self) -> Value {
        json!({ "crv": "P-256", "kty": "EC", "x": self.x(), "y": self.y() })
    }

    /// SHA-256 of the canonical JWK, made from the point and never from the caller's text (RFC 7638 §3).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let canonical =
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x(), self.y());
        Thumbprint(sha256(canonical.as_bytes()))
    }

    /// Whether `signature` (64 bytes, `r || s`) is this key's ES256 signature of `message` (RFC 7518 §3.4).
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.uncompressed)
            .verify(message, signature)
            .is_ok()
    }

    /// base64url of the x coordinate.
    #[must_use]
    pub fn x(&self) -> String {
        base64url(&self.uncompressed[1..33])
    }

    /// base64url of the y coordinate.
    #[must_use]
    pub fn y(&self) -> String {
        base64url(&self.uncompressed[33..])
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.thumbprint())
    }
}

/// The RFC 7638 thumbprint of a key: how tokens (`cnf.jkt`), requests (`dpop_jkt`) and stores name it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        equal_in_constant_time(&self.0, &other.0)
    }
}

/// A text that is not base64url of 32 bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key thumbprint is 43 characters of base64url")]
pub struct MalformedThumbprint;

impl FromStr for Thumbprint {
    type Err = MalformedThumbprint;

    fn from_str(text: &str) -> Result<Self, MalformedThumbprint> {
        from_base64url_exact(text).map(Self).ok_or(MalformedThumbprint)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
