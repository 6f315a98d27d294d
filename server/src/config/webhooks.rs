//! Notifications, and the payment engine that reports what they tell of.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How notifications are sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Attempts to deliver a notification, the first one counted.
    pub attempts: u32,
    /// Seconds from one attempt to the next.
    pub interval_seconds: i64,
    /// The longest that a receiver's `Retry-After` is heeded, in seconds.
    pub retry_after_seconds: i64,
    /// An endpoint that takes nothing for so many seconds is disabled.
    pub disable_after_seconds: i64,
    /// How long the secret before signs as well, in seconds, unless whoever changes it says otherwise.
    pub secret_overlap_seconds: i64,
    /// Notifications on their way at a time.
    pub senders: u32,
    /// The same to one endpoint.
    pub senders_per_endpoint: u32,
    /// Days that deliveries stay in the log after they ended.
    pub log_days: i64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            attempts: 10,
            interval_seconds: 300,
            retry_after_seconds: 3_600,
            disable_after_seconds: 3 * 24 * 3_600,
            secret_overlap_seconds: 24 * 3_600,
            senders: 32,
            senders_per_endpoint: 4,
            log_days: 30,
        }
    }
}

impl Webhooks {
    /// Says what cannot work.
    pub(super) fn check(&self) -> Result<(), String> {
        let at_least_one = [
            ("webhooks.attempts", i64::from(self.attempts)),
            ("webhooks.interval_seconds", self.interval_seconds),
            ("webhooks.disable_after_seconds", self.disable_after_seconds),
            ("webhooks.senders", i64::from(self.senders)),
            ("webhooks.senders_per_endpoint", i64::from(self.senders_per_endpoint)),
            ("webhooks.log_days", self.log_days),
        ];
        if let Some((name, value)) = at_least_one.iter().find(|(_, value)| *value < 1) {
            return Err(format!("{name} is {value}: it must be at least 1"));
        }
        let not_negative = [
            ("webhooks.retry_after_seconds", self.retry_after_seconds),
            ("webhooks.secret_overlap_seconds", self.secret_overlap_seconds),
        ];
        if let Some((name, value)) = not_negative.iter().find(|(_, value)| *value < 0) {
            return Err(format!("{name} is {value}: it must not be negative"));
        }
        Ok(())
    }
}

/// The platform's own payment engine, which reports how payments move.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// The file of the engine's bearer token, of at least 32 characters. Without it the engine has no door here.
    pub token_file: Option<PathBuf>,
}
