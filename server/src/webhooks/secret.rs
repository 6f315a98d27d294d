//! New signing secrets.

use counterfoil_protocol::secret::Secret;

use crate::{
    clock::Entropy,
    partner::subscription::SealedSecret,
    vault::{Purpose, Vault},
};

/// A new secret: as it is shown once, and as it is kept.
#[must_use]
pub fn new(vault: &Vault, entropy: &dyn Entropy) -> (Secret, SealedSecret) {
    let plain = Secret::new(entropy.secret("whsec_"));
    let text = plain.expose();
    let sealed = vault.seal(Purpose::WebhookSecret, text.as_bytes(), entropy);
    let last4 = text[text.len() - 4..].to_owned();
    (plain, SealedSecret { sealed, last4 })
}
