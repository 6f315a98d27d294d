use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Barrier},
    thread,
};

use super::*;
use crate::clock::fixed::CountingEntropy;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let outer = tempfile::tempdir().expect("a directory");
    let path = outer.path().join("data");
    (outer, path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

fn key(path: &Path) -> Result<AtRestKey, DataError> {
    DataDir::open(path)?.at_rest_key(None, &CountingEntropy::default())
}

#[test]
fn made_on_first_use_and_closed() {
    let (_outer, path) = directory();
    let data = DataDir::open(&path).expect("opens");
    let first = key(&path).expect("a key");
    data.store().expect("a store");
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("keys")), 0o700);
    assert_eq!(mode(&path.join("keys/at-rest.key")), 0o600);
    assert_eq!(mode(&path.join(DATABASE)), 0o600);
    assert_eq!(key(&path).expect("the same key"), first);
}

#[test]
fn racing_first_uses_make_one_key() {
    let (_outer, path) = directory();
    let entropy = Arc::new(CountingEntropy::default());
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (path, entropy, barrier) = (path.clone(), entropy.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                let data = DataDir::open(&path).expect("opens");
                data.at_rest_key(None, &*entropy).expect("a key")
            })
        })
        .collect();
    let keys: Vec<_> = racers.into_iter().map(|racer| racer.join().expect("no panic")).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    let names = fs::read_dir(path.join("keys")).expect("a directory").flatten();
    assert_eq!(names.count(), 1, "nothing is left behind");
}

#[test]
fn a_lost_key_is_never_made_anew() {
    let (_outer, path) = directory();
    key(&path).expect("a key");
    DataDir::open(&path).expect("opens").store().expect("a store");
    let file = path.join("keys/at-rest.key");
    fs::write(&file, "").expect("writes");
    assert!(matches!(key(&path), Err(DataError::KeyUnreadable(_))));
    fs::remove_file(&file).expect("removes");
    assert!(matches!(key(&path), Err(DataError::KeyLost(_))));
    assert!(!file.exists());
    let keys = DataDir::open(&path).expect("opens");
    let keys = keys.signing_keys(&CountingEntropy::default(), UnixTime(0));
    assert!(matches!(keys, Err(DataError::SigningKeysLost(_))));
}

#[test]
fn the_credential_takes_the_files_place() {
    let (outer, path) = directory();
    let entropy = CountingEntropy::default();
    let credential = outer.path().join(AT_REST_CREDENTIAL);
    fs::write(&credential, format!("{}\n", base64url(&[9; KEY_LENGTH]))).expect("writes");
    let data = DataDir::open(&path).expect("opens");
    let given = data.at_rest_key(Some(outer.path()), &entropy).expect("a key");
    assert_eq!(*given, [9; KEY_LENGTH]);
    assert!(!path.join("keys/at-rest.key").exists());
    key(&path).expect("another key in the file");
    assert!(matches!(data.at_rest_key(Some(outer.path()), &entropy), Err(DataError::TwoKeys(_))));
}

#[test]
fn what_others_may_read_is_refused() {
    let (_outer, path) = directory();
    key(&path).expect("a key");
    DataDir::open(&path).expect("opens").store().expect("a store");
    for (name, open, closed) in [
        ("", 0o750, 0o700),
        ("keys", 0o755, 0o700),
        ("keys/at-rest.key", 0o640, 0o600),
        (DATABASE, 0o604, 0o600),
    ] {
        let file = path.join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(open)).expect("sets");
        let error = DataDir::open(&path).err().expect("refused").to_string();
        assert!(error.contains("may be read by others"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(closed)).expect("sets");
    }
    DataDir::open(&path).expect("opens again");
}
