//! The outbox: a directory of letters, each a file of its own, named by when it was written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use counterfoil_protocol::UnixTime;

use super::{MailError, schedule};
use crate::files;

/// Letters looked at in one go. What is beyond waits for the next.
const MOST: usize = 10_000;

/// The longest letter that is read back, in bytes.
const MAX_LETTER: u64 = 256 * 1024;

/// What the name of a letter ends with.
const LETTER: &str = "eml";

/// What the name of a letter goes on with while it is written.
const BEGUN: &str = "new-";

/// The directory of letters, and the one below it of those that were given up.
pub struct Outbox {
    path: PathBuf,
    failed: PathBuf,
}

impl Outbox {
    /// Opens `outbox` below the data directory, making it when it is not there.
    pub fn open(data_dir: &Path) -> Result<Self, MailError> {
        let path = data_dir.join("outbox");
        let failed = path.join("failed");
        files::private_directory(&failed)
            .map_err(|error| MailError::Outbox { path: failed.clone(), error })?;
        Ok(Self { path, failed })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a new letter.
    pub fn name(&self, now: UnixTime, id: &str) -> PathBuf {
        self.path.join(format!("{:012}-{id}.eml", now.0.max(0)))
    }

    /// The letters and when they were written, oldest first.
    pub fn letters(&self) -> Result<Vec<(UnixTime, PathBuf)>, MailError> {
        files_in(&self.path, LETTER)
    }

    /// Puts a letter away that cannot be sent, for the operator to look at.
    pub fn give_up(&self, path: &Path) -> Result<(), MailError> {
        let Some(name) = path.file_name() else { return Ok(()) };
        gone(fs::rename(path, self.failed.join(name)), path)
    }

    /// Forgets letters that were given up long ago.
    pub fn forget(&self, now: UnixTime) -> Result<(), MailError> {
        for (written_at, path) in files_in(&self.failed, LETTER)? {
            if now.0 - written_at.0 >= schedule::KEPT_FAILED + schedule::KEPT_IN_OUTBOX {
                remove(&path)?;
            }
        }
        // Whoever wrote these was killed before they were letters.
        for (written_at, path) in files_in(&self.path, BEGUN)? {
            if now.0 - written_at.0 >= schedule::KEPT_BEGUN {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// A letter; nothing when it is gone.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, MailError> {
    let read = fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_LETTER {
            return Err(io::Error::other("this is no letter of ours: it is too long"));
        }
        fs::read(path)
    });
    match read {
        Ok(letter) => Ok(Some(letter)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(MailError::Outbox { path: path.to_owned(), error }),
    }
}

/// Removes a letter that was sent.
pub fn remove(path: &Path) -> Result<(), MailError> {
    gone(fs::remove_file(path), path)
}

/// The files in a directory whose name goes on as `kind`, and when they were begun.
fn files_in(directory: &Path, kind: &str) -> Result<Vec<(UnixTime, PathBuf)>, MailError> {
    let failed = |error| MailError::Outbox { path: directory.to_owned(), error };
    let mut letters: Vec<_> = fs::read_dir(directory)
        .map_err(failed)?
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let (name, extension) = path.file_name()?.to_str()?.split_once('.')?;
            let written_at = name.split_once('-')?.0.parse().ok()?;
            if !extension.starts_with(kind) {
                return None;
            }
            Some((UnixTime(written_at), path))
        })
        .take(MOST)
        .collect();
    letters.sort_by(|(_, one), (_, other)| one.cmp(other));
    Ok(letters)
}

/// What another process has taken away meanwhile is gone as well.
fn gone(result: io::Result<()>, path: &Path) -> Result<(), MailError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(MailError::Outbox { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}
