//! Access tokens that are not what they seem.

use anyhow::{Context as _, Result, ensure};
use counterfoil_protocol::{
    encoding::{base64url, from_base64url},
    proof::Signer as _,
};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::Key;

/// The `kid` of the forger's key.
const KID: &str = "forged";

/// How a token is wrong. All but the first are signed with a key that the server publishes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forgery {
    /// The signature does not fit.
    Signature,
    /// Another company.
    Company,
    /// Another client.
    Client,
    /// Another key is bound.
    Key,
    /// It ended an hour ago.
    Expired,
}

/// Changes tokens and signs them anew.
pub(super) struct Forger(Key);

impl Forger {
    pub(super) fn new() -> Result<Self> {
        Key::generate().map(Self)
    }

    /// Changes the access token of a token answer.
    pub(super) fn forge(&self, answer: &[u8], forgery: Forgery) -> Result<Bytes> {
        let mut answer: Value = serde_json::from_slice(answer)?;
        let token = answer["access_token"].as_str().context("a token")?;
        let parts: Vec<_> = token.split('.').collect();
        ensure!(parts.len() == 3, "a token of three parts");
        let read = |part: &str| -> Result<Value> {
            Ok(serde_json::from_slice(&from_base64url(part).context("base64url")?)?)
        };
        let (mut head, mut claims) = (read(parts[0])?, read(parts[1])?);
        match forgery {
            Forgery::Signature => {}
            Forgery::Company => claims["company_id"] = json!("another-company"),
            Forgery::Client => claims["client_id"] = json!("mco_app_another"),
            Forgery::Key => claims["cnf"] = json!({ "jkt": base64url(&[7; 32]) }),
            Forgery::Expired => {
                let ended = claims["iat"].as_i64().context("iat")? - 3_600;
                claims["iat"] = json!(ended - 60);
                claims["exp"] = json!(ended);
            }
        }
        let signature = if forgery == Forgery::Signature {
            [1; 64]
        } else {
            head["kid"] = json!(KID);
            head["alg"] = json!("ES256");
            self.0.sign(format!("{}.{}", encode(&head), encode(&claims)).as_bytes())?
        };
        let forged = format!("{}.{}.{}", encode(&head), encode(&claims), base64url(&signature));
        answer["access_token"] = Value::String(forged);
        Ok(Bytes::from(answer.to_string()))
    }

    /// Adds the forger's key to the server's.
    pub(super) fn publish(&self, keys: &[u8]) -> Result<Bytes> {
        let mut keys: Value = serde_json::from_slice(keys)?;
        let mut own = self.0.public_key().to_jwk();
        for (name, value) in [("kid", KID), ("alg", "ES256"), ("use", "sig")] {
            own[name] = json!(value);
        }
        keys["keys"].as_array_mut().context("keys")?.push(own);
        Ok(Bytes::from(keys.to_string()))
    }
}

fn encode(value: &Value) -> String {
    base64url(value.to_string().as_bytes())
}
