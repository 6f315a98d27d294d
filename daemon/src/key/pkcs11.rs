//! Keys in a PKCS#11 token: P-256, made there, never to leave it, signing with `CKM_ECDSA`.
//!
//! In the token, a key pair has the slot in its label and its thumbprint as `CKA_ID`, so that a signature is always
//! made with the very key that was loaded.

mod token;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use counterfoil_protocol::jwk::{PublicKey, Thumbprint};
use cryptoki::{
    error::Error,
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
    types::AuthPin,
};

use super::{
    Credentials, KeyError, KeySettings, Leftover, Slot, StoreKind,
    device::{Device, DeviceStore},
    error::DeviceTrouble,
    note::Note,
};

/// systemd's credential with the PIN.
const PIN: &str = "pkcs11-pin";

/// What labels begin with when nobody says.
const LABEL: &str = "counterfoil";

/// The OID of P-256 in DER (RFC 5480 §2.1.1.1).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// Takes the token that the settings name as a store of keys. It is looked for when it is first needed.
pub(super) fn open(
    dir: &Path,
    settings: &KeySettings,
    credentials: &Credentials,
) -> Result<DeviceStore, KeyError> {
    let text = |setting: &Option<String>| setting.clone().unwrap_or_default();
    let name = format!("the PKCS#11 token {:?}", text(&settings.token));
    let pin = credentials.pin(settings.pin_file.as_deref(), PIN)?;
    let token = Token {
        name: name.clone(),
        dir: dir.to_owned(),
        module: settings.module.clone().unwrap_or_default(),
        wanted: text(&settings.token),
        label: settings.label.clone().unwrap_or_else(|| LABEL.to_owned()),
        pin: pin.map(|pin| AuthPin::new(pin.as_str().into())),
        opened: None,
        login: true,
        serial: None,
        refused: false,
        handles: HashMap::new(),
    };
    DeviceStore::start(StoreKind::Pkcs11, &name, move || token)
}

/// A token, as one thread sees it.
struct Token {
    /// As a person knows it.
    name: String,
    /// Where the note of its serial number is.
    dir: PathBuf,
    /// The maker's module.
    module: PathBuf,
    /// Its label or serial number.
    wanted: String,
    /// What the keys' labels begin with.
    label: String,
    /// `None` for a token with a PIN pad, or without a PIN.
    pin: Option<AuthPin>,
    /// The session that is open.
    opened: Option<Session>,
    /// Whether the token wants a PIN.
    login: bool,
    /// The serial number of the token that it is in.
    serial: Option<String>,
    /// It refused the PIN, and is not asked again.
    refused: bool,
    /// The private keys found in this session.
    handles: HashMap<Thumbprint, ObjectHandle>,
}

/// What cannot be done in a session: the module's words, or ours.
enum Failure {
    Module(Error),
    Ours(KeyError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Module(error)
    }
}

impl Token {
    fn trouble(&self, trouble: DeviceTrouble) -> KeyError {
        KeyError::Device { device: self.name.clone(), trouble }
    }

    fn failed(&self, error: &Error) -> KeyError {
        self.trouble(token::trouble(error))
    }

    fn wrong(&self, what: &str) -> Failure {
        Failure::Ours(self.trouble(DeviceTrouble::Failed(what.to_owned())))
    }

    /// Works in a session; in a new one, once, if the session was lost.
    fn in_session<T>(
        &mut self,
        mut work: impl FnMut(&mut Self, &Session) -> Result<T, Failure>,
    ) -> Result<T, KeyError> {
        let mut renewed = self.opened.is_none();
        loop {
            // Whoever is logged out sees no private key, and would take it for gone.
            let session = match self.opened.take().filter(|it| self.is_let_in(it)) {
                Some(session) => session,
                None => self.open()?,
            };
            let outcome = work(self, &session);
            match outcome {
                Err(Failure::Module(error)) if token::is_lost(&error) => {
                    self.handles.clear();
                    if renewed {
                        return Err(self.failed(&error));
                    }
                    renewed = true;
                }
                Err(Failure::Module(error)) => {
                    self.opened = Some(session);
                    return Err(self.failed(&error));
                }
                Err(Failure::Ours(error)) => {
                    self.opened = Some(session);
                    return Err(error);
                }
                Ok(done) => {
                    self.opened = Some(session);
                    return Ok(done);
                }
            }
        }
    }

    fn label(&self, slot: Slot) -> Attribute {
        Attribute::Label(format!("{}-{}", self.label, slot.name()).into_bytes())
    }

    /// The private and the public half of what is in `slot`.
    fn pair(
        &self,
        session: &Session,
        slot: Slot,
    ) -> Result<Option<(ObjectHandle, ObjectHandle)>, Failure> {
        let find = |class| session.find_objects(&[Attribute::Class(class), self.label(slot)]);
        let (private, public) = (find(ObjectClass::PRIVATE_KEY)?, find(ObjectClass::PUBLIC_KEY)?);
        match (private.as_slice(), public.as_slice()) {
            // A public half alone is what an interrupted removal leaves.
            ([], _) => Ok(None),
            ([private], [public]) => Ok(Some((*private, *public))),
            _ => Err(self.wrong("it has several keys of one label, or half of one")),
        }
    }

    /// The public half, read from the token.
    fn public_key(&self, session: &Session, public: ObjectHandle) -> Result<PublicKey, Failure> {
        let attributes = session.get_attributes(public, &[AttributeType::EcPoint])?;
        let [Attribute::EcPoint(point)] = attributes.as_slice() else {
            return Err(self.wrong("it does not tell a public key"));
        };
        // An octet string in DER; some tokens give its content alone.
        let bare = point.strip_prefix(&[0x04, 0x41]).filter(|bare| bare.len() == 65);
        <[u8; 65]>::try_from(bare.unwrap_or(point))
            .ok()
            .and_then(|point| PublicKey::from_uncompressed(point).ok())
            .ok_or_else(|| self.wrong("a key in it is not of P-256"))
    }

    fn destroy(&self, session: &Session, slot: Slot) -> Result<(), Failure> {
        // The private half first: a public one alone is no key.
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            for object in session.find_objects(&[Attribute::Class(class), self.label(slot)])? {
                session.destroy_object(object)?;
            }
        }
        Ok(())
    }

    fn make(&self, session: &Session, slot: Slot) -> Result<PublicKey, Failure> {
        let (public, private) = session.generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[
                Attribute::Token(true),
                Attribute::Private(false),
                Attribute::EcParams(P256.to_vec()),
                Attribute::Verify(true),
                self.label(slot),
            ],
            &[
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Sign(true),
                self.label(slot),
            ],
        )?;
        let key = self.public_key(session, public)?;
        let id = [Attribute::Id(key.thumbprint().0.to_vec())];
        session.update_attributes(private, &id)?;
        session.update_attributes(public, &id)?;
        Ok(key)
    }

    fn handle(
        &mut self,
        session: &Session,
        slot: Slot,
        key: &Thumbprint,
    ) -> Result<ObjectHandle, Failure> {
        if let Some(handle) = self.handles.get(key) {
            return Ok(*handle);
        }
        let class = Attribute::Class(ObjectClass::PRIVATE_KEY);
        let id = Attribute::Id(key.0.to_vec());
        match session.find_objects(&[class, self.label(slot), id])?.as_slice() {
            [handle] => {
                self.handles.insert(*key, *handle);
                Ok(*handle)
            }
            _ => Err(self.wrong("the key is no longer in it")),
        }
    }
}

impl Device for Token {
    fn create(&mut self, slot: Slot, leftover: Leftover) -> Result<PublicKey, KeyError> {
        self.in_session(|token, session| {
            let occupied = match token.pair(session, slot) {
                Ok(pair) => pair.is_some(),
                Err(Failure::Ours(_)) => true,
                Err(lost) => return Err(lost),
            };
            if occupied && leftover == Leftover::Keep {
                let place = format!("slot {} of {}", slot.name(), token.name);
                return Err(Failure::Ours(KeyError::Occupied { place }));
            }
            token.destroy(session, slot)?;
            token.handles.clear();
            // The note comes first: a key of which nothing is noted could not be missed.
            let serial = token.serial.clone();
            Note { store: StoreKind::Pkcs11, serial }.write(&token.dir).map_err(Failure::Ours)?;
            token.make(session, slot)
        })
    }

    fn load(&mut self, slot: Slot) -> Result<Option<PublicKey>, KeyError> {
        self.in_session(|token, session| {
            if let Some((_, public)) = token.pair(session, slot)? {
                return token.public_key(session, public).map(Some);
            }
            let noted = Note::read(&token.dir).and_then(|note| note.serial);
            if noted.is_some() && noted != token.serial.clone() {
                return Err(Failure::Ours(token.trouble(DeviceTrouble::Changed)));
            }
            Ok(None)
        })
    }

    fn remove(&mut self, slot: Slot) -> Result<(), KeyError> {
        self.handles.clear();
        self.in_session(|token, session| token.destroy(session, slot))
    }

    fn sign(
        &mut self,
        slot: Slot,
        key: &Thumbprint,
        digest: &[u8; 32],
    ) -> Result<[u8; 64], KeyError> {
        self.in_session(|token, session| {
            let handle = token.handle(session, slot, key)?;
            let signature = session.sign(&Mechanism::Ecdsa, handle, digest)?;
            signature.try_into().map_err(|_| token.wrong("its signature is not one of P-256"))
        })
    }
}

#[cfg(test)]
mod tests;
