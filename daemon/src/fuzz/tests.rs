//! The corpora and thousands of mutations of them, the same ones every time.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    fuzz,
    journal::{Identity, Journal},
    session::{
        Facts,
        samples::{NOW, awaiting, connected, registered},
    },
};

/// Mutations of the entries of one corpus.
const MUTATIONS: usize = 4_000;

/// Texts that mean something to one of the readers.
const WORDS: [&[u8]; 12] = [
    b"&state=state-1",
    b"&code=",
    b"%00",
    b"\"",
    b"{}",
    b"-1",
    b"9223372036854775807",
    b"null",
    b"https://pay.example",
    b",v1=",
    b"; ",
    b"\xff\xfe",
];

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(name)
}

fn entries(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus(name);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "nothing in {}", folder.display());
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides.max(1)
    }
}

fn mutate(entry: &[u8], other: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = entry.to_vec();
    for _ in 0..=dice.throw(4) {
        let at = dice.throw(bytes.len() + 1);
        match dice.throw(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.throw(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(dice.throw(256)).unwrap_or(0),
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, WORDS[dice.throw(WORDS.len())].iter().copied())),
            4 => drop(bytes.drain(at..(at + dice.throw(16)).min(bytes.len()))),
            5 => {
                let from = dice.throw(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + dice.throw(32)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
    }
    bytes
}

#[track_caller]
fn go_through(name: &str, reads: fn(&[u8]), mutations: usize) {
    let entries = entries(name);
    let mut dice = Dice(20_260_301);
    for entry in &entries {
        reads(entry);
    }
    for _ in 0..mutations {
        let (entry, other) = (dice.throw(entries.len()), dice.throw(entries.len()));
        reads(&mutate(&entries[entry], &entries[other], &mut dice));
    }
}

#[test]
fn callbacks() {
    go_through("callback", fuzz::callback, MUTATIONS);
}

#[test]
fn proofs() {
    go_through("proof", fuzz::proof, MUTATIONS);
}

#[test]
fn facts() {
    go_through("facts", fuzz::facts, MUTATIONS);
}

#[test]
fn journals() {
    go_through("journal", fuzz::journal, MUTATIONS / 10);
}

#[test]
fn sites() {
    go_through("site", fuzz::site, MUTATIONS);
}

#[test]
fn webhooks() {
    go_through("webhook", fuzz::webhook, MUTATIONS);
}

/// Each corpus has an honest entry that its reader takes, else its mutations would prove nothing.
#[test]
fn honest_entries_are_taken() {
    let read = |name: &str, entry: &str| fs::read(corpus(name).join(entry)).expect("an entry");
    let facts: Facts = serde_json::from_slice(&read("facts", "connected.json")).expect("facts");
    assert!(facts.connection.is_some());
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("journal.db");
    fs::write(&file, read("journal", "connected.db")).expect("written");
    let (_, _, facts) = Journal::open(&file, None).expect("a journal");
    assert!(facts.connection.is_some());
    let header = read("webhook", "delivery.txt");
    let (head, body) = header.split_at(header.iter().position(|b| *b == b'\n').expect("a line"));
    let secret = counterfoil_protocol::secret::Secret::new(fuzz::WEBHOOK_SECRET);
    let head = std::str::from_utf8(head).expect("text");
    counterfoil_protocol::webhook::verify(head, &secret, &body[1..], fuzz::PROOF_TIME, 300)
        .expect("signed");
}

/// `COUNTERFOIL_CORPUS=write` makes the entries that this daemon itself would write.
#[test]
fn own_entries_can_be_made_anew() {
    let writes = std::env::var_os("COUNTERFOIL_CORPUS").is_some_and(|value| value == "write");
    let dir = tempfile::tempdir().expect("a directory");
    for (name, facts) in
        [("registered", registered()), ("awaiting", awaiting()), ("connected", connected())]
    {
        let text = serde_json::to_vec_pretty(&facts).expect("written");
        let path = dir.path().join(name);
        let identity =
            Identity { registration_id: counterfoil_protocol::secret::Secret::new("corpus") };
        drop(Journal::create(&path, &identity, &facts, None, NOW).expect("a journal"));
        let journal = fs::read(path).expect("there");
        assert!(serde_json::from_slice::<Value>(&text).is_ok() && journal.len() < 64 * 1_024);
        if writes {
            fs::create_dir_all(corpus("facts")).expect("a folder");
            fs::create_dir_all(corpus("journal")).expect("a folder");
            fs::write(corpus("facts").join(format!("{name}.json")), text).expect("written");
            fs::write(corpus("journal").join(format!("{name}.db")), journal).expect("written");
        }
    }
}
