//! Keys in files of the state directory: PKCS#8 in PEM, one file a slot, readable by the daemon's user alone.
//!
//! With a credential, what is in the file is sealed. A plain key that is found then is sealed in its place, in one
//! rename: at no time is there no key, and afterwards there is no plain one.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterfoil_protocol::{
    encoding::{base64url, from_base64url},
    jwk::Thumbprint,
    proof::Signer as _,
};
use zeroize::Zeroizing;

use super::{
    InstallationKey, KeyError, KeyStore, Leftover, Seal, Slot,
    software::{self, SoftwareKey},
};
use crate::{clock::Entropy, files};

/// The one key's file before there were slots. It is in slot A, and stays what and where it is.
const FORMER_FILE: &str = "key.pem";

/// The longest file that is looked at, in bytes. A whole one has some 250.
const MAX_LENGTH: u64 = 16 * 1_024;

/// The first line of a sealed key. The key's thumbprint and the sealed key follow, a line each.
const SEALED: &str = "counterfoil sealed key";

/// What is sealed in such a file.
const LABEL: &str = "counterfoil key file";

/// One key's file, as it looks from outside.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// Only whoever has the credential can use it.
    pub(crate) sealed: bool,
    /// Whose key it is, where that can be told.
    pub(crate) thumbprint: Option<Thumbprint>,
}

/// Looks at the files of keys in `dir` without changing anything.
pub(crate) fn look(dir: &Path) -> Vec<Seen> {
    let store = FileStore { dir: dir.to_owned(), seal: None };
    let files = Slot::ALL.into_iter().flat_map(|slot| store.files(slot).collect::<Vec<_>>());
    let seen = files.filter_map(|path| {
        let mode = fs::metadata(&path).ok()?.mode() & 0o7777;
        let (sealed, thumbprint) = match read(&path) {
            Ok(Some(Contents::Sealed { thumbprint, .. })) => (true, Some(thumbprint)),
            Ok(Some(Contents::Plain(pem))) => {
                let key = SoftwareKey::from_pem(&pem);
                (false, key.map(|key| key.public_key().thumbprint()))
            }
            _ => (false, None),
        };
        Some(Seen { path, mode, sealed, thumbprint })
    });
    seen.collect()
}

/// The state directory as a store of keys.
#[derive(Debug)]
pub(super) struct FileStore {
    dir: PathBuf,
    seal: Option<Arc<Seal>>,
}

impl FileStore {
    /// Keeps keys in `dir`, which nobody else may enter. With a seal, plain ones are sealed now.
    pub(super) fn open(dir: &Path, seal: Option<Arc<Seal>>) -> Self {
        let store = Self { dir: dir.to_owned(), seal };
        for path in Slot::ALL.into_iter().flat_map(|slot| store.files(slot)) {
            // A disk that refuses is no reason to leave a key unused that can be read.
            if let Err(error) = store.tidy(&path) {
                tracing::warn!(%error, "the key cannot be sealed yet");
            }
        }
        store
    }

    fn tidy(&self, path: &Path) -> Result<(), KeyError> {
        // A write that a power cut ended left a key that nobody will use.
        remove_if_there(&files::temporary(path))?;
        if self.seal.is_some()
            && let Ok(Some(Contents::Plain(pem))) = read(path)
            && let Some(key) = SoftwareKey::from_pem(&pem)
        {
            self.write(path, &pem, &key.public_key().thumbprint())?;
            tracing::info!(path = %path.display(), "the key is sealed with the credential now");
        }
        Ok(())
    }

    fn write(&self, path: &Path, pem: &[u8], thumbprint: &Thumbprint) -> Result<(), KeyError> {
        let storage = |source| KeyError::Storage { path: path.to_owned(), source };
        let Some(seal) = &self.seal else {
            return files::write_durably(path, pem, 0o600).map_err(storage);
        };
        let sealed = base64url(&seal.seal(LABEL, &thumbprint.0, pem));
        let text = format!("{SEALED}\n{thumbprint}\n{sealed}\n");
        files::write_durably(path, text.as_bytes(), 0o600).map_err(storage)
    }

    fn key_in(&self, path: &Path) -> Result<Option<InstallationKey>, KeyError> {
        let malformed = || KeyError::Malformed { path: path.to_owned() };
        let (pem, named) = match read(path)? {
            None => return Ok(None),
            Some(Contents::Plain(pem)) => (pem, None),
            Some(Contents::Sealed { thumbprint, sealed }) => {
                let Some(seal) = &self.seal else {
                    return Err(KeyError::Sealed { path: path.to_owned() });
                };
                let pem = seal
                    .open(LABEL, &thumbprint.0, &sealed)
                    .map_err(|why| KeyError::StaysClosed { path: path.to_owned(), why })?;
                (pem, Some(thumbprint))
            }
        };
        let key = SoftwareKey::from_pem(&pem).ok_or_else(malformed)?;
        let key = InstallationKey::of_file(key, named.is_some());
        if named.is_some_and(|named| named != *key.thumbprint()) {
            return Err(malformed());
        }
        Ok(Some(key))
    }

    /// Where a new key of `slot` is written.
    fn file(&self, slot: Slot) -> PathBuf {
        self.dir.join(format!("key-{}.pem", slot.name()))
    }

    /// Every file that may hold the key of `slot`, the newer name first.
    fn files(&self, slot: Slot) -> impl Iterator<Item = PathBuf> {
        let former = (slot == Slot::A).then(|| self.dir.join(FORMER_FILE));
        std::iter::once(self.file(slot)).chain(former)
    }

    fn find_file(&self, slot: Slot) -> Result<Option<PathBuf>, KeyError> {
        for path in self.files(slot) {
            match fs::symlink_metadata(&path) {
                Ok(_) => return Ok(Some(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(KeyError::Storage { path, source }),
            }
        }
        Ok(None)
    }
}

impl KeyStore for FileStore {
    fn create(
        &self,
        slot: Slot,
        leftover: Leftover,
        entropy: &dyn Entropy,
    ) -> Result<InstallationKey, KeyError> {
        match (self.find_file(slot)?, leftover) {
            (Some(path), Leftover::Keep) => {
                return Err(KeyError::Occupied { place: path.display().to_string() });
            }
            (Some(_), Leftover::Replace) => self.remove(slot)?,
            (None, _) => {}
        }
        let path = self.file(slot);
        let malformed = || KeyError::Malformed { path: path.clone() };
        let pem = software::new_pem(entropy).ok_or_else(malformed)?;
        let key = SoftwareKey::from_pem(pem.as_bytes()).ok_or_else(malformed)?;
        self.write(&path, pem.as_bytes(), &key.public_key().thumbprint())?;
        self.key_in(&path)?.ok_or_else(malformed)
    }

    fn load(&self, slot: Slot) -> Result<Option<InstallationKey>, KeyError> {
        self.find_file(slot)?.map_or(Ok(None), |path| self.key_in(&path))
    }

    fn remove(&self, slot: Slot) -> Result<(), KeyError> {
        // Nothing is overwritten first: journaling file systems and flash keep the old blocks all the same.
        self.files(slot).try_for_each(|path| remove_if_there(&path))
    }

    fn place(&self, slot: Slot) -> String {
        let path = self.files(slot).find(|path| path.exists()).unwrap_or_else(|| self.file(slot));
        path.display().to_string()
    }
}

/// What is in a key's file.
enum Contents {
    /// A key, or what is left of one.
    Plain(Zeroizing<Vec<u8>>),
    /// A key for whoever has the credential.
    Sealed { thumbprint: Thumbprint, sealed: Vec<u8> },
}

fn read(path: &Path) -> Result<Option<Contents>, KeyError> {
    let storage = |source| KeyError::Storage { path: path.to_owned(), source };
    let malformed = || KeyError::Malformed { path: path.to_owned() };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(storage)?,
    };
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return Err(malformed());
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(storage)?);
    if !bytes.starts_with(SEALED.as_bytes()) {
        return Ok(Some(Contents::Plain(bytes)));
    }
    sealed_contents(&bytes).map(Some).ok_or_else(malformed)
}

fn sealed_contents(bytes: &[u8]) -> Option<Contents> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut lines = text.strip_prefix(SEALED)?.strip_prefix('\n')?.split('\n');
    let (thumbprint, sealed) = (lines.next()?.parse().ok()?, from_base64url(lines.next()?)?);
    lines.next().is_none().then_some(Contents::Sealed { thumbprint, sealed })
}

fn remove_if_there(path: &Path) -> Result<(), KeyError> {
    let removed = match fs::remove_file(path) {
        Ok(()) => files::sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| KeyError::Storage { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
