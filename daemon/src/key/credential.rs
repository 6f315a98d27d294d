//! Secrets that the system hands to the daemon: systemd credentials, or files that the store's file names.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{KeyError, Seal};
use crate::files;

/// The credential that seals the state.
const STATE_KEY: &str = "state-key";

/// The shortest credential that seals, in bytes: what a person can remember is not enough.
const SHORTEST: usize = 32;

/// The longest that is looked at, in bytes.
const LONGEST: u64 = 64 * 1_024;

/// What systemd passes to a service (`LoadCredential=`, `LoadCredentialEncrypted=`, systemd.exec(5)).
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    dir: Option<PathBuf>,
}

/// A secret that was given, and where.
struct Given {
    path: PathBuf,
    /// Without the white space around it.
    secret: Zeroizing<Vec<u8>>,
}

impl Credentials {
    /// Finds the directory that systemd names in the environment.
    pub(crate) fn from_environment() -> Self {
        Self { dir: env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from) }
    }

    /// Credentials in a directory.
    #[cfg(test)]
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self { dir: Some(dir.to_owned()) }
    }

    /// The seal for the state, if there is a credential for it: the file that is named, else systemd's.
    pub(super) fn seal(&self, seal_file: Option<&Path>) -> Result<Option<Seal>, KeyError> {
        let Some(Given { path, secret }) = self.find(seal_file, STATE_KEY)? else {
            return Ok(None);
        };
        if secret.len() < SHORTEST {
            let why = "is shorter than 32 bytes; make one with: openssl rand -base64 48";
            return Err(KeyError::Credential { path, why: why.to_owned() });
        }
        Ok(Some(Seal::new(secret)))
    }

    /// The PIN of a token, if there is one: in the file that is named, else in systemd's credential.
    #[cfg(feature = "pkcs11")]
    pub(super) fn pin(
        &self,
        pin_file: Option<&Path>,
        name: &str,
    ) -> Result<Option<Zeroizing<String>>, KeyError> {
        let Some(Given { path, secret }) = self.find(pin_file, name)? else { return Ok(None) };
        match std::str::from_utf8(&secret) {
            Ok(pin) if !pin.is_empty() => Ok(Some(Zeroizing::new(pin.to_owned()))),
            _ => Err(KeyError::Credential { path, why: "holds no PIN".to_owned() }),
        }
    }

    /// The secret in `file`, or else in systemd's credential `name`.
    fn find(&self, file: Option<&Path>, name: &str) -> Result<Option<Given>, KeyError> {
        if let Some(path) = file {
            return read_file(path).map(Some);
        }
        let Some(path) = self.dir.as_ref().map(|dir| dir.join(name)) else { return Ok(None) };
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // For a service with a user of its own, systemd gives access by an ACL, whose mask the group's bits
            // show: 0440 is nobody else's. What others could write, or everybody read, is not systemd's.
            _ => read(&path, 0o037).map(Some),
        }
    }
}

fn read_file(path: &Path) -> Result<Given, KeyError> {
    files::check_trusted(path).map_err(|distrust| KeyError::Credential {
        path: path.to_owned(),
        why: format!("is not to be trusted: {distrust}"),
    })?;
    read(path, 0o077)
}

fn read(path: &Path, forbidden: u32) -> Result<Given, KeyError> {
    let refused = |why: String| KeyError::Credential { path: path.to_owned(), why };
    let unreadable = |error: io::Error| refused(format!("cannot be read: {error}"));
    let metadata = fs::metadata(path).map_err(unreadable)?;
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(refused(format!(
            "can be read by others (mode {mode:o}); run: chmod 600 {}",
            path.display()
        )));
    }
    if !metadata.is_file() || metadata.len() > LONGEST {
        return Err(refused("is no file of at most 64 KiB".to_owned()));
    }
    let bytes = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    let secret = Zeroizing::new(bytes.trim_ascii().to_vec());
    Ok(Given { path: path.to_owned(), secret })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const GOOD: &[u8] = b"  0123456789abcdef0123456789abcdef\n";

    fn write(path: &Path, contents: &[u8], mode: u32) {
        fs::write(path, contents).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_credential_is_private_and_long_enough() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(STATE_KEY);
        let credentials = Credentials::in_dir(dir.path());
        let sealed = |file: bool| credentials.seal(file.then_some(path.as_path()));
        assert!(matches!(sealed(false), Ok(None)));
        assert!(matches!(sealed(true), Err(KeyError::Credential { .. })));
        for (contents, mode, by_systemd, as_file) in [
            (GOOD, 0o400, true, true),
            (GOOD, 0o600, true, true),
            // An ACL for the service's user.
            (GOOD, 0o440, true, false),
            (GOOD, 0o444, false, false),
            (GOOD, 0o620, false, false),
            (&GOOD[..33], 0o400, false, false),
            (b"", 0o400, false, false),
            (b"                                    ", 0o400, false, false),
            (&vec![b'a'; 65_537], 0o400, false, false),
        ] {
            let _ = fs::remove_file(&path);
            write(&path, contents, mode);
            assert_eq!(sealed(false).is_ok(), by_systemd, "{mode:o} {}", contents.len());
            assert_eq!(sealed(true).is_ok(), as_file, "{mode:o} {}", contents.len());
        }
    }

    #[test]
    fn white_space_around_a_credential_is_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("seal");
        let credentials = Credentials::default();
        let seal = |contents: &[u8]| {
            write(&path, contents, 0o600);
            credentials.seal(Some(&path)).expect("good").expect("there")
        };
        let sealed = seal(GOOD).seal("key", b"", b"content");
        assert!(seal(GOOD.trim_ascii()).open("key", b"", &sealed).is_ok());
        assert!(matches!(Credentials::default().seal(None), Ok(None)));
    }
}
