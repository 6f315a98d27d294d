//! JWT access tokens (RFC 9068), bound to a key (RFC 9449 §6.1): their claims, the keys that verify them, and what
//! a client must check before it believes one.

mod judge;
mod keys;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    judge::{ClaimRefusal, ClientExpectation},
    keys::{KeySet, VerificationKey},
};
use crate::{
    UnixTime,
    jwk::Thumbprint,
    jws::{JwsRefusal, Unverified},
    scope::ScopeSet,
};

/// The longest access token looked at, in bytes.
pub const MAX_LENGTH: usize = 8_192;

/// The `typ` of an access token (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";

/// Why an access token is not genuine.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenRefusal {
    /// `alg` is not the algorithm of the key that `kid` names; each key has exactly one.
    #[error("the token's algorithm is not that of its key")]
    Algorithm,
    /// The claims are absent or of the wrong type.
    #[error("the token's claims are malformed")]
    Claims,
    /// Not a compact JWS.
    #[error("the token is malformed: {0}")]
    Malformed(#[from] JwsRefusal),
    /// The signature does not verify.
    #[error("the token's signature does not verify")]
    Signature,
    /// `typ` is not `at+jwt`.
    #[error("the token's typ is not at+jwt")]
    Type,
    /// `kid` names no key we know.
    #[error("the token names no known key")]
    UnknownKey,
}

/// What an access token says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claims {
    /// The server.
    pub iss: String,
    /// The resources it is for.
    #[serde(with = "audience")]
    pub aud: Vec<String>,
    /// Who approved, or the client itself; clients ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The client it was given to.
    pub client_id: String,
    /// What it may do.
    pub scope: ScopeSet,
    /// When it was made.
    pub iat: UnixTime,
    /// When it ends.
    pub exp: UnixTime,
    /// When it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<UnixTime>,
    /// Its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The key it is bound to; absent from a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The company whose data it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<String>,
    /// The company's name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// The approval it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    /// The native installation, equal to `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<String>,
    /// The token family it came from; ours, for revocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_id: Option<String>,
}

/// The `cnf` claim (RFC 9449 §6.1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Confirmation {
    /// The thumbprint of the key.
    pub jkt: Thumbprint,
}

impl Claims {
    /// Verifies a token's type, algorithm and signature, and reads its claims. Says nothing about time or audience.
    pub fn verify(token: &str, keys: &KeySet) -> Result<Self, TokenRefusal> {
        let jws = Unverified::parse(token, MAX_LENGTH)?;
        let typ = jws.header_text("typ").unwrap_or_default();
        if !typ.eq_ignore_ascii_case(TYPE) && !typ.eq_ignore_ascii_case("application/at+jwt") {
            return Err(TokenRefusal::Type);
        }
        let kid = match jws.header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(TokenRefusal::UnknownKey),
        };
        let key = keys.find(kid).ok_or(TokenRefusal::UnknownKey)?;
        if jws.header_text("alg") != Some(key.algorithm()) {
            return Err(TokenRefusal::Algorithm);
        }
        if !key.verifies(jws.signing_input.as_bytes(), &jws.signature) {
            return Err(TokenRefusal::Signature);
        }
        Self::from_payload(jws.payload).ok_or(TokenRefusal::Claims)
    }

    fn from_payload(payload: Map<String, Value>) -> Option<Self> {
        serde_json::from_value(Value::Object(payload)).ok()
    }
}

/// `aud` is a string or an array of strings (RFC 7519 §4.1.3); one audience is written as a string.
mod audience {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(
        aud: &[String],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match aud {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }
}
