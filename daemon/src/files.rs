//! Files and directories that hold secrets: who may touch them, and how they are written so that they stay whole.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

/// Why a path is not trusted with secrets or orders.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Distrust {
    /// It must be root's own, and is not.
    #[cfg(feature = "pkcs11")]
    #[error("{} belongs to user {owner}; it must belong to root", path.display())]
    NotRoots {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Somebody else owns it.
    #[error("{} belongs to user {owner}, who could change what this daemon reads; it must belong to root or to the user the daemon runs as", path.display())]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may write to it.
    #[error("{} can be written by others (mode {mode:o}); run: chmod go-w {}", path.display(), path.display())]
    Writable {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It cannot be looked at.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Checks that nobody but root and this user can change `path` or put another in its place.
///
/// Directories that everybody may write to are accepted above it when they are sticky, as `/tmp` is.
pub(crate) fn check_trusted(path: &Path) -> Result<(), Distrust> {
    let group = rustix::process::getegid().as_raw();
    check_trusted_for(path, rustix::process::geteuid().as_raw(), Some(group))
}

/// Checks the same for another user, and the group that shares directories with it.
pub(crate) fn check_trusted_for(
    path: &Path,
    user: u32,
    group: Option<u32>,
) -> Result<(), Distrust> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Distrust::Unreadable { path, source }
    };
    let real = path.canonicalize().map_err(unreadable(path))?;
    for (depth, place) in real.ancestors().enumerate() {
        let metadata = fs::metadata(place).map_err(unreadable(place))?;
        check_place(place, &metadata, depth > 0, (user, group))?;
    }
    Ok(())
}

/// Checks that nobody but root can change `path` or put another in its place: it is loaded into this process.
#[cfg(feature = "pkcs11")]
pub(crate) fn check_roots(path: &Path) -> Result<(), Distrust> {
    check_trusted(path)?;
    let unreadable = |source| Distrust::Unreadable { path: path.to_owned(), source };
    for place in path.canonicalize().map_err(unreadable)?.ancestors() {
        let owner = fs::metadata(place).map_err(unreadable)?.uid();
        if owner != 0 {
            return Err(Distrust::NotRoots { path: place.to_owned(), owner });
        }
    }
    Ok(())
}

fn check_place(
    path: &Path,
    metadata: &Metadata,
    is_ancestor: bool,
    (user, group): (u32, Option<u32>),
) -> Result<(), Distrust> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != user {
        return Err(Distrust::Owner { path: path.to_owned(), owner });
    }
    let sticky = is_ancestor && mode & 0o1000 != 0;
    let shared_group = is_ancestor && (metadata.gid() == 0 || group == Some(metadata.gid()));
    let by_others = mode & 0o002 != 0 || (mode & 0o020 != 0 && !shared_group);
    if by_others && !sticky {
        return Err(Distrust::Writable { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Makes a directory, and those above it, that only this user may enter. One that exists is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file so that it is either absent, as it was, or whole: temporary name, sync, rename, sync of the directory.
pub(crate) fn write_durably(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    // The process's umask must not decide who can read this.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Where [`write_durably`] writes before it renames; what is found there was never finished.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    temporary.into()
}

/// Makes sure that the names in the directory of `path` survive a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes sure that a directory, and those above it, are still there after a power cut, whoever made them.
pub(crate) fn sync_above(dir: &Path) -> io::Result<()> {
    let real = dir.canonicalize()?;
    for place in real.ancestors().skip(1) {
        match File::open(place).and_then(|place| place.sync_all()) {
            // What this user may not even list, or nobody may change, it has not made.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                        | io::ErrorKind::InvalidInput
                ) => {}
            done => done?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_write_is_not_trusted() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("state");
        create_private_dir(&place).expect("made");
        assert_eq!(fs::metadata(&place).expect("there").mode() & 0o777, 0o700);
        for (mode, trusted) in
            [(0o700, true), (0o755, true), (0o777, false), (0o770, false), (0o1777, false)]
        {
            fs::set_permissions(&place, Permissions::from_mode(mode)).expect("set");
            assert_eq!(check_trusted(&place).is_ok(), trusted, "{mode:o}");
        }
    }

    #[test]
    fn a_sticky_directory_is_trusted_only_above() {
        let dir = tempfile::tempdir().expect("a directory");
        let (open, place) = (dir.path().join("tmp"), dir.path().join("tmp/state"));
        create_private_dir(&place).expect("made");
        for (mode, trusted) in [(0o1777, true), (0o777, false)] {
            fs::set_permissions(&open, Permissions::from_mode(mode)).expect("set");
            assert_eq!(check_trusted(&place).is_ok(), trusted, "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key.pem");
        fs::write(dir.path().join("key.pem.new"), "left behind").expect("written");
        for contents in ["one", "two"] {
            write_durably(&path, contents.as_bytes(), 0o600).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), contents);
        }
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
    }
}
