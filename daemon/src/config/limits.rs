//! `[local.limits]`: how much one caller may ask of the daemon.

use serde::Deserialize;

use super::{ConfigError, setting};

/// How much one caller may ask. A caller is a user at the socket, a plugin at the port.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Forwarded calls, and proofs signed for such, each second in the long run.
    pub(crate) calls_per_second: u32,
    /// The same, at once after a pause.
    pub(crate) calls_burst: u32,
    /// All other requests, each second in the long run.
    pub(crate) control_per_second: u32,
    /// The same, at once after a pause.
    pub(crate) control_burst: u32,
    /// The longest body of a forwarded call and of the answer to it, in bytes.
    pub(crate) max_body: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_second: 100,
            calls_burst: 1_000,
            control_per_second: 100,
            control_burst: 1_000,
            max_body: 32 * 1_024 * 1_024,
        }
    }
}

impl Limits {
    /// Refuses limits that would let nothing through.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (name, value) in [
            ("local.limits.calls_per_second", u64::from(self.calls_per_second)),
            ("local.limits.calls_burst", u64::from(self.calls_burst)),
            ("local.limits.control_per_second", u64::from(self.control_per_second)),
            ("local.limits.control_burst", u64::from(self.control_burst)),
            ("local.limits.max_body", self.max_body),
        ] {
            if value == 0 {
                return Err(setting(name, "must be 1 or more"));
            }
        }
        Ok(())
    }
}
