//! The one thread that writes, and its group commit.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{Result, StoreError};

/// The most requests that share a commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 256;

/// A handle on the writing thread. The thread ends when the handle is dropped and every request is answered.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(mut connection: Connection) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Box<dyn Job>>();
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                while let Ok(first) = waiting.recv() {
                    let mut batch = Vec::new();
                    let outcome = run_together(&mut connection, &mut batch, first, &waiting);
                    let size = u16::try_from(batch.len()).unwrap_or(u16::MAX);
                    metrics::histogram!("counterfoil_store_commit_requests")
                        .record(f64::from(size));
                    for job in batch {
                        job.settle(&outcome);
                    }
                }
            })
            .map_err(|error| StoreError::Backend(error.to_string()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues `operation` and waits until it is committed, or refused. Once queued it is run, whether or not the
    /// caller still waits.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let job = Box::new(Queued { operation: Some(operation), result: None, answer });
        let stopped = || StoreError::Backend("the writing thread has stopped".to_owned());
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(stopped)?;
        outcome.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request for a write.
trait Job: Send {
    /// Runs in a savepoint of the open transaction and keeps the result.
    fn run(&mut self, connection: &Connection);

    /// Answers whoever asked, now that the outcome of the commit is known.
    fn settle(self: Box<Self>, committed: &Result<()>);
}

struct Queued<T, F> {
    operation: Option<F>,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Queued<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) {
        self.result = self.operation.take().map(|operation| in_savepoint(connection, operation));
    }

    fn settle(self: Box<Self>, committed: &Result<()>) {
        let never_ran = || Err(StoreError::Backend("the write was not run".to_owned()));
        // Whoever asked may have gone away; the commit stands all the same.
        let _ = self.answer.send(committed.clone().and(self.result.unwrap_or_else(never_ran)));
    }
}

/// Runs `first` and what waits behind it in one transaction. Every job taken is in `batch`, whatever happens.
fn run_together(
    connection: &mut Connection,
    batch: &mut Vec<Box<dyn Job>>,
    first: Box<dyn Job>,
    waiting: &mpsc::Receiver<Box<dyn Job>>,
) -> Result<()> {
    batch.push(first);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut next = 0;
    while let Some(job) = batch.get_mut(next) {
        job.run(&transaction);
        // After some failures (a full disk among them) SQLite itself takes the whole transaction back. Nothing may
        // run after that: it would commit on its own, and be answered with this transaction's failure.
        if transaction.is_autocommit() {
            return Err(StoreError::Backend("the transaction was rolled back".to_owned()));
        }
        next += 1;
        if next < MAX_BATCH {
            batch.extend(waiting.try_recv());
        }
    }
    Ok(transaction.commit()?)
}

/// An operation that fails or panics leaves nothing behind, and its neighbours alone.
fn in_savepoint<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let run = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT operation")?;
    let result = catch_unwind(AssertUnwindSafe(|| operation(connection)))
        .unwrap_or_else(|_| Err(StoreError::Backend("a write panicked".to_owned())));
    if result.is_err() && !connection.is_autocommit() {
        run("ROLLBACK TO operation")?;
    }
    if !connection.is_autocommit() {
        run("RELEASE operation")?;
    }
    result
}

#[cfg(test)]
mod tests;
