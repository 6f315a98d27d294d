//! Deliveries once, over restarts, damaged files and clocks that step.

use counterfoil_protocol::encoding::sha256;
use tempfile::TempDir;

use super::*;

const NOW: UnixTime = UnixTime(1_800_000_000);

struct Bench {
    directory: TempDir,
    deliveries: Arc<Deliveries>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let deliveries = Deliveries::within(directory.path(), NOW - 10_000);
        Self { directory, deliveries }
    }

    fn restart(&mut self, now: UnixTime) {
        self.deliveries = Deliveries::within(self.directory.path(), now);
    }

    fn see(&self, name: &str, signed_at: UnixTime, now: UnixTime) -> Seen {
        let delivery =
            Fingerprint { hash: sha256(name.as_bytes()), signed_at, connected_at: NOW - 5_000 };
        self.deliveries.remember(&delivery, now).expect("a disk")
    }
}

#[test]
fn a_delivery_is_taken_once_and_also_after_a_restart() {
    let mut bench = Bench::new();
    assert_eq!(bench.see("a", NOW, NOW), Seen::Never);
    assert_eq!(bench.see("b", NOW, NOW), Seen::Never);
    assert_eq!(bench.see("a", NOW, NOW + 299), Seen::Before);
    bench.restart(NOW + 1);
    assert_eq!(bench.see("a", NOW, NOW + 1), Seen::Before);
    assert_eq!(bench.see("c", NOW, NOW + 1), Seen::Never);
}

#[test]
fn what_is_forgotten_is_never_new_again() {
    let bench = Bench::new();
    assert_eq!(bench.see("ahead", NOW + 300, NOW), Seen::Never);
    assert_eq!(bench.see("a", NOW, NOW), Seen::Never);
    // Fresh until the end of the window on both sides of the clock, and remembered all that time.
    assert_eq!(bench.see("ahead", NOW + 300, NOW + 600), Seen::Before);
    let later = NOW + 601;
    assert_eq!(bench.see("later", later, later), Seen::Never);
    // The clock is set back: what was forgotten would be fresh.
    assert_eq!(bench.see("a", NOW, NOW), Seen::Unknown);
    assert_eq!(bench.see("older", NOW - 1, NOW), Seen::Unknown);
    assert_eq!(bench.see("newer", NOW + 1, NOW), Seen::Never);
}

#[test]
fn a_lost_memory_takes_nothing_that_it_may_have_known() {
    for damage in [
        |path: &Path| std::fs::remove_file(path).expect("a file"),
        |path: &Path| std::fs::write(path, "no database at all, but long enough").expect("a file"),
    ] {
        let mut bench = Bench::new();
        assert_eq!(bench.see("a", NOW, NOW), Seen::Never);
        bench.deliveries = Arc::new(Deliveries { path: PathBuf::new(), db: Mutex::default() });
        damage(&bench.directory.path().join(FILE));
        bench.restart(NOW + 1);
        assert_eq!(bench.see("a", NOW, NOW + 2), Seen::Unknown);
        assert_eq!(bench.see("b", NOW + 301, NOW + 301), Seen::Unknown);
        assert_eq!(bench.see("c", NOW + 302, NOW + 302), Seen::Never);
    }
}

#[test]
fn a_file_that_is_taken_away_while_the_daemon_runs_is_a_lost_memory() {
    let bench = Bench::new();
    assert_eq!(bench.see("a", NOW, NOW), Seen::Never);
    std::fs::remove_file(bench.directory.path().join(FILE)).expect("a file");
    assert_eq!(bench.see("a", NOW, NOW + 1), Seen::Unknown);
}

#[test]
fn a_full_memory_takes_nothing_until_there_is_room() {
    let bench = Bench::new();
    assert_eq!(bench.see("first", NOW, NOW), Seen::Never);
    bench
        .deliveries
        .with(NOW, |db| {
            let transaction = db.transaction()?;
            for n in 1..MOST {
                let hash = sha256(&n.to_le_bytes());
                transaction
                    .execute("INSERT INTO delivery VALUES (?1, ?2)", params![hash, NOW.0])?;
            }
            transaction.commit()
        })
        .expect("a disk");
    assert_eq!(bench.see("one more", NOW, NOW), Seen::Full);
    assert_eq!(bench.see("first", NOW, NOW), Seen::Before);
    let later = NOW + REMEMBERED + 1;
    assert_eq!(bench.see("one more", later, later), Seen::Never);
}

#[test]
fn a_memory_that_cannot_be_written_is_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let nowhere = directory.path().join("absent");
    let deliveries = Deliveries::within(&nowhere, NOW);
    let delivery = Fingerprint { hash: [0; 32], signed_at: NOW, connected_at: NOW };
    deliveries.remember(&delivery, NOW).expect_err("there is no such directory");
    std::fs::create_dir(&nowhere).expect("a directory");
    assert_eq!(deliveries.remember(&delivery, NOW).expect("a disk"), Seen::Never);
}
