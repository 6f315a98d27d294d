//! Keys of a TPM 2.0: P-256, made by it, wrapped for it alone under the storage key that it derives from its owner
//! seed, signing with ECDSA over SHA-256.
//!
//! What lies in the state directory is the wrapped key. Another TPM, or this one after a clear, cannot unwrap it.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use counterfoil_protocol::{
    encoding::{base64url, from_base64url},
    jwk::{PublicKey, Thumbprint},
};
use tss_esapi::{
    Context, Error,
    attributes::ObjectAttributesBuilder,
    constants::{
        response_code::Tss2ResponseCodeKind,
        tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK},
    },
    handles::KeyHandle,
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        resource_handles::Hierarchy,
        session_handles::AuthSession,
    },
    structures::{
        Digest, EccPoint, EccScheme, HashScheme, HashcheckTicket, Private, Public, PublicBuilder,
        PublicEccParametersBuilder, Signature, SignatureScheme, SymmetricDefinitionObject,
    },
    tcti_ldr::TctiNameConf,
    traits::{Marshall as _, UnMarshall as _},
    tss2_esys::{TPM2B_DIGEST, TPMT_TK_HASHCHECK},
};

use super::{
    KeyError, KeySettings, Leftover, Slot, StoreKind,
    device::{Device, DeviceStore},
    error::DeviceTrouble,
    note::Note,
};
use crate::files;

/// How the TPM is reached when nobody says: through the kernel's resource manager.
const TCTI: &str = "device:/dev/tpmrm0";

/// The first line of a wrapped key's file. Its public and its private part follow, a line each.
const WRAPPED: &str = "counterfoil tpm key";

/// The longest such file that is looked at, in bytes. A whole one has some 400.
const MAX_LENGTH: u64 = 16 * 1_024;

/// Takes the TPM that the settings name as a store of keys. It is spoken to when it is first needed.
pub(super) fn open(dir: &Path, settings: &KeySettings) -> Result<DeviceStore, KeyError> {
    let tcti = settings.tcti.as_deref().unwrap_or(TCTI);
    let name = format!("the TPM at {tcti}");
    let conf = TctiNameConf::from_str(tcti).map_err(|error| KeyError::Device {
        device: name.clone(),
        trouble: DeviceTrouble::Failed(error.to_string()),
    })?;
    let (device, dir) = (name.clone(), dir.to_owned());
    DeviceStore::start(StoreKind::Tpm, &name, move || Tpm {
        name: device,
        dir,
        conf,
        reached: None,
    })
}

/// A TPM, as one thread sees it.
struct Tpm {
    /// As a person knows it.
    name: String,
    /// Where the wrapped keys are.
    dir: PathBuf,
    conf: TctiNameConf,
    /// The way to it, once there is one.
    reached: Option<Reached>,
}

/// An open way to a TPM, and what was loaded into it.
struct Reached {
    context: Context,
    keys: HashMap<Thumbprint, KeyHandle>,
}

/// A key as it lies in a file.
struct Wrapped {
    public: Public,
    private: Private,
    key: PublicKey,
}

/// What cannot be done with a TPM: its words, or ours.
enum Failure {
    Tpm(Error),
    Ours(KeyError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tpm(error)
    }
}

impl Tpm {
    fn trouble(&self, trouble: DeviceTrouble) -> KeyError {
        KeyError::Device { device: self.name.clone(), trouble }
    }

    fn file(&self, slot: Slot) -> PathBuf {
        self.dir.join(format!("key-{}.tpm", slot.name()))
    }

    /// Works with the TPM; over a new way, once, if the one that was open fails: a reset forgets what was loaded.
    fn reach<T>(
        &mut self,
        mut work: impl FnMut(&mut Reached) -> Result<T, Failure>,
    ) -> Result<T, KeyError> {
        let mut renewed = self.reached.is_none();
        loop {
            let mut reached = match self.reached.take() {
                Some(reached) => reached,
                None => self.connect()?,
            };
            match work(&mut reached) {
                Ok(done) => {
                    self.reached = Some(reached);
                    return Ok(done);
                }
                Err(Failure::Ours(error)) => {
                    self.reached = Some(reached);
                    return Err(error);
                }
                Err(Failure::Tpm(error)) if renewed => {
                    return Err(self.trouble(trouble(error)));
                }
                Err(Failure::Tpm(_)) => renewed = true,
            }
        }
    }

    fn connect(&self) -> Result<Reached, KeyError> {
        let mut context =
            Context::new(self.conf.clone()).map_err(|_| self.trouble(DeviceTrouble::Missing))?;
        // Neither the storage hierarchy nor the keys have passwords: who may use the TPM is the system's affair.
        context.set_sessions((Some(AuthSession::Password), None, None));
        Ok(Reached { context, keys: HashMap::new() })
    }

    fn read(&self, slot: Slot) -> Result<Option<Wrapped>, KeyError> {
        let path = self.file(slot);
        let storage = |source| KeyError::Storage { path: path.clone(), source };
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(storage)?,
        };
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        let text = (metadata.is_file() && metadata.len() <= MAX_LENGTH)
            .then(|| fs::read_to_string(&path).map_err(storage))
            .transpose()?;
        let wrapped = text.as_deref().and_then(unwrap);
        wrapped.map(Some).ok_or(KeyError::Malformed { path })
    }

    fn write(&self, slot: Slot, public: &Public, private: &Private) -> Result<(), Failure> {
        let (path, public) = (self.file(slot), base64url(&public.marshall()?));
        let text = format!("{WRAPPED}\n{public}\n{}\n", base64url(private.value()));
        files::write_durably(&path, text.as_bytes(), 0o600)
            .map_err(|source| Failure::Ours(KeyError::Storage { path, source }))
    }
}

impl Reached {
    /// Has `work` done under the storage key, which is derived anew and forgotten again.
    fn under_storage_key<T>(
        &mut self,
        work: impl FnOnce(&mut Context, KeyHandle) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let made = self.context.create_primary(
            Hierarchy::Owner,
            storage_key()?,
            None,
            None,
            None,
            None,
        )?;
        let done = work(&mut self.context, made.key_handle);
        self.context.flush_context(made.key_handle.into())?;
        done
    }

    /// The TPM's handle of a key; what others the TPM may hold beside it are few, so it is loaded once.
    fn handle(&mut self, wrapped: &Wrapped) -> Result<KeyHandle, Error> {
        let thumbprint = wrapped.key.thumbprint();
        if let Some(handle) = self.keys.get(&thumbprint) {
            return Ok(*handle);
        }
        let (private, public) = (wrapped.private.clone(), wrapped.public.clone());
        let handle =
            self.under_storage_key(|context, parent| context.load(parent, private, public))?;
        self.keys.insert(thumbprint, handle);
        Ok(handle)
    }
}

impl Device for Tpm {
    fn create(&mut self, slot: Slot, leftover: Leftover) -> Result<PublicKey, KeyError> {
        let path = self.file(slot);
        if leftover == Leftover::Keep && fs::symlink_metadata(&path).is_ok() {
            return Err(KeyError::Occupied { place: path.display().to_string() });
        }
        let (public, private) = self.reach(|reached| {
            let template = signing_key()?;
            let made = reached.under_storage_key(|context, parent| {
                context.create(parent, template, None, None, None, None)
            })?;
            Ok((made.out_public, made.out_private))
        })?;
        let key = point(&public)
            .ok_or_else(|| self.trouble(DeviceTrouble::Failed("made no P-256 key".to_owned())))?;
        Note { store: StoreKind::Tpm, serial: None }.write(&self.dir)?;
        // What was loaded from this slot's file is forgotten with the way over which it was loaded.
        self.reached = None;
        match self.write(slot, &public, &private) {
            Ok(()) => Ok(key),
            Err(Failure::Ours(error)) => Err(error),
            Err(Failure::Tpm(error)) => Err(self.trouble(trouble(error))),
        }
    }

    fn load(&mut self, slot: Slot) -> Result<Option<PublicKey>, KeyError> {
        let Some(wrapped) = self.read(slot)? else { return Ok(None) };
        self.reach(|reached| Ok(reached.handle(&wrapped)?))?;
        Ok(Some(wrapped.key))
    }

    fn remove(&mut self, slot: Slot) -> Result<(), KeyError> {
        self.reached = None;
        let path = self.file(slot);
        for path in [files::temporary(&path), path] {
            let removed = match fs::remove_file(&path) {
                Ok(()) => files::sync_parent(&path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            removed.map_err(|source| KeyError::Storage { path, source })?;
        }
        Ok(())
    }

    fn sign(
        &mut self,
        slot: Slot,
        key: &Thumbprint,
        digest: &[u8; 32],
    ) -> Result<[u8; 64], KeyError> {
        let gone = DeviceTrouble::Failed("its wrapped key is no longer there".to_owned());
        let wrapped = self.read(slot)?.filter(|wrapped| wrapped.key.thumbprint() == *key);
        let wrapped = wrapped.ok_or_else(|| self.trouble(gone))?;
        let signature = self.reach(|reached| {
            let handle = reached.handle(&wrapped)?;
            let digest = Digest::try_from(digest.to_vec())?;
            let ticket = no_ticket()?;
            Ok(reached.context.sign(handle, digest, SignatureScheme::Null, ticket)?)
        })?;
        joined(&signature).ok_or_else(|| {
            self.trouble(DeviceTrouble::Failed("its signature is not one of P-256".to_owned()))
        })
    }
}

/// The storage key: the same from the same owner seed, restricted to unwrapping (TCG EK profile's H-2 in kind).
fn storage_key() -> Result<Public, Error> {
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(
        SymmetricDefinitionObject::AES_128_CFB,
        EccCurve::NistP256,
    );
    made_here(of_this_chip().with_restricted(true).with_decrypt(true), parameters)
}

/// What an installation's key is made like.
fn signing_key() -> Result<Public, Error> {
    let parameters = PublicEccParametersBuilder::new_unrestricted_signing_key(
        EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)),
        EccCurve::NistP256,
    );
    made_here(of_this_chip().with_sign_encrypt(true), parameters)
}

/// A key that never leaves the chip, and that failed uses of others never lock (`noDA`).
fn of_this_chip() -> ObjectAttributesBuilder {
    ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
}

fn made_here(
    attributes: ObjectAttributesBuilder,
    parameters: PublicEccParametersBuilder,
) -> Result<Public, Error> {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes.build()?)
        .with_ecc_parameters(parameters.build()?)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

/// What stands for "hashed outside": a key that is not restricted signs it.
fn no_ticket() -> Result<HashcheckTicket, Error> {
    TPMT_TK_HASHCHECK {
        tag: TPM2_ST_HASHCHECK,
        hierarchy: TPM2_RH_NULL,
        digest: TPM2B_DIGEST::default(),
    }
    .try_into()
}

/// The public half of a key of P-256.
fn point(public: &Public) -> Option<PublicKey> {
    let Public::Ecc { unique, .. } = public else { return None };
    let mut uncompressed = [0; 65];
    uncompressed[0] = 0x04;
    padded(unique.x().value(), &mut uncompressed[1..33])?;
    padded(unique.y().value(), &mut uncompressed[33..])?;
    PublicKey::from_uncompressed(uncompressed).ok()
}

/// `r || s` (RFC 7518 §3.4).
fn joined(signature: &Signature) -> Option<[u8; 64]> {
    let Signature::EcDsa(signature) = signature else { return None };
    let mut joined = [0; 64];
    padded(signature.signature_r().value(), &mut joined[..32])?;
    padded(signature.signature_s().value(), &mut joined[32..])?;
    Some(joined)
}

/// A number at the end of its place: TPMs may leave out leading zeros.
fn padded(number: &[u8], place: &mut [u8]) -> Option<()> {
    let start = place.len().checked_sub(number.len())?;
    place[start..].copy_from_slice(number);
    Some(())
}

/// Takes a file's text apart; `None` for anything that is not whole.
fn unwrap(text: &str) -> Option<Wrapped> {
    let text = text.strip_suffix('\n')?.strip_prefix(WRAPPED)?.strip_prefix('\n')?;
    let (public, private) = text.split_once('\n')?;
    let public = Public::unmarshall(&from_base64url(public)?).ok()?;
    let private = Private::try_from(from_base64url(private)?).ok()?;
    let key = point(&public)?;
    Some(Wrapped { public, private, key })
}

/// What a TPM's error means to a person.
fn trouble(error: Error) -> DeviceTrouble {
    match error {
        Error::Tss2Error(code) if code.kind() == Some(Tss2ResponseCodeKind::Integrity) => {
            DeviceTrouble::Changed
        }
        error => DeviceTrouble::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
