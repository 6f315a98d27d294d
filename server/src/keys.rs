//! The server's own signing keys: made through josekit, published as a JWK set (RFC 7517).
//!
//! josekit sees only keys made here. What comes from the network is verified with `protocol`. ES256, which signs at
//! every refresh, goes through aws-lc, at a third of the cost; RS256 goes through josekit.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::SystemTime,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use counterfoil_protocol::{
    UnixTime,
    access_token::{self, Claims, KeySet, VerificationKey},
    encoding::{base64url, from_base64url_exact},
};
use josekit::{
    jwk::{Jwk, alg::ec::EcKeyPair},
    jws::{ES256, JwsSigner, RS256},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    clock::{Entropy, signing_randomness},
    files,
    oauth::profile::Algorithm,
};

/// Seconds a retired key stays published: as long as an answer it signed may be given again.
pub const RETIRED_LIFETIME: i64 = 90 * 24 * 3600;

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

/// One key in the index. The private half is in `<kid>.pem` beside it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyRecord {
    /// The key's name in JOSE headers.
    pub kid: String,
    /// Its one algorithm.
    pub alg: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// When another took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<UnixTime>,
}

impl KeyRecord {
    fn is_published(&self, now: UnixTime) -> bool {
        self.retired_at.is_none_or(|retired| now.since(retired) < RETIRED_LIFETIME)
    }
}

/// The keys in force, re-read when the operator rotates them.
pub struct SigningKeys {
    directory: PathBuf,
    loaded: RwLock<(Option<Version>, Arc<Loaded>)>,
}

type Version = (SystemTime, u64, u64);

/// One reading of the key directory.
pub struct Loaded {
    signers: HashMap<&'static str, Signer>,
    records: Vec<(KeyRecord, Map<String, Value>)>,
    verification: KeySet,
}

struct Signer {
    /// The protected header, encoded once: it is the same for every token.
    header: String,
    kid: String,
    private: Private,
}

enum Private {
    Es256(EcdsaKeyPair, SystemRandom),
    Rs256(Box<dyn JwsSigner>),
}

impl Private {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
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
}

impl SigningKeys {
    /// Opens the keys in `directory`; makes the first ones when there is no index yet.
    pub fn open(directory: &Path, entropy: &dyn Entropy, now: UnixTime) -> Result<Self, KeyError> {
        files::private_directory(directory)
            .map_err(|error| KeyError::File { path: directory.to_owned(), error })?;
        if !directory.join(INDEX).exists() {
            let _lock = lock(directory)?;
            // Another process may have made them while this one waited for the lock.
            if !directory.join(INDEX).exists() {
                make(directory, &[Algorithm::Es256, Algorithm::Rs256], entropy, now)?;
            }
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

    fn reload(&self, changed: Option<Version>) -> Option<Arc<Loaded>> {
        let fresh = Loaded::read(&self.directory)
            .inspect_err(|error| tracing::error!(%error, "signing keys not re-read; going on with the old ones"))
            .map(Arc::new)
            .ok();
        let mut slot = self.loaded.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.0 = changed;
        if let Some(fresh) = &fresh {
            slot.1 = Arc::clone(fresh);
        }
        fresh
    }
}

impl Loaded {
    fn read(directory: &Path) -> Result<Self, KeyError> {
        let index = read_index(directory)?;
        let mut loaded =
            Self { signers: HashMap::new(), records: Vec::new(), verification: KeySet::default() };
        let mut verification = Vec::new();
        for record in index {
            let path = directory.join(format!("{}.pem", record.kid));
            let unreadable = |reason: String| KeyError::Unreadable { path: path.clone(), reason };
            let pem = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
            let (private, jwk) = load(&record, &pem).map_err(unreadable)?;
            let key = VerificationKey::from_jwk(&jwk)
                .ok_or_else(|| unreadable("not a key we verify with".to_owned()))?;
            verification.push((Some(record.kid.clone()), key));
            if record.retired_at.is_none() {
                let alg = if record.alg == "RS256" { "RS256" } else { "ES256" };
                let header = json!({ "typ": access_token::TYPE, "alg": alg, "kid": record.kid });
                let header = base64url(header.to_string().as_bytes());
                loaded.signers.insert(alg, Signer { header, kid: record.kid.clone(), private });
            }
            loaded.records.push((record, jwk));
        }
        loaded.verification = verification.into_iter().collect();
        Ok(loaded)
    }

    /// Signs an access token (RFC 9068). Answers the token and the `kid` of the key.
    pub fn sign(&self, algorithm: Algorithm, claims: &Claims) -> Result<(String, &str), KeyError> {
        let signing = |reason: &dyn std::fmt::Display| KeyError::Signing(reason.to_string());
        let key = self
            .signers
            .get(algorithm.as_str())
            .ok_or_else(|| signing(&"no key for this algorithm"))?;
        let payload = serde_json::to_vec(claims).map_err(|error| signing(&error))?;
        let mut token = format!("{}.{}", key.header, base64url(&payload));
        let signature = key.private.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url(&signature));
        Ok((token, &key.kid))
    }

    /// The keys that verify our own access tokens, retired ones included.
    #[must_use]
    pub fn verification(&self) -> &KeySet {
        &self.verification
    }

    /// Whether the key is still published: an answer signed by one that is not cannot be given again.
    #[must_use]
    pub fn is_published(&self, kid: &str, now: UnixTime) -> bool {
        self.records.iter().any(|(record, _)| record.kid == kid && record.is_published(now))
    }

    /// The JWK set.
    #[must_use]
    pub fn jwks(&self, now: UnixTime) -> Value {
        let published = self.records.iter().filter(|(record, _)| record.is_published(now));
        json!({ "keys": published.map(|(_, jwk)| jwk).collect::<Vec<_>>() })
    }
}

/// Makes a new key for each algorithm and retires the ones before. Works while the server runs.
pub fn rotate(
    directory: &Path,
    algorithms: &[Algorithm],
    entropy: &dyn Entropy,
    now: UnixTime,
) -> Result<Vec<KeyRecord>, KeyError> {
    let _lock = lock(directory)?;
    make(directory, algorithms, entropy, now)
}

/// Keeps other processes from changing the keys as long as the answer lives.
fn lock(directory: &Path) -> Result<fs::File, KeyError> {
    files::lock(directory).map_err(|error| KeyError::File { path: directory.to_owned(), error })
}

fn make(
    directory: &Path,
    algorithms: &[Algorithm],
    entropy: &dyn Entropy,
    now: UnixTime,
) -> Result<Vec<KeyRecord>, KeyError> {
    let mut index =
        if directory.join(INDEX).exists() { read_index(directory)? } else { Vec::new() };
    let forgotten: Vec<_> = index.extract_if(.., |record| !record.is_published(now)).collect();
    let mut made = Vec::new();
    for algorithm in algorithms {
        let kid = base64url(&entropy.bytes::<12>());
        let path = directory.join(format!("{kid}.pem"));
        let pem = generate(*algorithm).map_err(|error| KeyError::Signing(error.to_string()))?;
        files::write_private(&path, &pem).map_err(|error| KeyError::File { path, error })?;
        let alg = algorithm.as_str();
        for record in
            index.iter_mut().filter(|record| record.alg == alg && record.retired_at.is_none())
        {
            record.retired_at = Some(now);
        }
        made.push(KeyRecord { kid, alg: alg.to_owned(), created_at: now, retired_at: None });
    }
    index.extend(made.iter().cloned());
    let path = directory.join(INDEX);
    let text = serde_json::to_vec_pretty(&index).expect("records are JSON");
    files::write_private(&path, &text).map_err(|error| KeyError::File { path, error })?;
    for record in forgotten {
        // No index names it any more; a file that stays behind does no harm.
        let _ = fs::remove_file(directory.join(format!("{}.pem", record.kid)));
    }
    Ok(made)
}

fn generate(algorithm: Algorithm) -> Result<Vec<u8>, josekit::JoseError> {
    Ok(match algorithm {
        Algorithm::Es256 => ES256.generate_key_pair()?.to_pem_private_key(),
        Algorithm::Rs256 => RS256.generate_key_pair(2048)?.to_pem_private_key(),
    })
}

/// A private key to sign with, and its public half as a JWK.
type Pair = (Private, Map<String, Value>);

fn load(record: &KeyRecord, pem: &[u8]) -> Result<Pair, String> {
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

fn read_index(directory: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    let path = directory.join(INDEX);
    let text = fs::read(&path).map_err(|error| KeyError::File { path: path.clone(), error })?;
    serde_json::from_slice(&text)
        .map_err(|error| KeyError::Unreadable { path, reason: error.to_string() })
}

/// What changes when the index is put in place anew: its time alone is as coarse as the kernel's tick.
fn version_of(directory: &Path) -> Option<Version> {
    let metadata = fs::metadata(directory.join(INDEX)).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::fixed::CountingEntropy;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn kids(keys: &SigningKeys, now: UnixTime) -> Vec<String> {
        let set = keys.current().jwks(now);
        let keys = set["keys"].as_array().expect("a list");
        keys.iter().map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
    }

    #[test]
    fn a_rotation_is_taken_up_and_the_old_key_stays_published() {
        let directory = tempfile::tempdir().expect("a directory");
        let entropy = CountingEntropy::default();
        let keys = SigningKeys::open(directory.path(), &entropy, NOW).expect("keys");
        let before = kids(&keys, NOW);
        for _ in 0..3 {
            rotate(directory.path(), &[Algorithm::Es256], &entropy, NOW).expect("rotates");
            assert_ne!(kids(&keys, NOW), before);
        }
        let after = kids(&keys, NOW);
        assert_eq!((before.len(), after.len()), (2, 5));
        assert!(before.iter().all(|kid| keys.current().is_published(kid, NOW)));
        let late = NOW + RETIRED_LIFETIME;
        assert_eq!(kids(&keys, late).len(), 2);
        rotate(directory.path(), &[Algorithm::Es256], &entropy, late).expect("rotates");
        let pems = fs::read_dir(directory.path()).expect("a directory").flatten();
        let pems = pems.filter(|entry| entry.path().extension().is_some_and(|e| e == "pem"));
        assert_eq!(pems.count(), 3, "forgotten keys are removed");
    }

    #[test]
    fn an_unreadable_index_keeps_the_keys_in_force() {
        let directory = tempfile::tempdir().expect("a directory");
        let entropy = CountingEntropy::default();
        let keys = SigningKeys::open(directory.path(), &entropy, NOW).expect("keys");
        let before = kids(&keys, NOW);
        fs::write(directory.path().join(INDEX), "[").expect("writes");
        assert_eq!(kids(&keys, NOW), before);
        assert!(SigningKeys::open(directory.path(), &entropy, NOW).is_err());
    }
}
