//! What the front remembers of a request, and the secrets that it finds in one.

use std::collections::BTreeSet;

use counterfoil_protocol::{
    encoding::from_base64url,
    jwk::{PublicKey, Thumbprint},
};
use hyper::HeaderMap;
use serde_json::Value;

use super::{Behaviour, Step};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its step.
    pub step: Step,
    /// What became of it.
    pub behaviour: Behaviour,
    /// Its `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The thumbprint of the key that signed its proof.
    pub thumbprint: Option<Thumbprint>,
    /// Its `client_id`.
    pub client_id: Option<String>,
    /// The status of the real server's answer, if it was asked.
    pub answered: Option<u16>,
}

impl Seen {
    pub(super) fn of(step: Step, behaviour: Behaviour, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let fields = members(body);
        let client_id = fields.iter().find(|(name, _)| name == "client_id");
        Self {
            step,
            behaviour,
            idempotency_key: text("idempotency-key").map(str::to_owned),
            thumbprint: text("dpop").and_then(thumbprint),
            client_id: client_id.map(|(_, value)| value.clone()),
            answered: None,
        }
    }
}

/// Secrets, each with what it is.
pub type Secrets = BTreeSet<(&'static str, String)>;

/// The members of forms and of JSON objects that are secrets.
const SECRET_MEMBERS: [&str; 10] = [
    "access_token",
    "refresh_token",
    "code",
    "code_verifier",
    "state",
    "registrationId",
    "registration_id",
    "signingSecret",
    "secret",
    "token",
];

/// The secrets of a request or an answer: tokens, proofs, codes and what protects them.
pub(super) fn secrets_of(headers: &HeaderMap, body: &[u8]) -> Secrets {
    let mut secrets = Secrets::new();
    for (name, what) in
        [("dpop", "a proof"), ("dpop-previous", "a proof"), ("authorization", "an access token")]
    {
        let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        secrets.insert((what, text.strip_prefix("DPoP ").unwrap_or(text).to_owned()));
    }
    for (name, value) in members(body) {
        if let Some(what) = SECRET_MEMBERS.into_iter().find(|secret| *secret == name) {
            secrets.insert((what, value));
        }
    }
    secrets.retain(|(_, value)| value.len() >= 16);
    secrets
}

/// The members of a JSON object, those of objects within it too, or the fields of a form.
fn members(body: &[u8]) -> Vec<(String, String)> {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        let pairs = form_urlencoded::parse(body);
        return pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    };
    let mut found = Vec::new();
    let mut waiting = vec![json];
    while let Some(Value::Object(object)) = waiting.pop() {
        for (name, value) in object {
            match value {
                Value::String(text) => found.push((name, text)),
                Value::Object(_) => waiting.push(value),
                _ => {}
            }
        }
    }
    found
}

fn thumbprint(proof: &str) -> Option<Thumbprint> {
    let head: Value = serde_json::from_slice(&from_base64url(proof.split('.').next()?)?).ok()?;
    PublicKey::from_jwk(head.get("jwk")?.as_object()?).ok().map(|key| key.thumbprint())
}
