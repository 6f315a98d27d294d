//! What the server's at-rest key protects: sealed receipts and secrets, MACs of refresh tokens, nonces and CSRF tokens.
//!
//! The key is a file outside the database and outside its backups, so a copy of the database opens nothing.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf, hmac,
};
use counterfoil_protocol::encoding::equal_in_constant_time;
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// Bytes of the at-rest key.
pub const KEY_LENGTH: usize = 32;

const NONCE_LENGTH: usize = 12;

/// Sealed bytes that do not open: another key, another label, or changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("sealed data does not open with this key")]
pub struct NotOurs;

/// What a derived key is for. Keys of different purposes have nothing to do with each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The answer of a code exchange, kept for its retry; keyed by the code.
    CodeReceipt,
    /// The answer of a refresh, kept for its retry; keyed by the refresh token.
    RefreshReceipt,
    /// The answer of a recovery, kept for its retry; keyed by the at-rest key and the idempotency key.
    RecoveryReceipt,
    /// The answer of a key rotation, kept for its retry; keyed by the refresh token that was presented.
    KeyRotationReceipt,
    /// Webhook signing secrets, which must be readable again.
    WebhookSecret,
    /// The secret of a person's second factor.
    SecondFactor,
    /// Answers of the partner API, kept for their retry; some hold a signing secret.
    PartnerReceipt,
    /// Answers to the payment engine, kept for their retry.
    EngineReceipt,
    /// What an external provider said of somebody who is still to give the password.
    ProviderLink,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::CodeReceipt => b"counterfoil receipt code v1",
            Self::RefreshReceipt => b"counterfoil receipt refresh v1",
            Self::RecoveryReceipt => b"counterfoil receipt recovery v1",
            Self::KeyRotationReceipt => b"counterfoil receipt key-rotation v1",
            Self::WebhookSecret => b"counterfoil webhook secret v1",
            Self::SecondFactor => b"counterfoil second factor v1",
            Self::PartnerReceipt => b"counterfoil receipt partner v1",
            Self::EngineReceipt => b"counterfoil receipt engine v1",
            Self::ProviderLink => b"counterfoil provider link v1",
        }
    }
}

/// The keys derived from the at-rest key.
pub struct Vault {
    at_rest: Zeroizing<[u8; KEY_LENGTH]>,
    refresh_token: hmac::Key,
    csrf: hmac::Key,
    device: hmac::Key,
    nonce: hmac::Key,
    operations: hmac::Key,
    provider: hmac::Key,
}

impl Vault {
    /// Derives all keys (RFC 5869, one label each).
    #[must_use]
    pub fn new(at_rest: [u8; KEY_LENGTH]) -> Self {
        let mac_key =
            |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, derive(&at_rest, label).as_slice());
        Self {
            refresh_token: mac_key(b"counterfoil mac refresh-token v1"),
            csrf: mac_key(b"counterfoil mac csrf v1"),
            device: mac_key(b"counterfoil mac device v1"),
            nonce: mac_key(b"counterfoil mac nonce v1"),
            operations: mac_key(b"counterfoil mac operations v1"),
            provider: mac_key(b"counterfoil mac provider v1"),
            at_rest: Zeroizing::new(at_rest),
        }
    }

    /// The key that marks refresh tokens as ours.
    #[must_use]
    pub fn refresh_token_key(&self) -> &hmac::Key {
        &self.refresh_token
    }

    /// The key that ties a form to the session it was shown to.
    #[must_use]
    pub fn csrf_key(&self) -> &hmac::Key {
        &self.csrf
    }

    /// The key that marks browsers in which somebody signed in before.
    #[must_use]
    pub fn device_key(&self) -> &hmac::Key {
        &self.device
    }

    /// The key that makes DPoP nonces.
    #[must_use]
    pub fn nonce_key(&self) -> &hmac::Key {
        &self.nonce
    }

    /// The key that marks what an operator keeps outside the database: the head of the audit trail, a backup's list.
    #[must_use]
    pub fn operations_key(&self) -> &hmac::Key {
        &self.operations
    }

    /// The key that makes nonces and PKCE verifiers for external providers.
    #[must_use]
    pub fn provider_key(&self) -> &hmac::Key {
        &self.provider
    }

    /// Seals with the at-rest key: for what the server itself must be able to read again.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        seal_with(self.at_rest.as_slice(), purpose, plain, entropy)
    }

    /// Opens what [`Self::seal`] sealed.
    pub fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
        open_with(self.at_rest.as_slice(), purpose, sealed)
    }
}

/// Seals with a key derived from `credential`: only who presents the credential again can have it opened.
#[must_use]
pub fn seal_with(
    credential: &[u8],
    purpose: Purpose,
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Vec<u8> {
    let nonce: [u8; NONCE_LENGTH] = entropy.bytes();
    let mut sealed = Vec::with_capacity(NONCE_LENGTH + plain.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let key = aead_key(credential, purpose);
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut sealed[NONCE_LENGTH..],
        )
        .expect("answers are far shorter than AES-GCM's limit");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// Opens what [`seal_with`] sealed with the same credential and purpose.
pub fn open_with(
    credential: &[u8],
    purpose: Purpose,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotOurs> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LENGTH).ok_or(NotOurs)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOurs)?;
    let mut body = Zeroizing::new(body.to_vec());
    let key = aead_key(credential, purpose);
    let length = key.open_in_place(nonce, Aad::empty(), &mut body).map_err(|_| NotOurs)?.len();
    body.truncate(length);
    Ok(body)
}

/// An HMAC-SHA256 tag, for comparing in constant time.
#[must_use]
pub fn mac(key: &hmac::Key, message: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(key, message).as_ref());
    tag
}

/// Whether `tag` is the start of the tag of `message`. Short tags are for values that also have other proof.
#[must_use]
pub fn mac_matches(key: &hmac::Key, message: &[u8], tag: &[u8]) -> bool {
    tag.len() >= 16
        && tag.len() <= 32
        && equal_in_constant_time(&mac(key, message)[..tag.len()], tag)
}

fn aead_key(credential: &[u8], purpose: Purpose) -> LessSafeKey {
    let key = derive(credential, purpose.label());
    LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("32 bytes are an AES-256 key"),
    )
}

fn derive(secret: &[u8], label: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"counterfoil")
        .extract(secret)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("32 bytes are within HKDF's limit");
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixed::CountingEntropy;

    #[test]
    fn only_the_same_credential_and_purpose_open() {
        let entropy = CountingEntropy::default();
        let sealed = seal_with(b"code", Purpose::CodeReceipt, b"answer", &entropy);
        assert_eq!(
            open_with(b"code", Purpose::CodeReceipt, &sealed).expect("opens").as_slice(),
            b"answer"
        );
        assert!(open_with(b"edoc", Purpose::CodeReceipt, &sealed).is_err());
        assert!(open_with(b"code", Purpose::RefreshReceipt, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open_with(b"code", Purpose::CodeReceipt, &changed).is_err());
            assert!(open_with(b"code", Purpose::CodeReceipt, &sealed[..at]).is_err());
        }
        assert!(!sealed.windows(6).any(|window| window == b"answer"));
    }
}
