//! Whose store it is: the answer to a challenge that a server sends to a store's own address.
//!
//! A store names its address when it registers, and anybody can name any. So the server fetches a fixed path below that
//! address with a nonce, and what answers there must be signed by the very key that registered: a compact JWS
//! ([`TYPE`]) over issuer, client, address, nonce and time. Its `typ` makes it no DPoP proof, and it names the one
//! address it speaks for, so that an answer passed on from somewhere else is of no use.

use serde_json::{Value, json};

use crate::{
    UnixTime,
    encoding::base64url,
    jwk::{JwkRefusal, PublicKey, Thumbprint},
    jws::{JwsRefusal, Unverified},
    proof::{Signer, Unsigned, Window},
};

/// The `typ` of an answer.
pub const TYPE: &str = "counterfoil-ownership+jwt";

/// The longest answer looked at, in bytes. Honest ones have some 700.
pub const MAX_LENGTH: usize = 4_096;

/// What an answer says, and what the server expects it to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership<'a> {
    /// The server that asks: its issuer identifier (`aud`).
    pub issuer: &'a str,
    /// The installation (`iss` and `sub`).
    pub client_id: &'a str,
    /// The store's address, as it was registered (`site_url`).
    pub site_url: &'a str,
    /// What the server sent: 43 characters of base64url.
    pub nonce: &'a str,
}

/// Why an answer proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OwnershipRefusal {
    /// `alg` is not ES256.
    #[error("the answer's alg is not ES256")]
    Algorithm,
    /// A claim is not what was expected.
    #[error("the answer is of another {0}")]
    Claim(&'static str),
    /// The `jwk` is not a public P-256 key.
    #[error("the answer's jwk is refused: {0}")]
    Jwk(#[from] JwkRefusal),
    /// Another key than the installation's.
    #[error("the answer is signed by another key")]
    Key,
    /// Not a compact JWS of two JSON objects.
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] JwsRefusal),
    /// The signature is not the key's.
    #[error("the answer's signature does not verify")]
    Signature,
    /// `iat` is absent or lies outside the window.
    #[error("the answer's clock is off")]
    Stale,
    /// `typ` is not [`TYPE`].
    #[error("the answer's typ is not {TYPE}")]
    Type,
}

/// Whether a text is a nonce that a server may send: 256 bits in base64url, so that nothing else is ever signed.
#[must_use]
pub fn is_nonce(text: &str) -> bool {
    crate::encoding::from_base64url_exact::<32>(text).is_some()
}

impl Ownership<'_> {
    /// The answer, to be signed by whoever holds `key`.
    #[must_use]
    pub fn unsigned(&self, key: &PublicKey, iat: UnixTime) -> Unsigned {
        let header = json!({
            "typ": TYPE,
            "alg": "ES256",
            "jwk": { "kty": "EC", "crv": "P-256", "x": key.x(), "y": key.y() },
        });
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "site_url": self.site_url,
            "nonce": self.nonce,
            "iat": iat.0,
        });
        let part = |value: &Value| base64url(value.to_string().as_bytes());
        Unsigned::new(format!("{}.{}", part(&header), part(&claims)))
    }

    /// Signs the answer.
    pub fn sign<S: Signer + ?Sized>(&self, signer: &S, iat: UnixTime) -> Result<String, S::Error> {
        let unsigned = self.unsigned(signer.public_key(), iat);
        let signature = signer.sign(unsigned.message())?;
        Ok(unsigned.signed(&signature))
    }

    /// Judges what came from the store's address: whether it says exactly this, now, by this key.
    pub fn judge(
        &self,
        text: &str,
        key: &Thumbprint,
        now: UnixTime,
    ) -> Result<(), OwnershipRefusal> {
        let jws = Unverified::parse(text, MAX_LENGTH)?;
        if jws.header_text("typ") != Some(TYPE) {
            return Err(OwnershipRefusal::Type);
        }
        if jws.header_text("alg") != Some("ES256") {
            return Err(OwnershipRefusal::Algorithm);
        }
        let jwk = jws.header.get("jwk").and_then(Value::as_object).ok_or(JwkRefusal::NotP256)?;
        let signer = PublicKey::from_jwk(jwk)?;
        if !signer.thumbprint().matches(key) {
            return Err(OwnershipRefusal::Key);
        }
        if !signer.verifies(jws.signing_input.as_bytes(), &jws.signature) {
            return Err(OwnershipRefusal::Signature);
        }
        for (name, expected) in [
            ("iss", self.client_id),
            ("sub", self.client_id),
            ("aud", self.issuer),
            ("site_url", self.site_url),
            ("nonce", self.nonce),
        ] {
            if jws.claim_text(name) != Some(expected) {
                return Err(OwnershipRefusal::Claim(name));
            }
        }
        let iat = jws.claim_time("iat").ok_or(OwnershipRefusal::Stale)?;
        Window::NATIVE.admits(iat, now).then_some(()).ok_or(OwnershipRefusal::Stale)
    }
}
