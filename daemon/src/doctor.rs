//! Checks of everything that a connection hangs on: for each, how it is, what it means, what to do. Changes nothing.
//!
//! Each group gathers facts and then judges them; the judging is a function of its arguments. Works beside a running
//! daemon, whom it asks, and without one.

mod certificate;
mod clock;
mod daemon;
mod disk;
mod finding;
mod gather;
mod past;
mod server;
mod sockets;
mod state;
mod trust;

use std::path::PathBuf;

use counterfoil_protocol::UnixTime;
use serde_json::Value;

pub(crate) use self::finding::{Finding, Level};
use crate::{
    clock::Clock,
    config::{Config, ConfigError},
    history::{self, Query},
    moment,
    places::Places,
};

/// How far back the history is looked at, in seconds.
const LOOK_BACK: i64 = 7 * 24 * 3_600;

/// What is examined.
pub(crate) struct Patient {
    /// Where the daemon is, or should be.
    pub(crate) places: Places,
    /// The store's file.
    pub(crate) config_file: PathBuf,
    /// What the running daemon tells its owner, or why none answers and what to do.
    pub(crate) live: Result<Value, (String, String)>,
    /// Whether the daemon is there or nowhere: false where the file that would name its socket cannot be used.
    pub(crate) is_sure: bool,
}

impl Patient {
    /// The state directory: the daemon's own word, else what the arguments say.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.told("/daemon/state_dir").unwrap_or_else(|| gather::state_dir(&self.places))
    }

    /// The store's file: the daemon's own word, else what the arguments say.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.told("/daemon/config_file").unwrap_or_else(|| self.config_file.clone())
    }

    fn told(&self, path: &str) -> Option<PathBuf> {
        Some(self.live.as_ref().ok()?.pointer(path)?.as_str()?.into())
    }
}

/// Examines everything. Groups come in the order in which one leans on the other.
pub(crate) async fn examine(patient: &Patient, clock: &dyn Clock) -> Vec<Finding> {
    let (live, now) = (patient.live.as_ref().ok(), clock.now());
    let (state_dir, config_file) = (patient.state_dir(), patient.config_file());
    let api_socket = patient.told("/daemon/api_socket");
    let api_socket = api_socket.unwrap_or_else(|| patient.places.api_socket.clone());
    let user = gather::user(live, &state_dir);
    let mut findings = daemon::judge(&patient.live, now);
    let config = gather::config(&config_file);
    findings.extend(trust::judge_config(&config_file, user, &config));
    let store = config.as_ref().ok().map(|config| config.key.store);
    findings.extend(state::examine(&state_dir, user, store, live));
    findings.extend(disk::examine(&state_dir));
    let query = Query { since: Some(now + -LOOK_BACK), kinds: Vec::new(), limit: 20_000 };
    if let Ok(records) = history::read(&state_dir.join(history::FILE), &query) {
        findings.extend(past::judge(&records, live, now));
    }
    if let Ok(config) = &config {
        // Of a socket that nobody named nothing can be said.
        if patient.is_sure || live.is_some() {
            let heard = (gather::is_heard(&api_socket).await, live.is_some());
            findings.extend(sockets::examine(&api_socket, heard, config, user));
        }
        let seen = server::look(config, clock).await;
        findings.extend(server::judge(&seen, config, live, clock.now()));
        findings.extend(clock::judge(seen.offset(), clock::kernel(), live));
    } else {
        findings.extend(clock::judge(None, clock::kernel(), live));
    }
    findings
}

/// A store's file, or why it cannot be used.
type Read = Result<Config, ConfigError>;

/// The exit code that scripts go by: the worst of the findings.
pub(crate) fn exit_code(findings: &[Finding]) -> u8 {
    match findings.iter().map(|finding| finding.level).max() {
        None | Some(Level::Ok) => 0,
        Some(Level::Warning) => 1,
        Some(Level::Problem) => 2,
    }
}

/// How long ago something was, in words.
fn ago(at: UnixTime, now: UnixTime) -> String {
    moment::relative(at, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::System, places::Service, places::Wishes};

    #[tokio::test]
    async fn of_a_socket_that_nobody_named_nothing_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let config_file = dir.path().join("store.toml");
        let store = "platform = \"medusa\"\nissuer = \"http://127.0.0.1:1\"\n\
            site_url = \"http://127.0.0.1:2\"\nredirect_uri = \"http://127.0.0.1:2/cb\"\n";
        std::fs::write(&config_file, store).expect("written");
        let wishes = Wishes { state_dir: Some(dir.path().join("state")), socket: None };
        let places = Places::decide(&wishes, &Service::default(), None).expect("places");
        for (is_sure, expected) in [(true, 1), (false, 0)] {
            let patient = Patient {
                places: places.clone(),
                config_file: config_file.clone(),
                live: Err(("No daemon.".to_owned(), "Look.".to_owned())),
                is_sure,
            };
            let findings = examine(&patient, &System).await;
            let sockets = findings.iter().filter(|it| it.check == "socket").count();
            assert_eq!(sockets, expected, "{findings:?}");
        }
    }
}
