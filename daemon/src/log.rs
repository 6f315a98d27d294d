//! The daemon's own log lines, and their level, which can be changed while it runs.
//!
//! Only our own lines: what libraries say at their lower levels is not vetted for secrets.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use counterfoil_protocol::UnixTime;
use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, fmt};

use crate::clock::Clock;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is written: this and what is graver.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// What stops something from working.
    Error,
    /// What may.
    Warn,
    /// What happens to the connection.
    #[default]
    Info,
    /// A line for each request as well.
    Debug,
}

/// The level now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The level.
    pub(crate) level: Level,
    /// When it goes back to the one of the start, if it does.
    pub(crate) until: Option<UnixTime>,
}

type Set = Box<dyn Fn(Level) + Send + Sync>;

/// The log of this process.
struct Log {
    set: Set,
    usual: Level,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    report: Report,
    /// Counts changes, so that a change that waits to be taken back knows whether it is still the last.
    change: u64,
}

/// The log of this process, once it has been started.
static LOG: OnceLock<Arc<Log>> = OnceLock::new();

/// Starts the log of this process, on stderr.
pub(crate) fn start(usual: Level, format: Format) {
    let lines = fmt().with_env_filter(filter(usual)).with_writer(std::io::stderr);
    let set: Set = match format {
        Format::Text => {
            let log = lines.with_ansi(false).with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Box::new(move |level| drop(handle.reload(filter(level))))
        }
        Format::Json => {
            let log = lines.json().with_filter_reloading();
            let handle = log.reload_handle();
            log.init();
            Box::new(move |level| drop(handle.reload(filter(level))))
        }
    };
    let _ = LOG.set(Arc::new(Log::new(set, usual)));
}

/// The level now.
pub(crate) fn report() -> Report {
    LOG.get().map(|log| log.now().report).unwrap_or_default()
}

/// Changes the level: for some seconds, or until the next change.
pub(crate) fn change(level: Level, seconds: Option<u32>, clock: &dyn Clock) -> Report {
    LOG.get().map(|log| log.change(level, seconds, clock)).unwrap_or_default()
}

fn filter(level: Level) -> EnvFilter {
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    EnvFilter::new(format!("counterfoild={level}"))
}

impl Log {
    fn new(set: Set, usual: Level) -> Self {
        let now = Now { report: Report { level: usual, until: None }, change: 0 };
        Self { set, usual, now: Mutex::new(now) }
    }

    fn change(self: &Arc<Self>, level: Level, seconds: Option<u32>, clock: &dyn Clock) -> Report {
        let mut now = self.now();
        let until = seconds.map(|seconds| clock.now() + i64::from(seconds));
        now.report = Report { level, until };
        now.change += 1;
        (self.set)(level);
        if let Some(seconds) = seconds {
            let (log, change) = (Arc::clone(self), now.change);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
                log.take_back(change);
            });
        }
        now.report
    }

    /// Goes back to the level of the start, unless something else was said meanwhile.
    fn take_back(&self, change: u64) {
        let mut now = self.now();
        if now.change == change {
            now.report = Report { level: self.usual, until: None };
            (self.set)(self.usual);
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::System;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    fn log() -> (Arc<Log>, mpsc::UnboundedReceiver<Level>) {
        let (told, levels) = mpsc::unbounded_channel();
        let set: Set = Box::new(move |level| told.send(level).expect("somebody listens"));
        (Arc::new(Log::new(set, Level::Info)), levels)
    }

    #[tokio::test]
    async fn a_level_for_a_time_goes_back_by_itself() {
        let (log, mut levels) = log();
        let report = log.change(Level::Debug, Some(1), &System);
        assert_eq!(report.level, Level::Debug);
        assert!(report.until.is_some());
        assert_eq!(levels.recv().await, Some(Level::Debug));
        let back = tokio::time::timeout(LONG, levels.recv()).await.expect("in time");
        assert_eq!(back, Some(Level::Info));
        assert_eq!(log.now().report, Report { level: Level::Info, until: None });
    }

    #[tokio::test]
    async fn the_last_word_counts() {
        let (log, mut levels) = log();
        log.change(Level::Debug, Some(60), &System);
        let report = log.change(Level::Error, None, &System);
        assert_eq!(report, Report { level: Level::Error, until: None });
        // The first change's time is over.
        log.take_back(1);
        assert_eq!(log.now().report, report);
        log.take_back(2);
        assert_eq!(log.now().report.level, Level::Info);
        levels.close();
        let mut heard = Vec::new();
        while let Some(level) = levels.recv().await {
            heard.push(level);
        }
        assert_eq!(heard, [Level::Debug, Level::Error, Level::Info]);
    }
}
