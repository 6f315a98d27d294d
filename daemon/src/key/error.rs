//! What can be wrong with a key, and what to do about it.

use std::{io, path::PathBuf};

use super::StaysClosed;

/// Why there is no key to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// What should seal or open the key cannot be used.
    #[error("the credential {} {why}", path.display())]
    Credential {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A device that holds keys does not do what it should.
    #[cfg(any(feature = "pkcs11", feature = "tpm"))]
    #[error("{device} {trouble}")]
    Device {
        /// Which, as a person knows it.
        device: String,
        /// What it does.
        trouble: DeviceTrouble,
    },
    /// Others may read the file.
    #[error("the key {} can be read by others (mode {mode:o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is torn, empty or something else.
    #[error("the key {} is not a whole P-256 key in PKCS#8 form", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// There is a key where one was to be made.
    #[error("there is a key in {place} already")]
    Occupied {
        /// Where.
        place: String,
    },
    /// The key is where the store's file does not say.
    #[error("the key is kept in {kept}, and key.store in the store's file says {set}")]
    OtherStore {
        /// Where it is kept.
        kept: &'static str,
        /// What the store's file says.
        set: &'static str,
    },
    /// It is sealed, and there is nothing to open it with.
    #[error("the key {} is sealed, and the credential that opens it is not given", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
    },
    /// It is sealed, and what is given does not open it.
    #[error("the key {} stays closed: {why}", path.display())]
    StaysClosed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: StaysClosed,
    },
    /// The file cannot be read or written.
    #[error("the key {}: {source}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What to do when the credential that seals the state is not given, or another one.
pub(crate) const CREDENTIAL_MISSING: &str = "Give the daemon the credential that the state was sealed with (LoadCredential=state-key:… in its unit, or key.seal_file in the store's file) and restart it; if it is lost, move the state directory away, restart, and press Connect.";

impl KeyError {
    /// Whether a device is not there or does not answer, so that looking again is worth while.
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            #[cfg(any(feature = "pkcs11", feature = "tpm"))]
            Self::Device { trouble, .. } => matches!(
                trouble,
                DeviceTrouble::Failed(_) | DeviceTrouble::Missing | DeviceTrouble::Silent
            ),
            _ => false,
        }
    }

    /// What a person can do about it.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::Exposed { .. } => {
                "Run that command, then: counterfoild reload; if others may have read the key, then also: counterfoild key rotate"
            }
            Self::Credential { .. } => {
                "Give the daemon its credential again (LoadCredential=state-key:… in its unit, or key.seal_file in the store's file) and restart it; the state is untouched."
            }
            #[cfg(any(feature = "pkcs11", feature = "tpm"))]
            Self::Device { trouble, .. } => trouble.next_step(),
            Self::OtherStore { .. } => {
                "Put key.store of the store's file back to what it was and restart the daemon. To leave a token or a TPM, move the state directory away, restart, and press Connect."
            }
            Self::Sealed { .. } | Self::StaysClosed { why: StaysClosed::OtherCredential, .. } => {
                CREDENTIAL_MISSING
            }
            Self::StaysClosed { why: StaysClosed::Newer, .. } => {
                "Install the newer counterfoild again and restart it; the state is untouched."
            }
            Self::Malformed { .. } | Self::Occupied { .. } | Self::StaysClosed { .. } => {
                "Restore the whole state directory from a backup and restart the daemon; without one, move the directory away, restart, and press Connect."
            }
            Self::Storage { .. } => {
                "Make room on the disk, check that the daemon's user can write the state directory, and restart the daemon."
            }
        }
    }
}

/// What a device does that holds keys.
#[cfg(any(feature = "pkcs11", feature = "tpm"))]
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceTrouble {
    /// More than one has this name.
    #[error("is not the only one of this name")]
    Ambiguous,
    /// It is another, or was made anew.
    #[error("is not the one that the key was made in, or it was cleared")]
    Changed,
    /// What speaks with it can be changed by others.
    #[error("is reached through a module that is not to be trusted: {0}")]
    Distrusted(String),
    /// It says that it failed.
    #[error("failed: {0}")]
    Failed(String),
    /// It is not there.
    #[error("is not there")]
    Missing,
    /// It does not let us in. It is asked once: the next wrong PIN may be its last.
    #[error("does not accept the PIN, which is not tried again")]
    PinRefused,
    /// One more wrong PIN would lock it, or it is locked.
    #[error("is locked, or has a single try left for its PIN")]
    PinSpent,
    /// It does not answer.
    #[error("does not answer")]
    Silent,
}

#[cfg(any(feature = "pkcs11", feature = "tpm"))]
impl DeviceTrouble {
    fn next_step(&self) -> &'static str {
        match self {
            Self::Ambiguous => {
                "Name the token by its serial number: key.token in the store's file (pkcs11-tool -L lists them), then restart the daemon."
            }
            Self::Changed => {
                "Put back the device that the key was made in and restart the daemon; if it was cleared, the key is lost: move the state directory away, restart, and press Connect."
            }
            Self::Distrusted(_) => {
                "Install the module as root, in a directory that nobody else can write to, name it in key.module of the store's file, and restart the daemon."
            }
            Self::Failed(_) | Self::Missing | Self::Silent => {
                "Plug the device in, or start the service that serves it, and see that the daemon's user may use it; the daemon looks for it again by itself. The state is untouched."
            }
            Self::PinRefused => {
                "Correct the PIN (key.pin_file in the store's file, or the credential pkcs11-pin) and restart the daemon; every wrong try brings the token nearer to being locked."
            }
            Self::PinSpent => {
                "Unlock the token with its own tools, correct the PIN (key.pin_file in the store's file, or the credential pkcs11-pin), and restart the daemon."
            }
        }
    }
}

/// A signature could not be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the key does not sign")]
pub(crate) struct CannotSign;
