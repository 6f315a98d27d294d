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
fn a_clock_that_is_set_back_lets_no_proof_be_played_again() {
    let mut shard = Shard::default();
    let mut play = |name: u8, made: i64, clock: i64, swept: bool| {
        let now = NOW + clock;
        if swept {
            shard.sweep(now);
        }
        shard.insert([name; 16], NOW + made + 301, now)
    };
    // Name, when it was made, what the clock says, whether the expired are looked for first; and the answer.
    for (name, made, clock, swept, expected) in [
        (1, 0, 0, false, Ok(())),
        (2, 200, 200, false, Ok(())),
        (3, 400, 400, true, Ok(())),
        (1, 0, 0, false, Err(Replayed::Forgotten)),
        (1, 0, 300, true, Err(Replayed::Forgotten)),
        (2, 200, 100, true, Err(Replayed::Seen)),
        (3, 400, 100, true, Err(Replayed::Seen)),
        // Nobody knows any more whether these were played; what was made a second later was not.
        (4, -10, 0, false, Err(Replayed::Forgotten)),
        (5, 1, 1, false, Ok(())),
        (5, 1, 1, false, Err(Replayed::Seen)),
        // Ten hours ahead for a while, in which one proof was taken: what it had forgotten is all that is refused.
        (6, 36_000, 36_000, true, Ok(())),
        (3, 400, 402, false, Err(Replayed::Forgotten)),
        (7, 401, 402, false, Ok(())),
        (6, 36_000, 402, false, Err(Replayed::Seen)),
    ] {
        assert_eq!(play(name, made, clock, swept), expected, "{name} made {made}, clock {clock}");
    }
}

#[test]
fn a_clock_that_is_set_back_before_a_restart_brings_nothing_back() {
    let directory = used();
    let memory = open(directory.path(), NOW);
    assert_eq!(remember(&memory, "early", NOW), Ok(()));
    // Each begins a segment of its own, and the early one's has gone then.
    for later in [301, 601] {
        assert_eq!(remember(&memory, &later.to_string(), NOW + later), Ok(()));
    }
    drop(memory);
    for _ in 0..2 {
        let memory = open(directory.path(), NOW + 5);
        assert_eq!(remember(&memory, "early", NOW), Err(Replayed::Forgotten));
        let refused = remember(&memory, "301", NOW + 301);
        assert_eq!(refused, Err(Replayed::Seen), "what is still in the log is known");
    }
    assert_eq!(remember(&open(directory.path(), NOW + 5), "fresh", NOW + 5), Ok(()));
    // Started while the clock is ahead: what has expired by it is not read back, and is forgotten all the same.
    let memory = open(directory.path(), NOW + 610);
    let refused = memory.remember(&proof("301", NOW + 301), NOW + 602, NOW + 400);
    assert_eq!(refused, Err(Replayed::Forgotten));
    assert_eq!(remember(&memory, "fresh again", NOW + 400), Ok(()));
}

#[test]
fn a_clock_that_was_years_ahead_does_not_keep_the_log_from_ending() {
    let directory = used();
    let memory = open(directory.path(), NOW + 1_000_000_000);
    for step in 0..100 {
        remember(&memory, &step.to_string(), NOW + step * 100).expect("good");
        assert!(segment_files(directory.path()).len() <= 5);
    }
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
