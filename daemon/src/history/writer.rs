//! The thread that writes the history.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use counterfoil_protocol::UnixTime;
use serde_json::Map;

use super::{
    Kind, Letter, Shared,
    store::{HistoryError, Row, Store},
};
use crate::clock::Clock;

/// How often counted calls are written down, in seconds.
const CALLS_EVERY: i64 = 60;

/// Records that go into one transaction.
const BATCH: usize = 256;

pub(super) struct Writer {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    mailbox: Receiver<Letter>,
    store: Option<Store>,
    calls_written: UnixTime,
    /// The last write failed, and that was told.
    failing: bool,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
        mailbox: Receiver<Letter>,
    ) -> Self {
        let calls_written = clock.now();
        Self { path, clock, shared, mailbox, store: None, calls_written, failing: false }
    }

    /// Writes until it is told to stop, or nobody is left to tell.
    pub(super) fn run(mut self) {
        let patience = Duration::from_secs(CALLS_EVERY.unsigned_abs());
        loop {
            let first = match self.mailbox.recv_timeout(patience) {
                Ok(letter) => Some(letter),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let (mut rows, mut done, mut stop) = (Vec::new(), Vec::new(), false);
            let mut next = first;
            while let Some(letter) = next {
                match letter {
                    Letter::Keep { at, kind, code, detail } => {
                        rows.push(Row { at, kind, code, detail });
                    }
                    Letter::Flush(asker) => done.push(asker),
                    Letter::Stop(asker) => {
                        done.push(asker);
                        stop = true;
                    }
                }
                next =
                    (rows.len() < BATCH && !stop).then(|| self.mailbox.try_recv().ok()).flatten();
            }
            self.write(&rows, !done.is_empty());
            for asker in done {
                let _ = asker.send(());
            }
            if stop {
                return;
            }
        }
    }

    fn write(&mut self, rows: &[Row], asked: bool) {
        let now = self.clock.now();
        let due = !(0..CALLS_EVERY).contains(&now.since(self.calls_written));
        let calls = if due || asked { self.shared.calls.take() } else { HashMap::default() };
        if due || asked {
            self.calls_written = now;
        }
        if rows.is_empty() && calls.is_empty() {
            return;
        }
        let mut written = self.store().and_then(|store| store.add(rows, &calls, now));
        if matches!(&written, Err(error) if error.is_damage()) {
            written = self.begin_anew(now).and_then(|store| store.add(rows, &calls, now));
        }
        match written {
            Ok(()) => self.failing = false,
            Err(error) => {
                let lost = rows.len() + calls.len();
                self.shared.dropped.fetch_add(lost as u64, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the history cannot be written; the connection is not harmed");
                }
            }
        }
    }

    fn store(&mut self) -> Result<&mut Store, HistoryError> {
        match self.store {
            Some(ref mut store) => Ok(store),
            None => Ok(self.store.insert(Store::open(&self.path)?)),
        }
    }

    fn begin_anew(&mut self, now: UnixTime) -> Result<&mut Store, HistoryError> {
        self.store = None;
        Store::set_aside(&self.path)?;
        tracing::warn!(
            event = Kind::HistoryBegunAnew.name(),
            "the history is damaged; it is set aside and begun anew"
        );
        let row = Row { at: now, kind: Kind::HistoryBegunAnew, code: None, detail: Map::new() };
        let store = self.store()?;
        store.add(&[row], &HashMap::default(), now)?;
        Ok(store)
    }
}
