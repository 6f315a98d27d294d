//! The installation's keys: P-256, two slots, used through [`InstallationKey`] wherever they live.
//!
//! A slot is a place and nothing more. Which one holds the current key, which the next, and which something left
//! behind, is said by the thumbprints in the journal, never by a file's name.

mod credential;
mod file;
mod ring;
mod seal;
mod settings;
mod software;

use std::{
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterfoil_protocol::{
    jwk::{PublicKey, Thumbprint},
    proof::{Draft, Signer},
};

use self::file::FileStore;
pub(crate) use self::{
    credential::Credentials,
    ring::Keyring,
    seal::{Seal, StaysClosed},
    settings::KeySettings,
};
use crate::clock::Entropy;

/// Where one of the installation's two keys lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Slot {
    /// The first key of an installation is made here.
    A,
    /// The other.
    B,
}

impl Slot {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::A, Self::B];

    /// The slot's name in files and labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// What becomes of a key that is found where a new one is to be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Leftover {
    /// It stays, and no key is made.
    Keep,
    /// It goes: the caller knows that the server was never told of it, or knows it no more.
    Replace,
}

/// Keeps keys. Every operation may block for as long as a disk or a token takes.
pub(crate) trait KeyStore: fmt::Debug + Send + Sync {
    /// Makes a new key in `slot`. When this returns, the key survives a power cut.
    fn create(
        &self,
        slot: Slot,
        leftover: Leftover,
        entropy: &dyn Entropy,
    ) -> Result<InstallationKey, KeyError>;

    /// The key in `slot`; `None` where it is certain that there is none.
    fn load(&self, slot: Slot) -> Result<Option<InstallationKey>, KeyError>;

    /// Removes the key in `slot`, whatever state it is in. None there is no error.
    fn remove(&self, slot: Slot) -> Result<(), KeyError>;

    /// Where a person finds what is in `slot`.
    fn place(&self, slot: Slot) -> String;
}

impl dyn KeyStore + '_ {
    /// The key with this thumbprint, and where it is. Fails only if it may be where nothing can be read.
    pub(crate) fn find(&self, wanted: &Thumbprint) -> Result<Found, KeyError> {
        let (mut trouble, mut others) = (None, false);
        for slot in Slot::ALL {
            match self.load(slot) {
                Ok(Some(key)) if key.thumbprint() == wanted => return Ok(Found::Here(slot, key)),
                Ok(Some(_)) => others = true,
                Ok(None) => {}
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        match trouble {
            Some(error) => Err(error),
            None if others => Ok(Found::OnlyOthers),
            None => Ok(Found::Nothing),
        }
    }
}

/// What a search for a key found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The key.
    Here(Slot, InstallationKey),
    /// Both slots are empty.
    Nothing,
    /// Whole keys, none of them the one.
    OnlyOthers,
}

/// Opens the store of keys that belongs to the state in `dir`. What lies there unsealed is sealed, if it can be.
pub(crate) fn open_store(
    dir: &Path,
    settings: &KeySettings,
    credentials: &Credentials,
    entropy: &dyn Entropy,
) -> Result<Arc<dyn KeyStore>, KeyError> {
    let seal = credentials.seal(settings.seal_file.as_deref())?;
    Ok(Arc::new(FileStore::open(dir, seal, entropy)))
}

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

impl KeyError {
    /// What a person can do about it.
    pub(crate) fn next_step(&self) -> &'static str {
        match self {
            Self::Exposed { .. } => {
                "Run the command above, then restart the daemon; if others may have read the key, start anew with an empty state directory."
            }
            Self::Credential { .. } => {
                "Give the daemon its credential again (LoadCredential=state-key:… in its unit, or key.seal_file in the store's file) and restart it; the state is untouched."
            }
            Self::Sealed { .. } | Self::StaysClosed { why: StaysClosed::OtherCredential, .. } => {
                "Give the daemon the credential that the key was sealed with (LoadCredential=state-key:… in its unit, or key.seal_file in the store's file) and restart it; if it is lost, move the state directory away, restart, and press Connect."
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

/// A signature could not be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the key does not sign")]
pub(crate) struct CannotSign;

/// A key ready to sign. The private half stays where it is.
#[derive(Clone)]
pub(crate) struct InstallationKey {
    signer: Arc<dyn Signer<Error = CannotSign>>,
    thumbprint: Thumbprint,
}

impl InstallationKey {
    fn new(signer: impl Signer<Error = CannotSign> + 'static) -> Self {
        let thumbprint = signer.public_key().thumbprint();
        Self { signer: Arc::new(signer), thumbprint }
    }

    /// The public half.
    pub(crate) fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// How the server names this key.
    pub(crate) fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The ES256 signature of `message`, `r || s`. With a key in memory it is there at once.
    pub(crate) fn sign(
        &self,
        message: &[u8],
    ) -> impl Future<Output = Result<[u8; 64], CannotSign>> + Send + use<> {
        std::future::ready(self.signer.sign(message))
    }

    /// Signs a proof: the value of a `DPoP` header (RFC 9449 §4.2).
    pub(crate) async fn prove(&self, draft: &Draft<'_>) -> Result<String, CannotSign> {
        let unsigned = draft.unsigned(self.public_key());
        let signature = self.sign(unsigned.message()).await?;
        Ok(unsigned.signed(&signature))
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationKey({})", self.thumbprint)
    }
}
