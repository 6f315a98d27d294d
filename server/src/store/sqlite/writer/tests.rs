use std::{sync::Arc, thread};

use rusqlite::params;

use super::*;

/// A database with one table, and a writer on it.
fn fresh() -> (tempfile::TempDir, Arc<Writer>) {
    let directory = tempfile::tempdir().expect("a directory");
    let connection = open(&directory);
    connection.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY)").expect("a table");
    (directory, Arc::new(Writer::start(connection).expect("starts")))
}

fn open(directory: &tempfile::TempDir) -> Connection {
    super::super::connect(&directory.path().join("db")).expect("opens")
}

fn written(directory: &tempfile::TempDir) -> Vec<i64> {
    let connection = open(directory);
    let mut statement = connection.prepare("SELECT n FROM t ORDER BY n").expect("prepares");
    let rows = statement.query_map([], |row| row.get(0)).expect("reads");
    rows.collect::<rusqlite::Result<_>>().expect("numbers")
}

fn insert(db: &Connection, n: i64) -> Result<()> {
    db.prepare_cached("INSERT INTO t (n) VALUES (?)")?.execute(params![n])?;
    Ok(())
}

/// Runs `operations` in one batch: the writer is held until all of them wait.
fn in_one_batch<F>(writer: &Arc<Writer>, operations: Vec<F>) -> Vec<Result<()>>
where
    F: FnOnce(&Connection) -> Result<()> + Send + 'static,
{
    let (release, released) = mpsc::channel::<()>();
    let (jobs, started) = (writer.jobs.clone().expect("running"), mpsc::channel());
    let mut answers = Vec::new();
    let (answer, _held) = oneshot::channel();
    let hold = move |_: &Connection| {
        started.0.send(()).expect("a listener");
        released.recv().expect("a release");
        Ok(())
    };
    jobs.send(Box::new(Queued { operation: Some(hold), result: None, answer })).expect("runs");
    started.1.recv().expect("the writer is held");
    for operation in operations {
        let (answer, outcome) = oneshot::channel();
        jobs.send(Box::new(Queued { operation: Some(operation), result: None, answer }))
            .expect("runs");
        answers.push(outcome);
    }
    release.send(()).expect("held");
    answers.into_iter().map(|outcome| outcome.blocking_recv().expect("an answer")).collect()
}

type Operation = Box<dyn FnOnce(&Connection) -> Result<()> + Send>;

fn inserting(n: i64) -> Operation {
    Box::new(move |db| insert(db, n))
}

#[test]
fn an_error_leaves_nothing_and_its_neighbours_alone() {
    let (directory, writer) = fresh();
    let fails: Operation = Box::new(|db| {
        insert(db, 2)?;
        insert(db, 1)
    });
    let outcomes = in_one_batch(&writer, vec![inserting(1), fails, inserting(3)]);
    assert!(matches!(outcomes[..], [Ok(()), Err(StoreError::Backend(_)), Ok(())]), "{outcomes:?}");
    assert_eq!(written(&directory), [1, 3]);
}

#[test]
fn a_panic_leaves_nothing_and_the_thread_alive() {
    let (directory, writer) = fresh();
    let panics: Operation = Box::new(|db| {
        insert(db, 2)?;
        std::panic::resume_unwind(Box::new("a bug"))
    });
    let outcomes = in_one_batch(&writer, vec![inserting(1), panics, inserting(3)]);
    assert!(matches!(outcomes[..], [Ok(()), Err(StoreError::Backend(_)), Ok(())]), "{outcomes:?}");
    let after = in_one_batch(&writer, vec![inserting(4)]);
    assert!(after[0].is_ok());
    assert_eq!(written(&directory), [1, 3, 4]);
}

#[test]
fn when_the_transaction_is_lost_everyone_hears_so() {
    let (directory, writer) = fresh();
    // What SQLite does by itself when the disk is full or fails.
    let loses: Operation = Box::new(|db| {
        db.execute_batch("ROLLBACK")?;
        Ok(())
    });
    let outcomes = in_one_batch(&writer, vec![inserting(1), loses, inserting(3)]);
    // The third runs in the next transaction, and not on its own in none.
    assert!(matches!(outcomes[..], [Err(_), Err(_), Ok(())]), "{outcomes:?}");
    assert_eq!(written(&directory), [3]);
    assert!(in_one_batch(&writer, vec![inserting(4)])[0].is_ok());
    assert_eq!(written(&directory), [3, 4]);
}

#[test]
fn a_failed_commit_is_everyones_error() {
    let (directory, writer) = fresh();
    let tables = "CREATE TABLE parent (n INTEGER PRIMARY KEY);
                  CREATE TABLE child (n INTEGER REFERENCES parent (n) DEFERRABLE INITIALLY DEFERRED)";
    open(&directory).execute_batch(tables).expect("tables");
    let orphan: Operation = Box::new(|db| {
        db.execute("INSERT INTO child VALUES (1)", [])?;
        Ok(())
    });
    let outcomes = in_one_batch(&writer, vec![inserting(1), orphan]);
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert_eq!(written(&directory), [0; 0]);
    assert!(in_one_batch(&writer, vec![inserting(2)])[0].is_ok());
}

#[test]
fn a_transaction_that_cannot_begin_is_answered() {
    let (directory, writer) = fresh();
    let connection = open(&directory);
    connection.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let impatient: Operation = Box::new(|db| {
        db.busy_timeout(std::time::Duration::ZERO)?;
        Ok(())
    });
    // The first finds the lock free again; the second does not, and gives up at once.
    connection.execute_batch("COMMIT").expect("unlocks");
    assert!(in_one_batch(&writer, vec![impatient])[0].is_ok());
    connection.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let (answer, outcome) = oneshot::channel();
    let jobs = writer.jobs.as_ref().expect("running");
    jobs.send(Box::new(Queued { operation: Some(inserting(1)), result: None, answer }))
        .expect("runs");
    let refused = outcome.blocking_recv().expect("an answer");
    assert!(matches!(&refused, Err(StoreError::Backend(text)) if text.contains("locked")));
    connection.execute_batch("COMMIT").expect("unlocks");
    assert!(in_one_batch(&writer, vec![inserting(2)])[0].is_ok());
    assert_eq!(written(&directory), [2]);
}

#[test]
fn what_was_queued_is_written_before_the_end() {
    let (directory, writer) = fresh();
    let (release, released) = mpsc::channel::<()>();
    let jobs = writer.jobs.clone().expect("running");
    let hold: Operation = Box::new(move |_| {
        let _ = released.recv();
        Ok(())
    });
    for operation in [hold, inserting(1), inserting(2)] {
        // Nobody waits for these answers.
        let (answer, _) = oneshot::channel();
        jobs.send(Box::new(Queued { operation: Some(operation), result: None, answer }))
            .expect("runs");
    }
    drop(jobs);
    let ends = thread::spawn(move || drop(Arc::into_inner(writer).expect("the only handle")));
    release.send(()).expect("held");
    ends.join().expect("ends");
    assert_eq!(written(&directory), [1, 2]);
}
