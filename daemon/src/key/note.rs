//! A note beside the state of where its keys were made, so that a missing one can be explained.
//!
//! Keys are known by their thumbprints; nothing is decided by this note but which words a person reads.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::{KeyError, KeyStore, Slot, StoreKind};

/// The note's name in the state directory.
const FILE: &str = "key-store.json";

/// Where keys were made last.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Note {
    /// In what.
    pub(super) store: StoreKind,
    /// In which one, where there can be several: a token's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) serial: Option<String>,
}

impl Note {
    /// The note in `dir`. One that cannot be read is as good as none.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(FILE)).ok()?).ok()
    }

    /// Leaves this note in `dir`.
    #[cfg(any(feature = "pkcs11", feature = "tpm"))]
    pub(super) fn write(&self, dir: &Path) -> Result<(), KeyError> {
        let path = dir.join(FILE);
        serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .and_then(|text| crate::files::write_durably(&path, &text, 0o600))
            .map_err(|source| KeyError::Storage { path, source })
    }
}

/// Refuses a store that is empty where the note says that the keys are in another.
pub(super) fn check(dir: &Path, set: StoreKind, store: &dyn KeyStore) -> Result<(), KeyError> {
    let Some(Note { store: kept, .. }) = Note::read(dir).filter(|note| note.store != set) else {
        return Ok(());
    };
    let is_empty = |slot| matches!(store.load(slot), Ok(None));
    if Slot::ALL.into_iter().all(is_empty) {
        return Err(KeyError::OtherStore { kept: kept.name(), set: set.name() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::System,
        key::{Leftover, file::FileStore},
    };

    #[test]
    fn an_empty_store_is_explained_by_the_note() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = FileStore::open(dir.path(), None);
        let check = || check(dir.path(), StoreKind::File, &store);
        assert!(check().is_ok());
        for (note, explained) in [
            (r#"{"store":"file"}"#, false),
            (r#"{"store":"tpm"}"#, true),
            (r#"{"store":"pkcs11","serial":"1"}"#, true),
            ("torn", false),
        ] {
            fs::write(dir.path().join(FILE), note).expect("written");
            assert_eq!(matches!(check(), Err(KeyError::OtherStore { .. })), explained, "{note}");
        }
        fs::write(dir.path().join(FILE), r#"{"store":"tpm"}"#).expect("written");
        store.create(Slot::B, Leftover::Keep, &System).expect("made");
        assert!(check().is_ok());
    }
}
