//! What operators do to the keys. Works while the server runs, which reads the index anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use counterfoil_protocol::{UnixTime, encoding::base64url};

use super::{
    INDEX, KeyError, KeyRecord, material,
    schedule::{self, Removal, State},
};
use crate::{clock::Entropy, files, oauth::profile::Algorithm};

/// When a new key signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takeover {
    /// After so many seconds of being published.
    After(u32),
    /// At once: the one before is not to be trusted, nor is one that waits.
    Now,
}

/// What became of a rotation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rotated {
    /// These are new; those that waited and never will sign are gone.
    Done {
        /// A key of each algorithm.
        made: Vec<KeyRecord>,
        /// Which are gone.
        withdrawn: Vec<KeyRecord>,
    },
    /// This one was made before and waits still. Nothing was changed.
    Waits(KeyRecord),
}

/// The keys as the index has them.
pub fn list(directory: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    read_index(directory)
}

/// Makes a new key for each algorithm, to sign when `takeover` says. Where there are no keys at all, or none that signs,
/// it signs at once.
pub fn rotate(
    directory: &Path,
    algorithms: &[Algorithm],
    takeover: Takeover,
    entropy: &dyn Entropy,
    now: UnixTime,
) -> Result<Rotated, KeyError> {
    let _lock = lock(directory)?;
    let there = directory.join(INDEX).exists();
    let index = if there { read_index(directory)? } else { Vec::new() };
    // A list of keys always has both: a store's profile may ask for either.
    let algorithms = if there { algorithms } else { &Algorithm::BOTH };
    let waits = |record: &&KeyRecord| {
        record.state(now) == State::Waiting && algorithms.iter().any(|a| a.as_str() == record.alg)
    };
    match index.iter().find(waits) {
        Some(record) if takeover != Takeover::Now => Ok(Rotated::Waits(record.clone())),
        _ => make(directory, index, algorithms, takeover, entropy, now),
    }
}

/// Makes the first keys, unless another process has meanwhile.
pub(super) fn first(
    directory: &Path,
    entropy: &dyn Entropy,
    now: UnixTime,
) -> Result<(), KeyError> {
    let _lock = lock(directory)?;
    if !directory.join(INDEX).exists() {
        make(directory, Vec::new(), &Algorithm::BOTH, Takeover::Now, entropy, now)?;
    }
    Ok(())
}

/// Takes a key out at once: it is published no more, and nothing that it signed is good any more.
pub fn remove(directory: &Path, kid: &str, now: UnixTime) -> Result<Removal, KeyError> {
    let _lock = lock(directory)?;
    let mut index = read_index(directory)?;
    let removal = schedule::remove(&mut index, kid, now);
    if let Removal::Done(record) = &removal {
        write_index(directory, &index)?;
        forget(directory, std::slice::from_ref(record));
    }
    Ok(removal)
}

/// Removes the keys that are published no longer. Answers how many.
pub(super) fn sweep(directory: &Path, now: UnixTime) -> Result<usize, KeyError> {
    let _lock = lock(directory)?;
    let mut index = read_index(directory)?;
    let old: Vec<_> = index.extract_if(.., |record| !record.is_published(now)).collect();
    if !old.is_empty() {
        write_index(directory, &index)?;
        forget(directory, &old);
    }
    Ok(old.len())
}

fn make(
    directory: &Path,
    mut index: Vec<KeyRecord>,
    algorithms: &[Algorithm],
    takeover: Takeover,
    entropy: &dyn Entropy,
    now: UnixTime,
) -> Result<Rotated, KeyError> {
    let old: Vec<_> = index.extract_if(.., |record| !record.is_published(now)).collect();
    let (mut made, mut withdrawn) = (Vec::new(), Vec::new());
    for algorithm in algorithms {
        let kid = base64url(&entropy.bytes::<12>());
        let path = directory.join(format!("{kid}.pem"));
        let pem = material::generate(*algorithm)?;
        files::write_private(&path, &pem).map_err(|error| KeyError::File { path, error })?;
        let alg = algorithm.as_str();
        let signs = schedule::signer(&index, alg, now)
            .is_some_and(|record| record.state(now) == State::Signing);
        let signs_from = match takeover {
            Takeover::After(seconds) if signs => now + i64::from(seconds),
            _ => now,
        };
        let alg = alg.to_owned();
        let record = KeyRecord { kid, alg, created_at: now, signs_from, retired_at: None };
        withdrawn.extend(schedule::succeed(&mut index, record.clone(), now));
        made.push(record);
    }
    write_index(directory, &index)?;
    forget(directory, &old);
    forget(directory, &withdrawn);
    Ok(Rotated::Done { made, withdrawn })
}

/// Removes the private halves of keys that no index names any more; one that stays behind does no harm.
fn forget(directory: &Path, records: &[KeyRecord]) {
    for record in records {
        let _ = fs::remove_file(directory.join(format!("{}.pem", record.kid)));
    }
}

/// Keeps other processes from changing the keys as long as the answer lives.
fn lock(directory: &Path) -> Result<fs::File, KeyError> {
    files::lock(directory).map_err(|error| KeyError::File { path: directory.to_owned(), error })
}

pub(super) fn read_index(directory: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    let path = directory.join(INDEX);
    let text = fs::read(&path).map_err(|error| KeyError::File { path: path.clone(), error })?;
    serde_json::from_slice(&text)
        .map_err(|error| KeyError::Unreadable { path, reason: error.to_string() })
}

fn write_index(directory: &Path, index: &[KeyRecord]) -> Result<(), KeyError> {
    let path: PathBuf = directory.join(INDEX);
    let text = serde_json::to_vec_pretty(index).expect("records are JSON");
    files::write_private(&path, &text).map_err(|error| KeyError::File { path, error })
}
