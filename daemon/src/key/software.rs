//! A key in this process's memory, 12 µs a signature.
//!
//! Nothing is masked: the process cannot be traced or dumped. What held the private half is wiped when dropped:
//! p256 and the PEM buffers by themselves, aws-lc's `EVP_PKEY` because its `OPENSSL_free` overwrites what it frees.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use counterfoil_protocol::{jwk::PublicKey, proof::Signer};
use p256::{
    SecretKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
};
use zeroize::Zeroizing;

use super::CannotSign;
use crate::clock::{self, Entropy};

/// A P-256 key whose private half is here.
pub(super) struct SoftwareKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
    randomness: SystemRandom,
}

/// Makes a private key: PKCS#8 in PEM, with the end of its last line.
pub(super) fn new_pem(entropy: &dyn Entropy) -> Option<Zeroizing<String>> {
    let mut scalar = Zeroizing::new([0; 32]);
    loop {
        entropy.fill(scalar.as_mut());
        // Fewer than one in 2^32 draws is not below the order of the curve.
        if let Ok(secret) = SecretKey::from_slice(scalar.as_ref()) {
            return secret.to_pkcs8_pem(LineEnding::LF).ok();
        }
    }
}

impl SoftwareKey {
    /// Takes a key from what [`new_pem`] made; `None` for anything that is not whole.
    pub(super) fn from_pem(pem: &[u8]) -> Option<Self> {
        // A file cut off at its very end still parses; a whole one ends its last line.
        let whole = std::str::from_utf8(pem).ok()?.strip_suffix('\n')?;
        let document = SecretKey::from_pkcs8_pem(whole).ok()?.to_pkcs8_der().ok()?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_bytes()).ok()?;
        let point = pair.public_key().as_ref().try_into().ok()?;
        let public = PublicKey::from_uncompressed(point).ok()?;
        Some(Self { pair, public, randomness: clock::own_randomness() })
    }
}

impl Signer for SoftwareKey {
    type Error = CannotSign;

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        let signature = self.pair.sign(&self.randomness, message).map_err(|_| CannotSign)?;
        signature.as_ref().try_into().map_err(|_| CannotSign)
    }
}
