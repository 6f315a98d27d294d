//! The store's file while the daemon runs: what changed, what that takes, and who notices.

pub(crate) mod chain;
mod settings;
pub(crate) mod watcher;

use std::path::Path;

use counterfoil_protocol::UnixTime;
use serde::Serialize;

pub(crate) use self::settings::{Effect, Setting, compare};
use crate::{
    clock::Entropy,
    config::{Config, ConfigError},
    local::Guests,
};

/// What status says about the store's file.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct FileReport {
    /// The file; for its owner alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) file: String,
    /// When what is gone by was read.
    pub(crate) loaded_at: UnixTime,
    /// Why what stands in it now is not gone by, without a full stop.
    pub(crate) error: Option<String>,
    /// Settings that it has changed and that wait for a restart.
    pub(crate) needs_restart: Vec<&'static str>,
    /// Whether changes are noticed by themselves. Otherwise there are SIGHUP and `counterfoild reload`.
    pub(crate) watched: bool,
}

impl FileReport {
    /// The same for plugins: no path, and of an error only that there is one.
    pub(crate) fn for_guests(self) -> Self {
        let says = "the owner's counterfoild status says what is wrong with it";
        Self { file: String::new(), error: self.error.map(|_| says.to_owned()), ..self }
    }

    /// What a person has to do so that all that stands in the file is gone by; `None` where it is.
    pub(crate) fn next_step(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(format!(
                "Correct the store's file ({error}), then run: counterfoild reload"
            ));
        }
        let waiting = self.needs_restart.join(", ");
        let wait = "Restart the daemon; these settings of the store's file wait for it: ";
        (!waiting.is_empty()).then(|| format!("{wait}{waiting}"))
    }
}

/// What a reload has done.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Reloaded {
    /// Settings that have another value than before.
    pub(crate) changed: Vec<&'static str>,
    /// Settings whose value waits for a restart, since whenever.
    pub(crate) needs_restart: Vec<&'static str>,
    /// Whether the connection's inner part was built anew.
    pub(crate) rebuilt: bool,
    /// When the settings were loaded that this load was compared with.
    pub(crate) loaded_before: UnixTime,
}

/// Why the store's file is not taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// It is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It names somebody who does not exist, or a token file that is no good.
    #[error("{0}")]
    Guests(String),
    /// Something in the daemon that should not happen.
    #[error("reading the store's file failed")]
    Broken,
    /// The daemon is about to end.
    #[error("the daemon is about to end")]
    Ending,
}

impl ReloadError {
    /// The setting, or the kind of error: what may be kept, where the file's own text may not.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Config(ConfigError::Setting { name, .. }) => name,
            Self::Config(ConfigError::Distrusted(_)) => "others can change it",
            Self::Config(ConfigError::Syntax { .. }) => "it cannot be understood",
            Self::Config(ConfigError::Unreadable { .. }) | Self::Broken => "it cannot be read",
            Self::Config(ConfigError::Empty) => "it is empty",
            Self::Ending => "the daemon is about to end",
            Self::Guests(_) => "a user or group does not exist, or the token file is no good",
        }
    }
}

/// Reads the file whole: settings, what they name, and who is let in. `dir` is the sockets' directory.
pub(crate) fn read(
    file: &Path,
    dir: &Path,
    entropy: &dyn Entropy,
) -> Result<(Config, Guests), ReloadError> {
    let config = Config::read(file)?;
    let guests = Guests::resolve(&config.local, dir, entropy).map_err(ReloadError::Guests)?;
    Ok((config, guests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_gone_by_is_a_next_step() {
        let report = FileReport::default();
        assert_eq!(report.next_step(), None);
        let waits = FileReport { needs_restart: vec!["local.tcp"], ..report.clone() };
        assert!(waits.next_step().expect("a step").ends_with("wait for it: local.tcp"));
        let wrong = FileReport { error: Some("line 5".to_owned()), ..waits };
        assert!(wrong.next_step().expect("a step").contains("(line 5)"));
    }
}
