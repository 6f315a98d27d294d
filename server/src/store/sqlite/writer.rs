//! The one thread that writes, and its group commit.

use std::{sync::mpsc, thread};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Result, StoreError, TransactionBehavior};

/// The most requests that share a commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 256;

/// Runs an operation, and hands back what to do when the outcome of the commit is known.
type Job = Box<dyn FnOnce(&Connection) -> Settle + Send>;
type Settle = Box<dyn FnOnce(&Result<()>) + Send>;

/// A handle on the writing thread. The thread ends when the handle is dropped and every request is answered.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(mut connection: Connection) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                while let Ok(first) = waiting.recv() {
                    commit_together(&mut connection, first, &waiting);
                }
            })
            .map_err(|error| StoreError::Backend(error.to_string()))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues `operation` and waits until it is committed, or refused.
    pub(super) async fn run<T, F>(&self, operation: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (answer, outcome) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = in_savepoint(connection, operation);
            Box::new(move |committed| {
                // Whoever asked may have gone away; the commit stands all the same.
                let _ = answer.send(committed.clone().and(result));
            })
        });
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

fn commit_together(connection: &mut Connection, first: Job, waiting: &mpsc::Receiver<Job>) {
    let mut settle = Vec::new();
    let outcome = (|| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        settle.push(first(&transaction));
        while settle.len() < MAX_BATCH {
            let Ok(job) = waiting.try_recv() else { break };
            settle.push(job(&transaction));
        }
        Ok(transaction.commit()?)
    })();
    for answer in settle {
        answer(&outcome);
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    operation: impl FnOnce(&Connection) -> Result<T>,
) -> Result<T> {
    let run = |sql| connection.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT operation")?;
    let result = operation(connection);
    if result.is_err() {
        run("ROLLBACK TO operation")?;
    }
    run("RELEASE operation")?;
    result
}
