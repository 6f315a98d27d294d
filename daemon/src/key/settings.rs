//! `[key]` of the store's file: where the key lives.

use std::path::PathBuf;

use serde::Deserialize;

/// Where the installation's keys live, as the store's file wishes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeySettings {
    /// A file whose content seals the state.
    pub(crate) seal_file: Option<PathBuf>,
}

impl KeySettings {
    /// Checks what can be checked without looking: the first setting that cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        match &self.seal_file {
            Some(path) if !path.is_absolute() => Err(("key.seal_file", "must be an absolute path")),
            _ => Ok(()),
        }
    }
}
