//! Keys in files of the state directory: PKCS#8 in PEM, one file a slot, readable by the daemon's user alone.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{InstallationKey, KeyError, KeyStore, Leftover, Slot, software};
use crate::{clock::Entropy, files};

/// The one key's file before there were slots. It is in slot A, and stays what and where it is.
const FORMER_FILE: &str = "key.pem";

/// The longest file that is looked at, in bytes. A whole one has some 250.
const MAX_LENGTH: u64 = 16 * 1_024;

/// The state directory as a store of keys.
#[derive(Debug)]
pub(crate) struct FileStore {
    dir: PathBuf,
}

impl FileStore {
    /// Keeps keys in `dir`, which nobody else may enter.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
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
        files::write_durably(&path, pem.as_bytes(), 0o600)
            .map_err(|source| KeyError::Storage { path: path.clone(), source })?;
        read(&path)
    }

    fn load(&self, slot: Slot) -> Result<Option<InstallationKey>, KeyError> {
        self.find_file(slot)?.as_deref().map(read).transpose()
    }

    fn remove(&self, slot: Slot) -> Result<(), KeyError> {
        // Nothing is overwritten first: journaling file systems and flash keep the old blocks all the same.
        for path in self.files(slot) {
            let removed = match fs::remove_file(&path) {
                Ok(()) => files::sync_parent(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            removed.map_err(|source| KeyError::Storage { path, source })?;
        }
        Ok(())
    }

    fn place(&self, slot: Slot) -> String {
        let path = self.files(slot).find(|path| path.exists()).unwrap_or_else(|| self.file(slot));
        path.display().to_string()
    }
}

fn read(path: &Path) -> Result<InstallationKey, KeyError> {
    let storage = |source| KeyError::Storage { path: path.to_owned(), source };
    let malformed = || KeyError::Malformed { path: path.to_owned() };
    let metadata = fs::metadata(path).map_err(storage)?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return Err(malformed());
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(storage)?);
    software::SoftwareKey::from_pem(&bytes).map(InstallationKey::new).ok_or_else(malformed)
}

#[cfg(test)]
mod tests;
