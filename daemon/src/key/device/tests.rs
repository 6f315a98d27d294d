use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use tempfile::TempDir;

use super::*;
use crate::{
    clock::System,
    key::{Found, file::FileStore, software::SoftwareKey, software::new_pem},
};
use counterfoil_protocol::proof::Signer as _;

/// A device that does as it is told: keys in memory, and a door that the test holds.
struct Pretended {
    keys: [Option<SoftwareKey>; 2],
    /// What is waited for before each signature.
    door: Receiver<()>,
    signed: Arc<AtomicUsize>,
}

fn index(slot: Slot) -> usize {
    match slot {
        Slot::A => 0,
        Slot::B => 1,
    }
}

impl Device for Pretended {
    fn create(&mut self, slot: Slot, _: Leftover) -> Result<PublicKey, KeyError> {
        let pem = new_pem(&System).expect("made");
        let key = SoftwareKey::from_pem(pem.as_bytes()).expect("whole");
        let public = key.public_key().clone();
        self.keys[index(slot)] = Some(key);
        Ok(public)
    }

    fn load(&mut self, slot: Slot) -> Result<Option<PublicKey>, KeyError> {
        Ok(self.keys[index(slot)].as_ref().map(|key| key.public_key().clone()))
    }

    fn remove(&mut self, slot: Slot) -> Result<(), KeyError> {
        self.keys[index(slot)] = None;
        Ok(())
    }

    fn sign(&mut self, _: Slot, _: &Thumbprint, _: &[u8; 32]) -> Result<[u8; 64], KeyError> {
        let _ = self.door.recv();
        self.signed.fetch_add(1, Ordering::SeqCst);
        Ok([0; 64])
    }
}

struct Stage {
    store: DeviceStore,
    door: Sender<()>,
    signed: Arc<AtomicUsize>,
}

fn stage(patience: Duration) -> Stage {
    let ((door, waits), signed) = (channel(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&signed);
    let make = move || Pretended { keys: [None, None], door: waits, signed: counted };
    let desk = Desk::start("the device", patience, make).expect("a thread");
    Stage { store: DeviceStore { desk, kind: StoreKind::Tpm }, door, signed }
}

/// More than anything here ever takes.
const LONG: Duration = Duration::from_mins(1);

fn made(store: &dyn KeyStore, slot: Slot) -> InstallationKey {
    store.create(slot, Leftover::Replace, &System).expect("made")
}

#[tokio::test]
async fn a_device_that_hangs_is_given_up_and_hangs_nobody() {
    let Stage { store, door, signed } = stage(LONG);
    let public = made(&store, Slot::A).public_key().clone();
    let desk = Desk { patience: Duration::from_millis(20), ..store.desk.clone() };
    let hasty = DeviceStore { desk, kind: StoreKind::Tpm };
    let key = hasty.key(Slot::A, public);
    assert!(key.sign(b"message").await.is_err());
    // While it hangs, everything that is asked ends in words.
    let silent = hasty.load(Slot::A).expect_err("silent");
    assert!(matches!(&silent, KeyError::Device { trouble: DeviceTrouble::Silent, .. }), "{silent}");
    assert!(key.sign(b"message").await.is_err());
    door.send(()).expect("it waits");
    // It goes on, and does not do what nobody waits for any more.
    assert!(store.load(Slot::A).expect("answers").is_some());
    assert_eq!(signed.load(Ordering::SeqCst), 1);
}

#[test]
fn the_last_to_leave_a_device_waits_until_it_is_let_go() {
    let Stage { store, door, signed } = stage(LONG);
    let key = made(&store, Slot::A);
    drop(store);
    assert_eq!(Arc::strong_count(&signed), 2, "a key holds its device");
    drop(key);
    assert_eq!(Arc::strong_count(&signed), 1);
    assert!(door.send(()).is_err());
}

#[tokio::test]
async fn a_signature_that_is_not_the_keys_is_none() {
    let Stage { store, door, signed } = stage(LONG);
    let key = made(&store, Slot::B);
    door.send(()).expect("it will wait");
    assert!(key.sign(b"message").await.is_err());
    assert_eq!(signed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let Stage { store, door, signed } = stage(60 * LONG);
    let key = made(&store, Slot::A);
    let mut many = tokio::task::JoinSet::new();
    // One is at work, or about to be; the queue takes as many as it has places.
    for _ in 0..QUEUE + 2 {
        let key = key.clone();
        many.spawn(async move { key.sign(b"message").await.is_err() });
    }
    let refused = tokio::time::timeout(LONG, many.join_next()).await.expect("at once");
    assert!(matches!(refused, Some(Ok(true))));
    assert_eq!(signed.load(Ordering::SeqCst), 0);
    drop(door);
    many.join_all().await;
    assert!(signed.load(Ordering::SeqCst) >= QUEUE);
}

fn with_files() -> (TempDir, WithFiles, Sender<()>) {
    let dir = tempfile::tempdir().expect("a directory");
    let Stage { store, door, .. } = stage(LONG);
    let files = FileStore::open(dir.path(), None);
    (dir, WithFiles { device: store, files }, door)
}

#[test]
fn a_key_moves_from_its_file_into_the_device_by_a_change_of_key() {
    let (dir, store, _door) = with_files();
    let former = made(&store.files, Slot::A);
    let found = store.load(Slot::A).expect("readable").expect("there");
    assert_eq!(found.thumbprint(), former.thumbprint());
    assert!(store.place(Slot::A).ends_with("key-a.pem"));
    let next = store.create(Slot::B, Leftover::Keep, &System).expect("made");
    assert!(store.place(Slot::B).starts_with("slot b of"));
    // Promoted: the former key goes, and with it its file.
    store.remove(Slot::A).expect("removed");
    assert!(store.load(Slot::A).expect("readable").is_none());
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
    let found = store.load(Slot::B).expect("readable").expect("there");
    assert_eq!(found.thumbprint(), next.thumbprint());
}

#[test]
fn what_was_left_in_the_device_does_not_hide_the_key_in_the_file() {
    let (_dir, store, _door) = with_files();
    made(&store.device, Slot::A);
    let current = made(&store.files, Slot::A);
    let keys: &dyn KeyStore = &store;
    assert!(matches!(keys.find(current.thumbprint()), Ok(Found::Here(Slot::A, _))));
}

#[test]
fn a_key_in_a_file_counts_as_a_key_of_its_slot() {
    let (_dir, store, _door) = with_files();
    made(&store.files, Slot::A);
    let refused = store.create(Slot::A, Leftover::Keep, &System);
    assert!(matches!(refused, Err(KeyError::Occupied { .. })));
    let replaced = store.create(Slot::A, Leftover::Replace, &System).expect("made");
    assert!(store.files.load(Slot::A).expect("readable").is_none());
    let found = store.load(Slot::A).expect("readable").expect("there");
    assert_eq!(found.thumbprint(), replaced.thumbprint());
}
