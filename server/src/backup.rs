//! Backups: the database as it is at one moment, a list of what it is, and the keys if they are asked for.

mod manifest;
mod restore;

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use counterfoil_protocol::{UnixTime, encoding::hex};

pub use self::{manifest::Manifest, restore::Plan};
use crate::{
    data::DataError,
    files,
    store::{DATABASE, Frozen, Sqlite, StoreError},
    trail::HeadError,
    vault::Vault,
};

/// The list of what a backup is.
const MANIFEST: &str = "manifest.json";

/// The directory of the keys, in a backup that has them as in the data directory.
const KEYS: &str = "keys";

/// Why there is no backup, or it was not restored. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The directory for the backup has something in it.
    #[error("{} is not empty; name a directory that is, or that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    /// The list of the backup is not there or not readable.
    #[error("{} is not the list of a backup that this program knows", .0.display())]
    Unlisted(PathBuf),
    /// The backup is of a newer program.
    #[error("the backup was made by version {0}, which writes another format; use that version")]
    Newer(String),
    /// The database is not the one of the list.
    #[error("the database in the backup is damaged: {0}; use another backup")]
    Damaged(String),
    /// The at-rest key here is another one than when the backup was made, or the list was changed.
    #[error(
        "the list of the backup does not fit the at-rest key: the key is another one, or somebody changed the list. Put the key back that was in use when the backup was made (keys/at-rest.key)"
    )]
    OtherKey,
    /// There is no at-rest key at all.
    #[error("there is no at-rest key: put keys/at-rest.key (0600) into {}, from where you keep the keys", .0.display())]
    NoKey(PathBuf),
    /// A server is running.
    #[error("a server runs on {}; stop it first", .0.display())]
    Running(PathBuf),
    /// The data directory.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The head of the audit trail.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, BackupError>;

fn at<T>(path: &Path, outcome: io::Result<T>) -> Result<T> {
    outcome.map_err(|error| BackupError::File { path: path.to_owned(), error })
}

/// Makes the directory of a backup, closed to others; one that has anything in it is refused.
pub fn prepare(to: &Path) -> Result<()> {
    at(to, files::private_directory(to))?;
    // One that was there may be open to others.
    at(to, fs::set_permissions(to, fs::Permissions::from_mode(0o700)))?;
    if at(to, fs::read_dir(to))?.next().is_some() {
        return Err(BackupError::NotEmpty(to.to_owned()));
    }
    Ok(())
}

/// Makes a backup of the data directory in the directory `to`, while the server runs or not. Its list is written last:
/// a directory without one is no backup.
pub fn make(
    data: &Path,
    to: &Path,
    with_keys: bool,
    vault: &Vault,
    now: UnixTime,
) -> Result<Manifest> {
    prepare(to)?;
    let database = to.join(DATABASE);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&database);
    let file = at(&database, file)?;
    Sqlite::copy(data, &database)?;
    at(&database, file.sync_all())?;
    if with_keys {
        copy_keys(&data.join(KEYS), &to.join(KEYS))?;
    }
    let copy = Frozen::open(&at(&database, fs::canonicalize(&database))?, true)?;
    let (bytes, sha256) = at(&database, measure(&database))?;
    let mut manifest = Manifest {
        format: manifest::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: now,
        schema: copy.schema()?,
        database_bytes: bytes,
        database_sha256: sha256,
        audit_last: copy.last_audit()?.map(|(id, hash)| (id, hex(&hash))),
        with_keys,
        mac: String::new(),
    };
    manifest.mark(vault.operations_key());
    let path = to.join(MANIFEST);
    at(&path, files::write_private(&path, manifest.text().as_bytes()))?;
    Ok(manifest)
}

/// Copies key files, all 0600, into a directory made for them.
fn copy_keys(from: &Path, to: &Path) -> Result<()> {
    at(to, files::private_directory(to))?;
    for entry in at(from, fs::read_dir(from))? {
        let path = at(from, entry)?.path();
        if let (Some(name), true) = (path.file_name(), path.is_file()) {
            let content = zeroize::Zeroizing::new(at(&path, fs::read(&path))?);
            let to = to.join(name);
            at(&to, files::create_private(&to, &content))?;
        }
    }
    Ok(())
}

/// A file's length and SHA-256, in hexadecimal digits.
fn measure(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut context, mut length) = (digest::Context::new(&digest::SHA256), 0);
    let mut piece = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok((length, hex(context.finish().as_ref())));
        }
        context.update(&piece[..read]);
        length += read as u64;
    }
}

#[cfg(test)]
mod tests;
