//! The installation's keys: P-256, two slots, used through [`InstallationKey`] wherever they live.
//!
//! A slot is a place and nothing more. Which one holds the current key, which the next, and which something left
//! behind, is said by the thumbprints in the journal, never by a file's name.

mod credential;
#[cfg(any(feature = "pkcs11", feature = "tpm"))]
mod device;
mod error;
mod file;
mod note;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod ring;
mod seal;
mod settings;
mod software;
#[cfg(feature = "tpm")]
mod tpm;

use std::{fmt, path::Path, sync::Arc};

use counterfoil_protocol::{
    jwk::{PublicKey, Thumbprint},
    proof::{Draft, Signer},
};

use self::file::FileStore;
use serde::Serialize;

pub(crate) use self::{
    credential::Credentials,
    error::{CREDENTIAL_MISSING, CannotSign, KeyError},
    file::{Seen, look},
    ring::{Held, Keyring, Looked},
    seal::{Seal, StaysClosed},
    settings::{KeySettings, StoreKind},
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

    /// The one that this is not.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
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

    /// Where a person finds the file of `slot`, or where it was.
    fn file_place(&self, slot: Slot) -> String {
        self.place(slot)
    }
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

/// What seals the state, if there is a credential for it.
pub(crate) fn open_seal(
    settings: &KeySettings,
    credentials: &Credentials,
) -> Result<Option<Arc<Seal>>, KeyError> {
    Ok(credentials.seal(settings.seal_file.as_deref())?.map(Arc::new))
}

/// Opens the store of keys that belongs to the state in `dir`. What lies there unsealed is sealed, if it can be.
#[cfg_attr(
    not(feature = "pkcs11"),
    expect(unused_variables, reason = "only a token is opened with a credential of its own")
)]
pub(crate) fn open_store(
    dir: &Path,
    settings: &KeySettings,
    credentials: &Credentials,
    seal: Option<Arc<Seal>>,
) -> Result<Arc<dyn KeyStore>, KeyError> {
    let files = FileStore::open(dir, seal);
    let store: Arc<dyn KeyStore> = match settings.store {
        #[cfg(feature = "pkcs11")]
        StoreKind::Pkcs11 => {
            let device = pkcs11::open(dir, settings, credentials)?;
            Arc::new(device::WithFiles { device, files })
        }
        #[cfg(feature = "tpm")]
        StoreKind::Tpm => Arc::new(device::WithFiles { device: tpm::open(dir, settings)?, files }),
        _ => Arc::new(files),
    };
    note::check(dir, settings.store, &*store)?;
    Ok(store)
}

/// Where a key lives, as status tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Home {
    /// What keeps it.
    pub(crate) store: StoreKind,
    /// Whether its file is sealed with a credential; `None` where there is no file that could be.
    pub(crate) sealed: Option<bool>,
}

/// A key ready to sign. The private half stays where it is.
#[derive(Clone)]
pub(crate) struct InstallationKey {
    hold: Hold,
    home: Home,
    public: PublicKey,
    thumbprint: Thumbprint,
}

/// Where the private half is.
#[derive(Clone)]
enum Hold {
    /// In memory: signs at once.
    Here(Arc<dyn Signer<Error = CannotSign>>),
    /// In a device, which is waited for.
    #[cfg(any(feature = "pkcs11", feature = "tpm"))]
    Device(device::DeviceKey),
}

impl InstallationKey {
    fn of_file(signer: impl Signer<Error = CannotSign> + 'static, sealed: bool) -> Self {
        let public = signer.public_key().clone();
        let home = Home { store: StoreKind::File, sealed: Some(sealed) };
        Self::new(Hold::Here(Arc::new(signer)), home, public)
    }

    fn new(hold: Hold, home: Home, public: PublicKey) -> Self {
        let thumbprint = public.thumbprint();
        Self { hold, home, public, thumbprint }
    }

    /// Where it lives.
    pub(crate) fn home(&self) -> Home {
        self.home
    }

    /// The public half.
    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Whether it signs without what it was read from.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.hold, Hold::Here(_))
    }

    /// How the server names this key.
    pub(crate) fn thumbprint(&self) -> &Thumbprint {
        &self.thumbprint
    }

    /// The ES256 signature of `message`, `r || s`. With a key in memory it is there at once, and nothing is awaited.
    #[cfg_attr(
        not(any(feature = "pkcs11", feature = "tpm")),
        expect(clippy::unused_async, reason = "a key in a device is waited for")
    )]
    pub(crate) async fn sign(&self, message: &[u8]) -> Result<[u8; 64], CannotSign> {
        match &self.hold {
            Hold::Here(signer) => signer.sign(message),
            #[cfg(any(feature = "pkcs11", feature = "tpm"))]
            Hold::Device(key) => {
                let signature = key.sign(message).await?;
                // A device that signs wrongly is found out here, not by the server.
                self.public.verifies(message, &signature).then_some(signature).ok_or(CannotSign)
            }
        }
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
