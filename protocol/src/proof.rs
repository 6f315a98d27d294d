//! DPoP proofs (RFC 9449): made by the daemon, judged by the server.
//!
//! [`judge`] makes every check of §4.3 that needs no memory. What remains for the caller is the replay memory,
//! keyed by ([`Proof::thumbprint`], [`Proof::jti`]) and written only after every other check has passed: ES256
//! signatures can be changed without becoming invalid, so the proof's own bytes name nothing.

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    UnixTime,
    encoding::{base64url, equal_in_constant_time, sha256_base64url},
    jwk::{JwkRefusal, PublicKey, Thumbprint},
    jws::{JwsRefusal, Unverified},
    uri::HttpUri,
};

/// The longest proof looked at, in bytes. Honest ones have some 500.
pub const MAX_LENGTH: usize = 8_192;

/// The longest `jti` accepted, in bytes. A UUID has 36.
pub const MAX_JTI_LENGTH: usize = 256;

/// The claim by which an old key names its successor when a key is rotated without consent.
pub const SUCCESSOR_CLAIM: &str = "next_jkt";

/// How old a proof may be, and how far ahead its clock, in seconds.
///
/// The replay memory must keep a proof for `past + future` at least, else a proof can be played twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// Seconds into the past.
    pub past: i64,
    /// Seconds into the future.
    pub future: i64,
}

impl Window {
    /// Native installations: shops' clocks are what they are.
    pub const NATIVE: Self = Self { past: 300, future: 300 };
    /// Everyone else.
    pub const STRICT: Self = Self { past: 300, future: 60 };

    /// Whether a proof made at `iat` may still be taken at `now`.
    #[must_use]
    pub fn admits(&self, iat: UnixTime, now: UnixTime) -> bool {
        (-self.future..=self.past).contains(&now.since(iat))
    }
}

/// What the server knows about nonces at one endpoint for one client (RFC 9449 §8).
#[derive(Clone, Copy)]
pub enum NonceRule<'a> {
    /// A nonce may be absent; one that is present must be ours.
    Optional(&'a dyn Fn(&str) -> bool),
    /// A nonce must be present and ours.
    Required(&'a dyn Fn(&str) -> bool),
}

/// What a proof must say to be good for one request.
#[derive(Clone, Copy)]
pub struct Expectation<'a> {
    /// The method of the request, exact in case.
    pub method: &'a str,
    /// The request's URI: configured public URL plus route, never what `Host` says.
    pub uri: &'a HttpUri,
    /// The time now.
    pub now: UnixTime,
    /// How far the proof's clock may be off.
    pub window: Window,
    /// The access token that the request presents, if it does; then `ath` must match, else it must be absent.
    pub access_token: Option<&'a str>,
    /// The rule for nonces.
    pub nonce: NonceRule<'a>,
}

/// A proof that passed every check but the replay memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The key that signed, as a point.
    pub key: PublicKey,
    /// The key's thumbprint, from the point.
    pub thumbprint: Thumbprint,
    /// The proof's own name, unique for its key.
    pub jti: String,
    /// When the proof says it was made.
    pub iat: UnixTime,
    /// The successor that the key names, in a key rotation.
    pub successor: Option<Thumbprint>,
}

/// Why a proof was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofRefusal {
    /// `alg` is not ES256 (check 5).
    #[error("the proof's alg is not ES256")]
    Algorithm,
    /// `ath` is absent, of another token, or present where no token is (check 12a).
    #[error("the proof's ath does not match the access token")]
    AccessTokenHash,
    /// `exp` has passed or `nbf` has not (RFC 7519 §4.1.4, §4.1.5).
    #[error("the proof has expired or is not valid yet")]
    Expired,
    /// `iat` is absent or not a number.
    #[error("the proof has no iat, or one that is not a number")]
    IssuedAt,
    /// `jti` is absent, empty, too long or not printable ASCII.
    #[error("the proof has no jti of 1 to {MAX_JTI_LENGTH} printable characters")]
    Jti,
    /// The `jwk` is not a public P-256 key (checks 3 and 7).
    #[error("the proof's jwk is refused: {0}")]
    Jwk(#[from] JwkRefusal),
    /// Not a compact JWS of two JSON objects (check 2).
    #[error("the proof is malformed: {0}")]
    Malformed(#[from] JwsRefusal),
    /// `htm` is not the request's method (check 8).
    #[error("the proof's htm is not the method of this request")]
    Method,
    /// The nonce is absent or not one of ours (check 10): the client shall take the new one and try again.
    #[error("the proof needs the server's nonce")]
    Nonce,
    /// The nonce, or the successor's thumbprint, is not a string of the right form.
    #[error("a claim of the proof has the wrong type")]
    WrongType,
    /// The signature is not the key's (check 6).
    #[error("the proof's signature does not verify")]
    Signature,
    /// `iat` lies outside the window (check 11).
    #[error(
        "the proof's clock is off: made at {iat}, server time {now}, accepted from {past} s in the past to {future} s in the future",
        iat = iat.0, now = now.0, past = window.past, future = window.future
    )]
    Stale {
        /// When the proof says it was made.
        iat: UnixTime,
        /// The judge's time.
        now: UnixTime,
        /// What would have been accepted.
        window: Window,
    },
    /// `typ` is not `dpop+jwt` (check 4).
    #[error("the proof's typ is not dpop+jwt")]
    Type,
    /// `htu` is not the request's URI (check 9).
    #[error("the proof's htu is not the URI of this request")]
    Uri,
}

/// Judges one proof against what the request needs it to say (RFC 9449 §4.3, checks 2 to 12a).
///
/// Check 1, that there is exactly one header, is the caller's, and so is the replay memory.
pub fn judge(text: &str, expected: &Expectation<'_>) -> Result<Proof, ProofRefusal> {
    let jws = Unverified::parse(text, MAX_LENGTH)?;
    if jws.header_text("typ") != Some("dpop+jwt") {
        return Err(ProofRefusal::Type);
    }
    if jws.header_text("alg") != Some("ES256") {
        return Err(ProofRefusal::Algorithm);
    }
    let jwk = jws.header.get("jwk").and_then(Value::as_object).ok_or(JwkRefusal::NotP256)?;
    let key = PublicKey::from_jwk(jwk)?;
    if jws.claim_text("htm") != Some(expected.method) {
        return Err(ProofRefusal::Method);
    }
    if !jws.claim_text("htu").is_some_and(|htu| expected.uri.is_named_by(htu)) {
        return Err(ProofRefusal::Uri);
    }
    let jti = jws.claim_text("jti").unwrap_or_default();
    if jti.is_empty() || jti.len() > MAX_JTI_LENGTH || !jti.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ProofRefusal::Jti);
    }
    check_access_token_hash(&jws, expected.access_token)?;
    if !key.verifies(jws.signing_input.as_bytes(), &jws.signature) {
        return Err(ProofRefusal::Signature);
    }
    let iat = check_times(&jws, expected)?;
    check_nonce(&jws, expected.nonce)?;
    let successor = match jws.payload.get(SUCCESSOR_CLAIM) {
        None => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|_| ProofRefusal::WrongType)?),
        Some(_) => return Err(ProofRefusal::WrongType),
    };
    Ok(Proof { thumbprint: key.thumbprint(), key, jti: jti.to_owned(), iat, successor })
}

fn check_access_token_hash(jws: &Unverified<'_>, token: Option<&str>) -> Result<(), ProofRefusal> {
    let matches = match (jws.payload.get("ath"), token) {
        (None, None) => true,
        (Some(Value::String(ath)), Some(token)) => {
            equal_in_constant_time(ath.as_bytes(), sha256_base64url(token.as_bytes()).as_bytes())
        }
        _ => false,
    };
    matches.then_some(()).ok_or(ProofRefusal::AccessTokenHash)
}

fn check_times(jws: &Unverified<'_>, expected: &Expectation<'_>) -> Result<UnixTime, ProofRefusal> {
    let Expectation { now, window, .. } = *expected;
    let iat = jws.claim_time("iat").ok_or(ProofRefusal::IssuedAt)?;
    if !window.admits(iat, now) {
        return Err(ProofRefusal::Stale { iat, now, window });
    }
    let present = |name| jws.payload.contains_key(name);
    let unexpired = !present("exp") || jws.claim_time("exp").is_some_and(|exp| now < exp);
    let begun =
        !present("nbf") || jws.claim_time("nbf").is_some_and(|nbf| nbf <= now + window.future);
    (unexpired && begun).then_some(iat).ok_or(ProofRefusal::Expired)
}

fn check_nonce(jws: &Unverified<'_>, rule: NonceRule<'_>) -> Result<(), ProofRefusal> {
    let (is_ours, required) = match rule {
        NonceRule::Optional(is_ours) => (is_ours, false),
        NonceRule::Required(is_ours) => (is_ours, true),
    };
    match jws.payload.get("nonce") {
        None if required => Err(ProofRefusal::Nonce),
        None => Ok(()),
        Some(Value::String(nonce)) if is_ours(nonce) => Ok(()),
        Some(Value::String(_)) => Err(ProofRefusal::Nonce),
        Some(_) => Err(ProofRefusal::WrongType),
    }
}

/// Signs with the installation's key, wherever that key lives.
pub trait Signer: Send + Sync {
    /// Why signing can fail: the key is in a token that was pulled out, say.
    type Error;

    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The ES256 signature of `message`: 64 bytes, `r || s` (RFC 7518 §3.4).
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Self::Error>;
}

/// What a new proof shall say. Its `Debug` leaves the access token out.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URI of the request.
    pub uri: &'a HttpUri,
    /// The time now, on the server's clock.
    pub iat: UnixTime,
    /// A name never used before with this key.
    pub jti: &'a str,
    /// The access token that goes with the request.
    pub access_token: Option<&'a str>,
    /// The server's newest nonce.
    pub nonce: Option<&'a str>,
    /// The key that shall follow this one, in a key rotation.
    pub successor: Option<&'a Thumbprint>,
}

/// A proof that lacks only its signature.
#[derive(Clone, Debug)]
pub struct Unsigned(String);

impl Unsigned {
    /// From the text that is to be signed.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// What the key has to sign.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The proof, ended by the signature of [`Self::message`].
    #[must_use]
    pub fn signed(mut self, signature: &[u8; 64]) -> String {
        self.0.push('.');
        self.0.push_str(&base64url(signature));
        self.0
    }
}

impl Draft<'_> {
    /// Signs the proof: the value of a `DPoP` header (RFC 9449 §4.2).
    pub fn sign<S: Signer + ?Sized>(&self, signer: &S) -> Result<String, S::Error> {
        let unsigned = self.unsigned(signer.public_key());
        let signature = signer.sign(unsigned.message())?;
        Ok(unsigned.signed(&signature))
    }

    /// The proof for `key`, to be signed by whoever holds it, wherever that takes place.
    #[must_use]
    pub fn unsigned(&self, key: &PublicKey) -> Unsigned {
        let header = format!(
            r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}}}"#,
            key.x(),
            key.y()
        );
        let mut proof = base64url(header.as_bytes());
        proof.push('.');
        proof.push_str(&base64url(&self.claims()));
        Unsigned(proof)
    }

    fn claims(&self) -> Vec<u8> {
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("jti", self.jti.into());
        claim("htm", self.method.into());
        claim("htu", self.uri.as_str().into());
        claim("iat", self.iat.0.into());
        if let Some(token) = self.access_token {
            claim("ath", sha256_base64url(token.as_bytes()).into());
        }
        if let Some(nonce) = self.nonce {
            claim("nonce", nonce.into());
        }
        if let Some(successor) = self.successor {
            claim(SUCCESSOR_CLAIM, successor.to_string().into());
        }
        Value::Object(claims).to_string().into_bytes()
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .field("iat", &self.iat)
            .field("jti", &self.jti)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_no_access_token() {
        let uri = HttpUri::parse("https://pay.example/").expect("a URI");
        let draft = Draft {
            method: "GET",
            uri: &uri,
            iat: UnixTime(0),
            jti: "a",
            access_token: Some("canary-7f3a"),
            nonce: None,
            successor: None,
        };
        assert!(!format!("{draft:?}").contains("canary"));
    }
}
