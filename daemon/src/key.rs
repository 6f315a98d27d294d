//! The installation's key: P-256, made once, kept as PKCS#8 in one file, used through `Signer` alone.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use counterfoil_protocol::{
    jwk::{PublicKey, Thumbprint},
    proof::Signer,
};
use p256::{
    SecretKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding},
};
use zeroize::Zeroizing;

use crate::{
    clock::{self, Entropy},
    files,
};

/// The name of the key's file in the state directory.
pub(crate) const FILE: &str = "key.pem";

/// Why there is no key to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// Others may read the file.
    #[error("the key {} can be read by others (mode {mode:o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is torn, empty or something else.
    #[error("the key {} is not a whole P-256 key in PKCS#8 form", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the key {}: {source}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A signature could not be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the key does not sign")]
pub(crate) struct CannotSign;

/// A key ready to sign. The private half stays inside.
pub(crate) struct InstallationKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
    thumbprint: Thumbprint,
    randomness: SystemRandom,
}

impl InstallationKey {
    /// Makes a new key and writes it to `path` before anything is signed with it.
    pub(crate) fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { path: path.to_owned() };
        let pem = new_secret(entropy).to_pkcs8_pem(LineEnding::LF).map_err(|_| malformed())?;
        files::write_durably(path, pem.as_bytes(), 0o600)
            .map_err(|source| KeyError::Storage { path: path.to_owned(), source })?;
        Self::from_pem(&pem).ok_or_else(malformed)
    }

    /// Loads the key at `path`, which nobody else may be able to read.
    pub(crate) fn load(path: &Path) -> Result<Self, KeyError> {
        let storage = |source| KeyError::Storage { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(storage)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path: path.to_owned(), mode });
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(storage)?);
        let pem = std::str::from_utf8(&bytes).ok();
        pem.and_then(Self::from_pem).ok_or_else(|| KeyError::Malformed { path: path.to_owned() })
    }

    /// How the server names this key.
    pub(crate) fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    fn from_pem(pem: &str) -> Option<Self> {
        // A file cut off at its very end still parses; a whole one ends its last line.
        let whole = pem.strip_suffix('\n')?;
        let document = SecretKey::from_pkcs8_pem(whole).ok()?.to_pkcs8_der().ok()?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_bytes()).ok()?;
        let point = pair.public_key().as_ref().try_into().ok()?;
        let public = PublicKey::from_uncompressed(point).ok()?;
        let thumbprint = public.thumbprint();
        Some(Self { pair, public, thumbprint, randomness: clock::signing_randomness() })
    }
}

impl Signer for InstallationKey {
    type Error = CannotSign;

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        let signature = self.pair.sign(&self.randomness, message).map_err(|_| CannotSign)?;
        signature.as_ref().try_into().map_err(|_| CannotSign)
    }
}

impl std::fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InstallationKey({})", self.thumbprint)
    }
}

fn new_secret(entropy: &dyn Entropy) -> SecretKey {
    let mut scalar = Zeroizing::new([0; 32]);
    loop {
        entropy.fill(scalar.as_mut());
        // Fewer than one in 2^32 draws is not below the order of the curve.
        if let Ok(secret) = SecretKey::from_slice(scalar.as_ref()) {
            return secret;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clock::System;

    #[test]
    fn a_key_comes_back_as_it_was_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let made = InstallationKey::create(&path, &System).expect("made");
        let loaded = InstallationKey::load(&path).expect("loaded");
        assert_eq!(made.thumbprint(), loaded.thumbprint());
        let signature = loaded.sign(b"message").expect("signed");
        assert!(made.public_key().verifies(b"message", &signature));
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        assert_eq!(format!("{made:?}"), format!("InstallationKey({})", made.thumbprint()));
    }

    #[test]
    fn a_torn_key_is_no_key_at_any_length() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        InstallationKey::create(&path, &System).expect("made");
        let whole = fs::read(&path).expect("there");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("cut");
            assert!(
                matches!(InstallationKey::load(&path), Err(KeyError::Malformed { .. })),
                "{length}"
            );
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        InstallationKey::create(&path, &System).expect("made");
        for mode in [0o640, 0o604, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            assert!(matches!(InstallationKey::load(&path), Err(KeyError::Exposed { .. })));
        }
    }
}
