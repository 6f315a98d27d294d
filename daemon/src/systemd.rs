//! What systemd, or another service manager that speaks as it does, gives to the daemon and wants to hear from it:
//! sockets that listen already, and messages about how it is (`sd_listen_fds(3)`, `sd_notify(3)`).

mod inherited;
mod notify;

use std::{ffi::OsString, time::Duration};

use anyhow::Result;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

pub(crate) use self::{
    inherited::{Inherited, Socket, admin_beside},
    notify::Notifier,
};
use crate::{
    clock::{Clock, Entropy},
    situation::{Follower, Situations},
};

/// What the manager passes in the environment. Taken out of it, so that no child process finds it.
const VARIABLES: [&str; 6] = [
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Where TLS libraries look for other certificates than the system's. Nothing of the kind is taken over silently.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_DIR", "SSL_CERT_FILE"];

/// How often it is looked whether the server is silent.
const LOOK: Duration = Duration::from_secs(15);

/// The service manager, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manager {
    /// Where messages go.
    pub(crate) notifier: Notifier,
    /// How often it wants to hear that the daemon lives.
    watchdog: Option<Duration>,
}

/// Takes what the manager has passed. Must be called before there is a second thread.
pub(crate) fn take() -> Result<(Manager, Inherited)> {
    let [fds, names, listen_pid, socket, watchdog_pid, usec] = VARIABLES.map(take_variable);
    for name in CERTIFICATES {
        if take_variable(name).is_some() {
            tracing::warn!(
                "{name} of the environment is not heeded; name a ca_file in the store's file"
            );
        }
    }
    let me = std::process::id().to_string();
    let is_me = |pid: &Option<OsString>| pid.as_ref().is_some_and(|pid| *pid == *me);
    let inherited = match fds {
        Some(fds) if is_me(&listen_pid) => Inherited::take(&fds, names.as_ref())?,
        _ => Inherited::default(),
    };
    let watchdog = usec
        .filter(|_| watchdog_pid.is_none() || is_me(&watchdog_pid))
        .and_then(|usec| usec.to_str()?.parse().ok())
        .filter(|usec| *usec > 0)
        .map(|usec| Duration::from_micros(usec) / 2);
    Ok((Manager { notifier: Notifier::to(socket), watchdog }, inherited))
}

fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    #[expect(unsafe_code, reason = "the environment cannot be changed otherwise")]
    // SAFETY: there is one thread, so nobody reads the environment meanwhile.
    unsafe {
        std::env::remove_var(name);
    }
    Some(value)
}

/// The sign of life for the watchdog, given by whoever must not be stuck.
#[derive(Debug)]
pub(crate) struct Pulse {
    beats: Option<(Interval, Notifier)>,
}

impl Manager {
    /// A sign of life, as often as the manager wants it. Needs a runtime.
    pub(crate) fn pulse(&self) -> Pulse {
        let beats = self.watchdog.map(|every| {
            let mut beats = interval(every);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (beats, self.notifier.clone())
        });
        Pulse { beats }
    }

    /// Tells the manager how it is, and again whenever that changes. Runs until the daemon ends.
    pub(crate) async fn tell_status(
        self,
        situations: Situations,
        clock: std::sync::Arc<dyn Clock>,
        entropy: std::sync::Arc<dyn Entropy>,
    ) {
        if !self.notifier.is_heard() {
            return;
        }
        let mut follower = Follower::new(situations, clock, entropy);
        let mut told = String::new();
        loop {
            let summary = follower.describe().summary;
            if summary != told {
                self.notifier.status(&summary);
                told = summary;
            }
            // That the server is silent shows in calls as well, which change nothing else.
            if let Ok(false) = timeout(LOOK, follower.changed()).await {
                return;
            }
        }
    }
}

impl Pulse {
    /// Gives a sign of life whenever it is time for one. Never ends; may be dropped at any time.
    pub(crate) async fn keep(&mut self) {
        let Some((beats, notifier)) = &mut self.beats else {
            return std::future::pending().await;
        };
        loop {
            beats.tick().await;
            notifier.watchdog();
        }
    }
}
