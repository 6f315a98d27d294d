use std::fs;

use super::*;
use crate::session::samples;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn identity() -> Identity {
    Identity { registration_id: Secret::new("r".repeat(43)), thumbprint: Thumbprint([7; 32]) }
}

fn written(path: &Path) -> Facts {
    let mut journal = Journal::create(path, &identity(), NOW).expect("made");
    let facts = samples::connected();
    journal.save(&facts, NOW).expect("saved");
    facts
}

#[test]
fn facts_come_back_as_they_were_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    let facts = written(&path);
    let (_, who, read) = Journal::open(&path).expect("opened");
    assert_eq!(who, identity());
    assert_eq!(read, facts);
}

#[test]
fn a_journal_is_made_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    assert!(Journal::create(&path, &identity(), NOW).is_err());
}

#[test]
fn a_torn_journal_is_damaged_at_every_length() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    let whole = fs::read(&path).expect("there");
    let torn = dir.path().join("torn.db");
    for length in 0..whole.len() {
        fs::write(&torn, &whole[..length]).expect("cut");
        let opened = Journal::open(&torn);
        assert!(matches!(opened, Err(JournalError::Damaged { .. })), "{length} of {}", whole.len());
    }
}

#[test]
fn a_changed_byte_in_the_facts_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    let mut bytes = fs::read(&path).expect("there");
    let at = bytes.windows(9).position(|window| window == b"grant_abc").expect("in the file");
    bytes[at + 6] ^= 1;
    fs::write(&path, bytes).expect("changed");
    assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_newer_layout_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    let db = connect(&path).expect("opened");
    db.pragma_update(None, "user_version", SCHEMA_VERSION + 1).expect("set");
    drop(db);
    let error = Journal::open(&path).expect_err("newer");
    assert!(matches!(error, JournalError::Newer { found: 2 }));
    assert!(error.to_string().contains("newer counterfoild"));
}

#[test]
fn another_programs_database_is_not_taken_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    rusqlite::Connection::open(&path)
        .expect("made")
        .execute_batch("CREATE TABLE t (x)")
        .expect("made");
    assert!(matches!(Journal::open(&path), Err(JournalError::Damaged { .. })));
}
