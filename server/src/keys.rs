//! The server's own signing keys: made through josekit, published as a JWK set (RFC 7517).
//!
//! josekit sees only keys made here. What comes from the network is verified with `protocol`. ES256, which signs at
//! every refresh, goes through aws-lc, at a third of the cost; RS256 goes through josekit.

mod change;
mod material;
mod schedule;

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::SystemTime,
};

use counterfoil_protocol::{
    UnixTime,
    access_token::{self, Claims, KeySet, VerificationKey},
    encoding::base64url,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::material::Private;
pub use self::{
    change::{Rotated, Takeover, list, remove, rotate},
    schedule::{KeyRecord, NOTICE, RETIRED_LIFETIME, Removal, SET_MAX_AGE, State},
};
use crate::{clock::Entropy, files, oauth::profile::Algorithm};

/// The name of the file that lists the keys.
pub const INDEX: &str = "signing-keys.json";

/// Why the signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A key file or the index does not parse, or a key of the index is missing.
    #[error("{}: {reason}; restore the file from the backup of the keys", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// josekit or OpenSSL failed.
    #[error("signing failed: {0}")]
    Signing(String),
}

/// The keys in force, re-read when the operator rotates them.
pub struct SigningKeys {
    directory: PathBuf,
    loaded: RwLock<(Option<Version>, Arc<Loaded>)>,
}

type Version = (SystemTime, u64, u64);

/// One reading of the key directory.
pub struct Loaded {
    keys: Vec<Key>,
    verification: KeySet,
}

struct Key {
    record: KeyRecord,
    /// The public half, as it is published.
    jwk: Map<String, Value>,
    /// The protected header of what it signs, encoded once: it is the same for every token.
    header: String,
    private: Private,
}

impl SigningKeys {
    /// Opens the keys in `directory`; makes the first ones when there is no index yet.
    pub fn open(directory: &Path, entropy: &dyn Entropy, now: UnixTime) -> Result<Self, KeyError> {
        files::private_directory(directory)
            .map_err(|error| KeyError::File { path: directory.to_owned(), error })?;
        if !directory.join(INDEX).exists() {
            change::first(directory, entropy, now)?;
        }
        let loaded = Arc::new(Loaded::read(directory)?);
        Ok(Self {
            directory: directory.to_owned(),
            loaded: RwLock::new((version_of(directory), loaded)),
        })
    }

    /// The keys as they are now, re-read when the index has changed. A reading that fails keeps the keys it has.
    #[must_use]
    pub fn current(&self) -> Arc<Loaded> {
        let changed = version_of(&self.directory);
        // Cloned out of the lock: a reload takes it again, for writing.
        let (seen, loaded) =
            self.loaded.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if seen == changed { loaded } else { self.reload(changed).unwrap_or(loaded) }
    }

    /// Removes the keys that are published no longer, private halves and all. Answers how many.
    pub fn sweep(&self, now: UnixTime) -> Result<usize, KeyError> {
        let whole = self.current().records().all(|record| record.is_published(now));
        if whole { Ok(0) } else { change::sweep(&self.directory, now) }
    }

    fn reload(&self, changed: Option<Version>) -> Option<Arc<Loaded>> {
        let fresh = Loaded::read(&self.directory)
            .inspect_err(|error| tracing::error!(%error, "signing keys not re-read; going on with the old ones"))
            .map(Arc::new)
            .ok();
        let mut slot = self.loaded.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.0 = changed;
        if let Some(fresh) = &fresh {
            tracing::info!(keys = fresh.keys.len(), "signing keys re-read");
            slot.1 = Arc::clone(fresh);
        }
        fresh
    }
}

impl Loaded {
    fn read(directory: &Path) -> Result<Self, KeyError> {
        let mut loaded = Self { keys: Vec::new(), verification: KeySet::default() };
        let mut verification = Vec::new();
        for record in change::read_index(directory)? {
            let path = directory.join(format!("{}.pem", record.kid));
            let unreadable = |reason: String| KeyError::Unreadable { path: path.clone(), reason };
            let pem = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
            let (private, jwk) = material::load(&record, &pem).map_err(unreadable)?;
            let key = VerificationKey::from_jwk(&jwk)
                .ok_or_else(|| unreadable("not a key we verify with".to_owned()))?;
            verification.push((Some(record.kid.clone()), key));
            let header = json!({ "typ": access_token::TYPE, "alg": record.alg, "kid": record.kid });
            let header = base64url(header.to_string().as_bytes());
            loaded.keys.push(Key { record, jwk, header, private });
        }
        loaded.verification = verification.into_iter().collect();
        Ok(loaded)
    }

    /// The keys, as they are listed.
    pub fn records(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter().map(|key| &key.record)
    }

    /// Signs an access token (RFC 9068) with the key whose turn it is. Answers the token and the `kid` of the key.
    pub fn sign(
        &self,
        algorithm: Algorithm,
        claims: &Claims,
        now: UnixTime,
    ) -> Result<(String, &str), KeyError> {
        let signing = |reason: &dyn std::fmt::Display| KeyError::Signing(reason.to_string());
        let key = self.signer(algorithm, now);
        let key = key.ok_or_else(|| signing(&"no key for this algorithm"))?;
        let payload = serde_json::to_vec(claims).map_err(|error| signing(&error))?;
        Ok((key.private.compact(&key.header, &payload)?, &key.record.kid))
    }

    /// Signs claims of another `typ` than an access token's with ES256, so that one is never taken for the other.
    pub fn sign_as(
        &self,
        typ: &str,
        claims: &impl Serialize,
        now: UnixTime,
    ) -> Result<String, KeyError> {
        let signing = |reason: &dyn std::fmt::Display| KeyError::Signing(reason.to_string());
        let alg = Algorithm::Es256;
        let key = self.signer(alg, now).ok_or_else(|| signing(&"no key for ES256"))?;
        let header = json!({ "typ": typ, "alg": alg.as_str(), "kid": key.record.kid });
        let payload = serde_json::to_vec(claims).map_err(|error| signing(&error))?;
        key.private.compact(&base64url(header.to_string().as_bytes()), &payload)
    }

    /// The key whose turn it is to sign.
    fn signer(&self, algorithm: Algorithm, now: UnixTime) -> Option<&Key> {
        let record = schedule::signer(self.records(), algorithm.as_str(), now)?;
        self.keys.iter().find(|key| key.record.kid == record.kid)
    }

    /// The keys that verify our own access tokens, retired ones included.
    #[must_use]
    pub fn verification(&self) -> &KeySet {
        &self.verification
    }

    /// Whether the key is still published: an answer signed by one that is not cannot be given again.
    #[must_use]
    pub fn is_published(&self, kid: &str, now: UnixTime) -> bool {
        self.records().any(|record| record.kid == kid && record.is_published(now))
    }

    /// The JWK set: keys that will sign, those that do, and those whose answers may be given again.
    #[must_use]
    pub fn jwks(&self, now: UnixTime) -> Value {
        let published = self.keys.iter().filter(|key| key.record.is_published(now));
        json!({ "keys": published.map(|key| &key.jwk).collect::<Vec<_>>() })
    }
}

/// What changes when the index is put in place anew: its time alone is as coarse as the kernel's tick.
fn version_of(directory: &Path) -> Option<Version> {
    let metadata = fs::metadata(directory.join(INDEX)).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

#[cfg(test)]
mod tests;
