//! Passwords of people: argon2id, hashed and verified off the threads that serve requests.

use std::sync::LazyLock;

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash, password_hash::phc,
};
use counterfoil_protocol::secret::Secret;
use tokio::{sync::Semaphore, task};

use crate::clock::Entropy;

pub use crate::people::password::MAX_LENGTH;

/// Verifications at a time: each takes 19 MiB and a processor for some 30 ms.
static AT_WORK: Semaphore = Semaphore::const_new(2);

/// Verifications that may wait: more would be answered long after their browser has given up.
static WAITING: Semaphore = Semaphore::const_new(64);

/// What the password of an unknown person is verified with, so that it takes as long as a known one's.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash_with(b"nobody's password", &[0; 16]).unwrap_or_default());

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    /// Empty, or longer than [`MAX_LENGTH`].
    #[error("a password has 1 to {MAX_LENGTH} bytes")]
    Length,
    /// argon2 failed.
    #[error("the password could not be hashed: {0}")]
    Hash(password_hash::Error),
}

/// More people are signing in than the machine can take.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many passwords wait to be verified")]
pub struct Busy;

/// Hashes a password with a new salt, in PHC form. It takes tens of milliseconds.
pub fn hash(password: &Secret, entropy: &dyn Entropy) -> Result<String, PasswordError> {
    if password.expose().is_empty() || password.expose().len() > MAX_LENGTH {
        return Err(PasswordError::Length);
    }
    hash_with(password.expose().as_bytes(), &entropy.bytes::<16>()).map_err(PasswordError::Hash)
}

/// Hashes a new password, off the threads that serve requests.
pub async fn hash_for_person(
    password: Secret,
    entropy: std::sync::Arc<dyn Entropy>,
) -> Result<Result<String, PasswordError>, Busy> {
    let waiting = WAITING.try_acquire().map_err(|_| Busy)?;
    let working = AT_WORK.acquire().await.map_err(|_| Busy)?;
    drop(waiting);
    let hashed = task::spawn_blocking(move || {
        let hashed = hash(&password, &*entropy);
        drop(working);
        hashed
    });
    hashed.await.map_err(|_| Busy)
}

/// Whether a password is the one that was hashed. Without a hash the answer is no, and takes as long.
pub async fn verify(stored: Option<String>, password: Secret) -> Result<bool, Busy> {
    let waiting = WAITING.try_acquire().map_err(|_| Busy)?;
    let working = AT_WORK.acquire().await.map_err(|_| Busy)?;
    drop(waiting);
    let verified = task::spawn_blocking(move || {
        let nobody = &*NOBODY;
        let matches = is_password_of(stored.as_ref().unwrap_or(nobody), &password);
        drop(working);
        matches && stored.is_some()
    });
    Ok(verified.await.unwrap_or(false))
}

fn is_password_of(stored: &str, password: &Secret) -> bool {
    // What verifies takes its parameters from the stored hash; ours count for new ones only.
    password.expose().len() <= MAX_LENGTH
        && Argon2::default().verify_password(password.expose().as_bytes(), stored).is_ok()
}

/// argon2id with 19 MiB, two passes, one lane: the crate's default, and OWASP's first recommendation.
fn hash_with(password: &[u8], salt: &[u8; 16]) -> Result<String, password_hash::Error> {
    let hash: phc::PasswordHash = Argon2::default().hash_password_with_salt(password, salt)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixed::CountingEntropy;

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let entropy = CountingEntropy::default();
        let stored = hash(&Secret::new("correct horse"), &entropy).expect("hashes");
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(hash(&Secret::new("correct horse"), &entropy).expect("hashes"), stored);
        let verify = |stored: Option<&str>, password: &str| {
            verify(stored.map(str::to_owned), Secret::new(password))
        };
        assert_eq!(verify(Some(&stored), "correct horse").await, Ok(true));
        for (stored, password) in [
            (Some(stored.as_str()), "Correct horse"),
            (Some(stored.as_str()), ""),
            (Some("$argon2id$"), "correct horse"),
            (Some(""), ""),
            (None, "nobody's password"),
        ] {
            assert_eq!(verify(stored, password).await, Ok(false), "{stored:?} {password}");
        }
    }

    #[test]
    fn lengths() {
        let entropy = CountingEntropy::default();
        for password in [String::new(), "a".repeat(MAX_LENGTH + 1)] {
            assert_eq!(hash(&Secret::new(password), &entropy), Err(PasswordError::Length));
        }
    }
}
