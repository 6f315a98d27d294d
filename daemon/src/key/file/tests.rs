use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::{
    clock::System,
    key::{Found, StaysClosed},
};

fn store() -> (TempDir, FileStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = FileStore::open(dir.path(), None);
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

const CREDENTIAL: &[u8] = &[7; 32];

fn sealing(dir: &Path, credential: &[u8]) -> FileStore {
    let seal = Seal::new(Zeroizing::new(credential.to_vec()));
    FileStore::open(dir, Some(Arc::new(seal)))
}

fn holds_a_plain_key(dir: &Path) -> bool {
    fs::read_dir(dir).expect("there").any(|entry| {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        bytes.windows(11).any(|window| window == b"PRIVATE KEY")
    })
}

#[tokio::test]
async fn a_sealed_key_is_made_and_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = made(&sealing(dir.path(), CREDENTIAL), Slot::B);
    assert!(!holds_a_plain_key(dir.path()));
    let loaded = loaded(&sealing(dir.path(), CREDENTIAL), Slot::B).expect("there");
    let signature = loaded.sign(b"message").await.expect("signed");
    assert!(made.public_key().verifies(b"message", &signature));
}

#[test]
fn a_plain_key_is_sealed_where_it_lies_when_a_credential_appears() {
    for former in [false, true] {
        let (dir, plain) = store();
        let (a, b) = (made(&plain, Slot::A), made(&plain, Slot::B));
        let path = if former { dir.path().join(FORMER_FILE) } else { plain.file(Slot::A) };
        fs::rename(plain.file(Slot::A), &path).expect("named");
        // What a power cut left of an earlier write.
        fs::copy(&path, files::temporary(&path)).expect("copied");
        let sealing = sealing(dir.path(), CREDENTIAL);
        assert!(!holds_a_plain_key(dir.path()));
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 2);
        for (slot, key) in [(Slot::A, &a), (Slot::B, &b)] {
            let found = loaded(&sealing, slot).expect("there");
            assert_eq!(found.thumbprint(), key.thumbprint());
        }
        assert!(matches!(plain.load(Slot::A), Err(KeyError::Sealed { .. })));
    }
}

#[test]
fn a_sealed_key_opens_with_its_own_credential_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = sealing(dir.path(), CREDENTIAL);
    made(&store, Slot::A);
    let before = fs::read(store.file(Slot::A)).expect("there");
    let other = sealing(dir.path(), &[8; 32]);
    assert!(matches!(
        other.load(Slot::A),
        Err(KeyError::StaysClosed { why: StaysClosed::OtherCredential, .. })
    ));
    let none = FileStore::open(dir.path(), None);
    assert!(matches!(none.load(Slot::A), Err(KeyError::Sealed { .. })));
    assert_eq!(fs::read(store.file(Slot::A)).expect("there"), before);
}

#[test]
fn a_sealed_key_that_is_torn_or_swapped_is_no_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = sealing(dir.path(), CREDENTIAL);
    let (_, other) = (made(&store, Slot::A), made(&store, Slot::B));
    let path = store.file(Slot::A);
    let whole = fs::read_to_string(&path).expect("there");
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("cut");
        let error = store.load(Slot::A).expect_err("torn");
        assert!(
            matches!(error, KeyError::Malformed { .. } | KeyError::StaysClosed { .. }),
            "{length}"
        );
    }
    // The name of one key above the seal of another.
    let mut lines: Vec<&str> = whole.lines().collect();
    let other = other.thumbprint().to_string();
    lines[1] = &other;
    fs::write(&path, lines.join("\n") + "\n").expect("swapped");
    assert!(matches!(store.load(Slot::A), Err(KeyError::StaysClosed { .. })));
    fs::write(&path, whole + "more\n").expect("longer");
    assert!(matches!(store.load(Slot::A), Err(KeyError::Malformed { .. })));
}

#[test]
fn what_cannot_be_sealed_is_left_for_a_person_to_judge() {
    let (dir, plain) = store();
    made(&plain, Slot::A);
    let torn = b"-----BEGIN PRIVATE KEY-----\n";
    fs::write(plain.file(Slot::A), torn).expect("torn");
    let sealing = sealing(dir.path(), CREDENTIAL);
    assert_eq!(fs::read(plain.file(Slot::A)).expect("there"), torn);
    assert!(matches!(sealing.load(Slot::A), Err(KeyError::Malformed { .. })));
}
