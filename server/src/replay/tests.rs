use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Barrier},
    thread,
};

use counterfoil_protocol::jwk::{PublicKey, Thumbprint};
use serde_json::json;

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn proof(jti: &str, iat: UnixTime) -> Proof {
    // RFC 7515 appendix A.3.
    let jwk = json!({ "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let key = PublicKey::from_jwk(jwk.as_object().expect("an object")).expect("a key");
    let thumbprint = Thumbprint([7; 32]);
    Proof { key, thumbprint, jti: jti.to_owned(), iat, successor: None }
}

fn remember(memory: &ReplayMemory, jti: &str, now: UnixTime) -> Result<(), Replayed> {
    memory.remember(&proof(jti, now), now + 301, now)
}

fn open(directory: &Path, now: UnixTime) -> ReplayMemory {
    ReplayMemory::open(directory, true, now).expect("opens")
}

fn segment_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory.join("replay"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// A directory in which a server has run, so that its memory is not blind.
fn used() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    drop(ReplayMemory::open(directory.path(), false, NOW).expect("opens"));
    directory
}

#[test]
fn a_proof_is_good_once() {
    let directory = used();
    let memory = open(directory.path(), NOW);
    assert_eq!(remember(&memory, "a", NOW), Ok(()));
    assert_eq!(remember(&memory, "a", NOW), Err(Replayed::Seen));
    assert_eq!(remember(&memory, "a", NOW + 300), Err(Replayed::Seen));
    assert_eq!(remember(&memory, "b", NOW), Ok(()));
    let other = Proof { thumbprint: Thumbprint([8; 32]), ..proof("a", NOW) };
    assert_eq!(memory.remember(&other, NOW + 301, NOW), Ok(()));
}

#[test]
fn of_racing_twins_one_wins() {
    let directory = used();
    let memory = Arc::new(open(directory.path(), NOW));
    for round in 0..50 {
        let barrier = Arc::new(Barrier::new(8));
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let (memory, barrier) = (Arc::clone(&memory), Arc::clone(&barrier));
                thread::spawn(move || {
                    barrier.wait();
                    remember(&memory, &format!("round {round}"), NOW)
                })
            })
            .collect();
        let won = racers.into_iter().filter_map(|racer| racer.join().expect("no panic").ok());
        assert_eq!(won.count(), 1);
    }
}

#[test]
fn a_restart_forgets_nothing() {
    let directory = used();
    for round in 0..3 {
        let memory = open(directory.path(), NOW);
        for earlier in 0..round {
            assert_eq!(remember(&memory, &earlier.to_string(), NOW), Err(Replayed::Seen));
        }
        assert_eq!(remember(&memory, &round.to_string(), NOW), Ok(()));
    }
}

#[test]
fn a_torn_tail_costs_only_itself() {
    let directory = used();
    let memory = open(directory.path(), NOW);
    remember(&memory, "a", NOW).expect("good");
    remember(&memory, "b", NOW).expect("good");
    drop(memory);
    let file = segment_files(directory.path()).pop().expect("a segment");
    let whole = fs::read(&file).expect("reads");
    for cut in 1..24 {
        fs::write(&file, &whole[..whole.len() - cut]).expect("writes");
        let memory = open(directory.path(), NOW);
        assert_eq!(remember(&memory, "a", NOW), Err(Replayed::Seen));
        drop(memory);
        fs::remove_file(segment_files(directory.path()).pop().expect("the new one")).expect("goes");
    }
}

#[test]
fn after_another_boot_what_was_made_before_is_refused() {
    let directory = used();
    remember(&open(directory.path(), NOW), "a", NOW).expect("good");
    let file = segment_files(directory.path()).pop().expect("a segment");
    let mut content = fs::read(&file).expect("reads");
    content[20] ^= 1;
    fs::write(&file, content).expect("writes");
    let memory = open(directory.path(), NOW + 10);
    for iat in [NOW, NOW + 10] {
        let refused = memory.remember(&proof("new", iat), NOW + 311, NOW + 12);
        assert_eq!(refused, Err(Replayed::BeforeStart));
    }
    assert_eq!(remember(&memory, "new", NOW + 11), Ok(()));
    drop(memory);
    let memory = open(directory.path(), NOW + 20);
    let refused = memory.remember(&proof("old", NOW + 10), NOW + 311, NOW + 20);
    assert_eq!(refused, Err(Replayed::BeforeStart), "a second start knows it too");
    assert_eq!(memory.remember(&proof("old", NOW + 11), NOW + 312, NOW + 20), Ok(()));
}

#[test]
fn a_lost_memory_is_noticed() {
    let directory = used();
    fs::remove_dir_all(directory.path().join("replay")).expect("goes");
    let memory = open(directory.path(), NOW);
    assert_eq!(remember(&memory, "a", NOW), Err(Replayed::BeforeStart));
    assert_eq!(remember(&memory, "a", NOW + 1), Ok(()));
}

#[test]
fn the_log_stays_within_the_window() {
    let directory = used();
    let memory = open(directory.path(), NOW);
    for step in 0..100 {
        let now = NOW + step * 100;
        remember(&memory, &format!("proof {step}"), now).expect("good");
        assert!(segment_files(directory.path()).len() <= 4);
    }
    drop(memory);
    let memory = open(directory.path(), NOW + 9_950);
    for step in 97..100 {
        let refused = remember(&memory, &format!("proof {step}"), NOW + 9_950);
        assert_eq!(refused, Err(Replayed::Seen));
    }
}

#[test]
fn proofs_go_when_they_have_expired_and_no_sooner() {
    let memory = ReplayMemory::default();
    let made = proof("", NOW);
    let remember = |n: i64, now: UnixTime| {
        let proof = Proof { jti: n.to_string(), ..made.clone() };
        memory.remember(&proof, now + 301, now)
    };
    for n in 0..200_000 {
        assert_eq!(remember(n, NOW), Ok(()));
    }
    for n in (0..200_000).step_by(9_973) {
        assert_eq!(remember(n, NOW + 300), Err(Replayed::Seen));
    }
    let held =
        || memory.shards.iter().map(|s| s.lock().expect("no panic").seen.len()).sum::<usize>();
    for n in 200_000..420_000 {
        assert_eq!(remember(n, NOW + 301), Ok(()));
    }
    assert!(held() < 240_000, "{}", held());
}

#[test]
fn a_second_server_is_refused() {
    let directory = used();
    let _first = open(directory.path(), NOW);
    let error = ReplayMemory::open(directory.path(), true, NOW).err().expect("refused");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let directory = used();
    let memory = open(directory.path(), NOW);
    fs::remove_dir_all(directory.path().join("replay")).expect("goes");
    assert_eq!(remember(&memory, "a", NOW + 300), Err(Replayed::NotRemembered), "no new segment");
    assert_eq!(remember(&memory, "a", NOW + 300), Err(Replayed::Seen));
}
