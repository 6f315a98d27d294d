use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::{clock::System, key::Found};

fn store() -> (TempDir, FileStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::new(dir.path());
    (dir, store)
}

fn made(store: &FileStore, slot: Slot) -> InstallationKey {
    store.create(slot, Leftover::Keep, &System).expect("made")
}

fn loaded(store: &FileStore, slot: Slot) -> Option<InstallationKey> {
    store.load(slot).expect("readable")
}

#[tokio::test]
async fn a_key_comes_back_as_it_was_made() {
    let (_dir, store) = store();
    for slot in Slot::ALL {
        let made = made(&store, slot);
        let loaded = loaded(&store, slot).expect("there");
        assert_eq!(made.thumbprint(), loaded.thumbprint());
        let signature = loaded.sign(b"message").await.expect("signed");
        assert!(made.public_key().verifies(b"message", &signature));
        assert_eq!(fs::metadata(store.file(slot)).expect("there").mode() & 0o777, 0o600);
        assert_eq!(format!("{made:?}"), format!("InstallationKey({})", made.thumbprint()));
    }
}

#[test]
fn slots_are_independent() {
    let (_dir, store) = store();
    let a = made(&store, Slot::A);
    assert!(loaded(&store, Slot::B).is_none());
    let b = made(&store, Slot::B);
    assert_ne!(a.thumbprint(), b.thumbprint());
    store.remove(Slot::A).expect("removed");
    store.remove(Slot::A).expect("nothing to remove");
    assert!(loaded(&store, Slot::A).is_none());
    assert_eq!(loaded(&store, Slot::B).expect("there").thumbprint(), b.thumbprint());
}

#[test]
fn a_key_is_replaced_only_when_the_caller_says_so() {
    let (_dir, store) = store();
    let first = made(&store, Slot::B);
    let refused = store.create(Slot::B, Leftover::Keep, &System);
    assert!(matches!(refused, Err(KeyError::Occupied { .. })));
    assert_eq!(loaded(&store, Slot::B).expect("there").thumbprint(), first.thumbprint());
    let second = store.create(Slot::B, Leftover::Replace, &System).expect("made");
    assert_ne!(first.thumbprint(), second.thumbprint());
    assert_eq!(loaded(&store, Slot::B).expect("there").thumbprint(), second.thumbprint());
}

#[test]
fn a_key_under_its_former_name_is_in_slot_a() {
    let (dir, store) = store();
    let former = dir.path().join(FORMER_FILE);
    let key = made(&store, Slot::A);
    fs::rename(store.file(Slot::A), &former).expect("as it was");
    let bytes = fs::read(&former).expect("there");
    let upgraded = loaded(&store, Slot::A).expect("there");
    assert_eq!(upgraded.thumbprint(), key.thumbprint());
    assert_eq!(fs::read(&former).expect("still there"), bytes);
    let refused = store.create(Slot::A, Leftover::Keep, &System);
    assert!(matches!(refused, Err(KeyError::Occupied { .. })));
    made(&store, Slot::B);
    store.create(Slot::A, Leftover::Replace, &System).expect("made");
    assert!(!former.exists());
    assert!(store.file(Slot::A).exists());
}

#[test]
fn a_torn_key_is_no_key_at_any_length() {
    let (_dir, store) = store();
    made(&store, Slot::A);
    let path = store.file(Slot::A);
    let whole = fs::read(&path).expect("there");
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("cut");
        assert!(matches!(store.load(Slot::A), Err(KeyError::Malformed { .. })), "{length}");
    }
    fs::write(&path, vec![b'A'; 20_000]).expect("filled");
    assert!(matches!(store.load(Slot::A), Err(KeyError::Malformed { .. })));
    store.remove(Slot::A).expect("removed whatever it is");
    assert!(loaded(&store, Slot::A).is_none());
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let (_dir, store) = store();
    made(&store, Slot::A);
    let path = store.file(Slot::A);
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        assert!(matches!(store.load(Slot::A), Err(KeyError::Exposed { .. })));
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("set");
    assert!(loaded(&store, Slot::A).is_some());
}

#[test]
fn a_key_is_found_by_its_thumbprint_wherever_it_is() {
    let (_dir, store) = store();
    let keys: &dyn KeyStore = &store;
    let (a, b) = (made(&store, Slot::A), made(&store, Slot::B));
    let stranger = {
        let (_dir, other) = self::store();
        *made(&other, Slot::A).thumbprint()
    };
    for (slot, key) in [(Slot::A, &a), (Slot::B, &b)] {
        assert!(matches!(
            keys.find(key.thumbprint()).expect("found"),
            Found::Here(where_, found) if where_ == slot && found.thumbprint() == key.thumbprint()
        ));
    }
    assert!(matches!(keys.find(&stranger), Ok(Found::OnlyOthers)));
    // What is torn matters only to whoever looks for it.
    fs::write(store.file(Slot::A), "").expect("torn");
    assert!(matches!(keys.find(b.thumbprint()), Ok(Found::Here(Slot::B, _))));
    assert!(matches!(keys.find(a.thumbprint()), Err(KeyError::Malformed { .. })));
    for slot in Slot::ALL {
        store.remove(slot).expect("removed");
    }
    assert!(matches!(keys.find(a.thumbprint()), Ok(Found::Nothing)));
}
