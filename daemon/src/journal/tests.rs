use std::fs;

use counterfoil_protocol::jwk::Thumbprint;

use super::*;
use crate::session::{Attempt, Keys, samples};

mod kill;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn identity() -> Identity {
    Identity { registration_id: Secret::new("r".repeat(43)) }
}

fn written(path: &Path) -> Facts {
    let mut journal =
        Journal::create(path, &identity(), &Facts::default(), None, NOW).expect("made");
    let facts = samples::connected();
    journal.save(&facts, NOW).expect("saved");
    facts
}

#[test]
fn facts_come_back_as_they_were_saved() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    let facts = written(&path);
    let (_, who, read) = Journal::open(&path, None).expect("opened");
    assert_eq!(who, identity());
    assert_eq!(read, facts);
}

#[test]
fn a_journal_is_made_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    assert!(Journal::create(&path, &identity(), &Facts::default(), None, NOW).is_err());
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
        let opened = Journal::open(&torn, None);
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
    assert!(matches!(Journal::open(&path, None), Err(JournalError::Damaged { .. })));
}

/// A journal as the daemon before this layout wrote it.
const LAYOUT_1: &[u8] = include_bytes!("layout-1.db");

#[test]
fn layout_1_is_brought_forward_with_all_it_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    fs::write(&path, LAYOUT_1).expect("written");
    let key = Thumbprint([7; 32]);
    let attempt = Attempt { key, ..samples::attempt() };
    let keys = Keys::of(key);
    let expected = Facts { keys, pending: Some(attempt), ..samples::connected() };
    // Brought forward the first time, found as it is the second.
    for _ in 0..2 {
        let (journal, who, facts) = Journal::open(&path, None).expect("opened");
        assert_eq!((who, &facts), (identity(), &expected));
        assert_eq!(journal.layout(&path).expect("readable"), layout::CURRENT);
    }
}

#[test]
fn a_damaged_file_of_layout_1_is_not_brought_forward() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    for length in (0..LAYOUT_1.len()).step_by(7) {
        fs::write(&path, &LAYOUT_1[..length]).expect("cut");
        assert!(
            matches!(Journal::open(&path, None), Err(JournalError::Damaged { .. })),
            "{length}"
        );
        assert_eq!(fs::read(&path).expect("there"), &LAYOUT_1[..length], "{length}: untouched");
    }
}

#[test]
fn what_is_no_journal_is_kept_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    let garbage: Vec<u8> =
        (0..20_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for content in [&garbage[..], &garbage[..1], b"SQLite format 3\0", &[0; 4_096]] {
        fs::write(&path, content).expect("written");
        assert!(matches!(Journal::open(&path, None), Err(JournalError::Damaged { .. })));
        assert_eq!(fs::read(&path).expect("there"), content, "evidence");
    }
    fs::remove_file(&path).expect("removed");
    assert!(matches!(Journal::open(&path, None), Err(JournalError::Unreadable { .. })));
    assert!(!path.exists(), "nothing is made");
    fs::create_dir(&path).expect("made");
    assert!(matches!(Journal::open(&path, None), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_file_without_its_tables_or_rows_is_damaged() {
    for change in [
        "DROP TABLE identity",
        "DROP TABLE facts",
        "DELETE FROM identity",
        "DELETE FROM facts",
        "UPDATE facts SET checksum = x'00'",
        "UPDATE facts SET document = document || ' '",
        "UPDATE facts SET document = '{', checksum = x'021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96'",
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        written(&path);
        connect(&path).expect("opened").execute_batch(change).expect("changed");
        let before = fs::read(&path).expect("there");
        assert!(
            matches!(Journal::open(&path, None), Err(JournalError::Damaged { .. })),
            "{change}"
        );
        assert_eq!(fs::read(&path).expect("there"), before, "{change}");
    }
}

#[test]
fn a_disk_that_refuses_is_not_taken_for_damage() {
    use rusqlite::ffi::{self, Error};
    let judged = |code| {
        let error = rusqlite::Error::SqliteFailure(Error::new(code), None);
        matches!(unusable(Path::new("journal.db"), &error), JournalError::Unreadable { .. })
    };
    for code in [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_CANTOPEN,
        ffi::SQLITE_PERM,
        ffi::SQLITE_READONLY,
        ffi::SQLITE_FULL,
        ffi::SQLITE_BUSY,
    ] {
        assert!(judged(code), "{code}");
    }
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_ERROR] {
        assert!(!judged(code), "{code}");
    }
}

#[test]
fn a_newer_layout_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    written(&path);
    let db = connect(&path).expect("opened");
    db.pragma_update(None, "user_version", layout::CURRENT + 1).expect("set");
    drop(db);
    let error = Journal::open(&path, None).expect_err("newer");
    assert!(matches!(error, JournalError::Newer { found: 3 }));
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
    assert!(matches!(Journal::open(&path, None), Err(JournalError::Damaged { .. })));
}

#[test]
fn secrets_are_sealed_once_there_is_a_credential() {
    let seal = |byte| Some(Arc::new(Seal::new(Zeroizing::new(vec![byte; 32]))));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    let facts = written(&path);
    let holds = |what: &str| {
        let bytes = fs::read(&path).expect("there");
        bytes.windows(what.len()).any(|window| window == what.as_bytes())
    };
    let id = identity();
    let secrets = [id.registration_id.expose(), "\"connection\""];
    assert!(secrets.iter().all(|secret| holds(secret)));
    let (mut journal, who, read) = Journal::open(&path, seal(7)).expect("opened");
    assert_eq!((who, &read), (identity(), &facts));
    assert!(!secrets.iter().any(|secret| holds(secret)), "sealed where it lay");
    journal.save(&facts, NOW).expect("saved");
    drop(journal);
    assert!(!secrets.iter().any(|secret| holds(secret)));
    let before = fs::read(&path).expect("there");
    assert!(matches!(Journal::open(&path, None), Err(JournalError::Sealed { .. })));
    assert!(matches!(
        Journal::open(&path, seal(8)),
        Err(JournalError::StaysClosed { why: StaysClosed::OtherCredential, .. })
    ));
    assert_eq!(fs::read(&path).expect("there"), before);
    let (_, who, read) = Journal::open(&path, seal(7)).expect("opened");
    assert_eq!((who, read), (identity(), facts));
}

#[test]
fn one_sealed_part_is_not_taken_for_another() {
    let seal = || Some(Arc::new(Seal::new(Zeroizing::new(vec![7; 32]))));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    Journal::create(&path, &identity(), &Facts::default(), seal(), NOW).expect("made");
    let db = Connection::open(&path).expect("a database");
    db.execute("UPDATE identity SET registration_id = (SELECT document FROM facts)", [])
        .expect("swapped");
    assert!(matches!(
        Journal::open(&path, seal()),
        Err(JournalError::StaysClosed { why: StaysClosed::Damaged, .. })
    ));
}
