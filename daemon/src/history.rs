//! What happened, kept for people: `history.db` beside the journal, bounded, and never in anybody's way.
//!
//! It is not part of the state: losing it harms nothing, so it is written by a thread of its own, without waiting
//! for the disk, and whatever it cannot take is dropped and counted. A file that is damaged is set aside and begun
//! anew. No record holds a secret, a body or a query.

mod calls;
mod kind;
mod store;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
};

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{broadcast, oneshot};

pub(crate) use self::{
    calls::Called,
    kind::Kind,
    store::{Query, read},
};
use self::{calls::Calls, writer::Writer};
use crate::clock::Clock;

/// The name of the history's file in the state directory.
pub(crate) const FILE: &str = "history.db";

/// Records that may wait for the writer. More are dropped: the daemon's work never waits for its history.
const MAILBOX: usize = 1_024;

/// Records that a listener may be behind.
const LIVE: usize = 256;

/// One thing that happened, as it is kept and told.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Record {
    /// When; for calls, when the last of them was answered.
    pub(crate) at: UnixTime,
    /// What.
    pub(crate) kind: Kind,
    /// The trouble's code, where it was one.
    pub(crate) code: Option<String>,
    /// How often, where alike are told together: within one hour of the clock.
    pub(crate) count: u64,
    /// The same in one sentence.
    pub(crate) summary: String,
    /// Names, times and numbers that belong to it.
    pub(crate) detail: Map<String, Value>,
}

/// The way to the history. Cheap to clone; nothing here blocks or fails.
#[derive(Clone)]
pub(crate) struct History {
    clock: Arc<dyn Clock>,
    letters: SyncSender<Letter>,
    shared: Arc<Shared>,
    live: broadcast::Sender<Record>,
}

/// What the writer and those who feed it have in common.
#[derive(Default)]
struct Shared {
    calls: Calls,
    dropped: AtomicU64,
}

/// What the writer is told.
enum Letter {
    /// Keep this.
    Keep { at: UnixTime, kind: Kind, code: Option<&'static str>, detail: Map<String, Value> },
    /// Write down everything, then say so.
    Flush(oneshot::Sender<()>),
    /// The same, and end.
    Stop(oneshot::Sender<()>),
}

impl Record {
    fn new(
        at: UnixTime,
        kind: Kind,
        code: Option<String>,
        count: u64,
        detail: Map<String, Value>,
    ) -> Self {
        Self { at, kind, count, summary: kind.summary(code.as_deref(), &detail), code, detail }
    }
}

impl History {
    /// Starts the writer for the history in `state_dir`.
    pub(crate) fn start(state_dir: &Path, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (letters, mailbox) = sync_channel(MAILBOX);
        let shared = Arc::new(Shared::default());
        let writer =
            Writer::new(state_dir.join(FILE), Arc::clone(&clock), Arc::clone(&shared), mailbox);
        std::thread::Builder::new().name("history".to_owned()).spawn(move || writer.run())?;
        Ok(Self { clock, letters, shared, live: broadcast::Sender::new(LIVE) })
    }

    /// Keeps one record.
    pub(crate) fn keep(&self, kind: Kind, code: Option<&'static str>, detail: Map<String, Value>) {
        let at = self.clock.now();
        if self.live.receiver_count() > 0 {
            let code = code.map(str::to_owned);
            let _ = self.live.send(Record::new(at, kind, code, 1, detail.clone()));
        }
        let letter = Letter::Keep { at, kind, code, detail };
        if self.letters.try_send(letter).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts one call. It is written down together with others like it.
    pub(crate) fn count(&self, called: Called<'_>) {
        let now = self.clock.now();
        if self.live.receiver_count() > 0 {
            let _ = self.live.send(called.record(now));
        }
        if !self.shared.calls.count(called, now) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hears of everything from now on, each call by itself. Whoever hears too slowly misses some.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Record> {
        self.live.subscribe()
    }

    /// How many records the disk or the writer did not take since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything told so far is in the file, or dropped.
    pub(crate) async fn flushed(&self) {
        self.wait_for(Letter::Flush).await;
    }

    /// Writes down what is left and ends the writer.
    pub(crate) async fn stop(&self) {
        self.wait_for(Letter::Stop).await;
    }

    async fn wait_for(&self, letter: impl FnOnce(oneshot::Sender<()>) -> Letter) {
        let (done, is_done) = oneshot::channel();
        // A full mailbox is emptied in a moment; a disk that hangs is waited for by nobody but us.
        let letters = self.letters.clone();
        let letter = letter(done);
        let sent = tokio::task::spawn_blocking(move || letters.send(letter));
        if matches!(sent.await, Ok(Ok(()))) {
            let _ = is_done.await;
        }
    }
}

#[cfg(test)]
mod tests;
