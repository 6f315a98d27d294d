//! The data directory: the database, the keys, the memory of proofs. Made on first use, closed to everybody else.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use counterfoil_protocol::{
    UnixTime,
    encoding::{base64url, from_base64url_exact},
};
use zeroize::Zeroizing;

use crate::{
    clock::Entropy,
    config, files,
    keys::{self, KeyError, SigningKeys},
    store::{DATABASE, Sqlite, StoreError},
    vault::KEY_LENGTH,
};

const AT_REST_KEY: &str = "at-rest.key";

/// The name of the at-rest key among the credentials that systemd hands over.
const AT_REST_CREDENTIAL: &str = "counterfoil-at-rest-key";

/// The at-rest key, wiped from memory when it is dropped.
pub type AtRestKey = Zeroizing<[u8; KEY_LENGTH]>;

/// Why the data directory cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or directory cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Others may read or enter it.
    #[error("{} may be read by others (mode {mode:03o}); run: chmod {wanted:03o} {}", path.display(), path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// The database is there, the key is not: a new one would open nothing of what was sealed with the old one.
    #[error("{} is missing, but the database is there. Restore the key from its backup; a new one would end every connection", .0.display())]
    KeyLost(PathBuf),
    /// The key's file holds something else.
    #[error("{} is not 32 bytes in base64url. Restore the key from its backup", .0.display())]
    KeyUnreadable(PathBuf),
    /// Two keys, and no way to say which is right.
    #[error("the credential {AT_REST_CREDENTIAL} and {} are different keys; remove the one that is wrong", .0.display())]
    TwoKeys(PathBuf),
    /// The database is there, the list of signing keys is not.
    #[error("{} is missing, but the database is there. Restore it from the backup of the keys; or make new keys, at which access tokens end: counterfoil-server key rotate", .0.display())]
    SigningKeysLost(PathBuf),
    /// The signing keys.
    #[error(transparent)]
    SigningKeys(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Remembers the issuer in a data directory, so that commands beside the server need not be told. Answers the one before
/// if it was another.
pub fn remember_issuer(data_dir: &Path, issuer: &str) -> Result<Option<String>, DataError> {
    let before = config::served_issuer(data_dir);
    if before.as_deref() != Some(issuer) {
        let path = data_dir.join(config::SERVED_ISSUER);
        files::write_private(&path, issuer.as_bytes())
            .map_err(|error| DataError::File { path, error })?;
    }
    Ok(before.filter(|before| before != issuer))
}

/// The data directory, checked.
pub struct DataDir {
    path: PathBuf,
    /// Whether there was a database when it was opened.
    had_database: bool,
}

impl DataDir {
    /// Opens the directory, making it when it is not there. One that others may enter is refused.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        for directory in [path.to_owned(), path.join("keys")] {
            files::private_directory(&directory)
                .map_err(|error| DataError::File { path: directory.clone(), error })?;
            private(&directory, 0o700)?;
        }
        let data = Self { path: path.to_owned(), had_database: path.join(DATABASE).exists() };
        let keys = fs::read_dir(data.keys_directory());
        let keys = keys.map_err(|error| DataError::File { path: data.keys_directory(), error })?;
        let files = keys.flatten().map(|entry| entry.path());
        for file in files.chain([path.join(DATABASE)]) {
            // A file that is being put in place may be gone by now.
            match private(&file, 0o600) {
                Err(DataError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(data)
    }

    /// Where the keys are.
    #[must_use]
    pub fn keys_directory(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there was a database before.
    #[must_use]
    pub fn had_database(&self) -> bool {
        self.had_database
    }

    /// The at-rest key: the credential, or the file. The first is made here, by one process alone, and never again once
    /// there is a database.
    pub fn at_rest_key(
        &self,
        credentials: Option<&Path>,
        entropy: &dyn Entropy,
    ) -> Result<AtRestKey, DataError> {
        let path = self.keys_directory().join(AT_REST_KEY);
        match self.known_at_rest_key(credentials)? {
            Some(key) => Ok(key),
            None if self.had_database => Err(DataError::KeyLost(path)),
            None => {
                let key = Zeroizing::new(entropy.bytes::<KEY_LENGTH>());
                let text = Zeroizing::new(base64url(key.as_slice()));
                files::create_private(&path, text.as_bytes())
                    .map_err(|error| DataError::File { path: path.clone(), error })?;
                // Another process may have been first; its key is the key.
                read_key(&path)?.ok_or(DataError::KeyLost(path))
            }
        }
    }

    /// The at-rest key: the credential, or the file; nothing when there is neither.
    pub fn known_at_rest_key(
        &self,
        credentials: Option<&Path>,
    ) -> Result<Option<AtRestKey>, DataError> {
        let path = self.keys_directory().join(AT_REST_KEY);
        let kept = read_key(&path)?;
        let credential = credentials.map(|directory| directory.join(AT_REST_CREDENTIAL));
        let credential = credential.map(|path| read_key(&path)).transpose()?.flatten();
        match (credential, kept) {
            (Some(given), Some(kept)) if given != kept => Err(DataError::TwoKeys(path)),
            (credential, kept) => Ok(credential.or(kept)),
        }
    }

    /// Whether there are signing keys.
    #[must_use]
    pub fn has_signing_keys(&self) -> bool {
        self.keys_directory().join(keys::INDEX).exists()
    }

    /// The signing keys; the first are made here.
    pub fn signing_keys(
        &self,
        entropy: &dyn Entropy,
        now: UnixTime,
    ) -> Result<SigningKeys, DataError> {
        let index = self.keys_directory().join(keys::INDEX);
        if self.had_database && !index.exists() {
            return Err(DataError::SigningKeysLost(index));
        }
        Ok(SigningKeys::open(&self.keys_directory(), entropy, now)?)
    }

    /// The database, made or migrated as needed.
    pub fn store(&self) -> Result<Sqlite, DataError> {
        let path = self.path.join(DATABASE);
        files::create_private(&path, b"").map_err(|error| DataError::File { path, error })?;
        Ok(Sqlite::open(&self.path)?)
    }
}

fn read_key(path: &Path) -> Result<Option<AtRestKey>, DataError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataError::File { path: path.to_owned(), error }),
    };
    from_base64url_exact(text.trim_end())
        .map(|key| Some(Zeroizing::new(key)))
        .ok_or_else(|| DataError::KeyUnreadable(path.to_owned()))
}

/// Refuses what others may read, write or enter.
fn private(path: &Path, wanted: u32) -> Result<(), DataError> {
    let metadata =
        fs::metadata(path).map_err(|error| DataError::File { path: path.to_owned(), error })?;
    let mode = metadata.permissions().mode() & 0o777;
    // Root too: what root wrote here, the server could not read.
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let error = io::Error::new(
            io::ErrorKind::PermissionDenied,
            "belongs to another user; run this as the user who owns the data",
        );
        return Err(DataError::File { path: path.to_owned(), error });
    }
    if mode & 0o077 != 0 {
        return Err(DataError::Open { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
