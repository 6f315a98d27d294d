//! What the tests of every device ask of its keys.

use crate::key::{InstallationKey, KeyError, KeyStore, Slot, error::DeviceTrouble};

pub(in crate::key) fn in_slot(store: &dyn KeyStore, slot: Slot) -> InstallationKey {
    store.load(slot).expect("readable").expect("there")
}

pub(in crate::key) async fn assert_signs(key: &InstallationKey) {
    let signature = key.sign(b"message").await.expect("signed");
    assert!(key.public_key().verifies(b"message", &signature));
    assert!(!key.public_key().verifies(b"another", &signature));
}

pub(in crate::key) fn trouble_of<T>(outcome: Result<T, KeyError>) -> DeviceTrouble {
    match outcome {
        Err(KeyError::Device { trouble, .. }) => trouble,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no trouble"),
    }
}
