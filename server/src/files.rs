//! Files that only the server may read, written whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use zeroize::Zeroizing;

/// Makes a directory that only its owner may enter, unless it is there.
pub fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file with mode 0600: beside the old one, synced, then put in its place.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = beside(path);
    write_file(&temporary, content)?;
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

/// Makes a file with mode 0600 and this content, unless there is one already: whole or not at all, by one process alone.
pub fn create_private(path: &Path, content: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = beside(path);
    write_file(&temporary, content)?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(directory)?.sync_all(),
    }
}

/// A name beside `path` that no other writer uses.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_extension(format!("new-{}-{number}", std::process::id()))
}

fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// The secret in a file that an operator wrote: all of it but the final line end. A file that everybody may read is
/// refused.
pub fn secret_line(path: &Path, most: usize) -> io::Result<Zeroizing<String>> {
    if fs::metadata(path)?.permissions().mode() & 0o007 != 0 {
        let sentence = "everybody may read it; run: chmod o-rwx on it";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
    }
    let text = Zeroizing::new(fs::read_to_string(path)?);
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.len() > most || secret.contains('\n') {
        let sentence = "it must hold the secret alone, on one line";
        return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// Locks a directory against other processes that do the same, until the answer is dropped.
pub fn lock(directory: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    rustix::fs::flock(&directory, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(directory)
}

/// Locks a directory as [`lock`] does, unless somebody else has: then nothing.
pub fn try_lock(directory: &Path) -> io::Result<Option<File>> {
    let directory = File::open(directory)?;
    match rustix::fs::flock(&directory, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        other => other.map(|()| Some(directory)).map_err(Into::into),
    }
}
