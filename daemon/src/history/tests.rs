//! The history as others use it: through its handle and its file.

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use serde_json::json;

use super::*;

/// A clock that is set by hand.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::Relaxed))
    }
}

const NOW: i64 = 1_800_000_000;

fn all(limit: usize) -> Query {
    Query { limit, ..Query::default() }
}

fn begin(dir: &Path) -> (History, Arc<Hand>) {
    let clock = Arc::new(Hand(AtomicI64::new(NOW)));
    (History::start(dir, Arc::clone(&clock) as _).expect("started"), clock)
}

fn called<'a>(client: &'a str, outcome: &'static str) -> Called<'a> {
    Called { uid: Some(33), client, method: "GET", path: "/v1/status", outcome }
}

fn detail(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value.into())])
}

fn kinds(records: &[Record]) -> Vec<(&str, u64)> {
    records.iter().map(|record| (record.kind.name(), record.count)).collect()
}

#[tokio::test]
async fn what_is_told_is_read_back_with_calls_in_their_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let (history, clock) = begin(dir.path());
    history.keep(Kind::Connected, None, detail("company", "co_1"));
    for _ in 0..3 {
        history.count(called("shop/1.0", "2xx"));
    }
    clock.0.fetch_add(30, Ordering::Relaxed);
    history.count(Called {
        uid: None,
        client: "",
        method: "",
        path: "",
        outcome: "bearer_required",
    });
    clock.0.fetch_add(30, Ordering::Relaxed);
    history.keep(Kind::RenewalFailed, Some("server_unreachable"), Map::new());
    history.flushed().await;
    let path = dir.path().join(FILE);
    let records = read(&path, &all(10)).expect("read");
    let summaries: Vec<_> = records.iter().map(|it| (it.at.0 - NOW, it.summary.as_str())).collect();
    assert_eq!(
        summaries,
        [
            (0, "Connected to co_1."),
            (0, "shop/1.0 (user 33) called GET /v1/status: 2xx"),
            (30, "A caller (user unknown) was turned away: bearer_required"),
            (60, "A renewal failed and will be tried again: server_unreachable"),
        ]
    );
    assert_eq!(records[1].count, 3);
    let refused = Query { kinds: vec![Kind::Refused], ..all(10) };
    assert_eq!(kinds(&read(&path, &refused).expect("read")), [("refused", 1)]);
    let late = Query { since: Some(UnixTime(NOW + 40)), ..all(10) };
    assert_eq!(kinds(&read(&path, &late).expect("read")), [("renewal_failed", 1)]);
    assert_eq!(kinds(&read(&path, &all(1)).expect("read")), [("renewal_failed", 1)]);
}

#[tokio::test]
async fn like_calls_within_an_hour_are_one_row() {
    let dir = tempfile::tempdir().expect("a directory");
    let (history, clock) = begin(dir.path());
    for (seconds, client) in
        [(0, "shop/1.0"), (60, "shop/1.0"), (60, "other/2"), (3_600, "shop/1.0")]
    {
        clock.0.store(NOW + seconds, Ordering::Relaxed);
        history.count(called(client, "2xx"));
        history.flushed().await;
    }
    let records = read(&dir.path().join(FILE), &all(10)).expect("read");
    assert_eq!(kinds(&records), [("called", 1), ("called", 2), ("called", 1)]);
}

#[tokio::test]
async fn rows_and_age_are_bounded() {
    let dir = tempfile::tempdir().expect("a directory");
    let (history, clock) = begin(dir.path());
    let path = dir.path().join(FILE);
    for round in 0..11 {
        for number in 0..1_000 {
            history.keep(Kind::Renewed, None, detail("expires_at", round * 1_000 + number));
        }
        history.flushed().await;
    }
    let records = read(&path, &all(20_000)).expect("read");
    assert_eq!(records.len(), 10_000);
    assert_eq!(records[0].detail.get("expires_at"), Some(&json!(1_000)));
    clock.0.fetch_add(91 * 24 * 3_600, Ordering::Relaxed);
    history.keep(Kind::Stopped, None, Map::new());
    history.flushed().await;
    assert_eq!(kinds(&read(&path, &all(20_000)).expect("read")), [("stopped", 1)]);
}

#[tokio::test]
async fn callers_are_bounded() {
    let dir = tempfile::tempdir().expect("a directory");
    let (history, clock) = begin(dir.path());
    let mut counted = 0;
    for round in 0..22 {
        clock.0.store(NOW + round, Ordering::Relaxed);
        for number in 0..500 {
            history.count(called(&format!("shop-{round}/{number}"), "2xx"));
            counted += 1;
        }
        history.flushed().await;
    }
    let records = read(&dir.path().join(FILE), &all(20_000)).expect("read");
    assert!((9_000..=10_000).contains(&records.len()), "{} of {counted}", records.len());
    assert_eq!(records.last().map(|record| record.at), Some(UnixTime(NOW + 21)));
    assert_eq!(history.dropped(), 0);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_told() {
    for damage in [&b"torn"[..], &[0; 8_192]] {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        fs::write(&path, damage).expect("written");
        let (history, _) = begin(dir.path());
        history.keep(Kind::Started, None, detail("version", "1"));
        history.flushed().await;
        let records = read(&path, &all(10)).expect("read");
        assert_eq!(kinds(&records), [("history_begun_anew", 1), ("started", 1)]);
        let aside = fs::read(dir.path().join("history.db.damaged")).expect("there");
        assert_eq!(aside, damage);
    }
}

#[tokio::test]
async fn an_honest_file_is_gone_on_with() {
    let dir = tempfile::tempdir().expect("a directory");
    for kind in [Kind::Started, Kind::Stopped] {
        let (history, _) = begin(dir.path());
        history.keep(kind, None, Map::new());
        history.stop().await;
    }
    let records = read(&dir.path().join(FILE), &all(10)).expect("read");
    assert_eq!(kinds(&records), [("started", 1), ("stopped", 1)]);
    assert!(!dir.path().join("history.db.damaged").exists());
}

#[tokio::test]
async fn a_disk_that_refuses_costs_records_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("state");
    fs::create_dir(&place).expect("made");
    // A directory where the file should be: nothing can be opened there, whoever runs this.
    fs::create_dir(place.join(FILE)).expect("made");
    let (history, _) = begin(&place);
    history.keep(Kind::Started, None, Map::new());
    history.flushed().await;
    assert_eq!(history.dropped(), 1);
    fs::remove_dir(place.join(FILE)).expect("removed");
    history.keep(Kind::Stopped, None, Map::new());
    history.flushed().await;
    assert_eq!(kinds(&read(&place.join(FILE), &all(10)).expect("read")), [("stopped", 1)]);
    assert_eq!(history.dropped(), 1);
}

/// A clock at which the writer can be made to wait.
struct Stuck(Mutex<()>);

impl Clock for Stuck {
    fn now(&self) -> UnixTime {
        if std::thread::current().name() == Some("history") {
            let _held = self.0.lock();
        }
        UnixTime(NOW)
    }
}

#[tokio::test]
async fn a_writer_that_hangs_holds_up_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(Stuck(Mutex::new(())));
    let history = History::start(dir.path(), Arc::clone(&clock) as _).expect("started");
    {
        let _held = clock.0.lock().expect("free");
        for _ in 0..MAILBOX * 3 {
            history.keep(Kind::Renewed, None, Map::new());
        }
        assert!(history.dropped() > 0);
    }
    history.flushed().await;
    let kept = read(&dir.path().join(FILE), &all(20_000)).expect("read").len() as u64;
    assert_eq!(kept + history.dropped(), MAILBOX as u64 * 3);
}
