//! The keys in use, by thumbprint: the one in force, and the next while it waits for the server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use counterfoil_protocol::jwk::Thumbprint;

use super::{Found, InstallationKey, KeyError, KeyStore, Leftover, Slot};
use crate::clock::Entropy;

/// Signs by the key that is named, and makes and removes the key in the free slot.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: Arc<dyn KeyStore>,
    inside: Mutex<Inside>,
}

/// What a look at the file of the key in force has found.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The key in force.
    pub(crate) key: Thumbprint,
    /// Where its file is, or was.
    pub(crate) place: String,
    /// Whether it is there; what hinders the daemon from reading it.
    pub(crate) is_there: Result<bool, KeyError>,
}

/// A key in memory, and where it was read from.
pub(crate) type Held = (Slot, InstallationKey);

#[derive(Debug)]
struct Inside {
    /// The key in force: what every call of the API is signed with.
    current: InstallationKey,
    /// Where it was found or made. Its file may be gone since.
    slot: Slot,
    /// The next key.
    staged: Option<(Slot, InstallationKey)>,
}

impl Keyring {
    /// A ring whose key in force was found in `slot`.
    pub(crate) fn new(store: Arc<dyn KeyStore>, slot: Slot, current: InstallationKey) -> Self {
        Self { store, inside: Mutex::new(Inside { current, slot, staged: None }) }
    }

    /// Loads the staged key; false where it is certain that it is gone. Blocks.
    pub(crate) fn load_staged(&self, key: &Thumbprint) -> Result<bool, KeyError> {
        match self.store.find(key)? {
            Found::Here(slot, found) => self.inside().staged = Some((slot, found)),
            Found::Nothing | Found::OnlyOthers => return Ok(false),
        }
        Ok(true)
    }

    /// The key in force.
    pub(crate) fn current(&self) -> InstallationKey {
        self.inside().current.clone()
    }

    /// The key with this thumbprint, if it is in use.
    pub(crate) fn find(&self, key: &Thumbprint) -> Option<InstallationKey> {
        let inside = self.inside();
        let staged = inside.staged.as_ref().map(|(_, staged)| staged);
        let mut keys = std::iter::once(&inside.current).chain(staged);
        keys.find(|it| it.thumbprint() == key).cloned()
    }

    /// From now on the staged key is in force, if that is the one named.
    pub(crate) fn promote(&self, key: &Thumbprint) {
        let mut inside = self.inside();
        if let Some((slot, staged)) = inside.staged.take_if(|(_, it)| it.thumbprint() == key) {
            (inside.current, inside.slot) = (staged, slot);
        }
    }

    /// Makes the next key in the slot where the one in force is not. What is there goes: the caller knows that the
    /// server was never told of it, or knows it no more. A key in force whose file is gone, spoiled or not to be read
    /// signs from memory, so it can still vouch for the next one. Blocks.
    pub(crate) fn stage(&self, entropy: &dyn Entropy) -> Result<Thumbprint, KeyError> {
        let (current, known) = {
            let inside = self.inside();
            (inside.current.clone(), inside.slot)
        };
        let taken = match self.store.find(current.thumbprint()) {
            Ok(Found::Here(slot, _)) => slot,
            _ if current.is_in_memory() => {
                // What cannot be read there may be the key in force, which somebody has put into the other place.
                self.store.load(known.other())?;
                known
            }
            Ok(Found::Nothing | Found::OnlyOthers) => {
                return Err(KeyError::Occupied { place: self.store.place(known) });
            }
            Err(error) => return Err(error),
        };
        let free = taken.other();
        let made = self.store.create(free, Leftover::Replace, entropy)?;
        let thumbprint = *made.thumbprint();
        self.inside().staged = Some((free, made));
        Ok(thumbprint)
    }

    /// Removes a key that is in force no more, wherever it is; also what is left of one whose file is spoiled, or not
    /// to be read. Blocks.
    pub(crate) fn destroy(&self, key: &Thumbprint) -> Result<(), KeyError> {
        let current = *self.current().thumbprint();
        if current == *key {
            return Ok(());
        }
        match self.store.find(key) {
            Ok(Found::Here(slot, _)) => self.store.remove(slot),
            Ok(Found::Nothing | Found::OnlyOthers) => Ok(()),
            Err(error) => match self.store.find(&current) {
                // The one in force is whole, so what cannot be read is in the other place.
                Ok(Found::Here(slot, _)) => self.store.remove(slot.other()),
                _ => Err(error),
            },
        }
    }

    /// The key in force, if it signs from memory.
    pub(crate) fn held(&self) -> Option<Held> {
        let inside = self.inside();
        inside.current.is_in_memory().then(|| (inside.slot, inside.current.clone()))
    }

    /// Where the key in force was read from, and whether the next start finds it; `None` for a key that is in no file.
    /// Blocks.
    pub(crate) fn look(&self) -> Option<Looked> {
        let (slot, current) = self.held()?;
        let key = *current.thumbprint();
        let is_there = self.store.find(&key).map(|found| matches!(found, Found::Here(..)));
        Some(Looked { key, place: self.store.file_place(slot), is_there })
    }

    /// Where a person finds the key in force. Blocks.
    pub(crate) fn place(&self) -> String {
        let (current, known) = {
            let inside = self.inside();
            (*inside.current.thumbprint(), inside.slot)
        };
        match self.store.find(&current) {
            Ok(Found::Here(slot, _)) => self.store.place(slot),
            _ => self.store.place(known),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Keys stay usable whatever happened to whoever held them.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::System, key::FileStore};

    #[test]
    fn a_staged_key_takes_the_place_of_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let store: Arc<dyn KeyStore> = Arc::new(FileStore::open(dir.path(), None));
        let first = store.create(Slot::A, Leftover::Keep, &System).expect("made");
        let before = *first.thumbprint();
        let ring = Keyring::new(Arc::clone(&store), Slot::A, first);
        let abandoned = ring.stage(&System).expect("staged");
        let next = ring.stage(&System).expect("staged anew");
        assert_eq!(*ring.current().thumbprint(), before);
        assert!(ring.find(&before).is_some() && ring.find(&next).is_some());
        assert!(ring.find(&abandoned).is_none(), "nobody was told of it");
        ring.destroy(&before).expect("nothing to do");
        assert!(store.load(Slot::A).expect("readable").is_some(), "the key in force stays");
        ring.promote(&before);
        ring.promote(&next);
        assert_eq!(*ring.current().thumbprint(), next);
        ring.destroy(&before).expect("removed");
        ring.destroy(&before).expect("gone already");
        assert!(store.load(Slot::A).expect("readable").is_none());
        let third = ring.stage(&System).expect("staged where the first was");
        let again = Keyring::new(Arc::clone(&store), Slot::B, ring.current());
        assert!(again.load_staged(&third).expect("readable"));
        assert!(!again.load_staged(&before).expect("readable"));
    }

    #[test]
    fn a_key_whose_file_is_gone_vouches_for_the_next_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let store: Arc<dyn KeyStore> = Arc::new(FileStore::open(dir.path(), None));
        let lost = store.create(Slot::B, Leftover::Keep, &System).expect("made");
        let before = *lost.thumbprint();
        let ring = Keyring::new(Arc::clone(&store), Slot::B, lost);
        store.remove(Slot::B).expect("removed");
        let next = ring.stage(&System).expect("staged");
        let there = store.load(Slot::A).expect("readable").expect("there");
        assert_eq!(*there.thumbprint(), next, "not where the lost file may be put back");
        assert!(ring.find(&before).is_some(), "it signs from memory");
        ring.promote(&next);
        ring.destroy(&before).expect("gone already");
        assert!(ring.place().ends_with("key-a.pem"));
        assert!(ring.stage(&System).is_ok());
    }
}
