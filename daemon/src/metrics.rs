//! What is counted, for monitoring: atomics and one small map, told in Prometheus' text form.

mod door;
mod text;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

pub(crate) use self::{door::serve, text::CONTENT_TYPE};
use crate::{history::Kind, trouble::Code};

/// Everything that is counted in this process.
pub(crate) static METRICS: Metrics = Metrics::new();

/// The upper ends of the latency histogram's buckets, in milliseconds.
const BUCKETS: [u64; 10] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];

/// A call as metrics know it: method, route and outcome.
type CallKey = (&'static str, &'static str, &'static str);

/// The counters.
pub(crate) struct Metrics {
    events: [AtomicU64; Kind::COUNT],
    refusals: [AtomicU64; Code::ALL.len()],
    calls: Mutex<BTreeMap<CallKey, u64>>,
    latency: [AtomicU64; BUCKETS.len() + 1],
    latency_sum_ms: AtomicU64,
    unanswered: AtomicU64,
}

impl Metrics {
    const fn new() -> Self {
        Self {
            events: [const { AtomicU64::new(0) }; Kind::COUNT],
            refusals: [const { AtomicU64::new(0) }; Code::ALL.len()],
            calls: Mutex::new(BTreeMap::new()),
            latency: [const { AtomicU64::new(0) }; BUCKETS.len() + 1],
            latency_sum_ms: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    /// Counts one event.
    pub(crate) fn happened(&self, kind: Kind) {
        self.events[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one problem that a caller was told.
    pub(crate) fn refused(&self, code: Code) {
        self.refusals[code as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one call.
    pub(crate) fn called(&self, method: &'static str, path: &'static str, outcome: &'static str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((method, path, outcome)).or_default() += 1;
    }

    /// Counts one exchange with the server: how long its head took, or that none came.
    pub(crate) fn exchanged(&self, took: Duration, answered: bool) {
        if !answered {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|end| ms <= *end).unwrap_or(BUCKETS.len());
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        self.latency_sum_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
