//! A key pair: made, read, signing. josekit and OpenSSL are used here alone.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use counterfoil_protocol::encoding::{base64url, from_base64url_exact};
use josekit::{
    jwk::{Jwk, alg::ec::EcKeyPair},
    jws::{ES256, JwsSigner, RS256},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{KeyError, KeyRecord};
use crate::{clock::signing_randomness, oauth::profile::Algorithm};

/// A private half.
pub(super) enum Private {
    Es256(EcdsaKeyPair, SystemRandom),
    Rs256(Box<dyn JwsSigner>),
}

impl Private {
    /// The signature of a message.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::Es256(key, randomness) => key
                .sign(randomness, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|error| KeyError::Signing(error.to_string())),
            Self::Rs256(key) => {
                key.sign(message).map_err(|error| KeyError::Signing(error.to_string()))
            }
        }
    }

    /// A compact JWS of an encoded header and a payload.
    pub(super) fn compact(&self, header: &str, payload: &[u8]) -> Result<String, KeyError> {
        let mut token = format!("{header}.{}", base64url(payload));
        let signature = self.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url(&signature));
        Ok(token)
    }
}

/// A new private key, as PEM.
pub(super) fn generate(algorithm: Algorithm) -> Result<Vec<u8>, KeyError> {
    let made = match algorithm {
        Algorithm::Es256 => ES256.generate_key_pair().map(|pair| pair.to_pem_private_key()),
        Algorithm::Rs256 => RS256.generate_key_pair(2048).map(|pair| pair.to_pem_private_key()),
    };
    made.map_err(|error| KeyError::Signing(error.to_string()))
}

/// A private key to sign with, and its public half as a JWK.
pub(super) type Pair = (Private, Map<String, Value>);

/// Reads the pair of a record.
pub(super) fn load(record: &KeyRecord, pem: &[u8]) -> Result<Pair, String> {
    let text = |error: josekit::JoseError| error.to_string();
    let (private, mut jwk): (Private, Jwk) = match record.alg.as_str() {
        "ES256" => {
            let pair = ES256.key_pair_from_pem(pem).map_err(text)?;
            (es256(&pair)?, pair.to_jwk_public_key())
        }
        "RS256" => {
            let pair = RS256.key_pair_from_pem(pem).map_err(text)?;
            let signer = RS256.signer_from_pem(pem).map_err(text)?;
            (Private::Rs256(Box::new(signer)), pair.to_jwk_public_key())
        }
        other => return Err(format!("unknown algorithm {other}")),
    };
    jwk.set_key_id(&record.kid);
    jwk.set_key_use("sig");
    jwk.set_algorithm(&record.alg);
    Ok((private, jwk.as_ref().clone()))
}

/// The key as aws-lc signs with it. It does not read the DER that josekit writes.
fn es256(pair: &EcKeyPair) -> Result<Private, String> {
    let jwk = pair.to_jwk_key_pair();
    let number = |name| {
        let text = jwk.parameter(name).and_then(Value::as_str);
        text.and_then(from_base64url_exact::<32>).ok_or("not a key on P-256")
    };
    let private = Zeroizing::new(number("d")?);
    let mut point = vec![4];
    point.extend_from_slice(&number("x")?);
    point.extend_from_slice(&number("y")?);
    EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        private.as_slice(),
        &point,
    )
    .map(|key| Private::Es256(key, signing_randomness()))
    .map_err(|error| error.to_string())
}
