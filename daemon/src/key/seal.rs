//! What is on the disk, sealed with a credential that is not: AES-256-GCM under a key made by HKDF-SHA256 (RFC 5869).
//!
//! Every seal draws a salt of its own and so has a key of its own, used once; the nonce can be constant. The label
//! says what is inside: a sealed thing cannot be taken for another kind of thing.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use counterfoil_protocol::encoding::{equal_in_constant_time, sha256};
use zeroize::Zeroizing;

use crate::clock;

/// What a sealed thing begins with, before the number of its form.
const MAGIC: &[u8] = b"CtrFseal";

/// The form that is written. A newer one is refused, never guessed at.
const FORM: u8 = 1;

const SALT: usize = 32;

/// The credential's name for itself: tells a wrong credential from a torn file, and nothing else.
const NAME: usize = 8;

const HEADER: usize = MAGIC.len() + 1 + NAME + SALT;

/// The label under which a credential names itself.
const NAMING: &str = "counterfoil seal name";

/// Why a sealed thing stays closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum StaysClosed {
    /// Torn, changed, or not what the label says.
    #[error("it is damaged")]
    Damaged,
    /// A newer daemon sealed it.
    #[error("a newer counterfoild sealed it; install that version again")]
    Newer,
    /// It was sealed with another credential.
    #[error("it was sealed with another credential")]
    OtherCredential,
}

/// A credential that seals.
pub(crate) struct Seal {
    credential: Zeroizing<Vec<u8>>,
    randomness: SystemRandom,
}

impl Seal {
    /// Seals with `credential`, which must be random: at least 32 bytes that nobody can guess.
    pub(crate) fn new(credential: Zeroizing<Vec<u8>>) -> Self {
        Self { credential, randomness: clock::own_randomness() }
    }

    /// Seals `plain` as a `label`; only what names the same `context` opens it.
    pub(crate) fn seal(&self, label: &str, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut salt = [0; SALT];
        self.randomness.fill(&mut salt).expect("the operating system gives random bytes");
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + AES_256_GCM.tag_len());
        for part in [MAGIC, &[FORM], &self.name(), &salt] {
            sealed.extend_from_slice(part);
        }
        let header = sealed.clone();
        let mut body = Zeroizing::new(plain.to_vec());
        let tag = self
            .key(&salt, label)
            .seal_in_place_separate_tag(nonce(), Aad::from(bound(&header, context)), &mut body)
            .expect("a file is shorter than what AES-GCM can seal");
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`Self::seal`] made with the same label and context.
    pub(crate) fn open(
        &self,
        label: &str,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StaysClosed> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(StaysClosed::Damaged)?;
        match rest.first() {
            Some(&FORM) => {}
            Some(form) if *form > FORM => return Err(StaysClosed::Newer),
            _ => return Err(StaysClosed::Damaged),
        }
        let (header, body) = sealed.split_at_checked(HEADER).ok_or(StaysClosed::Damaged)?;
        let (name, salt) = header[MAGIC.len() + 1..].split_at(NAME);
        if !equal_in_constant_time(name, &self.name()) {
            return Err(StaysClosed::OtherCredential);
        }
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .key(salt, label)
            .open_in_place(nonce(), Aad::from(bound(header, context)), &mut body)
            .map_err(|_| StaysClosed::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    fn key(&self, salt: &[u8], label: &str) -> LessSafeKey {
        let prk = Salt::new(HKDF_SHA256, salt).extract(&self.credential);
        let info = [label.as_bytes()];
        let okm = prk.expand(&info, &AES_256_GCM).expect("a key is shorter than what HKDF gives");
        LessSafeKey::new(UnboundKey::from(okm))
    }

    fn name(&self) -> [u8; NAME] {
        let prk = Salt::new(HKDF_SHA256, b"").extract(&self.credential);
        let info = [NAMING.as_bytes()];
        let mut name = [0; NAME];
        prk.expand(&info, Length(NAME))
            .and_then(|okm| okm.fill(&mut name))
            .expect("a name is shorter than what HKDF gives");
        name
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

/// How many bytes HKDF shall give.
struct Length(usize);

impl aws_lc_rs::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// What is authenticated beside the content: a hash, so that no context runs into the header.
fn bound(header: &[u8], context: &[u8]) -> [u8; 64] {
    let mut bound = [0; 64];
    bound[..32].copy_from_slice(&sha256(header));
    bound[32..].copy_from_slice(&sha256(context));
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(credential: &[u8]) -> Seal {
        Seal::new(Zeroizing::new(credential.to_vec()))
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_words_alone() {
        let (ours, theirs) = (seal(&[7; 32]), seal(&[8; 32]));
        let sealed = ours.seal("key", b"context", b"canary-7f3a");
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(&*ours.open("key", b"context", &sealed).expect("opened"), b"canary-7f3a");
        assert_eq!(ours.open("facts", b"context", &sealed), Err(StaysClosed::Damaged));
        assert_eq!(ours.open("key", b"other", &sealed), Err(StaysClosed::Damaged));
        assert_eq!(theirs.open("key", b"context", &sealed), Err(StaysClosed::OtherCredential));
        assert_eq!(format!("{ours:?}"), "Seal");
    }

    #[test]
    fn nothing_is_sealed_twice_alike() {
        let seal = seal(&[7; 32]);
        let sealed = || seal.seal("key", b"", b"the same");
        assert_ne!(sealed(), sealed());
        assert_eq!(&*seal.open("key", b"", &seal.seal("key", b"", b"")).expect("empty"), b"");
    }

    #[test]
    fn a_changed_bit_or_a_missing_end_is_noticed_anywhere() {
        let seal = seal(&[7; 32]);
        let whole = seal.seal("key", b"", b"content");
        for length in 0..whole.len() {
            assert_eq!(seal.open("key", b"", &whole[..length]), Err(StaysClosed::Damaged));
        }
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 0x40;
            assert!(seal.open("key", b"", &changed).is_err(), "{index}");
        }
        let mut newer = whole;
        newer[MAGIC.len()] = FORM + 1;
        assert_eq!(seal.open("key", b"", &newer), Err(StaysClosed::Newer));
    }
}
